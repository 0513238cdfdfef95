"""Libraries a function brings along are the runtime's own only when nothing at all differs."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from sandbox.runtimes.copies import same_as_runtime

FILES = {"six.py": "six = 6\n", "lib/__init__.py": "x = 1\n", "lib/data/models.json": "{}", "other.py": ""}
TIMED = importlib.util.MAGIC_NUMBER + bytes(4) + bytes(8)
UNCHECKED = importlib.util.MAGIC_NUMBER + b"\1\0\0\0" + bytes(8)
OF_ANOTHER_VERSION = b"\0\0\r\n" + b"\1\0\0\0" + bytes(8)


def _lay(place: Path, files: dict[str, str | bytes]) -> Path:
    for name, content in files.items():
        path = place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
    return place


@pytest.fixture
def runtime(tmp_path: Path) -> Path:
    cached = {"lib/__pycache__/__init__.cpython-311.pyc": TIMED}
    return _lay(tmp_path / "runtime", {**FILES, **cached})


@pytest.mark.parametrize(
    "own",
    [
        {},
        {"lib/__pycache__/__init__.cpython-311.pyc": TIMED},
        {"lib/__pycache__/__init__.cpython-39.pyc": OF_ANOTHER_VERSION},
    ],
)
def test_the_same_files_are_the_same_library(tmp_path: Path, runtime: Path, own: dict[str, bytes]) -> None:
    code = _lay(tmp_path / "code", {"app.py": "", "six.py": "six = 6\n", "lib/__init__.py": "x = 1\n"})
    _lay(code, {"lib/data/models.json": "{}", **own})
    assert same_as_runtime(runtime, [code]) == {"six.py", "lib"}


@pytest.mark.parametrize(
    "own",
    [
        {"lib/__init__.py": "x = 2\n"},
        {"lib/__init__.py": "x = 10\n"},
        {"lib/more.py": ""},
        {"lib/data/more.json": "{}"},
        {"lib/__pycache__/__init__.cpython-311.pyc": UNCHECKED},
        {"lib/__pycache__": ""},
    ],
)
def test_anything_else_in_a_library_makes_it_another(
    tmp_path: Path, runtime: Path, own: dict[str, str | bytes]
) -> None:
    code = _lay(tmp_path / "code", {"lib/__init__.py": "x = 1\n", "lib/data/models.json": "{}"})
    _lay(code, own)
    assert same_as_runtime(runtime, [code]) == set()


def test_a_library_with_less_in_it_is_another(tmp_path: Path, runtime: Path) -> None:
    code = _lay(tmp_path / "code", {"lib/__init__.py": "x = 1\n"})
    assert same_as_runtime(runtime, [code]) == set()


def test_one_that_differs_in_a_layer_counts(tmp_path: Path, runtime: Path) -> None:
    code = _lay(tmp_path / "code", {"six.py": "six = 6\n", "other.py": ""})
    layer = _lay(tmp_path / "layer", {"six.py": "six = 7\n", "other.py": ""})
    assert same_as_runtime(runtime, [code, layer, tmp_path / "none"]) == {"other.py"}
