"""Where the result of an asynchronous invocation goes: destinations and dead-letter queues.

Source: https://docs.aws.amazon.com/lambda/latest/dg/invocation-async-retain-records.html
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from sandbox.emulator.calls import carrying
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions.contract import InvokeOutcome
from sandbox.emulator.functions.credentials import role_principal
from sandbox.emulator.functions.execution import Invocation
from sandbox.emulator.functions.logs import timestamp
from sandbox.emulator.functions.names import LATEST, FunctionName
from sandbox.emulator.functions.recursion import continued
from sandbox.emulator.functions.store import FunctionVersion

SERVICES = frozenset({"sqs", "sns", "lambda", "events"})
_ERROR_MESSAGE_BYTES = 1024


@dataclass(frozen=True, slots=True)
class Result:
    """The end of an asynchronous event. ``outcome`` is None when the function never ran for it."""

    version: FunctionVersion
    name: FunctionName
    invocation: Invocation
    condition: str
    attempts: int
    outcome: InvokeOutcome | None

    def record(self, now_ms: int) -> dict[str, Any]:
        """The invocation record that a destination receives."""
        context = {
            "requestId": self.invocation.request_id,
            "functionArn": f"{self.name.arn}:{self.name.qualifier or LATEST}",
            "condition": self.condition,
            "approximateInvokeCount": self.attempts,
        }
        record: dict[str, Any] = {
            "version": "1.0",
            "timestamp": timestamp(now_ms),
            "requestContext": context,
            "requestPayload": _as_json(self.invocation.payload),
        }
        if self.outcome is not None and self.outcome.status < 300:
            response: dict[str, Any] = {
                "statusCode": self.outcome.status,
                "executedVersion": self.outcome.executed_version,
            }
            if self.outcome.function_error:
                response["functionError"] = self.outcome.function_error
            record |= {"responseContext": response, "responsePayload": _as_json(self.outcome.payload)}
        return record


class Destinations:
    """Sends as the function's execution role, through the public APIs."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    def send(self, arn: str, result: Result) -> None:
        """Send the invocation record to a queue, topic, function or event bus."""
        record = result.record(int(self._core.clock.time() * 1000))
        text = json.dumps(record, separators=(",", ":"))
        match arn.split(":")[2]:
            case "sqs":
                self._perform(
                    arn, result, "sqs", "send_message", QueueUrl=self._queue_url(arn), MessageBody=text
                )
            case "sns":
                self._perform(arn, result, "sns", "publish", TopicArn=arn, Message=text)
            case "lambda":
                self._perform(
                    arn,
                    result,
                    "lambda",
                    "invoke",
                    FunctionName=arn,
                    InvocationType="Event",
                    Payload=text.encode(),
                )
            case "events":
                self._put_event(arn, result, text)

    def _put_event(self, arn: str, result: Result, text: str) -> None:
        word = "Success" if result.condition == "Success" else "Failure"
        entry = {
            "Source": "lambda",
            "DetailType": f"Lambda Function Invocation Result - {word}",
            "Detail": text,
            "EventBusName": arn,
            "Resources": [arn, f"{result.name.arn}:{result.name.qualifier or LATEST}"],
        }
        self._perform(arn, result, "events", "put_events", Entries=[entry])

    def send_dead_letter(self, arn: str, result: Result) -> None:
        """Send the event itself to the function's dead-letter queue or topic."""
        code, message = _error(result)
        attributes = {
            "RequestID": {"DataType": "String", "StringValue": result.invocation.request_id},
            "ErrorCode": {"DataType": "Number", "StringValue": str(code)},
            "ErrorMessage": {"DataType": "String", "StringValue": message},
        }
        body = result.invocation.payload.decode("utf-8", "replace") or "{}"
        if arn.split(":")[2] == "sns":
            self._perform(
                arn,
                result,
                "sns",
                "publish",
                dead_letter=True,
                TopicArn=arn,
                Message=body,
                MessageAttributes=attributes,
            )
        else:
            self._perform(
                arn,
                result,
                "sqs",
                "send_message",
                dead_letter=True,
                QueueUrl=self._queue_url(arn),
                MessageBody=body,
                MessageAttributes=attributes,
            )

    def _queue_url(self, arn: str) -> str:
        _, _, _, _, account_id, queue = arn.split(":")
        return f"http://127.0.0.1:{self._core.gateway_port}/{account_id}/{queue}"

    def _perform(
        self,
        arn: str,
        result: Result,
        service: str,
        operation: str,
        *,
        dead_letter: bool = False,
        **parameters: Any,
    ) -> None:
        region = arn.split(":")[3] or result.version.region
        client = self._core.clients.client(service, region=region, principal=role_principal(result.version))
        outcome, message = "ok", ""
        try:
            with carrying(continued(result.invocation.trace_header, result.name)):
                answer = getattr(client, operation)(**parameters)
            if answer.get("FailedEntryCount"):
                outcome = answer["Entries"][0].get("ErrorCode", "failed")
                message = answer["Entries"][0].get("ErrorMessage", "")
        except ClientError as error:
            outcome, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
        except BotoCoreError as error:
            outcome, message = type(error).__name__, str(error)
        self._core.timeline.add(
            "delivery",
            result.name.name,
            account_id=result.version.account_id,
            region=result.version.region,
            outcome=outcome,
            source=f"lambda:{result.name.name}",
            target=arn,
            condition=result.condition,
            request_id=result.invocation.request_id,
            **({"dead_letter": True} if dead_letter else {}),
            **({"reason": f"target refused: {message or outcome}"} if outcome != "ok" else {}),
        )


def _error(result: Result) -> tuple[int, str]:
    """ErrorCode and ErrorMessage of a dead letter."""
    outcome = result.outcome
    if outcome is None:
        return (
            (429, "Rate Exceeded.")
            if result.condition == "ZeroReservedConcurrency"
            else (
                200,
                "Event age exceeded",
            )
        )
    told = _as_json(outcome.payload)
    message = ""
    if isinstance(told, dict):
        message = str(told.get("errorMessage") or told.get("Message") or "")
    text = message.encode()[:_ERROR_MESSAGE_BYTES].decode("utf-8", "ignore")
    return outcome.status, text or "Unknown error"


def _as_json(payload: bytes) -> Any:
    if not payload:
        return {}
    try:
        return json.loads(payload)
    except ValueError:
        return payload.decode("utf-8", "replace")
