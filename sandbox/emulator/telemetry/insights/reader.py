"""Reads queries: commands, one after the other, and the rules that hold between them.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax.html
"""

from __future__ import annotations

import functools
import re
from collections.abc import Callable

from sandbox.emulator.telemetry.insights import patterns
from sandbox.emulator.telemetry.insights.functions import AGGREGATES
from sandbox.emulator.telemetry.insights.grammar import ExpressionReader
from sandbox.emulator.telemetry.insights.scanner import Kind, Malformed, Scanner
from sandbox.emulator.telemetry.insights.syntax import (
    Binary,
    Call,
    Command,
    Dedup,
    Display,
    Expression,
    Field,
    Fields,
    Filter,
    In,
    Like,
    Limit,
    Named,
    Parse,
    Sort,
    Stats,
    Unary,
    Unmask,
)

MOST_ROWS = 10_000
_GAPS = ("pattern", "diff", "anomaly", "source", "join", "lookup", "unnest", "filterindex", "search")


class NotEvaluated(ValueError):
    """A command of AWS's language that is not emulated: our gap."""


@functools.lru_cache(maxsize=256)
def read_query(source: str) -> tuple[Command, ...]:
    """A query's commands.

    Raises:
        Malformed: it is no query; the error names the position.
        NotEvaluated: it uses what is not emulated.
    """
    try:
        return _QueryReader(Scanner(source)).read()
    except RecursionError:
        raise Malformed("the query is nested too deeply", 0, len(source)) from None


