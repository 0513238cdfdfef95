"""What an alarm's change of state sets off: notifications, functions, events."""

from __future__ import annotations

import datetime as dt
import functools
import json
from typing import Any, Protocol

from botocore.exceptions import ClientError

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import policies, principals
from sandbox.emulator.functions.contract import Functions
from sandbox.emulator.telemetry.alarms import Alarm, AlarmState

_ACTIONS = {
    AlarmState.ALARM: "AlarmActions",
    AlarmState.OK: "OKActions",
    AlarmState.INSUFFICIENT_DATA: "InsufficientDataActions",
}
_REGIONS = {
    "us-east-1": "US East (N. Virginia)",
    "us-east-2": "US East (Ohio)",
    "us-west-2": "US West (Oregon)",
    "eu-central-1": "EU (Frankfurt)",
    "eu-north-1": "EU (Stockholm)",
    "eu-west-1": "EU (Ireland)",
    "ap-southeast-2": "Asia Pacific (Sydney)",
}


class Bus(Protocol):
    """Where changes of state are told."""

    def put(self, account_id: str, region: str, event: dict[str, Any]) -> str:
        """Put an AWS service's event on the default bus."""


class AlarmActions:
    """Sends what a change of state asks for."""

    def __init__(self, core: AccountCore, functions: Functions, bus: Bus) -> None:
        self._core = core
        self._functions = functions
        self._bus = bus

    def changed(self, alarm: Alarm, before: AlarmState) -> None:
        """An alarm is in a new state; only enqueues."""
        self._bus.put(alarm.account_id, alarm.region, _event(alarm, before))
        if not alarm.actions_enabled:
            return
        for arn in alarm.params.get(_ACTIONS[alarm.state]) or ():
            self._core.work.submit(
                functools.partial(self._perform, alarm, before, arn), label=f"alarm {alarm.name} → {arn}"
            )

    def _perform(self, alarm: Alarm, before: AlarmState, arn: str) -> None:
        service = arn.split(":")[2]
        if service == "sns":
            why = self._notify(alarm, before, arn)
        elif service == "lambda":
            why = self._invoke(alarm, before, arn)
        else:
            why = f"Actions of the service {service} are not emulated; this is our gap"
        alarm.history.append(
            _entry(
                self._core.clock.now(),
                alarm,
                "Action",
                f"{'Failed to execute' if why else 'Successfully executed'} action {arn}",
                {
                    "actionState": "Failed" if why else "Succeeded",
                    "notificationResource": arn,
                    "error": why or None,
                },
            )
        )
        self._core.timeline.add(
            "gap" if "our gap" in why else "delivery",
            f"alarm:{alarm.name}",
            account_id=alarm.account_id,
            region=alarm.region,
            outcome="failed" if why else "ok",
            target=arn,
            state=alarm.state.value,
            **({"reason": f"target refused: {why}"} if why else {}),
        )

    def _notify(self, alarm: Alarm, before: AlarmState, arn: str) -> str:
        # A topic's default policy lets in whoever acts for the topic's account.
        owner = (("aws:SourceOwner", alarm.account_id),)
        delivery = policies.Delivery("cloudwatch.amazonaws.com", alarm.arn, alarm.account_id, owner)
        why = policies.refusal(self._core, arn, delivery)
        if why:
            return why
        principal = principals.service("cloudwatch.amazonaws.com", alarm.account_id)
        client = self._core.clients.client("sns", region=arn.split(":")[3], principal=principal)
        place = _REGIONS.get(alarm.region, alarm.region)
        try:
            client.publish(
                TopicArn=arn,
                Subject=f'{alarm.state.value}: "{alarm.name}" in {place}'[:100],
                Message=json.dumps(_message(alarm, before, place)),
            )
        except ClientError as error:
            return str(error)
        return ""

    def _invoke(self, alarm: Alarm, before: AlarmState, arn: str) -> str:
        delivery = policies.Delivery("lambda.alarms.cloudwatch.amazonaws.com", alarm.arn, alarm.account_id)
        why = policies.refusal(self._core, arn, delivery)
        if why:
            return why
        event = {
            "source": "aws.cloudwatch",
            "alarmArn": alarm.arn,
            "accountId": alarm.account_id,
            "time": _stamp(alarm.state_updated_at),
            "region": alarm.region,
            "alarmData": _event(alarm, before)["detail"],
        }
        self._functions.invoke_async(
            arn,
            json.dumps(event).encode(),
            account_id=alarm.account_id,
            region=alarm.region,
            source=f"alarm:{alarm.name}",
        )
        return ""


def told_state(alarm: Alarm) -> dict[str, Any]:
    """An alarm's state as its history tells of it."""
    told: dict[str, Any] = {"stateValue": alarm.state.value, "stateReason": alarm.reason}
    return told | ({"stateReasonData": json.loads(alarm.reason_data)} if alarm.reason_data else {})


