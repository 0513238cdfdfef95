"""Alarms follow their metrics on the account's clock, and do what they are for."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.telemetry.alarms import AlarmState, read_rule
from tests.emulator.fabric.fakes import create_function

BREACH, FINE, NONE = 10.0, 1.0, None


OK, ALARM, DATA = "OK", "ALARM", "INSUFFICIENT_DATA"


def minutes(watch: Any, *values: float | None) -> list[str]:
    """Put one value a minute (or none) and note the alarm's state after each."""
    states = []
    for value in values:
        if value is not None:
            watch.put("Errors", value)
        watch.account.advance(60)
        states.append(watch.state())
    return states


@pytest.fixture
def timed(watch: Any) -> Any:
    # A minute is looked at two seconds after its end: be three seconds into each.
    watch.account.advance(3)
    return watch


def test_an_alarm_begins_without_data_and_follows_its_metric(timed: Any) -> None:
    timed.alarm()
    assert timed.state() == DATA
    assert minutes(timed, FINE, BREACH, BREACH, FINE) == [OK, ALARM, ALARM, OK]
    history = timed.client.describe_alarm_history(AlarmName="Errors", HistoryItemType="StateUpdate")
    assert [item["HistorySummary"] for item in reversed(history["AlarmHistoryItems"])] == [
        "Alarm updated from INSUFFICIENT_DATA to OK",
        "Alarm updated from OK to ALARM",
        "Alarm updated from ALARM to OK",
    ]


def test_m_out_of_n(timed: Any) -> None:
    timed.alarm(EvaluationPeriods=3, DatapointsToAlarm=2)
    assert minutes(timed, FINE, FINE, FINE, BREACH, FINE, BREACH, FINE, FINE) == [
        *(OK, OK, OK),
        *(OK, OK, ALARM, OK, OK),
    ]


@pytest.mark.parametrize(
    ("missing", "states"),
    [
        ("missing", [ALARM, DATA]),
        ("notBreaching", [OK, OK]),
        ("breaching", [ALARM, ALARM]),
        ("ignore", [ALARM, ALARM]),
    ],
)
def test_what_missing_data_counts_as(timed: Any, missing: str, states: list[str]) -> None:
    timed.alarm(TreatMissingData=missing)
    assert minutes(timed, BREACH) == [ALARM]
    seen = minutes(timed, NONE, NONE, NONE, NONE)
    # The periods before those asked for still speak for a while; then only the rule does.
    assert seen[-1] == states[1]


def test_percentiles_and_math(timed: Any) -> None:
    timed.client.put_metric_alarm(
        AlarmName="p90",
        Namespace="Shop",
        MetricName="Latency",
        ExtendedStatistic="p90",
        Period=60,
        EvaluationPeriods=1,
        Threshold=100.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    timed.client.put_metric_alarm(
        AlarmName="rate",
        Metrics=[
            {
                "Id": "e",
                "MetricStat": {
                    "Metric": {"Namespace": "Shop", "MetricName": "Errors"},
                    "Period": 60,
                    "Stat": "Sum",
                },
                "ReturnData": False,
            },
            {
                "Id": "r",
                "MetricStat": {
                    "Metric": {"Namespace": "Shop", "MetricName": "Requests"},
                    "Period": 60,
                    "Stat": "Sum",
                },
                "ReturnData": False,
            },
            {"Id": "rate", "Expression": "100 * e / r"},
        ],
        EvaluationPeriods=1,
        Threshold=5.0,
        ComparisonOperator="GreaterThanThreshold",
    )
    timed.put("Latency", *[50] * 8, 150, 150)
    timed.put("Errors", 1)
    timed.put("Requests", 100)
    timed.account.advance(60)
    assert (timed.state("p90"), timed.state("rate")) == (ALARM, OK)
    timed.put("Errors", 10)
    timed.put("Requests", 100)
    timed.account.advance(60)
    assert timed.state("rate") == ALARM


def test_a_percentile_of_few_samples_can_be_left_alone(timed: Any) -> None:
    """Below ten over one less the percentile. Source: see ``Alarm.least_samples``."""
    options = {
        "MetricName": "Latency",
        "Statistic": None,
        "ExtendedStatistic": "p90",
        "EvaluateLowSampleCountPercentile": "ignore",
    }
    given = {"Namespace": "Shop", "Period": 60, "EvaluationPeriods": 1, "Threshold": 5.0} | options
    given["ComparisonOperator"] = "GreaterThanOrEqualToThreshold"
    timed.client.put_metric_alarm(
        AlarmName="p90", **{name: value for name, value in given.items() if value is not None}
    )
    timed.put("Latency", *[BREACH] * 99)
    timed.account.advance(60)
    assert timed.state("p90") == DATA
    timed.put("Latency", *[BREACH] * 100)
    timed.account.advance(60)
    assert timed.state("p90") == ALARM
    with pytest.raises(ClientError, match="EvaluateLowSampleCountPercentile"):
        timed.alarm(EvaluateLowSampleCountPercentile="maybe")


def test_a_change_of_state_notifies_a_topic_a_function_and_the_bus(timed: Any) -> None:
    account = timed.account
    topic = account.client("sns").create_topic(Name="alerts")["TopicArn"]
    url = account.client("sqs").create_queue(QueueName="inbox")["QueueUrl"]
    queue_arn = f"arn:aws:sqs:{account.core.region}:{account.core.account_id}:inbox"
    allow = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
    }
    account.client("sqs").set_queue_attributes(
        QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [allow]})}
    )
    account.client("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=queue_arn, Attributes={"RawMessageDelivery": "true"}
    )
    function = create_function(account, "pager")
    account.client("lambda").add_permission(
        FunctionName="pager",
        StatementId="alarms",
        Action="lambda:InvokeFunction",
        Principal="lambda.alarms.cloudwatch.amazonaws.com",
    )
    timed.alarm(AlarmActions=[topic, function], AlarmDescription="too many")

    assert minutes(timed, BREACH) == [ALARM]

    [message] = account.client("sqs").receive_message(QueueUrl=url)["Messages"]
    told = json.loads(message["Body"])
    assert (told["AlarmName"], told["NewStateValue"], told["OldStateValue"]) == ("Errors", ALARM, DATA)
    assert told["Trigger"]["MetricName"] == "Errors"
    assert "1 out of the last 1 datapoints [10.0" in told["NewStateReason"]
    [invocation] = timed.functions.invocations
    assert invocation.event["alarmData"]["alarmName"] == "Errors"
    assert invocation.event["alarmData"]["state"]["value"] == ALARM
    outcomes = {
        event.detail["target"]: event.outcome
        for event in account.events("delivery")
        if event.subject == "alarm:Errors"
    }
    assert outcomes == {topic: "ok", function: "ok"}


