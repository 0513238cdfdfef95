"""Which queues, topics, buses, streams, schedules and state machines a request names."""

from __future__ import annotations

import base64
import binascii
import json
import re
from collections.abc import Mapping
from urllib.parse import unquote, urlsplit

from sandbox.emulator.iam.mapping.model import Asked
from sandbox.emulator.iam.mapping.naming import Builder, both, named, tagged

_ACCOUNT = re.compile(r"\d{12}")


def queue_arn(asked: Asked, url: str) -> str:
    """A queue's ARN from its URL, which ends in ``/account/name``; region is the caller's."""
    parts = [part for part in urlsplit(url).path.split("/") if part]
    if len(parts) >= 2 and _ACCOUNT.fullmatch(parts[-2]):
        return f"arn:aws:sqs:{asked.region}:{parts[-2]}:{unquote(parts[-1])}"
    return asked.arn("sqs", unquote(parts[-1]) if parts else url)


def _queue(asked: Asked) -> list[str]:
    url = asked.text("QueueUrl")
    if url:
        return [url if url.startswith("arn:") else queue_arn(asked, url)]
    name = asked.text("QueueName")
    if name:
        owner = asked.text("QueueOwnerAWSAccountId") or asked.account_id
        return [f"arn:aws:sqs:{asked.region}:{owner}:{name}"]
    handle = asked.text("TaskHandle")
    return asked.texts("SourceArn") + ([_moved_from(handle)] if handle else [])


def _moved_from(handle: str) -> str:
    try:
        told = json.loads(base64.b64decode(handle))
        return str(told.get("sourceArn") or told.get("SourceArn") or "*")
    except (ValueError, binascii.Error, AttributeError):
        return "*"


def _topic(asked: Asked) -> list[str]:
    found = []
    for text in asked.texts("TopicArn", "TargetArn", "ResourceArn", "SubscriptionArn"):
        parts = text.split(":")
        if text.startswith("arn:") and len(parts) >= 6 and "/" not in parts[5]:
            found.append(":".join(parts[:6]))
    return found or ([asked.arn("sns", asked.text("Name"))] if asked.text("Name") else [])


def _bus_name(asked: Asked) -> str:
    text = asked.text("EventBusName") or "default"
    return text.rsplit("/", 1)[-1] if text.startswith("arn:") else text


def _rule(asked: Asked) -> list[str]:
    name = asked.text("Rule")
    if not name and "Rule" in asked.operation:
        name = asked.text("Name")
    if not name:
        return [text for text in asked.texts("ResourceARN") if ":rule/" in text]
    bus = _bus_name(asked)
    within = asked.text("EventBusName")
    at = ":".join(within.split(":")[:5]) if within.startswith("arn:") else asked.arn("events", "")[:-1]
    return [f"{at}:rule/{name}" if bus == "default" else f"{at}:rule/{bus}/{name}"]


def _bus(asked: Asked) -> list[str]:
    names = asked.texts("EventBusName", "EventSourceArn")
    if not names and asked.operation in ("PutPermission", "RemovePermission", "DescribeEventBus"):
        names = asked.texts("Name") or ["default"]
    if asked.operation in ("CreateEventBus", "DeleteEventBus", "UpdateEventBus"):
        names = asked.texts("Name")
    tagging = [text for text in asked.texts("ResourceARN") if ":event-bus/" in text]
    return tagging or [
        name if name.startswith("arn:") else asked.arn("events", f"event-bus/{name}") for name in names
    ]


def _state_machine(asked: Asked) -> list[str]:
    """Versions and aliases are allowed through their state machine."""
    found = [
        ":".join(text.split(":")[:7])
        for text in asked.texts("stateMachineArn", "stateMachineVersionArn", "stateMachineAliasArn")
        + [text for text in asked.texts("resourceArn") if ":stateMachine:" in text]
    ]
    for route in asked.params.get("routingConfiguration") or ():
        found.append(":".join(str(route.get("stateMachineVersionArn", "")).split(":")[:7]))
    if not found and asked.operation in ("CreateStateMachine",):
        found = [asked.arn("states", f"stateMachine:{asked.text('name')}")]
    return list(dict.fromkeys(found))


def _execution(asked: Asked) -> list[str]:
    return [text for text in asked.texts("executionArn") if ":express:" not in text]


def _schedule(asked: Asked) -> list[str]:
    name = asked.text("Name") if "ScheduleGroup" not in asked.operation else ""
    return [asked.arn("scheduler", f"schedule/{asked.text('GroupName') or 'default'}/{name}")] if name else []


def _schedule_group(asked: Asked) -> list[str]:
    tagging = asked.texts("ResourceArn")
    name = asked.text("Name") if "ScheduleGroup" in asked.operation else ""
    return tagging or ([asked.arn("scheduler", f"schedule-group/{name}")] if name else [])


def _stream(asked: Asked) -> list[str]:
    found = named("kinesis", "stream/{}", "StreamARN", "StreamName")(asked)
    found += [t for t in asked.texts("ResourceARN") if ":stream/" in t and "/consumer/" not in t]
    iterator = asked.text("ShardIterator")
    if not found and iterator:
        known = asked.find("kinesis-iterator", iterator)
        found = [known] if known else []
    return found[:1]


def _consumer(asked: Asked) -> list[str]:
    return asked.texts("ConsumerARN") + [t for t in asked.texts("ResourceARN") if "/consumer/" in t]


BUILDERS: Mapping[str, Mapping[str, Builder]] = {
    "events": {
        "rule-on-default-event-bus": _rule,
        "rule-on-custom-event-bus": lambda asked: [],
        "event-bus": _bus,
        "archive": named("events", "archive/{}", "ArchiveName"),
        "replay": named("events", "replay/{}", "ReplayName"),
        "connection": lambda asked: (
            named("events", "connection/{}", "Name", kind="connection")(asked)
            if "Connection" in asked.operation
            else []
        ),
        "api-destination": lambda asked: (
            named("events", "api-destination/{}", "Name", kind="api-destination")(asked)
            if "ApiDestination" in asked.operation
            else []
        ),
        "endpoint": lambda asked: (
            named("events", "endpoint/{}", "Name")(asked) if "Endpoint" in asked.operation else []
        ),
        "event-source": lambda asked: (
            [f"arn:aws:events:{asked.region}::event-source/{asked.text('Name', 'EventSourceName')}"]
            if "EventSource" in asked.operation and asked.text("Name", "EventSourceName")
            else []
        ),
    },
    "firehose": {"deliverystream": named("firehose", "deliverystream/{}", "DeliveryStreamName")},
    "kinesis": {"stream": _stream, "consumer": _consumer},
    "pipes": {"pipe": named("pipes", "pipe/{}", "Name", "resourceArn")},
    "scheduler": {"schedule": _schedule, "schedule-group": _schedule_group},
    "sns": {"topic": _topic},
    "sqs": {"queue": _queue},
    "states": {
        "statemachine": _state_machine,
        "execution": _execution,
        "express": lambda asked: [t for t in asked.texts("executionArn") if ":express:" in t],
        "activity": both(
            named("states", "activity:{}", "activityArn"),
            tagged(":activity:", "resourceArn"),
            lambda asked: (
                [asked.arn("states", f"activity:{asked.text('name')}")]
                if asked.operation == "CreateActivity"
                else []
            ),
        ),
        "maprun": named("states", "mapRun:{}", "mapRunArn"),
    },
}