def record_change(alarm: Alarm, before: dict[str, Any], now: dt.datetime) -> None:
    """Write a change of state into the alarm's history; ``before`` is the state that it had."""
    data = {"version": "1.0", "oldState": before, "newState": told_state(alarm)}
    summary = f"Alarm updated from {before['stateValue']} to {alarm.state.value}"
    alarm.history.append(_entry(now, alarm, "StateUpdate", summary, data))


def _entry(now: dt.datetime, alarm: Alarm, kind: str, summary: str, data: dict[str, Any]) -> dict[str, Any]:
    return {
        "AlarmName": alarm.name,
        "AlarmType": "CompositeAlarm" if alarm.composite else "MetricAlarm",
        "Timestamp": now,
        "HistoryItemType": kind,
        "HistorySummary": summary,
        "HistoryData": json.dumps(data),
    }


def _event(alarm: Alarm, before: AlarmState) -> dict[str, Any]:
    """The event on the default bus.

    Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/monitoring/cloudwatch-and-eventbridge.html
    """
    state = {"value": alarm.state.value, "reason": alarm.reason, "timestamp": _stamp(alarm.state_updated_at)}
    if alarm.reason_data:
        state["reasonData"] = alarm.reason_data
    configuration: dict[str, Any] = {"description": alarm.params.get("AlarmDescription") or ""}
    if alarm.composite:
        configuration["alarmRule"] = alarm.params["AlarmRule"]
    else:
        configuration["metrics"] = [_metric(query) for query in alarm.queries()[0]]
    return {
        "source": "aws.cloudwatch",
        "detail-type": "CloudWatch Alarm State Change",
        "resources": [alarm.arn],
        "detail": {
            "alarmName": alarm.name,
            "state": state,
            "previousState": {"value": before.value},
            "configuration": configuration,
        },
    }


def _metric(query: dict[str, Any]) -> dict[str, Any]:
    stat = query.get("MetricStat")
    if not stat:
        return {
            "id": query["Id"],
            "expression": query.get("Expression"),
            "returnData": query.get("ReturnData", True),
        }
    metric = stat["Metric"]
    return {
        "id": query["Id"],
        "metricStat": {
            "metric": {
                "namespace": metric["Namespace"],
                "name": metric["MetricName"],
                "dimensions": {each["Name"]: each["Value"] for each in metric.get("Dimensions") or ()},
            },
            "period": stat["Period"],
            "stat": stat["Stat"],
        },
        "returnData": query.get("ReturnData", True),
    }


def _message(alarm: Alarm, before: AlarmState, place: str) -> dict[str, Any]:
    params = alarm.params
    message: dict[str, Any] = {
        "AlarmName": alarm.name,
        "AlarmDescription": params.get("AlarmDescription"),
        "AWSAccountId": alarm.account_id,
        "AlarmConfigurationUpdatedTimestamp": _stamp(alarm.updated_at),
        "NewStateValue": alarm.state.value,
        "NewStateReason": alarm.reason,
        "StateChangeTime": _stamp(alarm.state_updated_at),
        "Region": place,
        "AlarmArn": alarm.arn,
        "OldStateValue": before.value,
        "OKActions": list(params.get("OKActions") or ()),
        "AlarmActions": list(params.get("AlarmActions") or ()),
        "InsufficientDataActions": list(params.get("InsufficientDataActions") or ()),
    }
    if alarm.composite:
        return message | {"AlarmRule": params["AlarmRule"]}
    trigger = {
        "Period": alarm.period_s,
        "EvaluationPeriods": params["EvaluationPeriods"],
        "ComparisonOperator": params["ComparisonOperator"],
        "Threshold": params["Threshold"],
        "TreatMissingData": params.get("TreatMissingData") or "missing",
        "EvaluateLowSampleCountPercentile": params.get("EvaluateLowSampleCountPercentile") or "",
    }
    if params.get("Metrics"):
        trigger["Metrics"] = [dict(each) for each in params["Metrics"]]
    else:
        trigger |= {
            "MetricName": params["MetricName"],
            "Namespace": params["Namespace"],
            "StatisticType": "Statistic" if params.get("Statistic") else "ExtendedStatistic",
            "Statistic": str(params.get("Statistic") or params.get("ExtendedStatistic")).upper(),
            "Unit": params.get("Unit"),
            "Dimensions": [
                {"value": each["Value"], "name": each["Name"]} for each in params.get("Dimensions") or ()
            ],
        }
    return message | {"Trigger": trigger}


def _stamp(moment: dt.datetime | None) -> str:
    return "" if moment is None else moment.strftime("%Y-%m-%dT%H:%M:%S.%f")[:-3] + "+0000"
