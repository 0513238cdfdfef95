"""What a state machine tells X-Ray of an execution: a segment, and below it what its states did.

AWS documents when executions are traced, not how their subsegments look; theirs here are one for each state
and, below it, one for each call that an attempt of it made.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-xray-tracing.html
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from sandbox.emulator.calls import Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.stepfunctions.errors import StatesError
from sandbox.emulator.fabric.stepfunctions.fibers import Fiber
from sandbox.emulator.telemetry.traces.documents import Document, verdict
from sandbox.emulator.telemetry.traces.headers import TraceHeader, new_id, new_trace_id
from sandbox.emulator.telemetry.traces.sampling import Sampler
from sandbox.emulator.telemetry.traces.service import Traces

ORIGIN = "AWS::StepFunctions::StateMachine"
# A name in a segment has no other characters, and no more of them.
_NAME_LIMIT = 200
_CAUSE_LIMIT = 1024


@dataclass(frozen=True, slots=True)
class Subject:
    """The machine whose executions are traced."""

    arn: str
    name: str
    account_id: str
    region: str
    traced: bool


@dataclass(slots=True)
class ExecutionTrace:
    """One execution's place in a trace. ``header`` is what came with it, or what it began.

    ``put`` takes documents; None: the execution tells nothing, and hands on what it was given.
    """

    header: str
    now: Callable[[], float]
    put: Callable[[Document], None] | None = None
    trace: TraceHeader = field(default_factory=lambda: TraceHeader(""))
    segment_id: str = ""
    began: float = 0.0

    def below(self, fiber: Fiber) -> str:
        """The header of what a state starts that tells of itself."""
        if self.put is None:
            return self.header
        return str(TraceHeader(self.trace.trace_id, fiber.subsegment or self.segment_id, True))

    def begin(self, machine: Subject, execution_arn: str) -> None:
        """The execution starts, for the first time or again: its segment is in progress."""
        self.segment_id, self.began = new_id(), self.now()
        self._tell(self._segment(machine, execution_arn) | {"in_progress": True})

    def end(self, machine: Subject, execution_arn: str, error: StatesError | None) -> None:
        """The execution is over."""
        self._tell(self._segment(machine, execution_arn) | {"end_time": self.now()} | _failure(error))

    def _segment(self, machine: Subject, execution_arn: str) -> Document:
        document: Document = {
            "id": self.segment_id,
            "name": machine.name,
            "start_time": self.began,
            "trace_id": self.trace.trace_id,
            "aws": {
                "account_id": machine.account_id,
                "region": machine.region,
                "execution_arn": execution_arn,
                "resource_names": [machine.name],
            },
            "origin": ORIGIN,
            "resource_arn": machine.arn,
        }
        return document | ({"parent_id": self.trace.parent_id} if self.trace.parent_id else {})

    @contextmanager
    def state(self, fiber: Fiber, name: str) -> Iterator[None]:
        """What happens within belongs to a state. One that does not come to its end is at fault."""
        if self.put is None:
            yield
            return
        above, began = fiber.subsegment, self.now()
        fiber.subsegment, error = new_id(), StatesError("States.Aborted", "The execution ended.")
        ended: StatesError | None = error
        try:
            yield
            ended = None
        except StatesError as failure:
            ended = failure
            raise
        finally:
            self._below(above or self.segment_id, fiber.subsegment, name, began, _failure(ended))
            fiber.subsegment = above

    @contextmanager
    def call(self, fiber: Fiber, service: str, operation: str, given: Any, region: str) -> Iterator[str]:
        """A call of a service, with the header that goes along with it."""
        if self.put is None:
            yield self.header
            return
        began, called = self.now(), new_id()
        about: Document = {
            "namespace": "aws",
            "aws": {"operation": operation, "region": region, **_called(given)},
        }
        told: Document = _failure(StatesError("States.Aborted", "The execution ended."))
        try:
            yield str(TraceHeader(self.trace.trace_id, called, True))
            told = {"http": {"response": {"status": 200}}}
        except StatesError as failure:
            told = _refusal(failure)
            raise
        finally:
            self._below(fiber.subsegment or self.segment_id, called, service, began, about | told)

    def _below(self, parent_id: str, segment_id: str, name: str, began: float, more: Document) -> None:
        document = {
            "id": segment_id,
            "name": _plain(name),
            "start_time": began,
            "end_time": self.now(),
            "trace_id": self.trace.trace_id,
            "parent_id": parent_id,
            "type": "subsegment",
        }
        self._tell(document | more)

    def _tell(self, document: Document) -> None:
        if self.put is not None:
            self.put(document)


class MachineTracer:
    """Decides which executions are recorded."""

    def __init__(self, core: AccountCore, traces: Traces | None) -> None:
        self._core = core
        self._traces = traces
        self._sampler = Sampler(random.Random())

    def trace(self, machine: Subject, header: str, assume: Callable[[], Principal]) -> ExecutionTrace:
        """The trace of an execution that was started with ``header``.

        With tracing, X-Ray's default rule says which are recorded, unless a caller decided; without, those
        are that a caller decided to record. A role that may not write traces leaves none.
        """
        now = self._core.clock.time
        given = TraceHeader.read(header)
        if self._traces is None or (not machine.traced and (given is None or not given.sampled)):
            return ExecutionTrace(header, now)
        if given is None:
            given = TraceHeader(new_trace_id(now()), sampled=False if "Sampled=0" in header else None)
        sampled = given.sampled
        if sampled is None:
            sampled = self._sampler.samples(machine.arn, now())
        made = ExecutionTrace(str(TraceHeader(given.trace_id, given.parent_id, sampled)), now)
        if sampled and self._may_write(machine, assume):
            traces, made.trace = self._traces, given
            made.put = lambda document: traces.add(machine.account_id, machine.region, document)
        return made

    def _may_write(self, machine: Subject, assume: Callable[[], Principal]) -> bool:
        assert self._traces is not None
        try:
            role = assume()
        except StatesError:
            return False
        return self._traces.may_write(role, machine.region, machine.name, quietly=not machine.traced)


def _called(given: Any) -> Document:
    """What X-Ray reads of a call to know what was called."""
    if not isinstance(given, Mapping):
        return {}
    names = {"TableName": "table_name", "QueueUrl": "queue_url", "TopicArn": "topic_arn"}
    found: Document = {names[name]: str(given[name]) for name in names if given.get(name)}
    if function := given.get("FunctionName"):
        found["function_name"] = _function(str(function))
        found["resource_names"] = [found["function_name"]]
    if machine := given.get("StateMachineArn"):
        found["resource_names"] = [str(machine).split(":stateMachine:")[-1]]
    return found


def _function(text: str) -> str:
    if not text.startswith("arn:"):
        return text.partition(":")[0]
    return Arn.parse(text).resource.removeprefix("function:").partition(":")[0]


def _failure(error: StatesError | None) -> Document:
    if error is None:
        return {}
    exception = {"id": new_id(), "type": error.name, "message": error.cause[:_CAUSE_LIMIT], "remote": False}
    return {"fault": True, "cause": {"exceptions": [exception]}}


def _refusal(error: StatesError) -> Document:
    """A call that failed: the caller's error where the service says so, else a fault."""
    told = _failure(error)
    if not isinstance(error.__cause__, ClientError):
        return told
    status = int(error.__cause__.response["ResponseMetadata"]["HTTPStatusCode"])
    del told["fault"]
    return told | verdict(status) | {"http": {"response": {"status": status}}}


def _plain(name: str) -> str:
    """A state's name without what a segment's may not hold."""
    kept = (each if each.isalnum() or each in "_.:/%&#=+\\-@ " else "_" for each in name[:_NAME_LIMIT])
    return "".join(kept)
