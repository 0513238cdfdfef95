"""Alarms: what they watch, and when they rang."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graders.errors import ResourceNotFound
from graders.telemetry import Mark
from sandbox.account import Account

_SIGNS = {
    "GreaterThanOrEqualToThreshold": "≥",
    "GreaterThanThreshold": ">",
    "LessThanThreshold": "<",
    "LessThanOrEqualToThreshold": "≤",
}
# Metrics of a period are there a little after its end, and alarms are looked at then.
_EVALUATED_S = 5.0


@dataclass(frozen=True, slots=True)
class StateChange:
    """An alarm's change to another state. ``at`` is account time."""

    at: dt.datetime
    state: str

    def __str__(self) -> str:
        return f"{self.at:%H:%M:%S} {self.state}"


@dataclass(frozen=True, slots=True)
class AlarmView:
    """An alarm as it is now. ``settings`` are those of DescribeAlarms."""

    account: Account
    name: str
    state: str
    settings: Mapping[str, Any]

    @property
    def watches(self) -> str:
        """What it rings for, in one line."""
        if rule := self.settings.get("AlarmRule"):
            return f"the rule {rule}"
        found = self.settings
        periods = (
            f"{found.get('DatapointsToAlarm') or found['EvaluationPeriods']} of {found['EvaluationPeriods']}"
        )
        sign = _SIGNS.get(found["ComparisonOperator"], found["ComparisonOperator"])
        what = f"{_watched(found)} {sign} {float(found.get('Threshold', 0)):g}"
        return f"{what}, {periods} periods, missing data {found.get('TreatMissingData') or 'missing'}"

    @property
    def actions(self) -> list[str]:
        """Whom it tells when it rings; nobody while its actions are switched off."""
        return (
            list(self.settings.get("AlarmActions", ())) if self.settings.get("ActionsEnabled", True) else []
        )

    def changes(self, since: Mark) -> list[StateChange]:
        """Its changes of state after a moment, oldest first."""
        pages = (
            self.account.client("cloudwatch")
            .get_paginator("describe_alarm_history")
            .paginate(
                AlarmName=self.name,
                AlarmTypes=["MetricAlarm", "CompositeAlarm"],
                HistoryItemType="StateUpdate",
                StartDate=since.at,
            )
        )
        found = [
            StateChange(item["Timestamp"], str(json.loads(item["HistoryData"])["newState"]["stateValue"]))
            for page in pages
            for item in page["AlarmHistoryItems"]
        ]
        return sorted((each for each in found if each.at >= since.at), key=lambda each: each.at)

    def timeline(self, since: Mark) -> str:
        """The same for evidence."""
        changes = ", ".join(map(str, self.changes(since)))
        return f"{changes or 'no change'}; now {self.state}"


def alarm(account: Account, name: str) -> AlarmView:
    """A metric alarm or a composite one.

    Raises:
        ResourceNotFound: there is no such alarm.
    """
    page = account.client("cloudwatch").describe_alarms(
        AlarmNames=[name], AlarmTypes=["MetricAlarm", "CompositeAlarm"]
    )
    for item in (*page.get("MetricAlarms", ()), *page.get("CompositeAlarms", ())):
        return AlarmView(account, name, str(item["StateValue"]), item)
    raise ResourceNotFound(f"There is no alarm `{name}`.", look=("Outputs in template.yaml",))


def rings(bodies: Iterable[str], name: str) -> int:
    """How many of these notifications say that an alarm went to ALARM."""
    found = 0
    for body in bodies:
        try:
            told = json.loads(body)
        except ValueError:
            continue
        found += isinstance(told, dict) and (told.get("AlarmName"), told.get("NewStateValue")) == (
            name,
            "ALARM",
        )
    return found


def whole_periods(account: Account, count: int, period_s: int = 60) -> Iterator[int]:
    """The beginnings of so many periods; afterwards the last one is over and alarms were looked at.

    What happens between two of them happens within one period, as long as it takes less than that.
    """
    for index in range(count):
        account.advance(_until_next(account, period_s))
        yield index
    account.advance(_until_next(account, period_s) + _EVALUATED_S)


def _until_next(account: Account, period_s: int) -> float:
    return period_s - account.now().timestamp() % period_s + 0.5


def _watched(found: Mapping[str, Any]) -> str:
    if metrics := found.get("Metrics"):
        by_id = {each["Id"]: each for each in metrics}
        returned = next(each for each in metrics if each.get("ReturnData", True) is not False)
        named = ", ".join(
            f"{name} = {_metric(each['MetricStat']['Metric'], each['MetricStat']['Stat'])}"
            for name, each in by_id.items()
            if "MetricStat" in each
        )
        expression = returned.get("Expression") or returned["Id"]
        return f"{expression} ({named})" if named else str(expression)
    statistic = found.get("ExtendedStatistic") or found.get("Statistic", "")
    return f"{_metric(found, statistic)} over {found.get('Period', 60)} s"


def _metric(found: Mapping[str, Any], statistic: str) -> str:
    of = ", ".join(f"{pair['Name']}={pair['Value']}" for pair in found.get("Dimensions", ()))
    return f"{statistic} of {found.get('Namespace')} {found.get('MetricName')}" + (f" [{of}]" if of else "")