def test_setting_a_state_runs_its_actions_until_the_next_look(timed: Any) -> None:
    function = create_function(timed.account, "pager")
    timed.account.client("lambda").add_permission(
        FunctionName="pager",
        StatementId="alarms",
        Action="lambda:InvokeFunction",
        Principal="lambda.alarms.cloudwatch.amazonaws.com",
    )
    timed.alarm(AlarmActions=[function], TreatMissingData="notBreaching")
    timed.client.set_alarm_state(AlarmName="Errors", StateValue=ALARM, StateReason="a drill")
    timed.account.settle()
    assert len(timed.functions.invocations) == 1
    assert timed.state() == ALARM
    timed.account.advance(60)
    assert timed.state() == OK
    timed.client.disable_alarm_actions(AlarmNames=["Errors"])
    timed.client.set_alarm_state(AlarmName="Errors", StateValue=ALARM, StateReason="a drill")
    timed.account.settle()
    assert len(timed.functions.invocations) == 1


def test_history_tells_what_a_state_was_set_for_and_what_it_was_before(timed: Any) -> None:
    timed.alarm()
    for reason, data, state in (("a drill", '{"by": "hand"}', ALARM), ("over", "", OK)):
        timed.client.set_alarm_state(
            AlarmName="Errors", StateValue=state, StateReason=reason, StateReasonData=data
        )
    with pytest.raises(ClientError, match="InvalidFormat"):
        timed.client.set_alarm_state(
            AlarmName="Errors", StateValue=ALARM, StateReason="x", StateReasonData="{"
        )
    items = timed.client.describe_alarm_history(AlarmName="Errors", HistoryItemType="StateUpdate")
    newest = json.loads(items["AlarmHistoryItems"][0]["HistoryData"])
    drill = {"stateValue": ALARM, "stateReason": "a drill", "stateReasonData": {"by": "hand"}}
    assert newest["oldState"] == drill
    assert newest["newState"] == {"stateValue": OK, "stateReason": "over"}


def test_composite_alarms_follow_others(timed: Any) -> None:
    timed.alarm("Errors")
    timed.alarm("Slow", MetricName="Latency")
    timed.client.put_composite_alarm(
        AlarmName="Down", AlarmRule='ALARM("Errors") AND NOT (OK(Slow) OR INSUFFICIENT_DATA(Slow))'
    )
    assert minutes(timed, BREACH) == [ALARM]
    assert timed.state("Down") == OK
    timed.put("Latency", BREACH)
    timed.put("Errors", BREACH)
    timed.account.advance(60)
    assert timed.state("Down") == ALARM
    with pytest.raises(ClientError, match="does not exist"):
        timed.client.put_composite_alarm(AlarmName="x", AlarmRule="ALARM(nobody)")


def test_rules_of_composite_alarms() -> None:
    test, names = read_rule("NOT ALARM(a) OR (TRUE AND OK('b c'))")
    assert names == ("a", "b c")
    states = {"a": AlarmState.ALARM, "b c": AlarmState.OK}
    assert test(states.__getitem__)
    assert not test({"a": AlarmState.ALARM, "b c": AlarmState.ALARM}.__getitem__)


def test_silence_for_a_day_can_be_an_alarm(timed: Any) -> None:
    timed.alarm(
        MetricName="Runs",
        Period=3600,
        EvaluationPeriods=26,
        Threshold=1.0,
        ComparisonOperator="LessThanThreshold",
        TreatMissingData="breaching",
        Statistic="Sum",
    )
    for _day in range(3):
        timed.put("Runs", 1)
        timed.account.advance(24 * 3600)
        assert timed.state() == OK
    timed.account.advance(6 * 3600)
    assert timed.state() == ALARM


def test_what_is_no_alarm(watch: Any) -> None:
    for options, says in (
        ({"ComparisonOperator": "Bigger"}, "comparisonOperator"),
        ({"Period": 45}, "Period must be"),
        ({"EvaluationPeriods": 1, "DatapointsToAlarm": 2}, "DatapointsToAlarm"),
        ({"TreatMissingData": "maybe"}, "TreatMissingData"),
    ):
        with pytest.raises(ClientError, match=says):
            watch.alarm(**options)
    watch.alarm(Tags=[{"Key": "team", "Value": "shop"}])
    [found] = watch.client.describe_alarms()["MetricAlarms"]
    assert watch.client.list_tags_for_resource(ResourceARN=found["AlarmArn"])["Tags"] == [
        {"Key": "team", "Value": "shop"}
    ]
    watch.client.delete_alarms(AlarmNames=["Errors"])
    assert watch.client.describe_alarms()["MetricAlarms"] == []
