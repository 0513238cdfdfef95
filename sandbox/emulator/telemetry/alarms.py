"""Alarms: when they change their state, and why.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/AlarmThatSendsEmail.html
"""

from __future__ import annotations

import datetime as dt
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class AlarmState(StrEnum):
    OK = "OK"
    ALARM = "ALARM"
    INSUFFICIENT_DATA = "INSUFFICIENT_DATA"


class Missing(StrEnum):
    """What periods without data count as."""

    MISSING = "missing"
    IGNORE = "ignore"
    BREACHING = "breaching"
    NOT_BREACHING = "notBreaching"


COMPARISONS: dict[str, tuple[Callable[[float, float], bool], str]] = {
    "GreaterThanOrEqualToThreshold": (operator.ge, "greater than or equal to"),
    "GreaterThanThreshold": (operator.gt, "greater than"),
    "LessThanThreshold": (operator.lt, "less than"),
    "LessThanOrEqualToThreshold": (operator.le, "less than or equal to"),
}
_PERCENTILE = re.compile(r"p(\d+(?:\.\d+)?)")
# How many more periods than asked for are looked at, to make up for missing ones.
EXTRA_PERIODS = 2


@dataclass(slots=True)
class Alarm:
    """One alarm; ``params`` are those of PutMetricAlarm or PutCompositeAlarm."""

    name: str
    arn: str
    account_id: str
    region: str
    params: Mapping[str, Any]
    updated_at: dt.datetime
    tags: dict[str, str] = field(default_factory=dict)
    state: AlarmState = AlarmState.INSUFFICIENT_DATA
    reason: str = "Unchecked: Initial alarm creation"
    reason_data: str = ""
    state_updated_at: dt.datetime | None = None
    actions_enabled: bool = True
    history: list[dict[str, Any]] = field(default_factory=list)

    @property
    def composite(self) -> bool:
        """It watches other alarms."""
        return "AlarmRule" in self.params

    @property
    def period_s(self) -> int:
        """The length of one period, in seconds; 60 of a composite alarm."""
        if self.params.get("Period"):
            return int(self.params["Period"])
        periods = [
            int((query.get("MetricStat") or {}).get("Period") or query.get("Period") or 60)
            for query in self.params.get("Metrics") or ()
        ]
        return max(periods, default=60)

    @property
    def missing(self) -> Missing:
        """What periods without data count as; for metrics of DynamoDB the default is another.

        Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
        """
        default = Missing.IGNORE if self.params.get("Namespace") == "AWS/DynamoDB" else Missing.MISSING
        return Missing(self.params.get("TreatMissingData") or default)

    @property
    def least_samples(self) -> float:
        """How many samples a percentile needs to be judged; 0 when any number will do.

        Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/percentiles-with-low-samples.html
        """
        share = _PERCENTILE.fullmatch(str(self.params.get("ExtendedStatistic") or ""))
        if self.params.get("EvaluateLowSampleCountPercentile") != "ignore" or share is None:
            return 0
        rest = min(float(share[1]), 100 - float(share[1])) / 100
        return 10 / rest if rest else float("inf")

    def queries(self) -> tuple[list[dict[str, Any]], str]:
        """What GetMetricData would be asked, and the id whose values are compared."""
        metrics = self.params.get("Metrics")
        if metrics:
            returned = [each["Id"] for each in metrics if each.get("ReturnData") is not False]
            return [dict(each) for each in metrics], returned[0]
        stat = {
            "Metric": {
                "Namespace": self.params["Namespace"],
                "MetricName": self.params["MetricName"],
                "Dimensions": self.params.get("Dimensions") or [],
            },
            "Period": self.period_s,
            "Stat": self.params.get("Statistic") or self.params.get("ExtendedStatistic"),
        }
        if self.params.get("Unit"):
            stat["Unit"] = self.params["Unit"]
        return [{"Id": "m1", "MetricStat": stat}], "m1"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What an evaluation says: the state, or None to keep the one there is."""

    state: AlarmState | None
    reason: str = ""
    points: tuple[tuple[float, float], ...] = ()


def judge(alarm: Alarm, values: Mapping[float, float], last_period: float) -> Verdict:
    """Judge a metric alarm by the values of its periods; ``last_period`` is when the newest one began.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/alarms-and-missing-data.html
    """
    params, period_s = alarm.params, alarm.period_s
    wanted = int(params["EvaluationPeriods"])
    needed = int(params.get("DatapointsToAlarm") or wanted)
    compare, words = COMPARISONS[params["ComparisonOperator"]]
    threshold = float(params["Threshold"])
    missing = alarm.missing
    moments = [last_period - index * period_s for index in range(wanted + EXTRA_PERIODS)]
    seen = [(at, values[at]) for at in moments if at in values][:wanted]
    lacking = wanted - len(seen)
    breaching = [point for point in seen if compare(point[1], threshold)]
    points = tuple(seen)
    count = len(breaching) + (lacking if missing is Missing.BREACHING else 0)
    # Whoever counts missing data as neither goes by what there is.
    undecided = bool(lacking) and missing in (Missing.MISSING, Missing.IGNORE) and len(breaching) == len(seen)
    if undecided and count < needed:
        oldest = moments.index(seen[-1][0]) + 1 if seen else 0
        if missing is Missing.IGNORE:
            return Verdict(None)
        if oldest < needed:
            text = f"Insufficient Data: {lacking} datapoint{'s were' if lacking > 1 else ' was'} unknown."
            return Verdict(AlarmState.INSUFFICIENT_DATA, text, points)
        # A breach so old that nothing newer could still have made it harmless is an alarm.
        count = needed
    if count >= needed:
        return Verdict(
            AlarmState.ALARM, _reason(breaching, needed, wanted, threshold, words, lacking, missing), points
        )
    return Verdict(
        AlarmState.OK, _reason_ok(seen, breaching, needed, wanted, threshold, words, lacking), points
    )


def _reason(
    points: list[tuple[float, float]],
    needed: int,
    wanted: int,
    threshold: float,
    words: str,
    lacking: int = 0,
    missing: Missing = Missing.IGNORE,
) -> str:
    if not points and missing is Missing.BREACHING:
        return _reason_missing(lacking, "Breaching")
    return (
        f"Threshold Crossed: {len(points)} out of the last {wanted} datapoints {_list(points)} "
        f"{_were(points)} {words} the threshold ({threshold}) "
        f"(minimum {needed} datapoint{_s(needed)} for OK -> ALARM transition)."
    )


def _reason_ok(
    seen: list[tuple[float, float]],
    breaching: list[tuple[float, float]],
    needed: int,
    wanted: int,
    threshold: float,
    words: str,
    lacking: int = 0,
) -> str:
    if not seen:
        return _reason_missing(lacking, "NonBreaching")
    fine = [point for point in seen if point not in breaching]
    minimum = wanted - needed + 1
    return (
        f"Threshold Crossed: {len(fine)} out of the last {wanted} datapoints {_list(fine)} "
        f"{_were(fine)} not {words} the threshold ({threshold}) "
        f"(minimum {minimum} datapoint{_s(minimum)} for ALARM -> OK transition)."
    )


def _reason_missing(lacking: int, treated: str) -> str:
    return (
        f"Threshold Crossed: no datapoints were received for {lacking} period{_s(lacking)} and {lacking} "
        f"missing datapoint{_s(lacking)} {'were' if lacking > 1 else 'was'} treated as [{treated}]."
    )


def _s(count: int) -> str:
    return "s" if count > 1 else ""


def _were(points: list[tuple[float, float]]) -> str:
    return "were" if len(points) > 1 else "was"


def _list(points: list[tuple[float, float]]) -> str:
    shown = ", ".join(
        f"{value} ({dt.datetime.fromtimestamp(at, dt.UTC):%d/%m/%y %H:%M:%S})"
        for at, value in reversed(points)
    )
    return f"[{shown}]"


_RULE = re.compile(
    r"\s*(?:(ALARM|OK|INSUFFICIENT_DATA)\s*\(\s*(?:\"([^\"]+)\"|'([^']+)'|([^()\"']+?))\s*\)|(TRUE|FALSE)|"
    r"(AND|OR|NOT)|(\()|(\)))",
    re.IGNORECASE,
)


class BadRule(ValueError):
    """A composite alarm's rule can't be read."""


def read_rule(rule: str) -> tuple[Callable[[Callable[[str], AlarmState]], bool], tuple[str, ...]]:
    """A composite alarm's rule as a test over the states of others, and whom it names.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_PutCompositeAlarm.html

    Raises:
        BadRule: it is not one.
    """
    reader = _RuleReader(rule)
    return reader.read(), tuple(reader.names)


Test = Callable[[Callable[[str], AlarmState]], bool]


class _RuleReader:
    def __init__(self, rule: str) -> None:
        self._rule = rule
        self._tokens: list[re.Match[str]] = []
        position = 0
        while position < len(rule.rstrip()):
            match = _RULE.match(rule, position)
            if match is None:
                raise BadRule(f"AlarmRule can't be read at {rule[position:]!r}")
            self._tokens.append(match)
            position = match.end()
        self._at = 0
        self.names: list[str] = []

    def read(self) -> Test:
        test = self._either()
        if self._at != len(self._tokens):
            raise BadRule(f"AlarmRule can't be read: {self._rule!r}")
        return test

    def _word(self) -> str:
        if self._at >= len(self._tokens):
            return ""
        token = self._tokens[self._at]
        return (token[6] or token[7] or token[8] or "").upper()

    def _either(self) -> Test:
        tests = [self._both()]
        while self._word() == "OR":
            self._at += 1
            tests.append(self._both())
        return lambda state_of: any(test(state_of) for test in tests)

    def _both(self) -> Test:
        tests = [self._one()]
        while self._word() == "AND":
            self._at += 1
            tests.append(self._one())
        return lambda state_of: all(test(state_of) for test in tests)

    def _one(self) -> Test:
        word = self._word()
        if word == "NOT":
            self._at += 1
            negated = self._one()
            return lambda state_of: not negated(state_of)
        if word == "(":
            self._at += 1
            test = self._either()
            if self._word() != ")":
                raise BadRule(f"AlarmRule lacks a parenthesis: {self._rule!r}")
            self._at += 1
            return test
        if self._at >= len(self._tokens) or word:
            raise BadRule(f"AlarmRule ends too early: {self._rule!r}")
        token = self._tokens[self._at]
        self._at += 1
        if token[5]:
            value = token[5].upper() == "TRUE"
            return lambda state_of: value
        wanted = AlarmState(token[1].upper())
        name = next(each for each in token.groups()[1:4] if each is not None).strip()
        name = name.rsplit(":alarm:", 1)[-1]
        self.names.append(name)
        return lambda state_of: state_of(name) is wanted
