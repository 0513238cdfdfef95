"""One execution of a state machine, from its start to its end."""

from __future__ import annotations

import datetime as dt
import functools
import json
import random
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from sandbox.emulator.calls import Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import roles
from sandbox.emulator.fabric.stepfunctions.errors import TIMEOUT, StatesError
from sandbox.emulator.fabric.stepfunctions.fibers import Completions, Fiber, Weaver
from sandbox.emulator.fabric.stepfunctions.history import EVENTS_LIMIT, NOT_TRUNCATED, Event, History, data
from sandbox.emulator.fabric.stepfunctions.logs import LogSink
from sandbox.emulator.fabric.stepfunctions.mapruns import Child, DistributedMaps, MapRun
from sandbox.emulator.fabric.stepfunctions.states import Frame, Interpreter, Progress
from sandbox.emulator.fabric.stepfunctions.tasks import ExecutionsView, Integrations
from sandbox.emulator.fabric.stepfunctions.tracing import MachineTracer, Subject

SERVICE = "states.amazonaws.com"
# Source: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
EXPRESS_LIMIT_S = 300.0
_REDRIVABLE_FOR = dt.timedelta(days=14)


@dataclass(frozen=True, slots=True)
class Machine:
    """A state machine as an execution keeps it, whatever is changed meanwhile."""

    arn: str
    name: str
    account_id: str
    region: str
    role_arn: str
    definition: Mapping[str, Any] = field(repr=False)
    text: str = field(repr=False)
    express: bool = False
    logging: Mapping[str, Any] = field(default_factory=dict)
    traced: bool = False
    version_arn: str = ""
    alias_arn: str = ""
    """By which version and alias it was started, if by any."""

    @property
    def owner_arn(self) -> str:
        """The machine that was made; the machine of a Map Run's children is a part of it."""
        return self.arn.partition("/")[0]

    def processor(self, run: MapRun) -> Machine:
        """The machine of a Map Run's children."""
        return replace(
            self,
            arn=f"{self.arn}/{run.label}",
            name=f"{self.name}/{run.label}",
            definition=run.processor,
            text=json.dumps(run.processor),
            express=run.express,
            version_arn="",
            alias_arn="",
        )


class Executions(ExecutionsView, Protocol):
    """All of an account's executions."""

    def spawn(
        self, machine: Machine, given: str, trace_header: str, map_run: MapRun, item_count: int
    ) -> Execution:
        """A Map Run's child, which is started by whoever asked for it."""


