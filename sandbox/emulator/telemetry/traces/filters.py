"""Filter expressions: which traces somebody wants to see.

Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-console-filters.html
"""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.telemetry.traces import keywords
from sandbox.emulator.telemetry.traces.keywords import Scope
from sandbox.emulator.telemetry.traces.views import ServiceName, View, Visit

Test = Callable[[Scope], bool]

_TOKEN = re.compile(
    r"""\s*(?:(?P<text>"(?:\\.|[^"\\])*")|(?P<number>-?\d+(?:\.\d+)?)(?![\w.])"""
    r"""|(?P<word>[A-Za-z_][\w.]*(?:\[[^\]]*\])?)|(?P<sign><=|>=|!=|=|<|>|!|[(){},:]))"""
)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_TEXT_TESTS: dict[str, Callable[[str, str], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "CONTAINS": lambda found, wanted: wanted in found,
    "BEGINSWITH": str.startswith,
    "ENDSWITH": str.endswith,
}
_DEPTH_LIMIT = 50


class BadFilter(Exception):
    """An expression that can't be read; says what and where."""


@dataclass(frozen=True, slots=True)
class _Token:
    kind: str
    value: str
    at: int


def read_filter(text: str) -> Callable[[View], bool]:
    """An expression as a test of traces.

    Raises:
        BadFilter: it can't be read.
    """
    reader = _Reader(text)
    test = reader.any_of()
    reader.end()
    return lambda view: test((view, None))


class _Reader:
    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = list(_tokens(text))
        self._next = 0
        self._depth = 0

    def _peek(self) -> _Token:
        return (
            self._tokens[self._next] if self._next < len(self._tokens) else _Token("end", "", len(self._text))
        )

    def _take(self) -> _Token:
        token = self._peek()
        self._next += 1
        return token

    def _is(self, *values: str) -> bool:
        """Whether one of these signs or words comes next; if so it is taken."""
        token = self._peek()
        found = token.kind in ("sign", "word") and token.value.upper() in values
        self._next += found
        return found

    def _want(self, sign: str) -> None:
        if not self._is(sign):
            raise self._bad(f"`{sign}` is expected")

    def _bad(self, what: str) -> BadFilter:
        return BadFilter(f"Invalid filter expression: {what} at position {self._peek().at}.")

    def end(self) -> None:
        """Nothing comes after the expression."""
        if self._peek().kind != "end":
            raise self._bad(f"`{self._peek().value}` is unexpected")

    def any_of(self) -> Test:
        """Alternatives."""
        self._depth += 1
        if self._depth > _DEPTH_LIMIT:
            raise self._bad("it is nested too deeply")
        tests = [self._all_of()]
        while self._is("OR"):
            tests.append(self._all_of())
        self._depth -= 1
        return tests[0] if len(tests) == 1 else lambda scope: any(test(scope) for test in tests)

    def _all_of(self) -> Test:
        tests = [self._one()]
        while self._is("AND"):
            tests.append(self._one())
        return tests[0] if len(tests) == 1 else lambda scope: all(test(scope) for test in tests)

    def _one(self) -> Test:
        inverted = False
        while self._is("!", "NOT"):
            inverted = not inverted
        if self._is("("):
            test = self.any_of()
            self._want(")")
        else:
            test = self._keyword()
        return (lambda scope: not test(scope)) if inverted else test

    def _keyword(self) -> Test:
        token = self._peek()
        if token.kind != "word":
            raise self._bad("a keyword is expected")
        self._next += 1
        name = token.value.lower()
        if name.startswith(("annotation.", "annotation[")):
            return self._annotation(token.value[len("annotation.") :].removesuffix("]").strip("\"'"))
        if name in ("service", "edge"):
            return self._visits(name)
        if name in keywords.FLAGS:
            return self._flag(keywords.FLAGS[name])
        if name in keywords.NUMBERS:
            return self._number(keywords.NUMBERS[name])
        if name in keywords.TEXTS:
            return self._text_test(keywords.TEXTS[name])
        self._next -= 1
        raise self._bad(f"`{token.value}` is no keyword")

    def _flag(self, flag: Callable[[Scope], bool]) -> Test:
        sign = "=" if self._is("=") else "!=" if self._is("!=") else ""
        if not sign:
            return flag
        word = self._take()
        if word.value.lower() not in ("true", "false"):
            self._next -= 1
            raise self._bad("`true` or `false` is expected")
        wanted = (word.value.lower() == "true") == (sign == "=")
        return lambda scope: flag(scope) == wanted

    def _number(self, values: Callable[[Scope], Iterable[float]]) -> Test:
        compare = _COMPARISONS.get(self._peek().value)
        if compare is None:
            raise self._bad("a comparison is expected")
        self._next += 1
        token = self._take()
        if token.kind != "number":
            self._next -= 1
            raise self._bad("a number is expected")
        wanted = float(token.value)
        return lambda scope: any(compare(value, wanted) for value in values(scope))

    def _text_test(self, values: Callable[[Scope], Iterable[str]]) -> Test:
        sign = self._take().value.upper()
        test = _TEXT_TESTS.get(sign)
        if test is None:
            self._next -= 1
            raise self._bad("=, !=, CONTAINS, BEGINSWITH or ENDSWITH is expected")
        wanted = self._quoted()
        if sign == "!=":
            return lambda scope: all(value != wanted for value in values(scope))
        return lambda scope: any(test(value, wanted) for value in values(scope))

    def _quoted(self) -> str:
        token = self._take()
        if token.kind != "text":
            self._next -= 1
            raise self._bad("a text in double quotes is expected")
        return re.sub(r"\\(.)", r"\1", token.value[1:-1])

    def _annotation(self, key: str) -> Test:
        def values(scope: Scope) -> list[Any]:
            view, visit = scope
            service = None if visit is None else visit.service
            return [
                value for name, value, whose in view.annotations() if name == key and service in (None, whose)
            ]

        sign = self._peek().value.upper()
        if sign not in _COMPARISONS and sign not in _TEXT_TESTS:
            return lambda scope: bool(values(scope))
        self._next += 1
        token = self._take()
        if token.kind == "text":
            self._next -= 1
            text, test = self._quoted(), _TEXT_TESTS.get(sign)
            if test is None:
                raise self._bad(f"a text can't be compared by `{sign}`")
            return lambda scope: any(isinstance(value, str) and test(value, text) for value in values(scope))
        compare = _COMPARISONS.get(sign)
        if compare is None or (token.value.lower() not in ("true", "false") and token.kind != "number"):
            self._next -= 1
            raise self._bad("a value is expected")
        if token.kind == "number":
            number = float(token.value)
            return lambda scope: any(_is_number(value) and compare(value, number) for value in values(scope))
        truth = token.value.lower() == "true"
        return lambda scope: any(isinstance(value, bool) and compare(value, truth) for value in values(scope))

    def _visits(self, kind: str) -> Test:
        """``service(…) {…}`` and ``edge(…, …) {…}``: a visit that is meant, and what holds for it."""
        self._want("(")
        names: list[Callable[[ServiceName], bool]] = []
        while not self._is(")"):
            names.append(self._service())
            if not self._is(","):
                self._want(")")
                break
        if len(names) > (1 if kind == "service" else 2):
            raise self._bad(f"{kind}() takes fewer names")
        inner: Test = lambda _scope: True  # noqa: E731
        if self._is("{"):
            inner = self.any_of()
            self._want("}")

        def meant(visit: Visit) -> bool:
            ends = [visit.service] if kind == "service" else [visit.caller, visit.service]
            return all(name(end) for name, end in zip(names, ends, strict=False))

        return lambda scope: any(meant(visit) and inner((scope[0], visit)) for visit in scope[0].visits)

    def _service(self) -> Callable[[ServiceName], bool]:
        """A name in quotes, or ``id(name: "…", type: "…")``."""
        if not self._is("ID"):
            name = self._quoted()
            return lambda service: service.name == name
        self._want("(")
        wanted: dict[str, str] = {}
        while not self._is(")"):
            field = self._take().value.lower()
            if field not in ("name", "type", "account.id"):
                self._next -= 1
                raise self._bad("`name`, `type` or `account.id` is expected")
            self._want(":")
            wanted[field] = self._quoted()
            self._is(",")
        return lambda service: (
            wanted.get("name", service.name) == service.name
            and wanted.get("type", service.kind) == service.kind
        )


def _tokens(text: str) -> Iterable[_Token]:
    at = 0
    while text[at:].strip():
        match = _TOKEN.match(text, at)
        if match is None:
            raise BadFilter(f"Invalid filter expression: `{text[at:].strip()[:20]}` at position {at}.")
        assert match.lastgroup is not None
        yield _Token(match.lastgroup, match[match.lastgroup], match.start(match.lastgroup))
        at = match.end()


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
