"""Metric math: expressions over time series.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/using-metric-math.html
"""

from __future__ import annotations

import itertools
import math
import operator
import re
import statistics
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Times = dict[float, float]
Value = float | Times | list[Times] | str
_TOKEN = re.compile(
    r"\s*(?:(?P<number>\d+\.?\d*(?:[eE][+-]?\d+)?)|(?P<text>'[^']*'|\"[^\"]*\")|(?P<name>[A-Za-z]\w*)"
    r"|(?P<sign>==|!=|<=|>=|&&|\|\||[-+*/^()<>,\[\]]))"
)


class BadExpression(ValueError):
    """The expression is not one, or asks for what is not there."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """What an expression can refer to: series by id, in order, and the time range it is asked for."""

    series: Mapping[str, Value]
    period_s: int
    start: float
    end: float
    metric_ids: tuple[str, ...] = ()

    def grid(self) -> list[float]:
        """The beginnings of the periods in the range."""
        first = math.ceil(self.start / self.period_s) * self.period_s
        return [float(at) for at in range(int(first), math.ceil(self.end), self.period_s)]


def evaluate(expression: str, inputs: Inputs) -> list[Times]:
    """The series that an expression gives; several for a ``METRICS()`` or an array.

    Raises:
        BadExpression: it can't be evaluated.
    """
    if expression.lstrip().upper().startswith("SELECT "):
        raise BadExpression("Queries of Metrics Insights (SELECT) are not emulated; this is our gap")
    value = _Parser(expression, inputs).parse()
    if isinstance(value, list):
        return value
    if isinstance(value, dict):
        return [value]
    raise BadExpression("The expression must return a time series")


# Arguments that are words, after the first one, by function.
_WORDS = {"FILL": ("REPEAT", "LINEAR"), "SORT": ("AVG", "MAX", "MIN", "SUM", "ASC", "DESC")}


class _Parser:
    def __init__(self, text: str, inputs: Inputs) -> None:
        self._inputs = inputs
        self._tokens: list[tuple[str, str]] = []
        position = 0
        while position < len(text.rstrip()):
            match = _TOKEN.match(text, position)
            if match is None:
                raise BadExpression(f"Unexpected character at {position} in '{text}'")
            self._tokens.append((str(match.lastgroup), match[str(match.lastgroup)]))
            position = match.end()
        self._at = 0

    def parse(self) -> Value:
        value = self._either()
        if self._at < len(self._tokens):
            raise BadExpression(f"Unexpected '{self._tokens[self._at][1]}'")
        return value

    def _take(self, *wanted: str) -> str:
        if self._at < len(self._tokens):
            kind, text = self._tokens[self._at]
            if text in wanted or (kind == "name" and text.upper() in wanted):
                self._at += 1
                return text.upper()
        return ""

    def _expect(self, wanted: str) -> None:
        if not self._take(wanted):
            raise BadExpression(f"'{wanted}' is missing")

    def _either(self) -> Value:
        value = self._both()
        while self._take("||", "OR"):
            value = _pairwise(lambda a, b: float(bool(a) or bool(b)), value, self._both())
        return value

    def _both(self) -> Value:
        value = self._comparison()
        while self._take("&&", "AND"):
            value = _pairwise(lambda a, b: float(bool(a) and bool(b)), value, self._comparison())
        return value

    def _comparison(self) -> Value:
        value = self._sum()
        while sign := self._take(*_COMPARISONS):
            value = _pairwise(_COMPARISONS[sign], value, self._sum())
        return value

    def _sum(self) -> Value:
        value = self._product()
        while sign := self._take("+", "-"):
            value = _pairwise(operator.add if sign == "+" else operator.sub, value, self._product())
        return value

    def _product(self) -> Value:
        value = self._sign()
        while sign := self._take("*", "/"):
            value = _pairwise(operator.mul if sign == "*" else _divide, value, self._sign())
        return value

    def _sign(self) -> Value:
        if self._take("-"):
            negated: Value = _each(operator.neg, self._sign())
            return negated
        return self._power()

    def _power(self) -> Value:
        value = self._atom()
        if self._take("^"):
            value = _pairwise(operator.pow, value, self._sign())
        return value

    def _atom(self) -> Value:
        if self._at >= len(self._tokens):
            raise BadExpression("The expression ends too early")
        kind, text = self._tokens[self._at]
        self._at += 1
        if kind == "number":
            return float(text)
        if kind == "text":
            return text[1:-1]
        if text == "(":
            value = self._either()
            self._expect(")")
            return value
        if text == "[":
            return self._array()
        if kind != "name":
            raise BadExpression(f"Unexpected '{text}'")
        if self._take("("):
            return self._call(text.upper())
        if text not in self._inputs.series:
            raise BadExpression(f"Unknown id {text}")
        return self._inputs.series[text]

    def _array(self) -> list[Times]:
        made: list[Times] = []
        while not self._take("]"):
            value = self._either()
            made += value if isinstance(value, list) else [value]  # type: ignore[list-item]
            self._take(",")
        return made

    def _call(self, name: str) -> Value:
        arguments: list[Any] = []
        while not self._take(")"):
            if arguments and (word := self._take(*_WORDS.get(name, ()))):
                arguments.append(word)
            else:
                arguments.append(self._either())
            self._take(",")
        if name == "METRICS":
            wanted = arguments[0] if arguments else ""
            return [
                series
                for key, series in self._inputs.series.items()
                if wanted in key and key in self._inputs.metric_ids and isinstance(series, dict)
            ]
        function = _FUNCTIONS.get(name)
        if function is None:
            raise BadExpression(f"The function {name} is not emulated; this is our gap")
        try:
            found: Value = function(self._inputs, *arguments)
            return found
        except (TypeError, ZeroDivisionError, statistics.StatisticsError) as error:
            raise BadExpression(f"{name}: {error}") from None


def _divide(a: float, b: float) -> float:
    return a / b if b else math.nan


def _clean(series: Times) -> Times:
    return {at: value for at, value in series.items() if not math.isnan(value) and not math.isinf(value)}


def _pairwise(function: Callable[[float, float], float], left: Any, right: Any) -> Any:
    if isinstance(left, list):
        return [_pairwise(function, each, right) for each in left]
    if isinstance(right, list):
        return [_pairwise(function, left, each) for each in right]
    if isinstance(left, dict) and isinstance(right, dict):
        return _clean({at: function(left[at], right[at]) for at in left if at in right})
    if isinstance(left, dict):
        return _clean({at: function(value, right) for at, value in left.items()})
    if isinstance(right, dict):
        return _clean({at: function(left, value) for at, value in right.items()})
    return function(left, right)


def _each(function: Callable[[float], float], value: Any) -> Any:
    if isinstance(value, list):
        return [_each(function, each) for each in value]
    if isinstance(value, dict):
        return _clean({at: function(each) for at, each in value.items()})
    return function(value)


def _aggregate(function: Callable[[list[float]], float]) -> Callable[..., Any]:
    """Over an array: a series of each moment's values; over one series: a number."""

    def aggregate(inputs: Inputs, value: Any, *more: Any) -> Any:
        if more:
            value = [value, *more]
        if isinstance(value, list):
            moments = sorted({at for series in value for at in series})
            return {at: function([series[at] for series in value if at in series]) for at in moments}
        if not value:
            return {}
        return function(list(value.values()))

    return aggregate