class _QueryReader:
    def __init__(self, scanner: Scanner) -> None:
        self._scanner = scanner
        self._expressions = ExpressionReader(scanner)
        self._made: set[str] = set()
        self._commands: dict[str, Callable[[], Command]] = {
            "fields": lambda: Fields(self._columns(self._named)),
            "display": lambda: Display(self._columns(self._named)),
            "filter": lambda: Filter(self._expressions.expression()),
            "where": lambda: Filter(self._expressions.expression()),
            "parse": self._parse,
            "stats": self._stats,
            "sort": self._sort,
            "order": self._sort,
            "limit": self._limit,
            "head": self._limit,
            "tail": lambda: Limit(self._limit().count, from_end=True),
            "dedup": lambda: Dedup(self._columns(self._named)),
            "unmask": lambda: Unmask(self._columns(self._named)),
        }

    def read(self) -> tuple[Command, ...]:
        found: list[Command] = []
        while True:
            symbol = self._scanner.take()
            word = symbol.value.lower() if symbol.kind is Kind.NAME and not symbol.quoted else ""
            if word in _GAPS:
                raise NotEvaluated(word)
            command = self._commands.get(word)
            if command is None or (any(isinstance(each, Dedup) for each in found) and word != "limit"):
                raise self._scanner.unexpected(symbol)
            found.append(command())
            if self._scanner.peek().kind is Kind.END:
                return tuple(found)
            self._scanner.need_mark("|")

    def _columns(self, read: Callable[[], Named]) -> tuple[Named, ...]:
        found = [read()]
        # AWS takes lists of fields with and without commas.
        while self._scanner.take_mark(","):
            found.append(read())
        return tuple(found)

    def _named(self) -> Named:
        start = self._scanner.peek().start
        expression = self._expressions.expression()
        written = self._scanner.source[start : self._scanner.last_end]
        if self._scanner.take_word("as"):
            return Named(self._new_name(), expression, aliased=True)
        if isinstance(expression, Field):
            return Named(expression.name, expression)
        return Named(" ".join(written.split()), expression)

    def _new_name(self) -> str:
        symbol = self._scanner.take()
        if symbol.kind is not Kind.NAME:
            raise self._scanner.unexpected(symbol)
        if symbol.value in self._made:
            raise self._scanner.malformed(
                f"ephemeral field is already defined: {symbol.value}", symbol.start, symbol.end
            )
        self._made.add(symbol.value)
        return symbol.value

    def _parse(self) -> Parse:
        scanner = self._scanner
        source: Expression = Field("@message")
        if not scanner.peek_regex() and scanner.peek().kind is not Kind.TEXT:
            source = self._expressions.primary()
        if scanner.peek_regex():
            pattern, names = self._parse_regex()
        else:
            pattern, names = self._parse_glob()
        return Parse(source, pattern, names)

    def _parse_regex(self) -> tuple[re.Pattern[str], tuple[str, ...]]:
        start = self._scanner.peek().start
        pattern = self._expressions.regex()
        if self._scanner.peek().is_word("multi"):
            raise NotEvaluated("parse … multi")
        if self._scanner.take_word("as"):
            return pattern, self._names(pattern.groups, start)
        names = tuple(sorted(pattern.groupindex, key=lambda name: pattern.groupindex[name]))
        if not names:
            raise self._scanner.malformed(
                "parse needs a named group like (?<name>...)", start, self._scanner.last_end
            )
        for name in names:
            if name in self._made:
                raise self._scanner.malformed(
                    f"ephemeral field is already defined: {name}", start, self._scanner.last_end
                )
            self._made.add(name)
        return pattern, names

    def _parse_glob(self) -> tuple[re.Pattern[str], tuple[str, ...]]:
        symbol = self._scanner.take()
        if symbol.is_word("logfmt", "csv", "json", "xml"):
            raise NotEvaluated(f"parse … {symbol.value.lower()}")
        if symbol.kind is not Kind.TEXT:
            raise self._scanner.unexpected(symbol)
        if not self._scanner.take_word("as"):
            raise self._scanner.unexpected()
        return patterns.glob(symbol.value), self._names(symbol.value.count("*"), symbol.start)

    def _names(self, wanted: int, start: int) -> tuple[str, ...]:
        names = [self._new_name()]
        while self._scanner.take_mark(","):
            names.append(self._new_name())
        if len(names) != wanted:
            raise self._scanner.malformed(
                f"parse takes {wanted} values but names {len(names)} fields", start, self._scanner.last_end
            )
        return tuple(names)

    def _stats(self) -> Stats:
        self._expressions.aggregates_allowed = True
        columns = self._columns(self._statistic)
        self._expressions.aggregates_allowed = False
        by = self._columns(self._named) if self._scanner.take_word("by") else ()
        return Stats(columns, by)

    def _statistic(self) -> Named:
        start, earlier = self._scanner.peek().start, set(self._made)
        named = self._named()
        if not _aggregates(named.expression) and not _names_only(named.expression, earlier):
            raise self._scanner.malformed(
                "stats needs an aggregation such as count(*)", start, self._scanner.last_end
            )
        return named

    def _sort(self) -> Sort:
        self._scanner.take_word("by")
        found = []
        # `sort count(*) desc` names a column of an earlier stats.
        self._expressions.aggregates_allowed = True
        while True:
            named = self._named()
            if _aggregates(named.expression):
                named = Named(named.name, Field(named.name))
            descends = self._scanner.take_word("desc")
            if not descends:
                self._scanner.take_word("asc")
            found.append((named, descends))
            if not self._scanner.take_mark(","):
                break
        self._expressions.aggregates_allowed = False
        return Sort(tuple(found))

    def _limit(self) -> Limit:
        symbol = self._scanner.take()
        if symbol.kind is not Kind.NUMBER or not symbol.value.isdigit():
            raise self._scanner.unexpected(symbol)
        if not 0 < int(symbol.value) <= MOST_ROWS:
            raise self._scanner.malformed(
                f"the limit has to be between 1 and {MOST_ROWS}", symbol.start, symbol.end
            )
        return Limit(int(symbol.value))


def _parts(expression: Expression) -> tuple[Expression, ...]:
    match expression:
        case Unary(operand=operand) | Like(operand=operand):
            return (operand,)
        case Binary(left=left, right=right):
            return (left, right)
        case In(operand=operand, choices=choices):
            return (operand, *choices)
        case Call(arguments=arguments):
            return arguments
    return ()


def _aggregates(expression: Expression) -> bool:
    if isinstance(expression, Call) and expression.name in AGGREGATES:
        return True
    return any(_aggregates(part) for part in _parts(expression))


def _names_only(expression: Expression, names: set[str]) -> bool:
    """Whether it is computed from what earlier columns of the same ``stats`` are called."""
    if isinstance(expression, Field):
        return expression.name in names
    parts = _parts(expression)
    return bool(parts) and all(_names_only(part, names) or not _fields(part) for part in parts)


def _fields(expression: Expression) -> bool:
    return isinstance(expression, Field) or any(_fields(part) for part in _parts(expression))


__all__ = ["MOST_ROWS", "Malformed", "NotEvaluated", "read_query"]
