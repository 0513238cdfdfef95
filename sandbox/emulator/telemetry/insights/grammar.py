"""Reads expressions: what ``fields``, ``filter`` and ``stats`` are made of."""

from __future__ import annotations

import re

from sandbox.emulator.telemetry.insights import patterns
from sandbox.emulator.telemetry.insights.functions import AGGREGATES, FUNCTIONS
from sandbox.emulator.telemetry.insights.scanner import Kind, Malformed, Scanner, Symbol
from sandbox.emulator.telemetry.insights.syntax import (
    Binary,
    Call,
    Expression,
    Field,
    In,
    Like,
    Literal,
    Period,
    Unary,
)

_COMPARISONS = ("=", "==", "!=", "<", "<=", ">", ">=")
_UNITS = {
    "ms": ("ms", "msec", "millisecond"),
    "s": ("s", "sec", "second"),
    "m": ("m", "min", "minute"),
    "h": ("h", "hr", "hour"),
    "d": ("d", "day"),
    "w": ("w", "week"),
    "mo": ("mo", "mon", "month"),
    "q": ("q", "qtr", "quarter"),
    "y": ("y", "yr", "year"),
}
_UNIT_OF = {name: unit for unit, names in _UNITS.items() for name in names}
_UNIT_OF |= {f"{name}s": unit for name, unit in list(_UNIT_OF.items()) if len(name) > 1 and name != "ms"}
_RESERVED = ("and", "or", "not", "in", "like", "as", "by", "asc", "desc")


