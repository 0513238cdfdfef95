"""Layers, extensions, and what else AWS lays around a function."""

from __future__ import annotations

from tests.conformance.runtimes import zip_files
from tests.conformance.table import Case, row


def _layer(case: Case, name: str, files: dict[str, bytes]) -> str:
    made = case.api.publish_layer_version(
        LayerName=f"{case.runtime.name}-{name}", Content={"ZipFile": zip_files(files, executable=True)}
    )
    return str(made["LayerVersionArn"])


@row("a layer lies under /opt", quick=True)
def _opt(case: Case) -> None:
    case.fresh(Layers=[_layer(case, "data", {"data/a.txt": b"one", "data/b.txt": b"kept"})])
    assert case.ask("read", path="/opt/data/a.txt") == "one"


@row("later layers win")
def _later(case: Case) -> None:
    first = _layer(case, "first", {"a.txt": b"one", "b.txt": b"kept"})
    second = _layer(case, "second", {"a.txt": b"two"})
    case.fresh(Layers=[first, second])
    assert [case.ask("read", path=f"/opt/{name}.txt") for name in "ab"] == ["two", "kept"]


@row("an extension is refused as our gap")
def _extension(case: Case) -> None:
    layer = _layer(case, "extension", {"extensions/watcher": b"#!/bin/sh\n"})
    error = case.refused(case.fresh, Layers=[layer])
    assert error.response["Error"]["Code"] == "NotEmulated"
    assert "extensions/watcher" in error.response["Error"]["Message"]


@row("new code is what the next invocation runs")
def _new_code(case: Case) -> None:
    case.fresh()
    before = case.ask("identity")
    package = case.runtime.package()
    changed = zip_files({"unrelated.txt": b"changed"})
    case.api.update_function_code(FunctionName=case.name, ZipFile=changed)
    assert case.invoke("identity").raw["FunctionError"] == "Unhandled"
    code = case.code(package)
    case.api.update_function_code(FunctionName=case.name, **code)
    assert case.ask("identity") != before