class Execution:
    """Runs by itself once started; everything it shows is safe to read at any time."""

    def __init__(
        self,
        core: AccountCore,
        machine: Machine,
        arn: str,
        name: str,
        given: str,
        executions: Executions,
        completions: Completions,
        ended: Callable[[Execution], None],
        tracer: MachineTracer,
        trace_header: str = "",
        map_run: MapRun | None = None,
        item_count: int = 0,
    ) -> None:
        self._core = core
        self.machine = machine
        self.arn = arn
        self.name = name
        self.input = given
        self.status = "RUNNING"
        self.started_at = core.clock.now()
        self.stopped_at: dt.datetime | None = None
        self.output: str | None = None
        self.error: str | None = None
        self.cause: str | None = None
        self.map_runs: dict[str, MapRun] = {}
        self.map_run = map_run
        self.item_count = item_count
        self.redrives = 0
        self.redriven_at: dt.datetime | None = None
        self._executions = executions
        self._progress = Progress()
        self.done = threading.Event()
        self._ended = ended
        self._logs = LogSink(core, machine, arn)
        self.history = History(core.clock.now, self._logs.note, None if machine.express else EVENTS_LIMIT)
        label = f"state machine {machine.name}"
        hold = functools.partial(core.faults.hold, machine.region, label=label)
        self._subject = Subject(machine.arn, machine.name, machine.account_id, machine.region, machine.traced)
        self.trace = tracer.trace(self._subject, trace_header, self._assume)
        self._weaver = Weaver(core.work, completions, label, self.trace.header, hold)
        tasks = Integrations(core, self.history, executions, self._assume, machine.region, label, self.trace)
        maps = DistributedMaps(self.history, self, arn, machine.arn, core.clock.now, self.map_runs)
        self._interpreter = Interpreter(
            self.history, tasks, maps, core.clock.now, random.Random(arn), self.trace
        )
        self._root: Fiber | None = None
        self._timer: Any = None

    def _assume(self) -> Principal:
        try:
            return roles.assume(self._core, self.machine.role_arn, SERVICE, source_arn=self.machine.owner_arn)
        except roles.RoleRefused as error:
            raise StatesError("States.Permissions", str(error)) from None

    def client(self, service: str) -> Any:
        """A client in the machine's role."""
        return self._core.clients.client(service, region=self.machine.region, principal=self._assume())

    def refusal(self, action: str, resource: str) -> str:
        """Why the machine's role may not do something; empty when it may."""
        return self._core.guard.refusal(self._assume(), action, resource, region=self.machine.region)

    def spawn(self, run: MapRun, fiber: Fiber, given: Any, item_count: int) -> Child:
        """A child of a Map Run, which begins when it is told to."""
        machine = self.machine.processor(run)
        return self._executions.spawn(machine, data(given), self.trace.below(fiber), run, item_count)

    def when_ended(self, arn: str, then: Callable[[Mapping[str, Any]], None]) -> None:
        """Call ``then`` with the description of an execution once it has ended."""
        self._executions.when_ended(arn, then)

    def start(self) -> None:
        """Begin; returns once the execution waits for the first time."""
        with self._weaver.lock:
            if self.status != "RUNNING":
                return
            first = self.history.add(
                0,
                "ExecutionStarted",
                input=self.input,
                inputDetails=NOT_TRUNCATED,
                roleArn=self.machine.role_arn,
            )
            self._run_from(first, "started")

    def redrive(self) -> None:
        """Go on where it failed, was stopped or ran out of time.

        Source: https://docs.aws.amazon.com/step-functions/latest/dg/redrive-executions.html
        """
        with self._weaver.lock:
            if self.status in ("RUNNING", "SUCCEEDED"):
                return
            self.status, self.stopped_at, self.output, self.error, self.cause = "RUNNING", *([None] * 4)
            self.redrives, self.redriven_at = self.redrives + 1, self._core.clock.now()
            self._logs.redrives = self.redrives
            self.done.clear()
            last = len(self.history.events)
            self._run_from(
                self.history.add(last, "ExecutionRedriven", redriveCount=self.redrives), "redriven"
            )

    def _run_from(self, first: int, outcome: str) -> None:
        """Run what is left to do; ``first`` is the event that the next one follows. Hold the lock."""
        limit_s = self.machine.definition.get("TimeoutSeconds")
        if self.machine.express:
            limit_s = min(float(limit_s or EXPRESS_LIMIT_S), EXPRESS_LIMIT_S)
        self._core.timeline.add(
            "execution",
            self.machine.name,
            account_id=self.machine.account_id,
            region=self.machine.region,
            outcome=outcome,
            execution=self.arn,
            state_machine=self.machine.arn,
        )
        self.trace.begin(self._subject, self.arn)
        if limit_s is not None:
            self._timer = self._core.work.submit(
                self._time_out,
                label=f"state machine {self.machine.name}: time limit",
                delay_s=float(limit_s),
            )

        def run(fiber: Fiber) -> Any:
            fiber.last_event = first
            language = self.machine.definition.get("QueryLanguage") or "JSONPath"
            frame = Frame(fiber, self._context(), {}, language, self._progress)
            self._root = fiber
            return self._interpreter.run(self.machine.definition, json.loads(self.input), frame)

        self._weaver.start(run, self._finish)

    def _context(self) -> dict[str, Any]:
        return {
            "Execution": {
                "Id": self.arn,
                "Input": json.loads(self.input),
                "Name": self.name,
                "RoleArn": self.machine.role_arn,
                "StartTime": _moment(self.started_at),
                "RedriveCount": self.redrives,
                **({"RedriveTime": _moment(self.redriven_at)} if self.redriven_at is not None else {}),
            },
            "StateMachine": {"Id": self.machine.arn, "Name": self.machine.name},
        }

    def _finish(self, value: Any, error: StatesError | None) -> None:
        if error is None:
            self._close("SUCCEEDED", "ExecutionSucceeded", output=data(value), outputDetails=NOT_TRUNCATED)
        elif error.name == TIMEOUT and not error.cause:
            self._close("FAILED", "ExecutionFailed", error=error.name)
        else:
            self._close("FAILED", "ExecutionFailed", error=error.name or None, cause=error.cause or None)

    def _time_out(self) -> None:
        with self._weaver.lock:
            self._close("TIMED_OUT", "ExecutionTimedOut", error=TIMEOUT)

    def stop(self, error: str | None, cause: str | None) -> None:
        """Abort it, if it runs."""
        with self._weaver.lock:
            self._close("ABORTED", "ExecutionAborted", error=error, cause=cause)

    def _close(self, status: str, kind: str, **details: Any) -> None:
        if self.status != "RUNNING":
            return
        last = self._root.last_event if self._root is not None else 0
        self.history.add(last, kind, **details)
        self.status, self.stopped_at = status, self._core.clock.now()
        self.output = details.get("output")
        self.error, self.cause = details.get("error"), details.get("cause")
        if self._root is not None:
            self._root.cancel()
        if self._timer is not None:
            self._core.work.cancel(self._timer)
        failed = None if status == "SUCCEEDED" else StatesError(self.error or status, self.cause or "")
        self.trace.end(self._subject, self.arn, failed)
        self._logs.flush()
        self.done.set()
        self._core.timeline.add(
            "execution",
            self.machine.name,
            account_id=self.machine.account_id,
            region=self.machine.region,
            outcome="ok" if status == "SUCCEEDED" else self.error or status,
            execution=self.arn,
            state_machine=self.machine.arn,
            status=status,
            duration_ms=round((self.stopped_at - self.started_at).total_seconds() * 1000, 1),
            cause=self.cause or "",
        )
        self._ended(self)

    def shown(self) -> dict[str, Any]:
        """As DescribeExecution answers it."""
        made: dict[str, Any] = {
            "executionArn": self.arn,
            "stateMachineArn": self.machine.arn,
            "name": self.name,
            "status": self.status,
            "startDate": self.started_at,
            "input": self.input,
            "inputDetails": {"included": True},
            "redriveCount": self.redrives,
        }
        optional = {
            "stateMachineVersionArn": self.machine.version_arn or None,
            "stateMachineAliasArn": self.machine.alias_arn or None,
            "stopDate": self.stopped_at,
            "output": self.output,
            "error": self.error,
            "cause": self.cause,
            "traceHeader": self.trace.header or None,
            "mapRunArn": self.map_run.arn if self.map_run is not None else None,
            "redriveDate": self.redriven_at,
        }
        if not self.machine.express:
            made["redriveStatus"], reason = self.redrivable()
            made |= {"redriveStatusReason": reason} if reason else {}
        made |= {name: value for name, value in optional.items() if value is not None}
        if self.output is not None:
            made["outputDetails"] = {"included": True}
        return made

    def redrivable(self) -> tuple[str, str]:
        """Whether it can be redriven, and else why not."""
        if self.status in ("RUNNING", "SUCCEEDED") or self.stopped_at is None:
            return "NOT_REDRIVABLE", f"Execution is {self.status} and cannot be redriven"
        if self.map_run is not None:
            return "REDRIVABLE_BY_MAP_RUN", "Execution is a child of a Map Run; redrive its parent instead"
        if self._core.clock.now() - self.stopped_at > _REDRIVABLE_FOR:
            return "NOT_REDRIVABLE", "Execution has exceeded the 14 days in which it can be redriven"
        if len(self.history.events) >= EVENTS_LIMIT - 1:
            return "NOT_REDRIVABLE", "Execution's history has reached its limit"
        return "REDRIVABLE", ""

    def events(self) -> list[Event]:
        """Its history so far."""
        return list(self.history.events)


def _moment(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
