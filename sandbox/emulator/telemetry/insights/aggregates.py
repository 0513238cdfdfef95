"""The aggregations of ``stats``.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_QuerySyntax-Stats.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from sandbox.emulator.telemetry.insights.evaluation import Evaluate
from sandbox.emulator.telemetry.insights.events import Row
from sandbox.emulator.telemetry.insights.values import Value, number, sort_key, text


def aggregate(name: str, rows: Sequence[Row], arguments: Sequence[Evaluate]) -> Value:
    """What an aggregation makes of the rows of one group."""
    if name == "count":
        return sum(1 for row in rows if not arguments or arguments[0](row) is not None)
    if name == "count_distinct":
        seen = {tuple(text(argument(row)) for argument in arguments) for row in rows}
        return sum(1 for each in seen if any(value is not None for value in each))
    if name in ("earliest", "latest"):
        return _by_time(name == "latest", rows, arguments[0])
    values = [value for value in (arguments[0](row) for row in rows) if value is not None]
    if name in ("sortsfirst", "sortslast"):
        chosen = sorted(values, key=sort_key)
        return (chosen[0] if name == "sortsfirst" else chosen[-1]) if chosen else None
    if name in ("min", "max"):
        return _extreme(name == "max", values)
    numbers = [found for found in map(number, values) if found is not None]
    if not numbers:
        return None
    share = number(arguments[1](rows[0])) if name == "pct" else 50
    if name in ("pct", "median"):
        return percentile(numbers, float(share if share is not None else 50))
    try:
        return _NUMERIC[name](numbers)
    except OverflowError:
        return None


def _by_time(latest: bool, rows: Sequence[Row], argument: Evaluate) -> Value:
    found = [(row.get("@timestamp") or 0, argument(row)) for row in rows]
    found = [each for each in found if each[1] is not None]
    if not found:
        return None
    return (max if latest else min)(found, key=lambda each: each[0])[1]


def _extreme(largest: bool, values: list[Value]) -> Value:
    """The largest or smallest number; of text when there is no number."""
    numeric = [value for value in values if number(value) is not None]
    chosen = numeric or values
    return (max if largest else min)(chosen, key=sort_key) if chosen else None


def percentile(numbers: Sequence[float], share: float) -> float:
    """The smallest value that ``share`` percent of the values do not exceed."""
    ordered = sorted(numbers)
    return ordered[min(max(math.ceil(share / 100 * len(ordered)) - 1, 0), len(ordered) - 1)]


def _deviation(numbers: list[float]) -> float:
    mean = math.fsum(numbers) / len(numbers)
    return math.sqrt(math.fsum((each - mean) ** 2 for each in numbers) / len(numbers))


_NUMERIC: dict[str, Callable[[list[float]], Value]] = {
    "sum": lambda numbers: sum(numbers) if all(isinstance(n, int) for n in numbers) else math.fsum(numbers),
    "avg": lambda numbers: math.fsum(numbers) / len(numbers),
    "stddev": _deviation,
}
