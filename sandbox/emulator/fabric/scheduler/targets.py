"""What a schedule's target is called with.

Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/managing-targets.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.emulator import sdk
from sandbox.emulator.fabric.arns import Arn

_UNIVERSAL = "arn:aws:scheduler:::aws-sdk:"


class TargetRefused(ValueError):
    """No call can be made of the target."""


@dataclass(frozen=True, slots=True)
class TargetCall:
    """One API call: botocore's service, the API's operation in any case, its parameters."""

    service: str
    operation: str
    parameters: Mapping[str, Any]
    region: str


def target_call(target: Mapping[str, Any], text: str, gateway_port: int, region: str) -> TargetCall:
    """The call that delivers ``text`` to a target, templated or universal.

    Raises:
        TargetRefused: the target or its input makes no call.
    """
    target_arn = str(target["Arn"])
    if target_arn.startswith(_UNIVERSAL):
        name, _, action = target_arn.removeprefix(_UNIVERSAL).partition(":")
        try:
            parameters = json.loads(text or "{}")
        except ValueError as error:
            raise TargetRefused(f"The input is not JSON: {error}") from None
        return TargetCall(sdk.service_name(name), action, parameters, region)
    try:
        arn = Arn.parse(target_arn)
    except ValueError as error:
        raise TargetRefused(str(error)) from None
    make = _TEMPLATED.get(arn.service)
    if make is None:
        raise NotImplementedError(f"Targets of the service {arn.service}")
    service, operation, parameters = make(target, arn, text)
    if service == "sqs":
        parameters["QueueUrl"] = f"http://127.0.0.1:{gateway_port}/{arn.account_id}/{arn.resource}"
    return TargetCall(service, operation, parameters, arn.region or region)


_Made = tuple[str, str, dict[str, Any]]


def _to_function(target: Mapping[str, Any], arn: Arn, text: str) -> _Made:
    payload = (text or "{}").encode()
    return "lambda", "Invoke", {"FunctionName": str(arn), "InvocationType": "Event", "Payload": payload}


def _to_queue(target: Mapping[str, Any], arn: Arn, text: str) -> _Made:
    group = (target.get("SqsParameters") or {}).get("MessageGroupId")
    more = {"MessageGroupId": group} if group else {}
    return "sqs", "SendMessage", {"MessageBody": text or "{}", **more}


def _to_topic(target: Mapping[str, Any], arn: Arn, text: str) -> _Made:
    return "sns", "Publish", {"TopicArn": str(arn), "Message": text or "{}"}


def _to_machine(target: Mapping[str, Any], arn: Arn, text: str) -> _Made:
    return "stepfunctions", "StartExecution", {"stateMachineArn": str(arn), "input": text or "{}"}


def _to_bus(target: Mapping[str, Any], arn: Arn, text: str) -> _Made:
    given = target.get("EventBridgeParameters") or {}
    entry = {
        "EventBusName": str(arn),
        "Detail": text or "{}",
        "DetailType": given.get("DetailType"),
        "Source": given.get("Source"),
    }
    return "events", "PutEvents", {"Entries": [entry]}


def _to_stream(target: Mapping[str, Any], arn: Arn, text: str) -> _Made:
    key = (target.get("KinesisParameters") or {}).get("PartitionKey") or ""
    return "kinesis", "PutRecord", {"StreamARN": str(arn), "PartitionKey": key, "Data": text.encode()}


_TEMPLATED: dict[str, Callable[[Mapping[str, Any], Arn, str], _Made]] = {
    "lambda": _to_function,
    "sqs": _to_queue,
    "sns": _to_topic,
    "states": _to_machine,
    "events": _to_bus,
    "kinesis": _to_stream,
}
