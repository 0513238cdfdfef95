"""Which lines of files have changed. Pure."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from portal.languages import N_

_LINES_LIMIT = 600


@dataclass(frozen=True, slots=True)
class FileChange:
    """A file that is not the same in both. ``lines`` are those of a unified diff, each with its kind."""

    path: str
    kind: str
    added: int = 0
    removed: int = 0
    lines: tuple[tuple[str, str], ...] = ()
    cut: bool = False


def changes(before: Mapping[str, bytes], after: Mapping[str, bytes]) -> Iterator[FileChange]:
    """The files that are not the same in both, by path."""
    for path in sorted(before.keys() | after.keys()):
        old, new = before.get(path), after.get(path)
        if old == new:
            continue
        kind = N_("added") if old is None else N_("removed") if new is None else N_("changed")
        texts = _text(old), _text(new)
        if texts[0] is None or texts[1] is None:
            yield FileChange(path, kind)
            continue
        yield _difference(path, kind, texts[0], texts[1])


def _difference(path: str, kind: str, old: str, new: str) -> FileChange:
    found = list(difflib.unified_diff(old.splitlines(), new.splitlines(), n=3, lineterm=""))[2:]
    kinds = {"+": "added", "-": "removed", "@": "place"}
    lines = [(kinds.get(line[:1], "context"), line if line[:1] == "@" else line[1:]) for line in found]
    return FileChange(
        path,
        kind,
        sum(1 for what, _ in lines if what == "added"),
        sum(1 for what, _ in lines if what == "removed"),
        tuple(lines[:_LINES_LIMIT]),
        len(lines) > _LINES_LIMIT,
    )


def _text(body: bytes | None) -> str | None:
    """A file's text; nothing for what is none."""
    if body is None:
        return ""
    try:
        return body.decode("utf-8")
    except UnicodeDecodeError:
        return None
