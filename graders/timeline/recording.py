"""Everything an account can tell of a run: its timeline, logs, metrics, alarms and traces."""

from __future__ import annotations

import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from graders.timeline.traces import find_traces
from sandbox.account import Account

# What one page can show and a person can still look through.
_LOG_EVENTS = 20_000
_METRICS = 200
_METRICS_A_CALL = 100
_PERIOD_S = 60
_DAY_S = 86_400


@dataclass(frozen=True, slots=True)
class Mark:
    """A span that the run itself names, such as a check. Times are seconds since the epoch."""

    name: str
    begin: float
    end: float
    outcome: str = "ok"
    headline: str = ""


@dataclass(frozen=True, slots=True)
class Recording:
    """One region of an account from its first event to now. Times are seconds since the epoch.

    ``events`` are the timeline's own documents, ``logs`` have ``group``, ``stream``, ``at`` and
    ``message``, ``metrics`` have ``name``, ``stat``, ``unit`` and ``points`` as pairs of time and value,
    ``alarms`` map names to states, ``traces`` are summaries with their ``Segments``.
    """

    account_id: str
    region: str
    begin: float
    end: float
    events: list[dict[str, Any]]
    logs: list[dict[str, Any]] = field(default_factory=list)
    metrics: list[dict[str, Any]] = field(default_factory=list)
    alarms: dict[str, str] = field(default_factory=dict)
    traces: list[dict[str, Any]] = field(default_factory=list)
    marks: tuple[Mark, ...] = ()


def record(account: Account, *, marks: tuple[Mark, ...] = ()) -> Recording:
    """Read an account. What a backend does not have is left out; the account is not changed."""
    events = account.timeline()
    now = account.now()
    end = now.timestamp()
    begin = min((seconds(event["at"]) for event in events), default=end)
    return Recording(
        account_id=account.account_id,
        region=account.region,
        begin=begin,
        end=end,
        events=events,
        logs=list(itertools.islice(_logs(account, begin), _LOG_EVENTS)),
        metrics=list(_metrics(account, begin, end)) if "CM" in account.capabilities else [],
        alarms=_alarms(account) if "CA" in account.capabilities else {},
        traces=list(find_traces(account.client("xray"), now, end - begin + 1, ""))
        if "XR" in account.capabilities
        else [],
        marks=marks,
    )


def seconds(text: str) -> float:
    """A time of the timeline as seconds since the epoch."""
    return dt.datetime.fromisoformat(text).timestamp()


def _logs(account: Account, begin: float) -> Iterator[dict[str, Any]]:
    client = account.client("logs")
    for page in client.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            pages = client.get_paginator("filter_log_events").paginate(
                logGroupName=name, startTime=int(begin * 1000)
            )
            for found in pages:
                for event in found["events"]:
                    yield {
                        "group": name,
                        "stream": event["logStreamName"],
                        "at": event["timestamp"] / 1000,
                        "message": event["message"],
                    }


def _metrics(account: Account, begin: float, end: float) -> Iterator[dict[str, Any]]:
    """Sums by the minute; of what is no count, the mean."""
    client = account.client("cloudwatch")
    listed = [
        metric for page in client.get_paginator("list_metrics").paginate() for metric in page["Metrics"]
    ][:_METRICS]
    start = begin // _PERIOD_S * _PERIOD_S
    for first in range(0, len(listed), _METRICS_A_CALL):
        some = dict(enumerate(listed[first : first + _METRICS_A_CALL]))
        queries = [
            {
                "Id": f"m{number}",
                "MetricStat": {"Metric": metric, "Period": _period(end - begin), "Stat": _statistic(metric)},
            }
            for number, metric in some.items()
        ]
        pages = client.get_paginator("get_metric_data").paginate(
            MetricDataQueries=queries,
            StartTime=dt.datetime.fromtimestamp(start, dt.UTC),
            EndTime=dt.datetime.fromtimestamp(end + _PERIOD_S, dt.UTC),
            ScanBy="TimestampAscending",
        )
        points: dict[int, list[tuple[float, float]]] = {}
        for page in pages:
            for result in page["MetricDataResults"]:
                pairs = zip(result["Timestamps"], result["Values"], strict=True)
                points.setdefault(int(result["Id"][1:]), []).extend(
                    (moment.timestamp(), value) for moment, value in pairs
                )
        for number, metric in some.items():
            if points.get(number):
                yield {
                    "namespace": metric["Namespace"],
                    "name": metric["MetricName"],
                    "dimensions": {each["Name"]: each["Value"] for each in metric["Dimensions"]},
                    "stat": _statistic(metric),
                    "points": points[number],
                }


def _period(span_s: float) -> int:
    """A minute, or as many as keep a long run's points few."""
    return _PERIOD_S * max(1, round(span_s / _DAY_S))


def _statistic(metric: dict[str, Any]) -> str:
    means = ("Duration", "Latency", "Age", "Time", "Visible", "Concurren", "Length", "Size")
    return "Average" if any(word in metric["MetricName"] for word in means) else "Sum"


def _alarms(account: Account) -> dict[str, str]:
    pages = account.client("cloudwatch").get_paginator("describe_alarms").paginate()
    return {
        alarm["AlarmName"]: alarm["StateValue"]
        for page in pages
        for kind in ("MetricAlarms", "CompositeAlarms")
        for alarm in page.get(kind, ())
    }
