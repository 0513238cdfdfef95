"""A tiny lab in a folder of its own, and a backend that grades it without an emulator."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from curriculum.loader import Catalogue, Lab
from graders.skeleton import skeleton

# Helpers beside the tests are loaded by path: test folders are not packages.
_spec = importlib.util.spec_from_file_location("grading_fakes", Path(__file__).parent / "fakes.py")
assert _spec is not None
assert _spec.loader is not None
fakes = importlib.util.module_from_spec(_spec)
sys.modules["grading_fakes"] = fakes
_spec.loader.exec_module(fakes)


def write_lab(folder: Path, changed: Mapping[str, str] | None = None) -> Lab:
    """The skeleton lab, with some files replaced or added."""
    files = {**skeleton("say-hello", "X01"), **(changed or {})}
    for path, body in files.items():
        target = folder / "say-hello" / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(body, "utf-8")
    return Catalogue(folder).get_lab("say-hello")


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return write_lab(tmp_path)


@pytest.fixture
def changed_lab(tmp_path: Path) -> Callable[[Mapping[str, str]], Lab]:
    return lambda changed: write_lab(tmp_path, changed)


@pytest.fixture
def backend() -> Any:
    return fakes.FakeBackend()


@pytest.fixture
def account() -> Any:
    return fakes.FakeAccount()
