"""Filter patterns of CloudWatch Logs: words, space-delimited fields, JSON, regular expressions.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.telemetry.pattern_conditions import (
    EXPRESSION,
    MISSING,
    STRING,
    BadPattern,
    Conditions,
    regular,
)

# How many regular expressions a pattern for JSON or for fields may hold.
_IN_STRUCTURES = 2
Found = dict[str, Any]
"""What a pattern's selectors (``$.latency``, ``$status``) found in a message."""


@dataclass(frozen=True, slots=True)
class Pattern:
    """``find`` answers what the selectors find in a matching message, None for any other."""

    find: Callable[[str], Found | None]

    def matches(self, message: str) -> bool:
        """Whether a message is let through."""
        return self.find(message) is not None


@functools.lru_cache(maxsize=512)
def read_pattern(text: str) -> Pattern:
    """A pattern ready to be used.

    Raises:
        BadPattern: it is none.
    """
    stripped = text.strip()
    if not stripped:
        return Pattern(lambda message: {})
    if stripped.startswith("{"):
        return _json_pattern(stripped)
    if stripped.startswith("["):
        return _fields_pattern(stripped)
    return _words_pattern(stripped)


_WORD = re.compile(r'\s*([-?]?)\s*(?:"((?:[^"\\]|\\.)*)"|%((?:[^%\\]|\\.)*)%|([^\s"%]+))')


def _words_pattern(text: str) -> Pattern:
    needed: list[Callable[[str], bool]] = []
    optional: list[Callable[[str], bool]] = []
    position = 0
    while position < len(text):
        match = _WORD.match(text, position)
        if match is None:
            raise BadPattern(f"Invalid filter pattern: {text}")
        sign, quoted, expression, word = match.groups()
        if quoted is None and expression is None and not re.fullmatch(r"\w+", word):
            # Whatever is not alphanumeric has to stand in quotation marks.
            raise BadPattern(f"Invalid character(s) in term '{word}'")
        test = _test_of(quoted if quoted is not None else word, expression)
        if sign == "?":
            optional.append(test)
        elif sign == "-":
            needed.append(lambda message, test=test: not test(message))  # type: ignore[misc]
        else:
            needed.append(test)
        position = match.end()

    def find(message: str) -> Found | None:
        # Beside terms that must be there, optional ones are of no effect.
        if needed:
            return {} if all(test(message) for test in needed) else None
        return {} if any(test(message) for test in optional) else None

    return Pattern(find)


def _test_of(word: str | None, expression: str | None) -> Callable[[str], bool]:
    if expression is not None:
        compiled = regular(expression)
        return lambda message: compiled.search(message) is not None
    wanted = re.sub(r"\\(.)", r"\1", word or "")
    return lambda message: wanted in message


def _json_pattern(text: str) -> Pattern:
    if not text.endswith("}"):
        raise BadPattern(f"Invalid filter pattern: {text}")
    conditions = Conditions(text[1:-1], _select_json)
    test, selectors = conditions.read()
    wrong = next((name for name in selectors if not name.startswith("$")), None)
    if wrong is not None:
        raise BadPattern(f"Invalid filter pattern: the selector '{wrong}' has to begin with '$'")
    _count_expressions(text)

    def find(message: str) -> Found | None:
        start = message.find("{")
        if start < 0:
            return None
        try:
            document = json.loads(message[start:])
        except ValueError:
            return None
        if not isinstance(document, dict) or not test(document):
            return None
        # A metric's value may name any property, not only those that the pattern tests.
        return _Everything(document) | {name: _select_json(document, name) for name in selectors}

    return Pattern(find)


class _Everything(dict[str, Any]):
    """Looks selectors up when asked for."""

    def __init__(self, document: dict[str, Any]) -> None:
        super().__init__()
        self._document = document

    def __or__(self, other: Any) -> _Everything:  # type: ignore[override]
        self.update(other)
        return self

    def __missing__(self, name: str) -> Any:
        return _select_json(self._document, name)

    def get(self, name: str, default: Any = None) -> Any:
        """As of any dict, with every selector as a key."""
        found = self[name]
        return default if found is MISSING else found


def _count_expressions(text: str) -> None:
    count = len(re.findall(r"%(?:[^%\\]|\\.)*%", re.sub(r'"(?:[^"\\]|\\.)*"', "", text)))
    if count > _IN_STRUCTURES:
        raise BadPattern(
            f"Invalid filter pattern: {count} regular expressions, at most {_IN_STRUCTURES} are allowed"
        )


def _select_json(document: Any, selector: str) -> Any:
    for name, position in re.findall(r"\.([\w-]+)|\[\s*[\"']?([^\]\"']+)[\"']?\s*\]", selector):
        if isinstance(document, dict) and name and name in document:
            document = document[name]
        elif isinstance(document, list) and position.isdigit() and int(position) < len(document):
            document = document[int(position)]
        elif isinstance(document, dict) and position and position in document:
            document = document[position]
        else:
            return MISSING
    return document


def _fields_pattern(text: str) -> Pattern:
    if not text.endswith("]"):
        raise BadPattern(f"Invalid filter pattern: {text}")
    names: list[str] = []
    tests: list[Callable[[dict[str, Any]], bool]] = []
    for part in _split_fields(text[1:-1]):
        named = re.match(r"\s*(\w+|\.\.\.|\Z)", part)
        if named is None:
            raise BadPattern(f"Invalid filter pattern: {text}")
        names.append(named[1])
        if part[named.end() :].strip():
            test, _selectors = Conditions(part, lambda found, key: found.get(key, MISSING)).read()
            tests.append(test)
    if names.count("...") > 1:
        raise BadPattern(f"Invalid filter pattern: {text}")
    _count_expressions(text)

    def find(message: str) -> Found | None:
        found = _take_fields(names, _fields(message))
        if found is None or not all(test(found) for test in tests):
            return None
        return {f"${name}": value for name, value in found.items()}

    return Pattern(find)


def _split_fields(text: str) -> list[str]:
    """The parts between commas that stand neither in quotation marks nor in an expression."""
    parts = [""]
    for piece in re.findall(rf"{STRING}|{EXPRESSION}|,|.", text, re.DOTALL):
        if piece == ",":
            parts.append("")
        else:
            parts[-1] += piece
    return parts


def _fields(message: str) -> list[str]:
    """A line's fields: words, and what stands in brackets or quotation marks."""
    return [
        next(group for group in match.groups() if group is not None)
        for match in re.finditer(r"\[([^\]]*)\]|\"([^\"]*)\"|(\S+)", message)
    ]


def _take_fields(names: list[str], fields: list[str]) -> dict[str, Any] | None:
    """Fields by their names; those without one by their numbers, from 1."""
    gap = names.index("...") if "..." in names else len(names)
    after = max(len(names) - gap - 1, 0)
    if len(fields) < gap + after or (gap == len(names) and len(fields) != gap):
        return None
    chosen = [*names[:gap], *[""] * (len(fields) - gap - after), *names[len(names) - after :]]
    return {
        name or str(number): value for number, (name, value) in enumerate(zip(chosen, fields, strict=True), 1)
    }
