"""Takes a pipe's batches through its enrichment to its target, in the pipe's role.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-event-target.html
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError, ParamValidationError

from sandbox.emulator.calls import Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import roles
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.pipes.inputs import path_or_text, text_of, transform
from sandbox.emulator.functions.contract import InvokeOutcome

SERVICE = "pipes.amazonaws.com"


@dataclass(frozen=True, slots=True)
class Definition:
    """A pipe as its last change left it; parameters are the API's."""

    name: str
    arn: str
    account_id: str
    region: str
    role_arn: str
    source: str
    target: str
    target_parameters: Mapping[str, Any]
    enrichment: str = ""
    enrichment_parameters: Mapping[str, Any] = field(default_factory=dict)


class _Failed(Exception):
    """An enrichment or a target did not take the batch. ``throttled``: it may later, whatever the quota."""

    def __init__(self, code: str, message: str, *, throttled: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.throttled = code, message, throttled


class PipeConsumer:
    """Hands batches on, and says what came of them as a function's outcome."""

    def __init__(self, core: AccountCore, definition: Callable[[], Definition]) -> None:
        self._core = core
        self._definition = definition

    @property
    def name(self) -> str:
        """The pipe's name."""
        return self._definition().name

    @property
    def arn(self) -> str:
        """The pipe's ARN."""
        return self._definition().arn

    def principal(self) -> Principal | None:
        """A session of the pipe's role; None when it does not let Pipes in."""
        definition = self._definition()
        try:
            return roles.assume(self._core, definition.role_arn, SERVICE, source_arn=definition.arn)
        except roles.RoleRefused:
            return None

    def context(self, condition: str, invoked: int, outcome: InvokeOutcome | None) -> dict[str, Any]:
        """As Pipes tells of a discarded batch."""
        return {"context": {"partnerResourceArn": self.arn, "condition": condition}}

    def invoke(self, payload: bytes, source: str, linked_traces: tuple[str, ...] = ()) -> InvokeOutcome:
        """Filtered events in, enriched, to the target."""
        definition, request_id = self._definition(), str(uuid.uuid4())
        events = [_flat(record) for record in json.loads(payload)["Records"]]
        try:
            events = self._enriched(definition, events)
            answer = self._delivered(definition, events)
        except _Failed as failure:
            why = f"target refused: {failure.message or failure.code}"
            self._note(definition, "failed", error=failure.code, reason=why)
            body = json.dumps({"errorType": failure.code, "errorMessage": failure.message}).encode()
            if failure.throttled:
                return InvokeOutcome(429, body, error_code=failure.code, request_id=request_id)
            return InvokeOutcome(200, body, function_error="Unhandled", request_id=request_id)
        self._note(definition, "ok", events=len(events))
        return InvokeOutcome(200, answer, request_id=request_id)

    def _client(self, service: str, arn: str) -> Any:
        principal = self.principal()
        if principal is None:
            raise _Failed("AccessDeniedException", "The pipe's role does not let Pipes assume it")
        region = arn.split(":")[3] or self._definition().region
        return self._core.clients.client(service, region=region, principal=principal)

    def _reserved(self, definition: Definition) -> dict[str, str]:
        return {
            "aws.pipes.pipe-arn": definition.arn,
            "aws.pipes.pipe-name": definition.name,
            "aws.pipes.source-arn": definition.source,
            "aws.pipes.target-arn": definition.target,
            "aws.pipes.enrichment-arn": definition.enrichment,
        }

    def _enriched(self, definition: Definition, events: list[Any]) -> list[Any]:
        if not definition.enrichment:
            return events
        template = str(definition.enrichment_parameters.get("InputTemplate") or "")
        reserved = self._reserved(definition)
        given = [transform(template, event, reserved) for event in events]
        arn = Arn.parse(definition.enrichment)
        try:
            if arn.service == "lambda":
                found = self._function(definition.enrichment, given)
            elif arn.service == "states":
                answer = self._client("stepfunctions", definition.enrichment).start_sync_execution(
                    stateMachineArn=definition.enrichment, input=json.dumps(given)
                )
                if answer["status"] != "SUCCEEDED":
                    raise _Failed(answer.get("error", "States.Failed"), answer.get("cause", ""))
                found = json.loads(answer["output"])
            else:
                raise _Failed("NotEmulated", f"Enrichment by {arn.service} is not emulated; this is our gap")
        except ClientError as error:
            raise _refused(error) from error
        # Nothing returned: nothing goes on.
        return found if isinstance(found, list) else [] if found in (None, "", {}) else [found]

    def _function(self, arn: str, events: list[Any]) -> Any:
        answer = self._client("lambda", arn).invoke(FunctionName=arn, Payload=json.dumps(events).encode())
        text = answer["Payload"].read().decode("utf-8", "replace")
        if answer.get("FunctionError"):
            raise _Failed("FunctionError", text)
        try:
            return json.loads(text) if text else None
        except ValueError:
            return text

    def _delivered(self, definition: Definition, events: list[Any]) -> bytes:
        if not events:
            return b"null"
        parameters = definition.target_parameters
        template = str(parameters.get("InputTemplate") or "")
        reserved = self._reserved(definition)
        made = [transform(template, event, reserved) for event in events]
        service = Arn.parse(definition.target).service
        deliver = _TARGETS.get(service)
        if deliver is None:
            raise _Failed("NotEmulated", f"Targets of {service} are not emulated; this is our gap")
        try:
            return deliver(self, definition, events, made)
        except ClientError as error:
            raise _refused(error) from error
        except ParamValidationError as error:
            raise _Failed("ValidationException", str(error)) from None

    def to_function(self, definition: Definition, events: list[Any], made: list[Any]) -> bytes:
        """All events at once; the function may name those that failed."""
        kind = (definition.target_parameters.get("LambdaFunctionParameters") or {}).get("InvocationType")
        if kind == "FIRE_AND_FORGET":
            self._client("lambda", definition.target).invoke(
                FunctionName=definition.target, InvocationType="Event", Payload=json.dumps(made).encode()
            )
            return b"null"
        answer = self._function(definition.target, made)
        # Anything but an object can't name messages: it is an answer that nobody reads.
        return json.dumps(answer if isinstance(answer, dict) else None).encode()

    def to_machine(self, definition: Definition, events: list[Any], made: list[Any]) -> bytes:
        """One execution for all events."""
        given = definition.target_parameters.get("StepFunctionStateMachineParameters") or {}
        client = self._client("stepfunctions", definition.target)
        if given.get("InvocationType") == "REQUEST_RESPONSE":
            answer = client.start_sync_execution(stateMachineArn=definition.target, input=json.dumps(made))
            if answer["status"] != "SUCCEEDED":
                raise _Failed(answer.get("error", "States.Failed"), answer.get("cause", ""))
            return str(answer["output"]).encode()
        client.start_execution(stateMachineArn=definition.target, input=json.dumps(made))
        return b"null"

    def to_queue(self, definition: Definition, events: list[Any], made: list[Any]) -> bytes:
        """A message for each event."""
        given = definition.target_parameters.get("SqsQueueParameters") or {}
        arn = Arn.parse(definition.target)
        url = f"http://127.0.0.1:{self._core.gateway_port}/{arn.account_id}/{arn.resource}"
        client = self._client("sqs", definition.target)
        for event, shown in zip(events, made, strict=True):
            more = {
                name: path_or_text(given[name], event)
                for name in ("MessageGroupId", "MessageDeduplicationId")
                if given.get(name)
            }
            client.send_message(QueueUrl=url, MessageBody=text_of(shown), **more)
        return b"null"

    def to_topic(self, definition: Definition, events: list[Any], made: list[Any]) -> bytes:
        """A message for each event."""
        client = self._client("sns", definition.target)
        for shown in made:
            client.publish(TopicArn=definition.target, Message=text_of(shown))
        return b"null"

    def to_bus(self, definition: Definition, events: list[Any], made: list[Any]) -> bytes:
        """An event for each event."""
        given = definition.target_parameters.get("EventBridgeEventBusParameters") or {}
        kind = {"sqs": "aws:sqs", "kinesis": "aws:kinesis", "dynamodb": "aws:dynamodb"}
        origin = kind.get(Arn.parse(definition.source).service, "")
        client = self._client("events", definition.target)
        for event, shown in zip(events, made, strict=True):
            entry = {
                "EventBusName": definition.target,
                "Source": path_or_text(given.get("Source"), event) or f"Pipe {definition.name}",
                "DetailType": path_or_text(given.get("DetailType"), event) or f"Event from {origin}",
                "Detail": text_of(shown if isinstance(shown, dict) else {"data": shown}),
            }
            answer = client.put_events(Entries=[entry])
            if answer.get("FailedEntryCount"):
                told = answer["Entries"][0]
                raise _Failed(told.get("ErrorCode", "Failed"), told.get("ErrorMessage", ""))
        return b"null"

    def to_stream(self, definition: Definition, events: list[Any], made: list[Any]) -> bytes:
        """A record for each event."""
        given = definition.target_parameters.get("KinesisStreamParameters") or {}
        client = self._client("kinesis", definition.target)
        for event, shown in zip(events, made, strict=True):
            client.put_record(
                StreamARN=definition.target,
                PartitionKey=path_or_text(given.get("PartitionKey"), event) or str(uuid.uuid4()),
                Data=text_of(shown).encode(),
            )
        return b"null"

    def _note(self, definition: Definition, outcome: str, **detail: Any) -> None:
        self._core.timeline.add(
            "gap" if detail.get("error") == "NotEmulated" else "delivery",
            f"pipes:{definition.name}",
            account_id=definition.account_id,
            region=definition.region,
            outcome=outcome,
            source=definition.source,
            target=definition.target,
            **detail,
        )


_TARGETS: dict[str, Callable[[PipeConsumer, Definition, list[Any], list[Any]], bytes]] = {
    "lambda": PipeConsumer.to_function,
    "states": PipeConsumer.to_machine,
    "sqs": PipeConsumer.to_queue,
    "sns": PipeConsumer.to_topic,
    "events": PipeConsumer.to_bus,
    "kinesis": PipeConsumer.to_stream,
}


def _flat(record: dict[str, Any]) -> dict[str, Any]:
    """An event as Pipes passes it on: what Kinesis tells stands beside what Lambda adds to it.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-kinesis.html
    """
    return {**record.pop("kinesis", {}), **record}


def _refused(error: ClientError) -> _Failed:
    code = str(error.response["Error"].get("Code", ""))
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    throttled = status == 429 or status >= 500 or "Throttl" in code or code == "TooManyRequestsException"
    return _Failed(code, str(error.response["Error"].get("Message", "")), throttled=throttled)
