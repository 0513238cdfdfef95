"""The cache of builds stays within its size, and nothing but single files goes."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sandbox.building import keeping


def put(cache: Path, name: str, *, age_s: int) -> Path:
    path = cache / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(bytes(100))
    os.utime(path, (1_700_000_000 - age_s,) * 2)
    return path


def test_what_is_oldest_goes_until_the_rest_fits(tmp_path: Path) -> None:
    old = put(tmp_path, "registry/npm/ab/old", age_s=30)
    older = put(tmp_path, "built/cd/older", age_s=40)
    new = put(tmp_path, "zips/new.zip", age_s=0)
    seed = put(tmp_path, "seeds/go/key/part", age_s=900)

    assert keeping.prune(tmp_path, limit_bytes=150) == 200

    assert not old.exists()
    assert not older.exists()
    assert new.exists()
    assert seed.exists(), "a tree without one of its files would be a broken one"


def test_it_is_looked_at_once_a_day(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    looked: list[Path] = []
    monkeypatch.setattr(keeping, "prune", lambda cache: looked.append(cache) or 0)

    keeping.prune_daily(tmp_path)
    keeping.prune_daily(tmp_path)
    assert looked == [tmp_path]

    yesterday = (tmp_path / "pruned").stat().st_mtime - keeping.EVERY_S
    os.utime(tmp_path / "pruned", (yesterday, yesterday))
    keeping.prune_daily(tmp_path)
    assert len(looked) == 2
