"""What Lambda itself tells X-Ray of an invocation, and what it hands on to the function.

Source: https://docs.aws.amazon.com/lambda/latest/dg/services-xray.html
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions.credentials import role_principal
from sandbox.emulator.functions.store import FunctionVersion, Target
from sandbox.emulator.telemetry.otlp import receiver
from sandbox.emulator.telemetry.otlp.receiver import Export, Reply
from sandbox.emulator.telemetry.traces.headers import TraceHeader, new_id, new_trace_id
from sandbox.emulator.telemetry.traces.sampling import Sampler
from sandbox.emulator.telemetry.traces.service import Traces

ACTIVE = "Active"


@dataclass(slots=True)
class InvocationTrace:
    """One invocation's place in a trace. Times are the account's, in seconds since the epoch.

    ``recorded``: Lambda tells of it. Then the function's own subsegments belong below ``function_id``.
    """

    header: TraceHeader
    recorded: bool
    began: float
    links: tuple[TraceHeader, ...] = ()
    service_id: str = field(default_factory=new_id)
    function_id: str = field(default_factory=new_id)
    init: tuple[float, float] | None = None
    invoke: tuple[float, float] | None = None

    def handed_on(self) -> str:
        """The header as the function gets it."""
        if not self.recorded:
            parent = self.header.parent_id or new_id()
            return str(TraceHeader(self.header.trace_id, parent, bool(self.header.sampled)))
        return str(TraceHeader(self.header.trace_id, self.function_id, True))


@dataclass(frozen=True, slots=True)
class Told:
    """How an invocation ended. ``cause`` is the error as JSON, in the runtime's words."""

    request_id: str
    status: int = 200
    failed: bool = False
    cause: str = ""


class Tracer:
    """Decides which invocations are recorded, and tells of them."""

    def __init__(self, core: AccountCore, traces: Traces, chance: random.Random) -> None:
        self._core = core
        self._traces = traces
        self._sampler = Sampler(chance)

    def begin(
        self, version: FunctionVersion, trace_header: str, linked: tuple[str, ...] = ()
    ) -> InvocationTrace:
        """An invocation that begins now, called with this header, or for messages that came with others."""
        now = self._core.clock.time()
        links = tuple(header for text in linked if (header := TraceHeader.read(text)) is not None)
        given = TraceHeader.read(trace_header)
        if given is None:
            given = TraceHeader(new_trace_id(now), sampled=_any_sampled(links))
        if version.tracing != ACTIVE:
            return InvocationTrace(given, False, now, links)
        sampled = self._sampler.samples(version.arn, now) if given.sampled is None else given.sampled
        header = TraceHeader(given.trace_id, given.parent_id, sampled)
        if not sampled or not self._traces.may_write(role_principal(version), version.region, version.name):
            return InvocationTrace(header, False, now, links)
        return InvocationTrace(header, True, now, links)

    def take_datagram(self, version: FunctionVersion, data: bytes) -> None:
        """What a function sent to the daemon."""
        self._traces.take_datagram(data, role_principal(version), version.region, version.name)

    def take_export(self, version: FunctionVersion, export: Export) -> Reply:
        """What a function sent by OTLP."""
        place = role_principal(version), version.region, version.name
        return receiver.answer(
            export,
            lambda spans: self._traces.take_spans(spans, *place),
            lambda why: self._traces.drop(*place, why),
        )

    def tell(self, trace: InvocationTrace, target: Target, told: Told) -> None:
        """The segments of an invocation that is over."""
        if not trace.recorded:
            return
        end = self._core.clock.time()
        for document in (_service(trace, target, told, end), _function(trace, target, told, end)):
            if document is not None:
                self._traces.add(target.version.account_id, target.version.region, document)


def _any_sampled(links: tuple[TraceHeader, ...]) -> bool | None:
    """A batch is recorded when one of its messages was; nobody has decided when none says."""
    decided = [link.sampled for link in links if link.sampled is not None]
    return any(decided) if decided else None


def _service(trace: InvocationTrace, target: Target, told: Told, end: float) -> dict[str, Any]:
    """The segment of the Lambda service."""
    version = target.version
    document: dict[str, Any] = {
        "id": trace.service_id,
        "name": version.name,
        "start_time": trace.began,
        "trace_id": trace.header.trace_id,
        "end_time": end,
        "http": {"response": {"status": told.status}},
        "aws": {"request_id": told.request_id, "resource_names": [version.name]},
        "origin": "AWS::Lambda",
        "resource_arn": target.name.qualified_arn,
    }
    if trace.header.parent_id:
        document["parent_id"] = trace.header.parent_id
    if trace.links:
        document["links"] = [
            {"trace_id": link.trace_id, "id": link.parent_id, "attributes": {"ReferenceType": "parent"}}
            for link in trace.links
        ]
    if told.status == 429:
        document |= {"error": True, "throttle": True}
    elif told.status >= 500:
        document["fault"] = True
    return document


def _function(trace: InvocationTrace, target: Target, told: Told, end: float) -> dict[str, Any] | None:
    """The segment of the function's environment; None when it never got that far."""
    version = target.version
    phases = [("Initialization", trace.init), ("Invocation", trace.invoke)]
    reached = [(name, span) for name, span in phases if span is not None]
    if not reached:
        return None
    if trace.invoke is not None and end > trace.invoke[1]:
        reached.append(("Overhead", (trace.invoke[1], end)))
    arn = target.name.qualified_arn
    document: dict[str, Any] = {
        "id": trace.function_id,
        "name": version.name,
        "start_time": reached[0][1][0],
        "trace_id": trace.header.trace_id,
        "end_time": end,
        "parent_id": trace.service_id,
        "aws": {
            "account_id": version.account_id,
            "function_arn": arn,
            "resource_names": [version.name],
        },
        "origin": "AWS::Lambda::Function",
        "resource_arn": arn,
        "subsegments": [
            {
                "id": new_id(),
                "name": name,
                "start_time": began,
                "end_time": ended,
                "aws": {"function_arn": arn},
            }
            for name, (began, ended) in reached
        ],
    }
    if told.failed:
        document["fault"] = True
        if cause := _cause(told.cause):
            document["cause"] = cause
    return document


def _cause(payload: str) -> dict[str, Any] | None:
    """An error payload as X-Ray's cause."""
    try:
        error = json.loads(payload)
    except (ValueError, RecursionError):
        return None
    if not isinstance(error, dict):
        return None
    exception = {"id": new_id(), "type": str(error.get("errorType", "")), "remote": False}
    exception["message"] = str(error.get("errorMessage", ""))[:1024]
    return {"working_directory": "/var/task", "exceptions": [exception]}
