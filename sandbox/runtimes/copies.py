"""Libraries that a Python function brings along although its runtime has the very same ones."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Sequence
from pathlib import Path

_HEADER_BYTES = 8
_CHUNK_BYTES = 1024 * 1024


def same_as_runtime(runtime_dir: Path, places: Sequence[Path]) -> frozenset[str]:
    """Entries of ``places`` that are byte for byte what ``runtime_dir`` has by that name, in each of them.

    What the interpreter would not look at does not count: bytecode of another version, and bytecode that
    goes by its source's time, which no package keeps on its way into an environment.
    """
    found: dict[str, bool] = {}
    for place in places:
        for entry in _entries(place):
            theirs = runtime_dir / entry.name
            if theirs.exists():
                found[entry.name] = found.get(entry.name, True) and _same(entry, theirs)
    return frozenset(name for name, same in found.items() if same)


def _entries(place: Path) -> Iterator[Path]:
    if place.is_dir():
        yield from place.iterdir()


def _same(ours: Path, theirs: Path) -> bool:
    if ours.is_symlink() or ours.is_dir() != theirs.is_dir():
        return False
    if not ours.is_dir():
        return _same_content(ours, theirs)
    names = {path.name for path in ours.iterdir()}
    if names - {"__pycache__"} != {path.name for path in theirs.iterdir()} - {"__pycache__"}:
        return False
    if "__pycache__" in names and not _without_effect(ours / "__pycache__"):
        return False
    return all(_same(ours / name, theirs / name) for name in names - {"__pycache__"})


def _same_content(ours: Path, theirs: Path) -> bool:
    if ours.stat().st_size != theirs.stat().st_size:
        return False
    with ours.open("rb") as left, theirs.open("rb") as right:
        while chunk := left.read(_CHUNK_BYTES):
            if chunk != right.read(_CHUNK_BYTES):
                return False
    return True


def _without_effect(cache: Path) -> bool:
    """Whether the interpreter goes by the sources all the same."""
    if not cache.is_dir():
        return False
    for path in cache.iterdir():
        with path.open("rb") as file:
            header = file.read(_HEADER_BYTES)
        if header[:4] == importlib.util.MAGIC_NUMBER and header[4:8] != b"\0\0\0\0":
            return False
    return True
