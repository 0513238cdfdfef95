"""Public layers: which are known, and what becomes of installed packages."""

from __future__ import annotations

import io
import subprocess
import zipfile
from pathlib import Path

import pytest

from sandbox.building.requirements import Installer, Requirements
from sandbox.runtimes import public_layers
from sandbox.runtimes.public_layers import PublicLayers

POWERTOOLS = "arn:aws:lambda:eu-west-1:017000801446:layer:AWSLambdaPowertoolsPython"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[str]:
    """The requirements that were installed, from an index with one package that needs the SDK."""
    found: list[str] = []

    def install(self: Installer, requirements: Requirements, python: str) -> Path:
        found.extend(requirements.lines)
        folder = tmp_path / "installed"
        for name in ("tools/__init__.py", "boto3/__init__.py", "botocore-1.2.dist-info/METADATA"):
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_text("")
        return folder

    monkeypatch.setattr(Installer, "install", install)
    return found


@pytest.mark.parametrize(
    ("name", "package"),
    [
        ("V3-python312-x86_64:18", "aws-lambda-powertools[all]<4,>=3"),
        ("V3-python314-arm64:1", "aws-lambda-powertools[all]<4,>=3"),
        ("V2:79", "aws-lambda-powertools[all]<3,>=2"),
        ("V2-Arm64:79", "aws-lambda-powertools[all]<3,>=2"),
    ],
)
def test_a_known_layer_holds_its_package_without_the_sdk(
    name: str, package: str, asked: list[str], tmp_path: Path
) -> None:
    content = PublicLayers(tmp_path / "home").find(POWERTOOLS + name)

    assert asked == [package]
    assert content is not None
    assert zipfile.ZipFile(io.BytesIO(content)).namelist() == ["python/tools/__init__.py"]


def test_the_layer_for_typescript_is_installed_once_by_npm(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    asked: list[list[str]] = []

    def run(_language: str, command: list[str], *, folder: Path) -> subprocess.CompletedProcess[str]:
        asked.append(command)
        package = folder / "node_modules" / "@aws-lambda-powertools" / "logger"
        package.mkdir(parents=True)
        (package / "index.js").write_text("")
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(public_layers, "run_installer", run)
    for number in (7, 41):
        arn = f"arn:aws:lambda:eu-west-1:094274105915:layer:AWSLambdaPowertoolsTypeScriptV2:{number}"
        content = PublicLayers(tmp_path).find(arn)
        assert content is not None
        names = zipfile.ZipFile(io.BytesIO(content)).namelist()
        assert names == ["nodejs/node_modules/@aws-lambda-powertools/logger/index.js"]
    [command] = asked
    assert "--ignore-scripts" in command
    assert "@aws-lambda-powertools/tracer@2" in command


@pytest.mark.parametrize(
    "arn",
    [
        POWERTOOLS + "V3-python312-x86_64",
        POWERTOOLS.replace("017000801446", "123456789012") + "V3-python312-x86_64:18",
        "arn:aws:lambda:eu-west-1:580247275435:layer:LambdaInsightsExtension:55",
        "tools",
    ],
)
def test_nothing_is_known_of_others(arn: str, asked: list[str], tmp_path: Path) -> None:
    assert PublicLayers(tmp_path).find(arn) is None
    assert asked == []
