"""Metrics as they were put, and their statistics over periods."""

from __future__ import annotations

import bisect
import re
import threading
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

Dimensions = frozenset[tuple[str, str]]
# Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch_concepts.html
RETENTION_S = 455 * 86_400.0


class MetricKey(NamedTuple):
    """A metric of one account and region."""

    account_id: str
    region: str
    namespace: str
    name: str
    dimensions: Dimensions


def dimensions(given: Mapping[str, str] | Iterable[Mapping[str, str]]) -> Dimensions:
    """Dimensions from a mapping, or from an API's list of names and values."""
    if isinstance(given, Mapping):
        return frozenset((str(name), str(value)) for name, value in given.items())
    return frozenset((each["Name"], each["Value"]) for each in given)


@dataclass(frozen=True, slots=True)
class Sample:
    """A value that was seen ``count`` times, or a whole set of values of which only the sums are known."""

    value: float
    count: float = 1.0
    minimum: float | None = None
    maximum: float | None = None

    @property
    def is_set(self) -> bool:
        """Whether only sums are known: ``value`` is the sum then."""
        return self.minimum is not None

    @property
    def sum(self) -> float:
        return self.value if self.is_set else self.value * self.count


@dataclass(slots=True)
class Series:
    """Samples of one metric by time."""

    times: list[float] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    units: list[str] = field(default_factory=list)

    def add(self, moment: float, sample: Sample, unit: str) -> None:
        """Keep a sample; most come in order."""
        at = (
            len(self.times)
            if not self.times or moment >= self.times[-1]
            else bisect.bisect(self.times, moment)
        )
        self.times.insert(at, moment)
        self.samples.insert(at, sample)
        self.units.insert(at, unit)

    def between(self, start: float, end: float, unit: str = "") -> list[tuple[float, Sample]]:
        """What was seen from ``start`` until before ``end``."""
        first, last = bisect.bisect_left(self.times, start), bisect.bisect_left(self.times, end)
        return [
            (self.times[at], self.samples[at])
            for at in range(first, last)
            if not unit or self.units[at] == unit
        ]


class MetricStore:
    """All metrics of an account's process. Safe across threads.

    ``samplers`` are asked before anybody reads: services whose state is a metric (the length of a queue)
    bring their metrics up to date then.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._series: defaultdict[MetricKey, Series] = defaultdict(Series)
        self.samplers: list[Callable[[str, str], None]] = []

    def put(self, key: MetricKey, moment: float, value: float | Sample, unit: str = "None") -> None:
        """Keep a value at ``moment`` (seconds since the epoch, account time)."""
        sample = value if isinstance(value, Sample) else Sample(float(value))
        with self._lock:
            self._series[key].add(moment, sample, unit)

    def sample(self, account_id: str, region: str) -> None:
        """Bring metrics of states up to date."""
        for sampler in self.samplers:
            sampler(account_id, region)

    def keys(self, account_id: str, region: str) -> list[MetricKey]:
        """The metrics of an account and region."""
        with self._lock:
            return [key for key in self._series if key[:2] == (account_id, region)]

    def values(
        self, key: MetricKey, statistic: str, period_s: int, start: float, end: float, unit: str = ""
    ) -> dict[float, float]:
        """A statistic by the beginning of each period that has data."""
        with self._lock:
            series = self._series.get(key)
            found = [] if series is None else series.between(start, end, unit)
        compute = read_statistic(statistic)
        periods: defaultdict[float, list[Sample]] = defaultdict(list)
        for moment, sample in found:
            periods[moment // period_s * period_s].append(sample)
        made = {begin: compute(samples) for begin, samples in sorted(periods.items())}
        return {begin: value for begin, value in made.items() if value is not None}

    def units(self, key: MetricKey) -> set[str]:
        """Units that a metric was put with."""
        with self._lock:
            series = self._series.get(key)
            return set() if series is None else set(series.units)


Statistic = Callable[[list[Sample]], float | None]
_PERCENTILE = re.compile(r"p(\d{1,2}(?:\.\d+)?|100)")
_SHORT = re.compile(r"(tm|wm|tc|ts)(\d{1,2}(?:\.\d+)?)")
_LONG = re.compile(r"(TM|WM|TC|TS|PR)\(\s*([\d.]*%?)\s*:\s*([\d.]*%?)\s*\)")
_PLAIN: dict[str, Statistic] = {
    "Sum": lambda samples: sum(each.sum for each in samples),
    "SampleCount": lambda samples: sum(each.count for each in samples),
    "Average": lambda samples: sum(each.sum for each in samples) / sum(each.count for each in samples),
    "Minimum": lambda samples: min(each.value if each.minimum is None else each.minimum for each in samples),
    "Maximum": lambda samples: max(each.value if each.maximum is None else each.maximum for each in samples),
}


class NoSuchStatistic(ValueError):
    """CloudWatch has no such statistic."""


def read_statistic(name: str) -> Statistic:
    """What computes a statistic: ``Average``, ``p99``, ``tm90``, ``TM(10%:90%)``, ``IQM`` …

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/Statistics-definitions.html

    Raises:
        NoSuchStatistic: there is none of that name.
    """
    if name in _PLAIN:
        return _PLAIN[name]
    if percentile := _PERCENTILE.fullmatch(name):
        share = float(percentile[1]) / 100
        return lambda samples: _percentile(_spread(samples), share)
    if name == "IQM":
        return lambda samples: _bounded("TM", "25%", "75%", samples)
    if short := _SHORT.fullmatch(name):
        kind, bound = short[1].upper(), f"{short[2]}%"
        return lambda samples: _bounded(kind, "", bound, samples)
    if long := _LONG.fullmatch(name):
        kind, low, high = long.groups()
        return lambda samples: _bounded(kind, low, high, samples)
    raise NoSuchStatistic(name)


def _spread(samples: list[Sample]) -> list[tuple[float, float]]:
    """Values with their weights in order; sets of which only sums are known have none to tell."""
    return sorted(
        (each.value if not each.is_set else each.value / each.count, each.count)
        for each in samples
        if not each.is_set or each.minimum == each.maximum or each.count == 1
    )


def _percentile(values: list[tuple[float, float]], share: float) -> float | None:
    if not values:
        return None
    wanted, passed = share * sum(weight for _, weight in values), 0.0
    for value, weight in values:
        passed += weight
        if passed >= wanted:
            return value
    return values[-1][0]


def _bounded(kind: str, low: str, high: str, samples: list[Sample]) -> float | None:
    """Trimmed, winsorized and counted statistics between two bounds, in percent or in the metric's unit."""
    values = _spread(samples)
    if not values:
        return None
    if kind == "PR" or (low and not low.endswith("%")) or (high and not high.endswith("%")):
        least = float(low) if low else float("-inf")
        most = float(high) if high else float("inf")
    else:
        least = _percentile(values, float(low[:-1]) / 100) if low else float("-inf")  # type: ignore[assignment]
        most = _percentile(values, float(high[:-1]) / 100) if high else float("inf")  # type: ignore[assignment]
    kept = [(value, weight) for value, weight in values if least <= value <= most]
    if kind == "PR":
        return 100.0 * sum(weight for _, weight in kept) / sum(weight for _, weight in values)
    if kind == "WM":
        kept = [(min(max(value, least), most), weight) for value, weight in values]
    count, total = sum(weight for _, weight in kept), sum(value * weight for value, weight in kept)
    if kind == "TC":
        return count
    if kind == "TS":
        return total
    return total / count if count else None
