"""Functions: how they are configured, and calling them."""

from __future__ import annotations

import base64
import json
import re
from dataclasses import dataclass
from typing import Any

from sandbox.account import Account
from sandbox.console.refusals import Refused, asks

# Lambda's own limit of a synchronous event, and what a page shows of an answer.
# Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
EVENT_BYTES = 6_291_456
_SHOWN = 100_000
_REPORT = re.compile(r"Duration: ([\d.]+) ms")
_INIT = re.compile(r"Init Duration: ([\d.]+) ms")


@dataclass(frozen=True, slots=True)
class Function:
    """A function's configuration, as AWS tells it."""

    name: str
    arn: str
    configuration: dict[str, Any]
    sources: list[str]


@dataclass(frozen=True, slots=True)
class Invocation:
    """What came of a call. ``error`` is Lambda's word for how it failed, else empty."""

    status: int
    error: str
    answer: str
    log: str
    duration_ms: float | None
    init_ms: float | None
    request_id: str


@asks
def read(account: Account, name: str) -> Function:
    """A function and what calls it by a mapping."""
    client = account.client("lambda")
    found = client.get_function_configuration(FunctionName=name)
    mappings = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
    return Function(
        found["FunctionName"],
        found["FunctionArn"],
        {key: value for key, value in found.items() if key != "ResponseMetadata"},
        [str(each.get("EventSourceArn", "")) for each in mappings],
    )


@asks
def invoke(account: Account, name: str, event: str) -> Invocation:
    """Call a function and wait for its answer.

    Raises:
        Refused: the event is no JSON.
    """
    if len(event.encode()) > EVENT_BYTES:
        raise Refused("A synchronous event has at most 6 MB.")
    try:
        json.loads(event)
    except ValueError as error:
        raise Refused(f"The event is not JSON: {error}") from None
    answered = account.client("lambda").invoke(FunctionName=name, Payload=event.encode(), LogType="Tail")
    log = base64.b64decode(answered.get("LogResult", "")).decode("utf-8", "replace")
    body = answered["Payload"].read().decode("utf-8", "replace")
    took, began = _REPORT.search(log), _INIT.search(log)
    return Invocation(
        status=answered["StatusCode"],
        error=answered.get("FunctionError", ""),
        answer=pretty(body)[:_SHOWN],
        log=log,
        duration_ms=float(took[1]) if took else None,
        init_ms=float(began[1]) if began else None,
        request_id=answered["ResponseMetadata"].get("RequestId", ""),
    )


def pretty(text: str) -> str:
    """JSON over several lines; anything else as it is."""
    try:
        return json.dumps(json.loads(text), indent=2, ensure_ascii=False)
    except ValueError:
        return text
