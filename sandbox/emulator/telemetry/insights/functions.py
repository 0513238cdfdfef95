"""The functions of the language.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-operations-functions.html
"""

from __future__ import annotations

import datetime as dt
import ipaddress
import json
import math
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.emulator.telemetry.insights.syntax import Period
from sandbox.emulator.telemetry.insights.values import Moment, Value, moment, number, text

MANY = 99
_MILLISECONDS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000, "w": 7 * 86_400_000}
_MONTHS = {"mo": 1, "q": 3, "y": 12}


@dataclass(frozen=True, slots=True)
class Function:
    """How many arguments a function takes, which of them is a period, and what it does with them."""

    least: int
    most: int
    apply: Callable[..., Value]
    period_at: int | None = None


@dataclass(frozen=True, slots=True)
class Aggregate:
    """How many arguments an aggregation takes; :mod:`aggregates` says what it makes of them."""

    least: int
    most: int
    period_at: None = None


def _numeric(apply: Callable[[float], Value]) -> Callable[[Value], Value]:
    def applied(value: Value) -> Value:
        found = number(value)
        try:
            return None if found is None else apply(found)
        except (ValueError, OverflowError):
            return None

    return applied


def _best(larger: bool) -> Callable[..., Value]:
    def best(*values: Value) -> Value:
        found = [each for each in map(number, values) if each is not None]
        return (max(found) if larger else min(found)) if found else None

    return best


def _texts(apply: Callable[..., Value]) -> Callable[..., Value]:
    def applied(*values: Value) -> Value:
        words = [text(value) for value in values]
        return None if None in words else apply(*words)

    return applied


def _substr(value: Value, start: Value, length: Value = None) -> Value:
    words, first, count = text(value), number(start), number(length)
    if words is None or first is None or first < 0:
        return None
    return words[int(first) :] if count is None else words[int(first) : int(first) + max(int(count), 0)]


def _trim(left: bool, right: bool) -> Callable[..., Value]:
    def trimmed(words: str, taken: str | None = None) -> str:
        words = words.lstrip(taken) if left else words
        return words.rstrip(taken) if right else words

    return _texts(trimmed)


def floor(value: Value, period: Period) -> Value:
    """The beginning of the period that a moment is in, in UTC; weeks begin on Mondays."""
    found = _from_millis(value)
    if found is None:
        return None
    if period.unit in _MONTHS:
        months = _months(int(found))
        return _month(months - months % (_MONTHS[period.unit] * period.count))
    length = _MILLISECONDS[period.unit] * period.count
    # The epoch was a Thursday.
    shift = 3 * 86_400_000 if period.unit == "w" else 0
    return moment((int(found) + shift) // length * length - shift)


def ceil(value: Value, period: Period) -> Value:
    """The beginning of the next period, or the moment itself where one begins."""
    begin = floor(value, period)
    if begin is None or begin == number(value):
        return begin
    if period.unit in _MONTHS:
        return _month(_months(begin) + _MONTHS[period.unit] * period.count)
    return moment(begin + _MILLISECONDS[period.unit] * period.count)


def _months(at_ms: int) -> int:
    at = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)
    return at.year * 12 + at.month - 1


def _month(months: int) -> Moment | None:
    if not 1 <= months // 12 <= 9999:
        return None
    at = dt.datetime(months // 12, months % 12 + 1, 1, tzinfo=dt.UTC)
    return moment(at.timestamp() * 1000)


def _from_millis(value: Value) -> Value:
    found = number(value)
    return None if found is None else moment(found)


def _address(value: Value, version: int | None) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        found = ipaddress.ip_address(text(value) or "")
    except ValueError:
        return None
    return found if version in (None, found.version) else None


def _valid(version: int | None) -> Callable[[Value], bool]:
    return lambda value: _address(value, version) is not None


def _within(version: int | None) -> Callable[[Value, Value], bool]:
    def within(value: Value, subnet: Value) -> bool:
        found = _address(value, version)
        try:
            return found is not None and found in ipaddress.ip_network(text(subnet) or "", strict=False)
        except ValueError:
            return False

    return within


def _json_parse(value: Value) -> Value:
    if isinstance(value, dict | list):
        return value
    try:
        found = json.loads(text(value) or "")
    except ValueError:
        return None
    return found if isinstance(found, dict | list) else None


def _json_stringify(value: Value) -> Value:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False) if value is not None else None


def _first(*values: Value) -> Value:
    return next((value for value in values if value is not None), None)


# `bin` and `now` are completed by whoever evaluates: they need the event's and the query's time.
FUNCTIONS: dict[str, Function] = {
    "abs": Function(1, 1, _numeric(abs)),
    "ceil": Function(1, 1, _numeric(math.ceil)),
    "floor": Function(1, 1, _numeric(math.floor)),
    "greatest": Function(1, MANY, _best(larger=True)),
    "least": Function(1, MANY, _best(larger=False)),
    "log": Function(1, 1, _numeric(math.log)),
    "sqrt": Function(1, 1, _numeric(math.sqrt)),
    "bin": Function(1, 1, floor, period_at=0),
    "datefloor": Function(2, 2, floor, period_at=1),
    "dateceil": Function(2, 2, ceil, period_at=1),
    "frommillis": Function(1, 1, _from_millis),
    "tomillis": Function(1, 1, lambda value: None if number(value) is None else int(number(value) or 0)),
    "now": Function(0, 0, lambda: None),
    "ispresent": Function(1, 1, lambda value: value is not None),
    "coalesce": Function(1, MANY, _first),
    "jsonparse": Function(1, 1, _json_parse),
    "jsonstringify": Function(1, 1, _json_stringify),
    "isvalidip": Function(1, 1, _valid(None)),
    "isvalidipv4": Function(1, 1, _valid(4)),
    "isvalidipv6": Function(1, 1, _valid(6)),
    "isipinsubnet": Function(2, 2, _within(None)),
    "isipv4insubnet": Function(2, 2, _within(4)),
    "isipv6insubnet": Function(2, 2, _within(6)),
    "isempty": Function(1, 1, lambda value: value is None or text(value) == ""),
    "isblank": Function(1, 1, lambda value: value is None or not (text(value) or "").strip()),
    "concat": Function(1, MANY, lambda *values: "".join(text(value) or "" for value in values)),
    "ltrim": Function(1, 2, _trim(left=True, right=False)),
    "rtrim": Function(1, 2, _trim(left=False, right=True)),
    "trim": Function(1, 2, _trim(left=True, right=True)),
    "strlen": Function(1, 1, _texts(len)),
    "toupper": Function(1, 1, _texts(str.upper)),
    "tolower": Function(1, 1, _texts(str.lower)),
    "substr": Function(2, 3, _substr),
    "replace": Function(3, 3, _texts(lambda words, old, new: words.replace(old, new) if old else words)),
    "strcontains": Function(2, 2, lambda words, part: int((text(part) or "") in (text(words) or ""))),
}

AGGREGATES: dict[str, Aggregate] = {
    "count": Aggregate(0, 1),
    "count_distinct": Aggregate(1, MANY),
    "sum": Aggregate(1, 1),
    "avg": Aggregate(1, 1),
    "min": Aggregate(1, 1),
    "max": Aggregate(1, 1),
    "pct": Aggregate(2, 2),
    "stddev": Aggregate(1, 1),
    "median": Aggregate(1, 1),
    "earliest": Aggregate(1, 1),
    "latest": Aggregate(1, 1),
    "sortsfirst": Aggregate(1, 1),
    "sortslast": Aggregate(1, 1),
}
