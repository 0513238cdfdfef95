"""Metrics against the truth: what was counted since a moment, in which unit, under which dimensions."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass

from sandbox.account import Account

_SINCE = dt.timedelta(hours=6)
_Dimensions = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Series:
    """One metric under one set of dimensions."""

    metric: str
    dimensions: _Dimensions
    total: float
    units: frozenset[str]

    @property
    def names(self) -> tuple[str, ...]:
        """The names of its dimensions."""
        return tuple(name for name, _ in self.dimensions)


@dataclass(frozen=True, slots=True)
class Counted:
    """A namespace at one moment: its series by metric and dimensions, summed over the last hours."""

    namespace: str
    series: Mapping[tuple[str, _Dimensions], Series]

    @property
    def dimension_sets(self) -> set[_Dimensions]:
        """The distinct sets of dimensions, each with its values; every one of them is billed."""
        return {dimensions for _, dimensions in self.series}

    def since(self, before: Counted) -> Counted:
        """What was added after an earlier look."""
        added = {}
        for key, now in self.series.items():
            then = before.series.get(key)
            total = now.total - (then.total if then else 0.0)
            if total:
                added[key] = Series(now.metric, now.dimensions, total, now.units)
        return Counted(self.namespace, added)

    def sums(self, metric: str, by: str = "") -> dict[tuple[str, ...], dict[str, float]]:
        """A metric's sums by the values of one dimension (all under ``""`` without one).

        Separately for each combination of dimension names: a number that is also kept under further
        dimensions is not counted twice.
        """
        found: dict[tuple[str, ...], dict[str, float]] = {}
        for each in self.series.values():
            if each.metric == metric and (not by or by in each.names):
                sums = found.setdefault(each.names, {})
                value = dict(each.dimensions).get(by, "")
                sums[value] = sums.get(value, 0.0) + each.total
        return found

    def fault(self, metric: str, truth: Mapping[str, float], unit: str, by: str = "") -> str:
        """How a metric differs from the truth, by the values of a dimension; empty when it does not."""
        wanted = {value: total for value, total in truth.items() if total}
        found = self.sums(metric, by)
        if not found:
            return f"{metric} has no data" + (f" by {by}" if by else "") if wanted else ""
        for sums in found.values():
            if {value: round(total, 6) for value, total in sums.items() if total} != wanted:
                return f"{metric} adds up to {_told(sums)}, and it was {_told(truth)}"
        units = {unit for each in self.series.values() if each.metric == metric for unit in each.units}
        if units != {unit}:
            return f"{metric} has the unit {', '.join(sorted(units))}, expected {unit}"
        return ""


def counted(account: Account, namespace: str, metric: str = "") -> Counted:
    """A namespace as it is now, or one metric of it."""
    client = account.client("cloudwatch")
    now = account.now()
    asked = {"Namespace": namespace, **({"MetricName": metric} if metric else {})}
    found = {}
    for page in client.get_paginator("list_metrics").paginate(**asked):
        for item in page["Metrics"]:
            points = client.get_metric_statistics(
                Namespace=namespace,
                MetricName=item["MetricName"],
                Dimensions=item["Dimensions"],
                StartTime=now - _SINCE,
                EndTime=now + dt.timedelta(minutes=1),
                Period=60,
                Statistics=["Sum"],
            )["Datapoints"]
            dimensions = tuple(sorted((pair["Name"], pair["Value"]) for pair in item["Dimensions"]))
            found[item["MetricName"], dimensions] = Series(
                item["MetricName"],
                dimensions,
                float(sum(point["Sum"] for point in points)),
                frozenset(point["Unit"] for point in points),
            )
    return Counted(namespace, found)


def _told(sums: Mapping[str, float]) -> str:
    return ", ".join(f"{value} {total:g}".strip() for value, total in sorted(sums.items())) or "nothing"
