"""One invocation from the event to the outcome: cold or warm, its log, its report."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field
from typing import Protocol

from sandbox.emulator.clock import VirtualClock
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions import failures, recursion
from sandbox.emulator.functions.contract import InvokeOutcome
from sandbox.emulator.functions.environments import Ended, ExecutionEnvironment, How
from sandbox.emulator.functions.failures import Failure
from sandbox.emulator.functions.fleet import Fleet
from sandbox.emulator.functions.logs import PROVISIONED, InvocationLog, LogWriter, Usage
from sandbox.emulator.functions.runtime_api import Event
from sandbox.emulator.functions.store import FunctionVersion, Target
from sandbox.emulator.functions.timing import Spent, duration_ms
from sandbox.emulator.functions.tracing import InvocationTrace, Told, Tracer

INIT_LIMIT_S = 10.0
PROVISIONED_INIT_LIMIT_S = 130.0


class StreamSink(Protocol):
    """Takes a response piece by piece, in the thread that drives the environment."""

    def started(self, version: str) -> None:
        """The event goes to this version of the function."""

    def chunk(self, content_type: str, data: bytes) -> None:
        """A piece of the response."""


@dataclass(frozen=True, slots=True)
class Invocation:
    """One event on its way into a function. ``source`` says who caused it, for the timeline.

    With a ``sink`` the response goes there, as it comes if the function streams it. ``linked_traces`` are the
    tracing headers of the messages in it, where they are no caller's.
    """

    payload: bytes
    source: str
    trace_header: str = ""
    client_context: str = ""
    linked_traces: tuple[str, ...] = ()
    sink: StreamSink | None = None
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))

    @property
    def chain(self) -> str:
        """The tracing header that tells in which chain of events it happens."""
        return recursion.longest((self.trace_header, *self.linked_traces))


@dataclass(slots=True)
class _Run:
    """What is known about an invocation while it runs."""

    version: FunctionVersion
    log: InvocationLog
    began: float
    trace: InvocationTrace | None = None
    environment: ExecutionEnvironment | None = None
    qualifier: str = ""
    log_refusal: str | None = None
    init_ms: float | None = None
    duration_ms: float = 0.0
    wall_ms: float = 0.0
    memory_mb: int = 0
    dropped_bytes: int = 0
    concurrency: tuple[int, int] = (1, 1)
    failure: Failure | None = None
    payload: bytes = b""


class Executor:
    """Runs invocations in the calling thread. Hold a slot of the fleet around :meth:`run`."""

    def __init__(
        self, core: AccountCore, fleet: Fleet, tracer: Tracer, *, init_limit_s: float = INIT_LIMIT_S
    ) -> None:
        self._core = core
        self._fleet = fleet
        self._tracer = tracer
        self._logs = LogWriter(core)
        self._init_limit_s = init_limit_s

    def run(self, target: Target, invocation: Invocation) -> InvokeOutcome:
        """Run one event to its end.

        Raises:
            AwsError: the function's package or runtime cannot be used.
            EnvironmentFault: no environment could be started: our fault.
        """
        version = target.version
        run = _Run(version, InvocationLog(version, self._fleet.now_ms), time.monotonic())
        run.qualifier = target.name.qualifier
        run.concurrency = self._fleet.concurrency(version)
        run.trace = self._tracer.begin(version, invocation.trace_header, invocation.linked_traces)
        run.environment = self._fleet.take_idle(version)
        if run.environment is None:
            self._start(run, invocation)
        assert run.environment is not None
        if run.failure is None:
            self._invoke(run, target, invocation)
        else:
            run.log.start(invocation.request_id)
        outcome = self._finish(run, invocation)
        cause = run.failure.payload.decode("utf-8", "replace") if run.failure else ""
        told = Told(invocation.request_id, failed=run.failure is not None, cause=cause)
        self._tracer.tell(run.trace, target, told)
        return outcome

    def prepare(self, version: FunctionVersion) -> bool:
        """Start an environment and leave it ready for events to come; whether its init went well."""
        log = InvocationLog(version, self._fleet.now_ms)
        log.init_start(PROVISIONED)
        environment = self._fleet.start(version, provisioned=True)
        run = _Run(version, log, time.monotonic(), environment=environment)
        ended = environment.initialise(max(PROVISIONED_INIT_LIMIT_S, version.timeout_s))
        if ended.how is How.READY:
            self._take_output(run)
            log.init_report("init", ended.duration_ms, "success")
            environment.rest(0.0)
            self._fleet.rest(environment)
        else:
            self._init_failed(run, ended, "init", Invocation(b"", "provisioned"))
            environment.provisioned = False
            self._fleet.retire(environment)
        self._write(run)
        return ended.how is How.READY

    def _start(self, run: _Run, invocation: Invocation) -> None:
        """A cold start. An init that fails is run once more as part of the invocation, as on Lambda.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtime-environment.html
        """
        self._fleet.prepare(run.version)  # On Lambda, too, this is not yet the init phase.
        began, began_at = time.monotonic(), self._core.clock.time()
        run.log.init_start()
        run.environment = self._fleet.start(run.version)
        ended = run.environment.initialise(self._init_limit_s)
        assert run.trace is not None
        run.trace.init = (began_at, self._core.clock.time())
        if ended.how is How.READY:
            spent = Spent((time.monotonic() - began) * 1000, *run.environment.used())
            run.init_ms = spent.unhindered_ms
            self._take_output(run)
            run.log.init_done(run.init_ms)
            return
        self._init_failed(run, ended, "init", invocation)
        self._fleet.retire(run.environment)
        run.began = time.monotonic()
        run.environment = self._fleet.start(run.version)
        ended = run.environment.initialise(run.version.timeout_s)
        if ended.how is How.READY:
            run.environment.used()
            self._take_output(run)
            return
        run.failure = self._init_failed(run, ended, "invoke", invocation)
        run.duration_ms = ended.duration_ms

    def _init_failed(self, run: _Run, ended: Ended, phase: str, invocation: Invocation) -> Failure:
        failure = self._describe(ended, run.version, invocation)
        assert failure is not None
        self._take_output(run)
        status = "timeout" if ended.how is How.TIMED_OUT else "error"
        run.log.init_report(phase, ended.duration_ms, status, failure.error_type)
        return failure

    def _invoke(self, run: _Run, target: Target, invocation: Invocation) -> None:
        environment, version, trace = run.environment, run.version, run.trace
        assert environment is not None
        assert trace is not None
        run.log_refusal = self._logs.refusal(version, environment.log_stream)
        # What printed while nothing was asked of it, before it froze, was taken with the last invocation.
        run.log.start(invocation.request_id)
        spent_s = (
            time.monotonic() - run.began if run.init_ms is None and environment.invocations == 0 else 0.0
        )
        limit_s = max(version.timeout_s - spent_s, 0.001)
        event = Event(
            request_id=invocation.request_id,
            payload=invocation.payload or b"{}",
            deadline_ms=int((VirtualClock.wall_time() + environment.clock_ahead_s + limit_s) * 1000),
            function_arn=target.name.qualified_arn,
            trace_header=recursion.continued(trace.handed_on(), target.name, invocation.chain),
            client_context=invocation.client_context,
        )
        sink = invocation.sink
        if sink is not None:
            sink.started(version.version)
        began_at = self._core.clock.time()
        ended = environment.invoke(
            event,
            limit_s,
            take_chunk=sink.chunk if sink is not None else None,
            on_output=lambda: self._hand_on(run),
        )
        trace.invoke = (began_at, self._core.clock.time())
        run.failure = self._describe(ended, version, invocation)
        run.payload = ended.answer.body if ended.answer is not None else b""
        if (
            sink is not None
            and ended.answer is not None
            and run.failure is None
            and not ended.answer.streamed
        ):
            sink.chunk("application/json", run.payload)
        if ended.how is How.TIMED_OUT:
            run.duration_ms = float(version.timeout_s * 1000)
        alive = ended.how is How.ANSWERED and environment.rest(limit_s - ended.duration_ms / 1000)
        run.memory_mb = environment.memory_peak_mb()
        run.wall_ms = ended.duration_ms + spent_s * 1000
        if ended.how is not How.TIMED_OUT:
            spent = Spent(ended.duration_ms, *environment.used())
            modelled_ms = duration_ms(spent, version.memory_mb) + spent_s * 1000
            run.duration_ms = min(modelled_ms, version.timeout_s * 1000.0)
        self._take_output(run)
        if alive:
            self._fleet.rest(environment)
        else:
            self._fleet.retire(environment)

    def _describe(self, ended: Ended, version: FunctionVersion, invocation: Invocation) -> Failure | None:
        return failures.describe(
            ended,
            request_id=invocation.request_id,
            timeout_s=version.timeout_s,
            now_ms=self._fleet.now_ms(),
        )

    def _hand_on(self, run: _Run) -> None:
        """Let what the function printed so far be seen while it runs."""
        assert run.environment is not None
        lines, _dropped = run.environment.output.take(ended=False)
        run.log.lines(lines)
        self._write(run)

    def _write(self, run: _Run) -> None:
        assert run.environment is not None
        self._logs.write(
            run.version, run.environment.log_stream, run.log.unwritten(), refusal=run.log_refusal
        )

    def _take_output(self, run: _Run) -> None:
        assert run.environment is not None
        lines, dropped = run.environment.output.take()
        run.log.lines(lines)
        run.dropped_bytes += dropped

    def _finish(self, run: _Run, invocation: Invocation) -> InvokeOutcome:
        environment, failure, version = run.environment, run.failure, run.version
        assert environment is not None
        if failure is not None and failure.status and environment.invocations == 0:
            run.memory_mb = environment.memory_peak_mb()
            self._fleet.retire(environment)
        if failure is not None and failure.log_line:
            run.log.failure(failure.log_line)
        usage = Usage(
            duration_ms=run.duration_ms,
            memory_mb=min(run.memory_mb, version.memory_mb),
            init_ms=run.init_ms,
            status=failure.status if failure else "",
            error_type=failure.error_type if failure and failure.status else "",
        )
        run.log.report(invocation.request_id, usage)
        self._write(run)
        outcome = InvokeOutcome(
            status=200,
            payload=failure.payload if failure else run.payload,
            function_error="Unhandled" if failure else "",
            executed_version=version.version,
            request_id=invocation.request_id,
            log_tail=run.log.tail(),
            duration_ms=round(run.duration_ms, 2),
            init_ms=None if run.init_ms is None else round(run.init_ms, 2),
            environment_id=environment.environment_id,
        )
        self._record(run, invocation, usage)
        return outcome

    def _record(self, run: _Run, invocation: Invocation, usage: Usage) -> None:
        failure, environment, version = run.failure, run.environment, run.version
        assert environment is not None
        self._core.timeline.add(
            "invocation",
            version.name,
            account_id=version.account_id,
            region=version.region,
            outcome=(failure.error_type or failure.status) if failure else "ok",
            function=version.arn,
            version=version.version,
            qualifier=run.qualifier,
            request_id=invocation.request_id,
            environment_id=environment.environment_id,
            source=invocation.source,
            duration_ms=round(usage.duration_ms, 2),
            wall_ms=round(run.wall_ms, 2),
            init_ms=None if usage.init_ms is None else round(usage.init_ms, 2),
            billed_ms=usage.billed_ms,
            concurrency=run.concurrency[0],
            account_concurrency=run.concurrency[1],
            memory_mb=usage.memory_mb,
            output_bytes_dropped=run.dropped_bytes,
            trace_id=run.trace.header.trace_id if run.trace is not None else "",
            linked_traces=[link.trace_id for link in run.trace.links] if run.trace is not None else [],
        )