def _fill(inputs: Inputs, value: Any, filling: Any) -> Any:
    if isinstance(value, list):
        return [_fill(inputs, each, filling) for each in value]
    made: Times = {}
    known = sorted(value)
    for at in inputs.grid():
        if at in value:
            made[at] = value[at]
        elif isinstance(filling, dict):
            if at in filling:
                made[at] = filling[at]
        elif filling == "REPEAT":
            before = [each for each in known if each < at]
            if before:
                made[at] = value[before[-1]]
        elif filling == "LINEAR":
            before, after = [e for e in known if e < at], [e for e in known if e > at]
            if before and after:
                left, right = before[-1], after[0]
                made[at] = value[left] + (value[right] - value[left]) * (at - left) / (right - left)
        else:
            made[at] = float(filling)
    return made


def _if(inputs: Inputs, condition: Any, then: Any, otherwise: Any = None) -> Any:
    if isinstance(condition, dict):
        made: Times = {}
        for at, held in condition.items():
            chosen = then if held else otherwise
            value = chosen.get(at) if isinstance(chosen, dict) else chosen
            if value is not None:
                made[at] = float(value)
        return made
    return then if condition else (otherwise if otherwise is not None else {})


def _differences(value: Times, per_second: bool, *, times: bool = False) -> Times:
    made: Times = {}
    moments = sorted(value)
    for before, at in itertools.pairwise(moments):
        difference = (at - before) if times else value[at] - value[before]
        made[at] = difference / (at - before) if per_second else difference
    return made


