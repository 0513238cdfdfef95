"""Expressions as functions of a row."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.emulator.telemetry.insights.events import Row
from sandbox.emulator.telemetry.insights.functions import FUNCTIONS
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
from sandbox.emulator.telemetry.insights.values import Moment, Value, equal, less, moment, number, text, truth

Evaluate = Callable[[Row], Value]


def _power(left: float, right: float) -> float | None:
    # As floating point, which has a largest number; of whole ones there may be too many digits to count.
    found = float(left) ** float(right)
    return found if isinstance(found, float) else None


_ARITHMETIC: dict[str, Callable[[float, float], float | None]] = {
    "+": lambda left, right: left + right,
    "-": lambda left, right: left - right,
    "*": lambda left, right: left * right,
    "/": lambda left, right: left / right if right else None,
    "%": lambda left, right: math.fmod(left, right) if right else None,
    "^": _power,
}
_COMPARISONS: dict[str, Callable[[Value, Value], bool]] = {
    "=": equal,
    "!=": lambda left, right: not equal(left, right),
    "<": lambda left, right: less(left, right, or_equal=False),
    "<=": lambda left, right: less(left, right, or_equal=True),
    ">": lambda left, right: less(right, left, or_equal=False),
    ">=": lambda left, right: less(right, left, or_equal=True),
}


@dataclass(frozen=True, slots=True)
class Evaluator:
    """Makes functions of expressions; ``now_ms`` is when the query began."""

    now_ms: int

    def compile(self, expression: Expression) -> Evaluate:
        """What computes the expression for a row."""
        match expression:
            case Field(name):
                return lambda row: row.get(name)
            case Literal(value):
                return lambda row: value
            case Unary("not", operand):
                inner = self.compile(operand)
                return lambda row: not truth(inner(row))
            case Unary(sign, operand):
                factor, inner = (-1 if sign == "-" else 1), self.compile(operand)
                return lambda row: _arithmetic("*", factor, inner(row))
            case Binary():
                return self._binary(expression)
            case Like(operand, pattern):
                return _like(self.compile(operand), pattern)
            case In(operand, choices):
                inner, wanted = self.compile(operand), [self.compile(choice) for choice in choices]
                return lambda row: any(equal(inner(row), choice(row)) for choice in wanted)
            case Call():
                return self._call(expression)
        raise AssertionError(f"a period alone is no value: {expression}")

    def _binary(self, expression: Binary) -> Evaluate:
        sign, left, right = expression.sign, self.compile(expression.left), self.compile(expression.right)
        if sign == "and":
            return lambda row: truth(left(row)) and truth(right(row))
        if sign == "or":
            return lambda row: truth(left(row)) or truth(right(row))
        if sign in _COMPARISONS:
            compare = _COMPARISONS[sign]
            return lambda row: compare(left(row), right(row))
        return lambda row: _arithmetic(sign, left(row), right(row))

    def _call(self, call: Call) -> Evaluate:
        if call.name == "now":
            seconds = self.now_ms // 1000
            return lambda row: seconds
        if call.name == "bin":
            period = call.arguments[0]
            apply = FUNCTIONS["bin"].apply
            return lambda row: apply(row.get("@timestamp"), period)
        function = FUNCTIONS[call.name]
        arguments = [
            (lambda row, given=argument: given) if isinstance(argument, Period) else self.compile(argument)
            for argument in call.arguments
        ]
        return lambda row: function.apply(*[argument(row) for argument in arguments])


def _arithmetic(sign: str, left: Value, right: Value) -> Value:
    numbers = number(left), number(right)
    if numbers[0] is None or numbers[1] is None:
        return None
    try:
        found = _ARITHMETIC[sign](float(numbers[0]) if sign == "/" else numbers[0], numbers[1])
    except (OverflowError, ZeroDivisionError, ValueError):
        return None
    if isinstance(found, float) and not math.isfinite(found):
        return None
    # A moment and a span of milliseconds make a moment.
    if sign in "+-" and isinstance(left, Moment) != isinstance(right, Moment) and found is not None:
        return moment(found)
    return float(found) if isinstance(found, float) else found


def _like(inner: Evaluate, pattern: object) -> Evaluate:
    if isinstance(pattern, str):
        return lambda row: pattern in (text(inner(row)) or "") if inner(row) is not None else False
    search = pattern.search  # type: ignore[attr-defined]

    def test(row: Row) -> bool:
        found = text(inner(row))
        return found is not None and search(found) is not None

    return test
