"""Which builder a function gets, and what is taken as it is."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from sandbox import builds
from sandbox.building.methods import Method, choose
from sandbox.errors import BadSubmission
from sandbox.submissions import Submission, read_folder, read_zip

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
LAYER = """\
Transform: AWS::Serverless-2016-10-31
Resources:
  Common:
    Type: AWS::Serverless::LayerVersion
    Metadata: {{BuildMethod: {method}}}
    Properties:
      ContentUri: layer/
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
        ({"BuildMethod": "go1.x", "SamResourceId": "Fn"}, "provided.al2023", {}, Method.AS_IT_IS),
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


@pytest.mark.parametrize("packed", [False, True], ids=["folder", "zip"])
@pytest.mark.parametrize("marked", [True, False], ids=["by sam", "by hand"])
def test_what_sam_has_built_keeps_its_dependencies(packed: bool, marked: bool, tmp_path: Path) -> None:
    """The folder `.aws-sam/build` is handed in as it is; any other `node_modules` is left behind."""
    metadata = "{SamResourceId: Fn}" if marked else "{SkipBuild: true}"
    values = {"metadata": metadata, "code": "Fn", "runtime": "nodejs22.x", "handler": "app.handler"}
    dependencies = {"Fn/node_modules/uuid/index.js": b"2", "Fn/node_modules/.bin/uuid": b"3"}
    files = {
        "template.yaml": TEMPLATE.format_map(values).encode(),
        "Fn/app.js": b"1",
        "Fn/package.json": b'{"dependencies": {"uuid": "999.0.0"}}',
        **dependencies,
    }
    if packed:
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as made:
            for name, body in files.items():
                made.writestr(f"build/{name}", body)
        submission = read_zip(archive.getvalue())
    else:
        for name, body in files.items():
            path = tmp_path / "build" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(body)
        submission = read_folder(tmp_path / "build")

    package = builds.build(submission, tmp_path / "cache", registries=False)

    with zipfile.ZipFile(io.BytesIO(package.artifacts[0].body)) as made:
        kept = ["node_modules/uuid/index.js"] if marked else []
        assert sorted(made.namelist()) == ["app.js", *kept, "package.json"]


LAYERS = {
    "python3.12": (
        {"requirements.txt": b"# none\n", "shop.py": b"1"},
        ["python/requirements.txt", "python/shop.py"],
    ),
    "nodejs22.x": (
        {"package.json": b'{"name": "shop"}', "shop.js": b"1"},
        ["nodejs/package.json", "nodejs/shop.js"],
    ),
}


@pytest.mark.parametrize("method", LAYERS)
def test_a_layer_lies_where_its_runtime_looks_for_it(method: str, tmp_path: Path) -> None:
    files, expected = LAYERS[method]

    assert sorted(layer(tmp_path, method, files)) == expected


def layer(tmp_path: Path, method: str, files: dict[str, bytes]) -> list[str]:
    """The names in a layer's zip."""
    template = LAYER.format(method=method).encode()
    sources = {f"layer/{name}": body for name, body in files.items()}
    package = builds.build(Submission({"template.yaml": template, **sources}), tmp_path)
    with zipfile.ZipFile(io.BytesIO(package.artifacts[0].body)) as made:
        return made.namelist()


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
