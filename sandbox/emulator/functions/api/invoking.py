"""Invoke, InvokeAsync and InvokeWithResponseStream.

Source: https://docs.aws.amazon.com/lambda/latest/api/API_Invoke.html and
https://docs.aws.amazon.com/lambda/latest/api/API_InvokeWithResponseStream.html
"""

from __future__ import annotations

import base64
import binascii
import json
from typing import Any, Protocol

from sandbox.emulator.calls import AwsError, Call, Handlers, trace_header
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions import names
from sandbox.emulator.functions.contract import InvokeOutcome
from sandbox.emulator.functions.execution import Invocation
from sandbox.emulator.functions.names import FunctionName
from sandbox.emulator.functions.store import FunctionStore
from sandbox.emulator.functions.streaming import ResponseStream, frames

SYNCHRONOUS_LIMIT_BYTES = 6 * 1024 * 1024
ASYNCHRONOUS_LIMIT_BYTES = 1024 * 1024
_CLIENT_CONTEXT_LIMIT_BYTES = 3583


class Runner(Protocol):
    """Runs, streams or queues one invocation."""

    def run(self, name: FunctionName, invocation: Invocation) -> InvokeOutcome:
        """Run it now."""

    def stream(self, name: FunctionName, invocation: Invocation) -> ResponseStream:
        """Run it now, and have its response as it comes."""

    def enqueue(self, name: FunctionName, invocation: Invocation) -> None:
        """Run it later."""


class InvokeApi:
    """Invoking through the API."""

    def __init__(self, core: AccountCore, store: FunctionStore, runner: Runner) -> None:
        self._core = core
        self._store = store
        self._runner = runner

    def handlers(self) -> Handlers:
        """The operations taken over from moto."""
        return {
            ("lambda", "Invoke"): self.invoke,
            ("lambda", "InvokeAsync"): self.invoke_async,
            ("lambda", "InvokeWithResponseStream"): self.invoke_with_response_stream,
        }

    def invoke(self, call: Call) -> dict[str, Any]:
        """RequestResponse, Event or DryRun."""
        name = self._name(call)
        payload = _bytes(call.params.get("Payload"))
        kind = call.params.get("InvocationType") or "RequestResponse"
        _check_size(payload, ASYNCHRONOUS_LIMIT_BYTES if kind == "Event" else SYNCHRONOUS_LIMIT_BYTES)
        target = self._store.resolve(name)
        if kind == "DryRun":
            return {"StatusCode": 204, "Payload": b""}
        _check_json(payload)
        invocation = self._invocation(call, payload)
        if kind == "Event":
            self._runner.enqueue(name, invocation)
            return {"StatusCode": 202, "Payload": b""}
        outcome = self._runner.run(name, invocation)
        if outcome.status >= 400:
            raise _refusal(outcome)
        result: dict[str, Any] = {
            "StatusCode": outcome.status,
            "Payload": outcome.payload,
            "ExecutedVersion": outcome.executed_version or target.version.version,
        }
        if outcome.function_error:
            result["FunctionError"] = outcome.function_error
        if call.params.get("LogType") == "Tail":
            result["LogResult"] = base64.b64encode(outcome.log_tail).decode()
        return result

    def invoke_async(self, call: Call) -> dict[str, Any]:
        """The deprecated way to queue an event."""
        name = self._name(call)
        payload = _bytes(call.params.get("InvokeArgs"))
        _check_size(payload, ASYNCHRONOUS_LIMIT_BYTES)
        self._store.resolve(name)
        _check_json(payload)
        self._runner.enqueue(
            name, Invocation(payload, "api", trace_header=trace_header(), request_id=call.request_id)
        )
        return {"Status": 202}

    def invoke_with_response_stream(self, call: Call) -> dict[str, Any]:
        """As Invoke, but the response is passed on while the function writes it."""
        name = self._name(call)
        payload = _bytes(call.params.get("Payload"))
        _check_size(payload, SYNCHRONOUS_LIMIT_BYTES)
        target = self._store.resolve(name)
        if call.params.get("InvocationType") == "DryRun":
            return {"StatusCode": 204, "EventStream": iter(())}
        _check_json(payload)
        stream = self._runner.stream(name, self._invocation(call, payload))
        outcome = stream.begin()
        if outcome is not None and outcome.status >= 400:
            raise _refusal(outcome)
        return {
            "StatusCode": 200,
            "ExecutedVersion": stream.version or target.version.version,
            "ResponseStreamContentType": "application/vnd.amazon.eventstream",
            "EventStream": frames(stream, with_log=call.params.get("LogType") == "Tail"),
        }

    @staticmethod
    def _invocation(call: Call, payload: bytes) -> Invocation:
        return Invocation(
            payload=payload,
            source="api",
            trace_header=trace_header(),
            client_context=_client_context(call.params.get("ClientContext") or ""),
            request_id=call.request_id,
        )

    @staticmethod
    def _name(call: Call) -> FunctionName:
        return names.of(call)


def _refusal(outcome: InvokeOutcome) -> AwsError:
    told = json.loads(outcome.payload)
    message = told.pop("Message", "")
    return AwsError(outcome.error_code, message, outcome.status, **told)


def _bytes(payload: Any) -> bytes:
    if payload is None:
        return b""
    if hasattr(payload, "read"):
        payload = payload.read()
    return payload.encode() if isinstance(payload, str) else bytes(payload)


def _check_size(payload: bytes, limit: int) -> None:
    if len(payload) > limit:
        raise AwsError(
            "RequestTooLargeException",
            f"Request must be smaller than {limit} bytes for the InvokeFunction operation",
            413,
            Type="User",
        )


def _check_json(payload: bytes) -> None:
    if not payload:
        return
    try:
        json.loads(payload)
    except ValueError as error:
        raise AwsError(
            "InvalidRequestContentException",
            f"Could not parse request body into json: Could not parse payload into json: {error}",
            400,
            Type="User",
        ) from None


def _client_context(encoded: str) -> str:
    """The client context as one line of JSON."""
    if not encoded:
        return ""
    if len(encoded) > _CLIENT_CONTEXT_LIMIT_BYTES:
        raise AwsError(
            "InvalidRequestContentException", "Client context must be no more than 3583 bytes.", 400
        )
    try:
        return json.dumps(json.loads(base64.b64decode(encoded, validate=True)))
    except (binascii.Error, ValueError):
        raise AwsError(
            "InvalidRequestContentException",
            "Client context must be a valid Base64-encoded JSON object.",
            400,
        ) from None
