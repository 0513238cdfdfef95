"""Log events become metrics and deliveries: filter patterns, embedded metrics, subscriptions."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.fabric.fakes import create_function

USER = '{"id": "u-1", "tags": ["a", "b"]}'
EVENT = f'{{"level": "ERROR", "latency": 12.5, "user": {USER}, "gone": null, "ok": false}}'


def write(watch: Any, *messages: str, group: str = "/app") -> None:
    now = int(watch.account.core.clock.time() * 1000)
    watch.logs.put_log_events(
        logGroupName=group,
        logStreamName="s",
        logEvents=[{"timestamp": now, "message": message} for message in messages],
    )
    watch.account.settle()


@pytest.fixture
def group(watch: Any) -> str:
    watch.logs.create_log_group(logGroupName="/app")
    watch.logs.create_log_stream(logGroupName="/app", logStreamName="s")
    return "/app"


def test_metric_filters_count_what_they_find(watch: Any, group: str) -> None:
    for value in ("1", "$.latency"):
        watch.logs.put_metric_filter(
            logGroupName=group,
            filterName="errors",
            filterPattern='{ $.level = "ERROR" }',
            metricTransformations=[
                {
                    "metricNamespace": "Shop",
                    "metricName": "Errors" if value == "1" else "Latency",
                    "metricValue": value,
                    "dimensions": {"User": "$.user.id"} if value == "1" else {},
                }
            ],
        )
        write(watch, EVENT, '{"level": "INFO"}')
    assert watch.total("Shop", "Errors", User="u-1") == 1
    assert watch.total("Shop", "Latency") == 12.5
    # Put again, a filter is replaced.
    assert len(watch.logs.describe_metric_filters(logGroupName=group)["metricFilters"]) == 1
    with pytest.raises(ClientError, match="Invalid filter pattern"):
        watch.logs.put_metric_filter(
            logGroupName=group,
            filterName="bad",
            filterPattern="{ $.a",
            metricTransformations=[{"metricNamespace": "S", "metricName": "N", "metricValue": "1"}],
        )


def test_embedded_metrics(watch: Any, group: str) -> None:
    now = int(watch.account.core.clock.time() * 1000)
    about = {
        "Timestamp": now,
        "CloudWatchMetrics": [
            {
                "Namespace": "Shop",
                "Dimensions": [["service"], []],
                "Metrics": [{"Name": "Orders", "Unit": "Count"}, {"Name": "Latency", "Unit": "Milliseconds"}],
            }
        ],
    }
    write(
        watch,
        json.dumps({"_aws": about, "service": "cart", "Orders": 3, "Latency": [10, 20]}),
        json.dumps({"_aws": {"Timestamp": now}, "Orders": 100}),
        "no json",
    )
    assert watch.total("Shop", "Orders", service="cart") == 3
    assert watch.total("Shop", "Orders") == 3
    assert watch.total("Shop", "Latency", service="cart") == 30


GOOD = {"Namespace": "Shop", "Dimensions": [["service"]], "Metrics": [{"Name": "Orders"}]}


@pytest.mark.parametrize(
    "change",
    [
        {"Namespace": ""},
        {"Namespace": 1},
        {"Namespace": "AWS/Lambda"},
        {"Dimensions": [["missing"]]},
        {"Dimensions": [["number"]]},
        {"Dimensions": [[f"d{number}" for number in range(31)]]},
        {"Dimensions": "service"},
        {"Metrics": [{"Name": ""}]},
        {"Metrics": [{"Unit": "Count"}]},
        {"Metrics": [{"Name": "word"}]},
        {"Metrics": [{"Name": "missing"}]},
        {"Metrics": [{"Name": "many"}]},
        {"Metrics": [{"Name": "Orders"}] * 101},
        {"Metrics": {"Name": "Orders"}},
        {"Timestamp": 0},
        {"Timestamp": "now"},
        {"Timestamp": None},
        {"directive": "text"},
    ],
    ids=str,
)
def test_an_embedded_metric_that_breaks_the_format_is_dropped(
    watch: Any, group: str, change: dict[str, Any]
) -> None:
    """Source: the specification named in ``embedded``."""
    now = int(watch.account.core.clock.time() * 1000)
    fields = {"service": "cart", "number": 7, "Orders": 3, "word": "x", "many": [1] * 101}
    fields |= {f"d{number}": "x" for number in range(31)}
    directive = change.get("directive", GOOD | {k: v for k, v in change.items() if k != "Timestamp"})
    about = {"Timestamp": change.get("Timestamp", now), "CloudWatchMetrics": [directive]}

    write(watch, json.dumps({"_aws": about, **fields}))
    write(watch, json.dumps({"_aws": {"Timestamp": now, "CloudWatchMetrics": [GOOD]}, **fields}))

    listed = watch.client.list_metrics()["Metrics"]
    assert [(each["Namespace"], each["MetricName"]) for each in listed] == [("Shop", "Orders")]
    assert watch.total("Shop", "Orders", service="cart") == 3


@pytest.mark.parametrize(
    ("before", "counted"),
    [("2031-10-26T00:30:00.125Z\t274cced9-0439-4a76-befe-eeef0ec34460\tINFO\t", 1), ("told: ", 0)],
)
def test_an_embedded_metric_may_follow_what_the_console_of_nodejs_puts_before_it(
    watch: Any, group: str, before: str, counted: int
) -> None:
    about = {
        "Timestamp": int(watch.account.core.clock.time() * 1000),
        "CloudWatchMetrics": [{"Namespace": "Shop", "Dimensions": [[]], "Metrics": [{"Name": "Runs"}]}],
    }

    write(watch, before + json.dumps({"_aws": about, "Runs": 1}))

    assert watch.total("Shop", "Runs") == counted


def test_an_embedded_metric_stamped_by_a_functions_own_clock_is_of_the_accounts_time(
    watch: Any, group: str
) -> None:
    """Where functions can't follow the account's clock, they run by the wall's."""
    watch.account.core.clock.functions_follow = False
    watch.account.advance(2 * 86_400)
    about = {
        "Timestamp": int(watch.account.core.clock.wall_time() * 1000),
        "CloudWatchMetrics": [{"Namespace": "Shop", "Dimensions": [[]], "Metrics": [{"Name": "Runs"}]}],
    }

    write(watch, json.dumps({"_aws": about, "Runs": 1}))

    assert watch.read(("m", "Shop", "Runs", "Sum", {}), back_s=300)["m"] == [1]


