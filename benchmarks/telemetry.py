"""How fast alarms follow a skipped clock, and how fast Logs Insights answers."""

from __future__ import annotations

import datetime as dt
import json
import time
from collections.abc import Iterator
from typing import Any

from benchmarks.figures import Bench, Figure, timed

MINUTES, ALARMS, ROUNDS = 90, 20, 5
EVENTS, GROUP = 10_000, "/bench"
_SHAPES: tuple[dict[str, Any], ...] = (
    {"Statistic": "Sum", "EvaluationPeriods": 1},
    {"ExtendedStatistic": "p99", "EvaluationPeriods": 3, "DatapointsToAlarm": 2},
    {"Statistic": "Average", "EvaluationPeriods": 5, "Period": 300},
    {"Statistic": "Sum", "EvaluationPeriods": 3, "TreatMissingData": "notBreaching"},
)
QUERY = (
    'filter level = "ERROR" and ms > 10 | parse path "/orders/*" as order '
    "| stats count(*) as n, pct(ms, 95) as p95 by bin(5m), service | sort n desc"
)


def measure(bench: Bench) -> Iterator[Figure]:
    """Ninety minutes of twenty alarms that change their states, each round in an account of its own."""
    yield Figure(
        f"{MINUTES} minutes of {ALARMS} alarms",
        "s",
        tuple(_minutes(bench) for _ in range(bench.times(ROUNDS))),
        1.0,
    )
    yield Figure(f"Logs Insights over {EVENTS} events", "ms", tuple(_queries(bench)), 1000)


def _minutes(bench: Bench) -> float:
    account = bench.provider.open()
    try:
        cloudwatch, now = account.client("cloudwatch"), account.now()
        for number in range(ALARMS):
            _put_alarm(cloudwatch, number)
            cloudwatch.put_metric_data(
                Namespace="Bench",
                MetricData=[
                    {
                        "MetricName": f"m{number % 10}",
                        "Value": float((minute // 5 + number) % 3 * 5),
                        "Timestamp": now + dt.timedelta(minutes=minute),
                    }
                    for minute in range(MINUTES)
                    # Some minutes without data.
                    if (minute + number) % 7
                ],
            )
        taken_s = timed(lambda: account.advance(MINUTES * 60)) / 1000
        history = cloudwatch.describe_alarm_history(HistoryItemType="StateUpdate")["AlarmHistoryItems"]
        assert len(history) == 100, "the alarms did not follow their metrics"
    finally:
        account.close()
    return taken_s


def _put_alarm(cloudwatch: Any, number: int) -> None:
    options = {
        "AlarmName": f"alarm-{number}",
        "Threshold": 5.0,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    if number % 5 == 4:
        queries = [
            {
                "Id": name,
                "MetricStat": {
                    "Metric": {"Namespace": "Bench", "MetricName": f"m{number % 10 - offset}"},
                    "Period": 60,
                    "Stat": "Sum",
                },
                "ReturnData": False,
            }
            for offset, name in enumerate("ab")
        ]
        total = {"Id": "total", "Expression": "a + FILL(b, 0)"}
        cloudwatch.put_metric_alarm(**options, EvaluationPeriods=1, Metrics=[*queries, total])
        return
    shape = {"Period": 60, **_SHAPES[number % len(_SHAPES)]}
    cloudwatch.put_metric_alarm(**options, Namespace="Bench", MetricName=f"m{number % 10}", **shape)


def _queries(bench: Bench) -> Iterator[float]:
    account = bench.provider.open()
    logs, now_ms = account.client("logs"), int(account.now().timestamp() * 1000)
    logs.create_log_group(logGroupName=GROUP)
    logs.create_log_stream(logGroupName=GROUP, logStreamName="s")
    for begin in range(0, EVENTS, 1000):
        events = [
            {"timestamp": now_ms + number, "message": _line(number)} for number in range(begin, begin + 1000)
        ]
        logs.put_log_events(logGroupName=GROUP, logStreamName="s", logEvents=events)
    at_s = now_ms // 1000
    for _ in range(bench.times(ROUNDS)):
        started = time.perf_counter()
        query = logs.start_query(
            logGroupName=GROUP, startTime=at_s - 60, endTime=at_s + 3600, queryString=QUERY
        )
        account.settle()
        found = logs.get_query_results(queryId=query["queryId"])
        yield (time.perf_counter() - started) * 1000
        assert found["status"] == "Complete"
        assert found["statistics"]["recordsScanned"] == EVENTS
    account.close()


def _line(number: int) -> str:
    level = "ERROR" if number % 4 == 0 else "INFO"
    line = {"level": level, "ms": number % 97, "path": f"/orders/{number}", "service": f"s{number % 5}"}
    return json.dumps({**line, "context": {"request": {"id": str(number)}, "tags": ["a", "b"]}})
