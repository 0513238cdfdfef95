"""An account with CloudWatch in it, queues, topics, a bus, and functions that record."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest

from sandbox.emulator.fabric.eventbridge import EventBridge
from sandbox.emulator.fabric.sns.service import Sns
from sandbox.emulator.fabric.sqs import SqsService
from sandbox.emulator.telemetry.service import Telemetry
from tests.emulator.fabric.fakes import RecordingFunctions


class Watch:
    """CloudWatch as a test uses it."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.functions = RecordingFunctions()
        sqs = SqsService(account.core)
        account.add(sqs.handlers())
        account.add(Sns(account.core, self.functions, sqs.mailroom).handlers())
        bus = EventBridge(account.core, self.functions, sqs.mailroom)
        account.add(bus.handlers())
        self.telemetry = Telemetry(account.core, self.functions, sqs.mailroom, bus)
        account.add(self.telemetry.handlers())
        self.telemetry.start()
        self.client = account.client("cloudwatch")
        self.logs = account.client("logs")

    def put(self, name: str, *values: float, namespace: str = "Shop", **dimensions: str) -> None:
        """Values of a metric, now."""
        names = [{"Name": key, "Value": value} for key, value in dimensions.items()]
        data = [{"MetricName": name, "Value": value, "Dimensions": names} for value in values]
        self.client.put_metric_data(Namespace=namespace, MetricData=data)

    def read(self, *queries: Any, period_s: int = 60, back_s: float = 3600) -> dict[str, list[float]]:
        """Each query's values, oldest first.

        A query is ``(id, expression)`` or ``(id, namespace, name, statistic, dimensions)``.
        """
        made = []
        for query in queries:
            if len(query) == 2:
                made.append({"Id": query[0], "Expression": query[1]})
                continue
            name, namespace, metric, stat, dimensions = query
            names = [{"Name": key, "Value": value} for key, value in dimensions.items()]
            of = {"Namespace": namespace, "MetricName": metric, "Dimensions": names}
            made.append({"Id": name, "MetricStat": {"Metric": of, "Period": period_s, "Stat": stat}})
        now = self.account.core.clock.now()
        found = self.client.get_metric_data(
            MetricDataQueries=made,
            StartTime=now - dt.timedelta(seconds=back_s),
            EndTime=now + dt.timedelta(seconds=60),
            ScanBy="TimestampAscending",
        )
        return {each["Id"]: each["Values"] for each in found["MetricDataResults"]}

    def total(self, namespace: str, name: str, **dimensions: str) -> float:
        """The sum of a metric over the last hour."""
        return sum(self.read(("m", namespace, name, "Sum", dimensions))["m"])

    def alarm(self, name: str = "Errors", **options: Any) -> None:
        """An alarm on the sum of ``Shop`` ``Errors`` in a minute, unless told otherwise."""
        options = {
            "Namespace": "Shop",
            "MetricName": "Errors",
            "Statistic": "Sum",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": 5.0,
            "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            **options,
        }
        self.client.put_metric_alarm(AlarmName=name, **options)

    def state(self, name: str = "Errors") -> str:
        """An alarm's state."""
        found = self.client.describe_alarms(AlarmNames=[name])
        return str((found["MetricAlarms"] + found["CompositeAlarms"])[0]["StateValue"])


@pytest.fixture
def watch(account: Any) -> Watch:
    made = Watch(account)
    # Begin at the start of a minute, so that a test's minutes are the periods.
    account.advance(60 - account.core.clock.time() % 60 + 0.5)
    return made