def test_a_subscription_hands_what_matches_to_a_function(watch: Any, group: str) -> None:
    arn = create_function(watch.account, "alerts")
    watch.account.client("lambda").add_permission(
        FunctionName="alerts",
        StatementId="logs",
        Action="lambda:InvokeFunction",
        Principal="logs.amazonaws.com",
    )
    watch.logs.put_subscription_filter(
        logGroupName=group, filterName="errors", filterPattern="ERROR", destinationArn=arn
    )
    write(watch, "ERROR one", "INFO two")
    [invocation] = watch.functions.invocations
    told = json.loads(gzip.decompress(base64.b64decode(invocation.event["awslogs"]["data"])))
    assert told["messageType"] == "DATA_MESSAGE"
    assert (told["logGroup"], told["logStream"]) == (group, "s")
    assert [event["message"] for event in told["logEvents"]] == ["ERROR one"]


def test_filtering_log_events_uses_the_same_patterns(watch: Any, group: str) -> None:
    write(watch, EVENT, '{"level": "INFO"}')
    found = watch.logs.filter_log_events(logGroupName=group, filterPattern="{ $.latency > 10 }")
    assert [event["message"] for event in found["events"]] == [EVENT]
    tested = watch.logs.test_metric_filter(filterPattern="{ $.latency > 10 }", logEventMessages=[EVENT, "x"])
    assert [match["extractedValues"] for match in tested["matches"]] == [{"$.latency": "12.5"}]
