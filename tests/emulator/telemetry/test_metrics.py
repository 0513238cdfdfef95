"""Metrics that were put are read with the statistics and the math that CloudWatch has."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.mark.parametrize(
    ("statistic", "value"),
    [
        ("Sum", 5050),
        ("Average", 50.5),
        ("SampleCount", 100),
        ("Minimum", 1),
        ("Maximum", 100),
        ("p50", 50),
        ("p99", 99),
        ("p99.9", 100),
        ("tm90", 45.5),
        ("TM(10%:90%)", 50),
        ("PR(:10)", 10),
        ("TC(91:)", 10),
        ("TS(99:100)", 199),
        ("IQM", 50),
    ],
)
def test_statistics(watch: Any, statistic: str, value: float) -> None:
    watch.put("Latency", *range(1, 101))
    found = watch.read(("m", "Shop", "Latency", statistic, {}))["m"]
    assert found == [pytest.approx(value, rel=0.02)]


def test_values_with_counts_and_sets(watch: Any) -> None:
    watch.client.put_metric_data(
        Namespace="Shop",
        MetricData=[
            {"MetricName": "Size", "Values": [1, 10], "Counts": [9, 1], "Unit": "Bytes"},
            {
                "MetricName": "Set",
                "StatisticValues": {"SampleCount": 4, "Sum": 20, "Minimum": 1, "Maximum": 9},
            },
        ],
    )
    assert watch.read(("m", "Shop", "Size", "Sum", {}))["m"] == [19]
    assert watch.read(("m", "Shop", "Size", "p50", {}))["m"] == [1]
    assert watch.read(("m", "Shop", "Set", "Average", {}))["m"] == [5]
    assert watch.read(("m", "Shop", "Set", "Maximum", {}))["m"] == [9]
    found = watch.client.get_metric_statistics(
        Namespace="Shop",
        MetricName="Size",
        StartTime=watch.account.core.clock.now() - dt.timedelta(hours=1),
        EndTime=watch.account.core.clock.now() + dt.timedelta(minutes=1),
        Period=60,
        Statistics=["Sum", "SampleCount"],
        ExtendedStatistics=["p90"],
    )
    [point] = found["Datapoints"]
    assert (point["Sum"], point["SampleCount"], point["Unit"]) == (19, 10, "Bytes")
    assert point["ExtendedStatistics"] == {"p90": 1}


def test_dimensions_make_metrics_of_their_own(watch: Any) -> None:
    watch.put("Orders", 1, Region="north")
    watch.put("Orders", 2, Region="south")
    assert watch.total("Shop", "Orders", Region="north") == 1
    assert watch.total("Shop", "Orders") == 0
    listed = watch.client.list_metrics(Namespace="Shop", Dimensions=[{"Name": "Region"}])["Metrics"]
    assert [each["Dimensions"][0]["Value"] for each in listed] == ["north", "south"]


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("100 * e / r", [50, 25]),
        ("SUM(METRICS())", [6, 20]),
        ("MAX([e, r])", [4, 16]),
        ("RATE(r)", [0.2]),
        ("DIFF(e)", [2]),
        ("RUNNING_SUM(e)", [2, 6]),
        ("e > 3", [0, 1]),
        ("IF(e > 3, r, 0)", [0, 16]),
        ("r ^ 0.5", [2, 4]),
        ("-e + 1", [-1, -3]),
        ("CEIL(e / 3)", [1, 2]),
        ("e / PERIOD(e) * 60", [2, 4]),
        ("AVG(r) - r", [6, -6]),
    ],
)
def test_metric_math(watch: Any, expression: str, values: list[float]) -> None:
    watch.put("Errors", 2)
    watch.put("Requests", 4)
    watch.account.advance(60)
    watch.put("Errors", 4)
    watch.put("Requests", 16)
    found = watch.read(
        ("e", "Shop", "Errors", "Sum", {}), ("r", "Shop", "Requests", "Sum", {}), ("x", expression)
    )
    assert found["x"] == pytest.approx(values)


def test_gaps_can_be_filled(watch: Any) -> None:
    watch.put("Errors", 2)
    watch.account.advance(180)
    watch.put("Errors", 8)
    sources = (("e", "Shop", "Errors", "Sum", {}),)
    assert watch.read(*sources, ("x", "FILL(e, 0)"), back_s=180)["x"][:4] == [2, 0, 0, 8]
    assert watch.read(*sources, ("x", "FILL(e, REPEAT)"), back_s=180)["x"][:4] == [2, 2, 2, 8]
    assert watch.read(*sources, ("x", "FILL(e, LINEAR)"), back_s=180)["x"] == [2, 4, 6, 8]


def test_what_cloudwatch_refuses(watch: Any) -> None:
    with pytest.raises(ClientError, match="The value AWS/ for parameter Namespace is invalid"):
        watch.put("Errors", 1, namespace="AWS/Lambda")
    with pytest.raises(ClientError, match="for parameter Stat is not supported"):
        watch.read(("m", "Shop", "Errors", "p101", {}))
    with pytest.raises(ClientError, match="not unique"):
        watch.read(("m", "Shop", "A", "Sum", {}), ("m", "Shop", "B", "Sum", {}))
    with pytest.raises(ClientError, match="two weeks in the past"):
        watch.client.put_metric_data(
            Namespace="Shop",
            MetricData=[
                {
                    "MetricName": "Old",
                    "Value": 1,
                    "Timestamp": watch.account.core.clock.now() - dt.timedelta(days=15),
                }
            ],
        )


def test_services_report_of_themselves(watch: Any) -> None:
    url = watch.account.client("sqs").create_queue(QueueName="jobs")["QueueUrl"]
    sqs = watch.account.client("sqs")
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    watch.account.advance(120)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    names = {"QueueName": "jobs"}
    assert watch.total("AWS/SQS", "NumberOfMessagesSent", **names) == 3
    assert watch.total("AWS/SQS", "NumberOfMessagesReceived", **names) == 1
    assert watch.total("AWS/SQS", "NumberOfMessagesDeleted", **names) == 1
    found = watch.read(
        ("v", "AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", names),
        ("a", "AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", names),
    )
    assert max(found["v"]) >= 2
    assert 118 < max(found["a"]) < 125

    watch.account.core.timeline.add(
        "invocation",
        "worker",
        account_id=watch.account.core.account_id,
        region=watch.account.core.region,
        outcome="KeyError",
        duration_ms=12.5,
        version="$LATEST",
    )
    assert watch.total("AWS/Lambda", "Errors", FunctionName="worker") == 1
    assert watch.total("AWS/Lambda", "Duration", FunctionName="worker") == 12.5
    assert watch.total("AWS/Lambda", "Invocations") == 1
