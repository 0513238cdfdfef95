"""What a build says, told in the learner's own paths."""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable

from sandbox.building.isolated import BUILD, HOME, REGISTRY_URL

_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")
_PLACES = re.compile(rf"(?:file://)?(?:{re.escape(BUILD)}/[\w.-]+/?|/tmp/)")
LINES = 12
CHARACTERS = 1500


def masked(output: str) -> list[str]:
    """The lines of an output, without colours, with paths relative to the folder that was built."""
    text = _ESCAPES.sub("", output).replace("\r\n", "\n").replace("\r", "\n")
    text = text.replace(f"{HOME}/go/pkg/mod/", "")
    text = text.replace(f"{REGISTRY_URL}/", "(registry)/").replace(REGISTRY_URL, "(registry)")
    return [line.rstrip() for line in _PLACES.sub("", text).splitlines() if line.strip()]


def told(lines: Iterable[str]) -> str:
    """The first useful lines as one text."""
    kept = []
    for line in lines:
        if line not in kept:
            kept.append(line)
        if len(kept) == LINES:
            break
    text = "\n".join(kept)
    return text if len(text) <= CHARACTERS else f"{text[:CHARACTERS]} …"


def place(lines: Iterable[str], pattern: re.Pattern[str], folder: str) -> str:
    """``src/main.go:12:5`` of the first line that names one; ``pattern`` has groups file and line."""
    for line in lines:
        match = pattern.search(line)
        if match is not None:
            path = posixpath.normpath(posixpath.join(folder, match["file"]))
            return f"{path}:{match['line'].replace(',', ':')}"
    return ""
