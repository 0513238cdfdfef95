"""Personal data where it has no business, however it is written there."""

from __future__ import annotations

import base64
import html
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

# So many digits are a number that belongs to somebody, whatever stands between them.
_DIGITS = 8
_BETWEEN = r"(?:[\s().+/-]|%20|%2[bBdD]|\\u00a0){0,3}"


@dataclass(frozen=True, slots=True)
class Leak:
    """A value that was found. ``where`` is the place, ``how`` the way it is written there."""

    what: str
    where: str
    how: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}, {self.how}"


def find_leaks(values: Mapping[str, str], texts: Iterable[tuple[str, str]]) -> list[Leak]:
    """Which values stand in which texts; ``values`` by what to call them, ``texts`` with their places."""
    wanted = {what: _distinct(_ways(value)) for what, value in values.items()}
    found = []
    for where, text in texts:
        for what, ways in wanted.items():
            how = next((how for how, pattern in ways if pattern.search(text)), "")
            if how:
                found.append(Leak(what, where, how))
    return found


def _distinct(ways: Iterable[tuple[str, re.Pattern[str]]]) -> list[tuple[str, re.Pattern[str]]]:
    """Each pattern once, under the first name: most values look the same in most encodings."""
    return [
        (how, pattern) for pattern, how in {pattern: how for how, pattern in reversed(list(ways))}.items()
    ]


def _ways(value: str) -> Iterator[tuple[str, re.Pattern[str]]]:
    """Ways to write a value, each with what finds it."""
    yield "as it is", _exactly(value)
    if len(digits := re.sub(r"\D", "", value)) >= _DIGITS and not re.search(r"[A-Za-z@]", value):
        yield "with other separators", re.compile(r"(?<!\d)" + _BETWEEN.join(digits) + r"(?!\d)")
    for safe in ("", "/", "@"):
        yield "URL-encoded", _exactly(urllib.parse.quote(value, safe=safe))
    yield "URL-encoded", _exactly(urllib.parse.quote_plus(value))
    yield "URL-encoded twice", _exactly(urllib.parse.quote(urllib.parse.quote(value, safe=""), safe=""))
    yield "with escapes", _exactly(json.dumps(value)[1:-1])
    yield "with escapes", _exactly(json.dumps(json.dumps(value)[1:-1])[1:-1])
    yield "as HTML", _exactly(html.escape(value))
    yield "in hexadecimal", _exactly(value.encode().hex())
    for text in _within_base64(value):
        yield "in base64", re.compile(re.escape(text))


def _exactly(text: str) -> re.Pattern[str]:
    return re.compile(re.escape(text), re.IGNORECASE)


def _within_base64(value: str) -> Iterator[str]:
    """What stands in base64 of a text with the value in it, which may begin at any of three places."""
    raw = value.encode()
    for before in range(3):
        length = (len(raw) + before) // 3 * 3 - before
        text = base64.b64encode(bytes(before) + raw[:length]).decode()
        # The first characters also hold bits of what stands before the value.
        inner = text[(0, 2, 3)[before] :]
        yield inner
        if urlsafe := inner.replace("+", "-").replace("/", "_"):
            yield urlsafe
