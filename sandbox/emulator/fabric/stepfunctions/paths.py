"""JSONPath as the Amazon States Language uses it: reading anywhere, writing to reference paths.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/amazon-states-language-paths.html
"""

from __future__ import annotations

import copy
import functools
import json
import re
from typing import Any

from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.ext.parser import parse

from sandbox.emulator.fabric.stepfunctions.errors import RUNTIME, StatesError

_STEP = re.compile(r"\.([^.\[\]()*?@\s]+)|\['((?:[^'\\]|\\.)*)'\]|\[\"((?:[^\"\\]|\\.)*)\"\]|\[(\d+)\]")
_INDEFINITE = re.compile(r"\.\.|\*|\[\?|\[[^'\"\]]*[:,]")


class NoSuchPath(Exception):
    """The document has nothing there."""


@functools.lru_cache(maxsize=2048)
def steps(path: str) -> tuple[str | int, ...] | None:
    """The names and positions of a plain path (``$.a['b'][0]``), or None for anything richer."""
    found: list[str | int] = []
    position = 1
    while position < len(path):
        match = _STEP.match(path, position)
        if match is None:
            return None
        name = next((group for group in match.groups()[:3] if group is not None), None)
        found.append(int(match[4]) if name is None else name)
        position = match.end()
    return tuple(found)


@functools.lru_cache(maxsize=512)
def _compiled(path: str) -> Any:
    return parse(path.replace("&&", "&").replace("||", "|"))


def read(path: str, document: Any) -> Any:
    """What ``path`` selects: one value of a definite path, a list of an indefinite one.

    Raises:
        NoSuchPath: a definite path selects nothing.
        StatesError: it is not a path.
    """
    plain = steps(path)
    if plain is not None:
        for step in plain:
            try:
                document = document[step]
            except (KeyError, IndexError, TypeError):
                raise NoSuchPath(path) from None
        return document
    try:
        found = [match.value for match in _compiled(path).find(document)]
    except (JSONPathError, RecursionError, TypeError, ValueError) as error:
        raise StatesError(RUNTIME, f"Invalid path '{path}' : {error}") from None
    if _INDEFINITE.search(path):
        return found
    if not found:
        raise NoSuchPath(path)
    return found[0]


def write(path: str, document: Any, value: Any) -> Any:
    """A copy of ``document`` with ``value`` at the reference path ``path``.

    Raises:
        StatesError: there is no place for it.
    """
    plain = steps(path)
    if plain is None:
        raise StatesError(RUNTIME, f"Invalid path '{path}': a reference path names one place.")
    if not plain:
        return value
    made = copy.deepcopy(document)
    place = made
    for step, following in zip(plain, [*plain[1:], None], strict=True):
        if not _fits(place, step):
            raise StatesError(
                "States.ResultPathMatchFailure",
                f"Unable to apply ReferencePath {path} to input {json.dumps(document, default=str)}",
            )
        if following is None:
            place[step] = value
        else:
            if isinstance(place, dict) and place.get(step) is None:
                place[step] = {}
            place = place[step]
    return made


def _fits(place: Any, step: str | int) -> bool:
    if isinstance(step, int):
        return isinstance(place, list) and step < len(place)
    return isinstance(place, dict)
