"""A replacement inside moto is only made where the source is the one that was read."""

from __future__ import annotations

import importlib
import inspect

import pytest

import sandbox.emulator.process  # noqa: F401 (registers every replacement)
from sandbox.emulator import patches
from sandbox.emulator.patches import Patch
from sandbox.errors import EnvironmentFault


def test_every_replacement_fits_the_moto_that_is_pinned() -> None:
    patches.apply_all()
    assert len(patches.registered()) > 5
    assert len({patch.target for patch in patches.registered()}) == len(patches.registered())


def test_another_source_stops_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    changed = Patch(
        "moto.core.utils", "iso_8601_datetime_with_milliseconds", "0" * 64, lambda original: original
    )
    monkeypatch.setattr(patches, "_PATCHES", [changed])
    before = inspect.getsource(importlib.import_module("moto.core.utils").iso_8601_datetime_with_milliseconds)

    with pytest.raises(EnvironmentFault, match="is not the function its replacement was written against"):
        patches.apply_all()

    module = importlib.import_module("moto.core.utils")
    assert inspect.getsource(module.iso_8601_datetime_with_milliseconds) == before
