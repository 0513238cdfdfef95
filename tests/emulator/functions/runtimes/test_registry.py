"""Which interpreter an identifier means, and what is said of one that is not here."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from sandbox.emulator.calls import AwsError
from sandbox.emulator.functions.runtimes import Package, Runtimes, is_exact, version_label
from sandbox.emulator.functions.runtimes.nodejs import NodejsRuntime
from sandbox.emulator.functions.runtimes.python import PythonRuntime
from sandbox.runtimes.interpreters import Node, nearest
from settings import Settings


def nodes(*versions: str) -> list[Node]:
    """Interpreters of these versions."""
    found = []
    for version in versions:
        major, minor, patch = map(int, version.split("."))
        found.append(Node((major, minor, patch), Path(f"/opt/node-{version}/bin/node")))
    return found


@pytest.mark.parametrize(
    ("installed", "major", "expected"),
    [
        (["20.1.0", "22.1.0", "24.1.0"], 22, "Node.js 22.1.0"),
        (["22.1.0", "22.10.0"], 22, "Node.js 22.10.0"),
        (["20.1.0", "24.1.0", "26.1.0"], 22, "Node.js 24.1.0"),
        (["20.1.0", "21.1.0"], 24, "Node.js 21.1.0"),
    ],
)
def test_the_nearest_is_the_exact_one_then_a_newer_then_the_newest(
    installed: list[str], major: int, expected: str
) -> None:
    assert str(nearest(nodes(*installed), major)) == expected


@pytest.mark.parametrize(
    ("identifier", "on", "exact"),
    [
        ("nodejs22.x", "Node.js 22.5.1", True),
        ("nodejs22.x", "Node.js 20.22.1", False),
        ("python3.12", "Python 3.12.4", True),
        ("python3.1", "Python 3.12.4", False),
        ("java8.al2", "Java 8.0.402", True),
        ("java21", "Java 17.0.15", False),
        ("provided.al2023", "Linux x86_64", True),
        ("nodejs22.x", "", False),
    ],
)
def test_exact_means_every_number_that_the_identifier_has(identifier: str, on: str, exact: bool) -> None:
    assert is_exact(identifier, on) is exact


def test_the_log_names_a_runtime_as_lambda_does() -> None:
    identifiers = ("python3.12", "nodejs20.x", "java8.al2", "provided.al2023")
    labels = [version_label(each) for each in identifiers]
    assert labels == ["python:3.12.v1", "nodejs:20.v1", "java:8.al2.v1", "provided:al2023.v1"]


@pytest.mark.parametrize(
    ("identifier", "code", "words"),
    [
        ("nodejs22.x", "NotEmulated", "`coldstart doctor` says how to add others"),
        ("nodejs14.x", "InvalidParameterValueException", "no longer supported"),
        ("node22", "InvalidParameterValueException", "failed to satisfy constraint"),
    ],
)
def test_what_is_not_here_is_told_from_what_is_not_on_aws(identifier: str, code: str, words: str) -> None:
    with pytest.raises(AwsError, match=words) as caught:
        Runtimes(PythonRuntime()).get(identifier)
    assert caught.value.code == code


@pytest.mark.skipif(shutil.which("npm") is None, reason="npm is not installed")
def test_a_launch_gives_the_heap_what_the_function_has_and_names_the_layer_s_folder(tmp_path: Path) -> None:
    runtime = NodejsRuntime(Settings().home, (Node((22, 1, 0), Path("/usr/bin/node")),))
    asked = {"NODE_OPTIONS": "--experimental-require-module"}
    launch = runtime.launch("nodejs22.x", Package("index.handler", 1024, tmp_path, variables=asked))
    assert launch.command is not None
    assert {"--max-old-space-size=922", "--max-semi-space-size=51"} <= set(launch.command)
    assert "--no-experimental-detect-module" in launch.command
    assert "--no-experimental-require-module" not in launch.command
    assert launch.variables["NODE_PATH"].startswith("/opt/nodejs/node22/node_modules:")
    assert "AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED" not in launch.variables
