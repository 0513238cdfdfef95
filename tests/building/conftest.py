"""A cache that lasts as long as the checkout's own data, as on a machine that has built before."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from sandbox.building.workshop import Wanted, Workshop

ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("COLDSTART_HOME", ROOT / "var"))

Build = Callable[[Wanted, Workshop], Mapping[str, bytes]]


@pytest.fixture
def told() -> list[str]:
    """What was said while something was built."""
    return []


@pytest.fixture
def workshop(tmp_path: Path, told: list[str]) -> Workshop:
    """Nothing is built yet; what was fetched and what is compiled once for all is kept between runs."""
    shared = HOME / "builds"
    for name in ("registry", "seeds"):
        (shared / name).mkdir(parents=True, exist_ok=True)
        (tmp_path / name).symlink_to(shared / name)
    return Workshop(tmp_path, tell=told.append)


def wanted(files: Mapping[str, str], **more: object) -> Wanted:
    """Files as a folder ``src`` of a function ``Fn``."""
    encoded = {name: text.encode() for name, text in files.items()}
    return Wanted("Fn", "src", encoded, where="template.yaml:9", **more)  # type: ignore[arg-type]
