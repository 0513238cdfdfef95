"""First-class integrations of HTTP APIs: one call of an AWS service, by parameters.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-aws-services-reference.html
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from xml.sax.saxutils import escape

from sandbox.emulator.calls import Principal
from sandbox.emulator.core import Clients
from sandbox.emulator.fabric.apigateway import services
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.http_parameters import Values
from sandbox.emulator.fabric.apigateway.model import Integration

_SQS_NAMESPACE = "http://queue.amazonaws.com/doc/2012-11-05/"
_EVENT = ("Detail", "DetailType", "Source", "Time", "EventBusName", "Resources", "TraceHeader")
# Parameters that hold JSON: what they mean has parts.
_STRUCTURED = frozenset({"AttributeNames", "MessageAttributes", "MessageAttributeNames", "Resources"})


@dataclass(frozen=True, slots=True)
class Subtype:
    """A call that integrations can make; ``required`` are the parameters that it can't do without."""

    service: str
    action: str
    required: tuple[str, ...]
    optional: tuple[str, ...] = ()

    def problem(self, parameters: Mapping[str, Any]) -> str:
        """What is wrong with an integration's parameters; empty if nothing is."""
        if missing := [name for name in self.required if name not in parameters]:
            return f"Missing required parameters: {', '.join(missing)}"
        known = {*self.required, *self.optional, "Region"}
        if unknown := [name for name in parameters if name not in known]:
            return f"Unknown parameters: {', '.join(unknown)}"
        return ""


SUBTYPES: Mapping[str, Subtype] = {
    "EventBridge-PutEvents": Subtype("events", "PutEvents", _EVENT[:3], _EVENT[3:]),
    "SQS-SendMessage": Subtype(
        "sqs",
        "SendMessage",
        ("QueueUrl", "MessageBody"),
        (
            *("DelaySeconds", "MessageAttributes", "MessageDeduplicationId", "MessageGroupId"),
            "MessageSystemAttributes",
        ),
    ),
    "SQS-ReceiveMessage": Subtype(
        "sqs",
        "ReceiveMessage",
        ("QueueUrl",),
        (
            *("AttributeNames", "MaxNumberOfMessages", "MessageAttributeNames"),
            *("ReceiveRequestAttemptId", "VisibilityTimeout", "WaitTimeSeconds"),
        ),
    ),
    "SQS-DeleteMessage": Subtype("sqs", "DeleteMessage", ("ReceiptHandle", "QueueUrl")),
    "SQS-PurgeQueue": Subtype("sqs", "PurgeQueue", ("QueueUrl",)),
    "Kinesis-PutRecord": Subtype(
        "kinesis",
        "PutRecord",
        ("StreamName", "Data", "PartitionKey"),
        ("SequenceNumberForOrdering", "ExplicitHashKey"),
    ),
    "StepFunctions-StartExecution": Subtype(
        "stepfunctions", "StartExecution", ("StateMachineArn",), ("Name", "Input")
    ),
    "StepFunctions-StartSyncExecution": Subtype(
        "stepfunctions", "StartSyncExecution", ("StateMachineArn",), ("Name", "Input", "TraceHeader")
    ),
    "StepFunctions-StopExecution": Subtype(
        "stepfunctions", "StopExecution", ("ExecutionArn",), ("Cause", "Error")
    ),
}
_NOT_HERE = frozenset({"AppConfig-GetConfiguration"})


def problem(subtype: str, parameters: Mapping[str, Any]) -> str:
    """What is wrong with an integration of this subtype; empty if nothing is."""
    if subtype in SUBTYPES:
        return SUBTYPES[subtype].problem(parameters)
    return "" if subtype in _NOT_HERE else f"Invalid integration subtype {subtype}"


def perform(clients: Clients, principal: Principal, integration: Integration, values: Values) -> Answer:
    """Make the integration's call; what the service answered."""
    subtype = SUBTYPES[integration.subtype]
    given = {
        name: value
        for name, written in integration.parameters.items()
        if (value := values.of(str(written))) != "" or name in subtype.required
    }
    region = given.pop("Region", "") or values.sources.stage.region
    client = clients.client(subtype.service, region=region, principal=principal)
    made = services.call(client, subtype.action, _shapes.get(subtype.service, _plain)(given))
    if subtype.service != "sqs":
        version = client.meta.service_model.metadata.get("jsonVersion", "1.0")
        return Answer(
            made.status, (("content-type", f"application/x-amz-json-{version}"),), made.body.encode()
        )
    body = _xml(subtype.action, json.loads(made.body), failed=made.status >= 300)
    return Answer(made.status, (("content-type", "text/xml"),), body.encode())


def _plain(given: dict[str, str]) -> dict[str, Any]:
    return {name: _parsed(value) if name in _STRUCTURED else value for name, value in given.items()}


def _machine(given: dict[str, str]) -> dict[str, Any]:
    return {name[0].lower() + name[1:]: value for name, value in given.items()}


def _event(given: dict[str, str]) -> dict[str, Any]:
    return {"Entries": [_plain(given)]}


def _record(given: dict[str, str]) -> dict[str, Any]:
    return {**given, "Data": given["Data"].encode()}


_shapes: Mapping[str, Callable[[dict[str, str]], dict[str, Any]]] = {
    "events": _event,
    "kinesis": _record,
    "stepfunctions": _machine,
}


def _parsed(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return [value]


def _xml(action: str, result: Mapping[str, Any], *, failed: bool) -> str:
    """SQS's answer as it writes it to those who speak its query protocol."""
    request_id = "<RequestId>00000000-0000-4000-8000-000000000000</RequestId>"
    head = '<?xml version="1.0"?>'
    if failed:
        code, message = (escape(str(result.get(name) or "")) for name in ("__type", "message"))
        error = f"<Error><Type>Sender</Type><Code>{code}</Code><Message>{message}</Message><Detail/></Error>"
        return f'{head}<ErrorResponse xmlns="{_SQS_NAMESPACE}">{error}{request_id}</ErrorResponse>'
    inner = f"<{action}Result>{_members(result)}</{action}Result>" if result else ""
    metadata = f"<ResponseMetadata>{request_id}</ResponseMetadata>"
    return f'{head}<{action}Response xmlns="{_SQS_NAMESPACE}">{inner}{metadata}</{action}Response>'


def _members(found: Mapping[str, Any]) -> str:
    """Members as elements; lists and maps are repeated under the name of one of them."""
    parts = []
    for name, value in found.items():
        one = name.removesuffix("s")
        if isinstance(value, list):
            parts += [f"<{one}>{_members(each)}</{one}>" for each in value]
        elif isinstance(value, Mapping):
            parts += [
                f"<{one}><Name>{escape(key)}</Name><Value>{_content(held)}</Value></{one}>"
                for key, held in value.items()
            ]
        else:
            parts.append(f"<{name}>{escape(str(value))}</{name}>")
    return "".join(parts)


def _content(held: Any) -> str:
    return _members(held) if isinstance(held, Mapping) else escape(str(held))