class ExpressionReader:
    """Reads expressions, weakest binding first: or, and, not, comparisons, sums, products, powers."""

    def __init__(self, scanner: Scanner) -> None:
        self.scanner = scanner
        self.aggregates_allowed = False

    def expression(self) -> Expression:
        """The expression that comes next."""
        left = self._both()
        while self.scanner.take_word("or"):
            left = Binary("or", left, self._both())
        return left

    def _both(self) -> Expression:
        left = self._negation()
        while self.scanner.take_word("and"):
            left = Binary("and", left, self._negation())
        return left

    def _negation(self) -> Expression:
        if self.scanner.take_word("not"):
            return Unary("not", self._negation())
        return self._comparison()

    def _comparison(self) -> Expression:
        scanner, left = self.scanner, self._sum()
        while True:
            if scanner.peek().is_mark(*_COMPARISONS):
                sign = scanner.take().value
                left = Binary("=" if sign == "==" else sign, left, self._sum())
            elif scanner.take_mark("=~") or scanner.take_word("like"):
                left = Like(left, self._pattern())
            elif scanner.take_word("in"):
                left = In(left, self._choices())
            elif scanner.take_word("not"):
                if scanner.take_word("like"):
                    left = Unary("not", Like(left, self._pattern()))
                elif scanner.take_word("in"):
                    left = Unary("not", In(left, self._choices()))
                else:
                    raise scanner.unexpected()
            else:
                return left

    def _pattern(self) -> str | re.Pattern[str]:
        if self.scanner.peek_regex():
            return self.regex()
        symbol = self.scanner.take()
        if symbol.kind is not Kind.TEXT:
            raise self.scanner.unexpected(symbol)
        return symbol.value

    def regex(self) -> re.Pattern[str]:
        """The expression between slashes that comes next."""
        symbol = self.scanner.take_regex()
        try:
            return patterns.expression(symbol.value)
        except re.error as error:
            raise self.scanner.malformed(
                f"invalid regular expression /{symbol.value}/: {error}", symbol.start, symbol.end
            ) from None

    def _choices(self) -> tuple[Expression, ...]:
        closing = "]" if self.scanner.take_mark("[") else ")"
        if closing == ")":
            self.scanner.need_mark("(")
        found = [self._sum()]
        while self.scanner.take_mark(","):
            found.append(self._sum())
        self.scanner.need_mark(closing)
        return tuple(found)

    def _sum(self) -> Expression:
        left = self._product()
        while self.scanner.peek().is_mark("+", "-"):
            left = Binary(self.scanner.take().value, left, self._product())
        return left

    def _product(self) -> Expression:
        left = self._sign()
        while self.scanner.peek().is_mark("*", "/", "%"):
            left = Binary(self.scanner.take().value, left, self._sign())
        return left

    def _sign(self) -> Expression:
        if self.scanner.peek().is_mark("-", "+"):
            return Unary(self.scanner.take().value, self._sign())
        base = self.primary()
        if self.scanner.take_mark("^"):
            return Binary("^", base, self._sign())
        return base

    def primary(self) -> Expression:
        """A field, a value, a call or something in parentheses."""
        scanner = self.scanner
        if scanner.take_mark("("):
            inner = self.expression()
            scanner.need_mark(")")
            return inner
        symbol = scanner.take()
        if symbol.kind is Kind.TEXT:
            return Literal(symbol.value)
        if symbol.kind is Kind.NUMBER:
            found = float(symbol.value)
            return Literal(int(found) if found.is_integer() else found)
        if symbol.kind is not Kind.NAME or symbol.is_word(*_RESERVED):
            raise scanner.unexpected(symbol)
        if symbol.is_word("true", "false"):
            return Literal(symbol.value.lower() == "true")
        if not symbol.quoted and scanner.peek().is_mark("("):
            return self._call(symbol)
        return Field(self._path(symbol))

    def _path(self, symbol: Symbol) -> str:
        """A field's name with what follows it: ``list[0]``, ``map.`special.name```."""
        name = symbol.value
        while True:
            if self.scanner.peek().is_mark("["):
                self.scanner.take()
                index = self.scanner.take()
                if index.kind not in (Kind.NUMBER, Kind.TEXT):
                    raise self.scanner.unexpected(index)
                self.scanner.need_mark("]")
                name += f".{index.value}"
            elif self.scanner.peek().is_mark("."):
                self.scanner.take()
                part = self.scanner.take()
                if part.kind is not Kind.NAME:
                    raise self.scanner.unexpected(part)
                name += f".{part.value}"
            else:
                return name

    def _period(self, symbol: Symbol) -> Period:
        count, word = symbol.value.split()
        unit = _UNIT_OF.get(word) or _UNIT_OF.get(word.lower())
        if unit is None or int(count) == 0:
            raise self.scanner.unexpected(symbol)
        return Period(int(count), unit)

    def _call(self, symbol: Symbol) -> Call:
        name, scanner = symbol.value.lower(), self.scanner
        scanner.need_mark("(")
        arguments: list[Expression] = []
        if name == "count" and scanner.take_mark("*"):
            pass
        elif not scanner.peek().is_mark(")"):
            arguments.append(self._argument())
            while scanner.take_mark(","):
                arguments.append(self._argument())
        scanner.need_mark(")")
        self._check(symbol, name, arguments)
        return Call(name, tuple(arguments), symbol.start, scanner.last_end)

    def _argument(self) -> Expression:
        if self.scanner.peek().kind is Kind.PERIOD:
            return self._period(self.scanner.take())
        return self.expression()

    def _check(self, symbol: Symbol, name: str, arguments: list[Expression]) -> None:
        bounds = AGGREGATES.get(name) or FUNCTIONS.get(name)
        if bounds is None:
            raise self._malformed(f"unknown function {symbol.value}", symbol)
        if name in AGGREGATES and not self.aggregates_allowed:
            raise self._malformed(f"the function {symbol.value} can be used in stats only", symbol)
        least, most = bounds.least, bounds.most
        if not least <= len(arguments) <= most:
            wanted = (
                f"{least}" if least == most else f"{least} to {most}" if most < 99 else f"at least {least}"
            )
            raise self._malformed(
                f"function {symbol.value} takes {wanted} arguments, not {len(arguments)}", symbol
            )
        for index, argument in enumerate(arguments):
            if isinstance(argument, Period) != (index == bounds.period_at):
                kind = "a period like 5m" if index == bounds.period_at else "no period"
                raise self._malformed(f"function {symbol.value} takes {kind} as argument {index + 1}", symbol)

    def _malformed(self, message: str, symbol: Symbol) -> Malformed:
        return self.scanner.malformed(message, symbol.start, symbol.end)