def _running(inputs: Inputs, value: Any) -> Any:
    total, made = 0.0, {}
    for at in sorted(value):
        total += value[at]
        made[at] = total
    return made


def _ranked(
    inputs: Inputs, series: list[Times], rank: Any = "SUM", direction: str = "DESC", limit: float = 0
) -> Any:
    keys: dict[str, Callable[[Times], float]] = {
        "SUM": lambda each: sum(each.values()),
        "AVG": lambda each: statistics.fmean(each.values()) if each else 0.0,
        "MAX": lambda each: max(each.values(), default=0.0),
        "MIN": lambda each: min(each.values(), default=0.0),
    }
    ordered = sorted(series, key=keys[rank], reverse=direction == "DESC")
    return ordered[: int(limit)] if limit else ordered


_COMPARISONS: dict[str, Callable[[float, float], float]] = {
    "==": lambda a, b: float(a == b),
    "!=": lambda a, b: float(a != b),
    "<=": lambda a, b: float(a <= b),
    ">=": lambda a, b: float(a >= b),
    "<": lambda a, b: float(a < b),
    ">": lambda a, b: float(a > b),
}
_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "SUM": _aggregate(sum),
    "AVG": _aggregate(statistics.fmean),
    "MIN": _aggregate(min),
    "MAX": _aggregate(max),
    "STDDEV": _aggregate(statistics.pstdev),
    "FILL": _fill,
    "IF": _if,
    "PERIOD": lambda inputs, value: float(inputs.period_s),
    "RATE": lambda inputs, value: _differences(value, per_second=True),
    "DIFF": lambda inputs, value: _differences(value, per_second=False),
    "DIFF_TIME": lambda inputs, value: _differences(value, per_second=False, times=True),
    "RUNNING_SUM": _running,
    "TIME_SERIES": lambda inputs, value: dict.fromkeys(inputs.grid(), float(value)),
    "ABS": lambda inputs, value: _each(abs, value),
    "CEIL": lambda inputs, value: _each(math.ceil, value),
    "FLOOR": lambda inputs, value: _each(math.floor, value),
    "LOG": lambda inputs, value: _each(lambda x: math.log(x) if x > 0 else math.nan, value),
    "LOG10": lambda inputs, value: _each(lambda x: math.log10(x) if x > 0 else math.nan, value),
    "DATAPOINT_COUNT": lambda inputs, value: dict.fromkeys(inputs.grid(), float(len(value))),
    "FIRST": lambda inputs, value: value[0] if isinstance(value, list) else value[min(value)],
    "LAST": lambda inputs, value: value[-1] if isinstance(value, list) else value[max(value)],
    "SLICE": lambda inputs, value, first, last=None: value[int(first) : None if last is None else int(last)],
    "SORT": _ranked,
    "REMOVE_EMPTY": lambda inputs, value: [each for each in value if each],
    "EPOCH": lambda inputs, value: {at: at for at in value},
    "MINUTE": lambda inputs, value: {at: at // 60 % 60 for at in value},
    "HOUR": lambda inputs, value: {at: at // 3600 % 24 for at in value},
}
