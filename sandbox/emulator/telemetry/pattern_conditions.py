"""Conditions in filter patterns, on properties of JSON and on fields of a line.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import json
import operator
import re
from collections.abc import Callable
from typing import Any

MISSING: Any = object()


class BadPattern(ValueError):
    """CloudWatch Logs would not take the pattern."""


# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/regex-expressions.html
_REGULAR = re.compile(r"[A-Za-z0-9:_#=@/;,^$?\[\]{}|\\*+.-]*")


def regular(expression: str) -> re.Pattern[str]:
    """A regular expression of the few that filter patterns may hold.

    Raises:
        BadPattern: it is none, or uses more than those may.
    """
    allowed = _REGULAR.match(expression)
    if allowed is None or allowed.end() != len(expression):
        at = allowed.end() if allowed is not None else 0
        raise BadPattern(
            f"Invalid regular expression '{expression}': the character '{expression[at]}' at position {at} "
            "is not supported"
        )
    try:
        return re.compile(expression)
    except re.error as error:
        raise BadPattern(f"Invalid regular expression '{expression}': {error}") from None


_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
STRING, EXPRESSION = r'"(?:[^"\\]|\\.)*"', r"%(?:[^%\\]|\\.)*%"
_VALUE = rf"{STRING}|{EXPRESSION}|[^\s()&|,\]\}}]+"
_QUOTED_NAME = r"\[\s*(?:'[^']*'|\"[^\"]*\"|\d+)\s*\]"
_SELECTOR = re.compile(rf"\$(?:\.[\w-]+|\.?{_QUOTED_NAME})+")
_CONDITION = re.compile(
    rf"\s*(?P<selector>{_SELECTOR.pattern}|\w+)\s*"
    rf"(?:(?P<exists>NOT\s+EXISTS|EXISTS)|IS\s+(?P<is>NULL|TRUE|FALSE)|(?P<sign>!=|<=|>=|=|<|>)\s*(?P<value>{_VALUE}))",
    re.DOTALL | re.IGNORECASE,
)
_JOINT = re.compile(r"\s*(&&|\|\||\(|\))")
_IS = {"NULL": None, "TRUE": True, "FALSE": False}


class Conditions:
    """Conditions on selectors, joined by ``&&`` and ``||``."""

    def __init__(self, text: str, select: Callable[[Any, str], Any]) -> None:
        self._text = text
        self._select = select
        self._tokens: list[re.Match[str]] = []
        position = 0
        while position < len(text.rstrip()):
            match = _JOINT.match(text, position) or _CONDITION.match(text, position)
            if match is None:
                raise self._bad()
            self._tokens.append(match)
            position = match.end()
        self._at = 0
        self.selectors: list[str] = []

    def _bad(self) -> BadPattern:
        return BadPattern(f"Invalid filter pattern: {self._text.strip()}")

    def read(self) -> tuple[Callable[[Any], bool], list[str]]:
        """The test and the selectors it uses."""
        test = self._either()
        if self._at != len(self._tokens):
            raise self._bad()
        return test, self.selectors

    def _take(self, joint: str) -> bool:
        found = self._at < len(self._tokens) and self._tokens[self._at][0].strip() == joint
        self._at += found
        return found

    def _either(self) -> Callable[[Any], bool]:
        tests = [self._both()]
        while self._take("||"):
            tests.append(self._both())
        return lambda found: any(test(found) for test in tests)

    def _both(self) -> Callable[[Any], bool]:
        tests = [self._one()]
        while self._take("&&"):
            tests.append(self._one())
        return lambda found: all(test(found) for test in tests)

    def _one(self) -> Callable[[Any], bool]:
        if self._take("("):
            test = self._either()
            if not self._take(")"):
                raise self._bad()
            return test
        if self._at >= len(self._tokens) or self._tokens[self._at].re is _JOINT:
            raise self._bad()
        given = self._tokens[self._at].groupdict()
        self._at += 1
        selector, select = str(given["selector"]), self._select
        self.selectors.append(selector)
        if given["is"]:
            wanted = _IS[given["is"].upper()]
            return lambda found: select(found, selector) is wanted
        if given["exists"]:
            exists = given["exists"].upper() == "EXISTS"
            return lambda found: (select(found, selector) is not MISSING) == exists
        compare = _comparison(given["sign"], given["value"])
        return lambda found: compare(select(found, selector))


def _comparison(sign: str, wanted: str) -> Callable[[Any], bool]:
    compare = _COMPARE[sign]
    if wanted.startswith("%") and wanted.endswith("%") and len(wanted) > 1:
        compiled = regular(wanted[1:-1])
        return lambda value: isinstance(value, str) and (compiled.search(value) is not None) == (sign == "=")
    number = _number(wanted)
    if number is not None:
        return lambda value: _compares(compare, _number(value), number, sign)
    text = re.sub(r"\\(.)", r"\1", wanted[1:-1]) if wanted.startswith('"') else wanted
    if sign not in ("=", "!="):
        raise BadPattern(f"'{text}' is not a number")
    glob = _glob(text)

    def test(value: Any) -> bool:
        # A selector has to lead to a value; of a list or an object nothing is true.
        if value is MISSING or value is None or isinstance(value, list | dict):
            return False
        shown = value if isinstance(value, str) else json.dumps(value)
        return (glob.fullmatch(shown) is not None) == (sign == "=")

    return test


def _glob(text: str) -> re.Pattern[str]:
    """An asterisk stands for anything before or after a text, and within it for itself."""
    inner = text.strip("*")
    before = ".*" if text.startswith("*") else ""
    after = ".*" if text.endswith("*") else ""
    return re.compile(f"{before}{re.escape(inner)}{after}", re.DOTALL)


def _compares(compare: Callable[[Any, Any], bool], value: float | None, wanted: float, sign: str) -> bool:
    if value is None:
        return False
    return compare(value, wanted)


def _number(value: Any) -> float | None:
    if isinstance(value, bool) or value is None or value is MISSING:
        return None
    if isinstance(value, int | float):
        return float(value)
    if isinstance(value, str) and re.fullmatch(r"[-+]?\d+(\.\d+)?([eE][-+]?\d+)?", value):
        return float(value)
    return None
