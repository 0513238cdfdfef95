"""Keeping the cache of builds within its size: what was fetched or made longest ago goes first."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

LIMIT_BYTES = 4_000_000_000
EVERY_S = 86_400.0
# Folders whose every file stands alone. Seeds and installed requirements are whole trees, and few.
_FOLDERS = ("registry", "built", "zips", "wheels")


def prune_daily(cache: Path) -> int:
    """Prune when that was not done for a day; returns how many bytes went."""
    mark = cache / "pruned"
    with contextlib.suppress(OSError):
        if time.time() - mark.stat().st_mtime < EVERY_S:
            return 0
    with contextlib.suppress(OSError):  # A full disk is what pruning is for.
        mark.touch()
    return prune(cache)


def prune(cache: Path, limit_bytes: int = LIMIT_BYTES) -> int:
    """Delete what is oldest until the cache fits; returns how many bytes went."""
    found = sorted(_kept(cache))
    left = sum(size for _when, size, _path in found)
    gone = 0
    for _when, size, path in found:
        if left - gone <= limit_bytes:
            break
        with contextlib.suppress(OSError):
            path.unlink()
            gone += size
    return gone


def _kept(cache: Path) -> Iterator[tuple[float, int, Path]]:
    for folder in _FOLDERS:
        for path in (cache / folder).rglob("*"):
            with contextlib.suppress(OSError):
                if path.is_file():
                    status = path.stat()
                    yield status.st_mtime, status.st_size, path
