"""Filter patterns of CloudWatch Logs: words, space-delimited fields, JSON, regular expressions.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/FilterAndPatternSyntax.html
"""

from __future__ import annotations

import functools
import json
import operator
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Found = dict[str, Any]
"""What a pattern's selectors (``$.latency``, ``$status``) found in a message."""


class BadPattern(ValueError):
    """CloudWatch Logs would not take the pattern."""


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
        compiled = _regular(expression)
        return lambda message: compiled.search(message) is not None
    wanted = re.sub(r"\\(.)", r"\1", word or "")
    return lambda message: wanted in message


# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/regex-expressions.html
_REGULAR = re.compile(r"[A-Za-z0-9:_#=@/;,^$?\[\]{}|\\*+.-]*")
_IN_STRUCTURES = 2


def _regular(expression: str) -> re.Pattern[str]:
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
_STRING, _EXPRESSION = r'"(?:[^"\\]|\\.)*"', r"%(?:[^%\\]|\\.)*%"
_VALUE = rf"{_STRING}|{_EXPRESSION}|[^\s()&|,\]\}}]+"
_QUOTED_NAME = r"\[\s*(?:'[^']*'|\"[^\"]*\"|\d+)\s*\]"
_SELECTOR = re.compile(rf"\$(?:\.[\w-]+|\.?{_QUOTED_NAME})+")
_CONDITION = re.compile(
    rf"\s*(?P<selector>{_SELECTOR.pattern}|\w+)\s*"
    rf"(?:(?P<exists>NOT\s+EXISTS|EXISTS)|IS\s+(?P<is>NULL|TRUE|FALSE)|(?P<sign>!=|<=|>=|=|<|>)\s*(?P<value>{_VALUE}))",
    re.DOTALL | re.IGNORECASE,
)
_JOINT = re.compile(r"\s*(&&|\|\||\(|\))")
_IS = {"NULL": None, "TRUE": True, "FALSE": False}


def _json_pattern(text: str) -> Pattern:
    if not text.endswith("}"):
        raise BadPattern(f"Invalid filter pattern: {text}")
    conditions = _Conditions(text[1:-1], _select_json)
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


MISSING: Any = object()


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
            test, _selectors = _Conditions(part, lambda found, key: found.get(key, MISSING)).read()
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
    for piece in re.findall(rf"{_STRING}|{_EXPRESSION}|,|.", text, re.DOTALL):
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


class _Conditions:
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
        compiled = _regular(wanted[1:-1])
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
