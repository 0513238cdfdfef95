"""Which builder a function gets, and what is taken as it is."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from sandbox import builds
from sandbox.building.methods import Method, choose
from sandbox.errors import BadSubmission
from sandbox.submissions import Submission

TEMPLATE = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Fn:
    Type: AWS::Serverless::Function
    Metadata: {metadata}
    Properties:
      CodeUri: {code}
      Runtime: {runtime}
      Handler: {handler}
"""


@pytest.mark.parametrize(
    ("metadata", "runtime", "files", "method"),
    [
        ({}, "python3.13", {"requirements.txt": b""}, Method.PIP),
        ({}, "python3.13", {"app.py": b""}, Method.AS_IT_IS),
        ({}, "nodejs22.x", {"package.json": b""}, Method.NPM),
        ({}, "java21", {"pom.xml": b""}, Method.JAVA),
        ({}, "java21", {"build.gradle.kts": b""}, Method.JAVA),
        ({}, "java21", {"shop/App.class": b""}, Method.AS_IT_IS),
        ({}, "provided.al2023", {"bootstrap": b"", "Makefile": b""}, Method.AS_IT_IS),
        ({"BuildMethod": "go1.x"}, "provided.al2023", {"go.mod": b""}, Method.GO),
        ({"BuildMethod": "esbuild"}, "nodejs22.x", {"package.json": b""}, Method.ESBUILD),
        ({"SkipBuild": True}, "nodejs22.x", {"package.json": b""}, Method.AS_IT_IS),
    ],
)
def test_the_builder_is_the_one_that_sam_would_take(
    metadata: dict[str, object], runtime: str, files: dict[str, bytes], method: Method
) -> None:
    assert choose(metadata, runtime, files, layer=False, logical="Fn", where="t:1")[0] is method


@pytest.mark.parametrize(
    ("metadata", "files"),
    [({"BuildMethod": "makefile"}, {}), ({}, {"Makefile": b""}), ({"BuildMethod": "ruby3.3"}, {})],
)
def test_a_method_that_is_not_to_be_had_says_what_is(
    metadata: dict[str, object], files: dict[str, bytes]
) -> None:
    with pytest.raises(BadSubmission, match=r"Use one of python3\.x, .*SkipBuild"):
        choose(metadata, "provided.al2023", files, layer=False, logical="Fn", where="t:1")


def build(tmp_path: Path, files: dict[str, bytes], **template: str) -> builds.Package:
    values = {"metadata": "{}", "code": "src/", "handler": "app.handler", **template}
    text = TEMPLATE.format_map(values).encode()
    return builds.build(Submission({"template.yaml": text, **files}), tmp_path)


def test_a_jar_is_taken_as_it_is(tmp_path: Path) -> None:
    jar = io.BytesIO()
    with zipfile.ZipFile(jar, "w") as made:
        made.writestr("shop/App.class", b"x")

    package = build(
        tmp_path, {"fn.jar": jar.getvalue()}, code="fn.jar", runtime="java21", handler="shop.App::h"
    )

    assert package.artifacts[0].body == jar.getvalue()


def test_a_bootstrap_is_taken_as_it_is_and_may_be_run(tmp_path: Path) -> None:
    package = build(tmp_path, {"src/bootstrap": b"\x7fELF"}, runtime="provided.al2023", handler="x")

    with zipfile.ZipFile(io.BytesIO(package.artifacts[0].body)) as made:
        assert made.getinfo("bootstrap").external_attr >> 16 == 0o100755


@pytest.mark.parametrize(
    ("runtime", "files", "handler", "words"),
    [
        ("provided.al2023", {"src/go.mod": b"module m"}, "x", r"no `bootstrap`.*BuildMethod: go1\.x"),
        ("nodejs22.x", {"src/index.mjs": b""}, "app.handler", r"no app\.js in `src`.*index\.mjs"),
        ("java21", {"src/a.txt": b""}, "shop.App::h", r"no shop/App\.class"),
    ],
)
def test_a_handler_that_is_not_there_is_told_with_the_templates_line(
    runtime: str, files: dict[str, bytes], handler: str, words: str, tmp_path: Path
) -> None:
    with pytest.raises(BadSubmission, match=words) as error:
        build(tmp_path, files, runtime=runtime, handler=handler)

    assert error.value.where == "template.yaml:9"
