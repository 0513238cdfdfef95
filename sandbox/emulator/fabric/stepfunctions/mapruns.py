"""Distributed Map: a Map Run whose iterations are executions of their own, with failures that are tolerated.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html
"""

from __future__ import annotations

import datetime as dt
import secrets
import uuid
from collections import Counter
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sandbox.emulator.fabric.stepfunctions import mapitems, mapresults
from sandbox.emulator.fabric.stepfunctions.errors import StatesError
from sandbox.emulator.fabric.stepfunctions.fibers import Branch, Call, Effect, Fiber, Gather
from sandbox.emulator.fabric.stepfunctions.history import History, data
from sandbox.emulator.fabric.stepfunctions.states import Frame, Select

# Source: https://docs.aws.amazon.com/step-functions/latest/dg/state-map-distributed.html (MaxConcurrency)
CHILDREN_AT_ONCE = 10_000
PENDING, RUNNING, SUCCEEDED = "PENDING", "RUNNING", "SUCCEEDED"
_FAILURES = frozenset({"FAILED", "TIMED_OUT", "ABORTED"})
_EXCEEDED = (
    "States.ExceedToleratedFailureThreshold",
    "The specified tolerated failure threshold was exceeded",
)
_OWN = frozenset({mapitems.READING_FAILED, mapresults.WRITING_FAILED, "States.Permissions"})


class Child(Protocol):
    """An execution that a Map Run started."""

    arn: str

    def start(self) -> None:
        """Begin."""

    def stop(self, error: str | None, cause: str | None) -> None:
        """Abort it, if it runs."""

    def shown(self) -> dict[str, Any]:
        """Its description."""

    def redrive(self) -> None:
        """Go on where it failed."""


class Children(Protocol):
    """What a Map Run needs of the execution that it belongs to."""

    def client(self, service: str) -> Any:
        """A client in the machine's role."""

    def refusal(self, action: str, resource: str) -> str:
        """Why the machine's role may not do something; empty when it may."""

    def spawn(self, run: MapRun, fiber: Fiber, given: Any, item_count: int) -> Child:
        """A child execution that begins when it is told to."""

    def when_ended(self, arn: str, then: Callable[[Mapping[str, Any]], None]) -> None:
        """Call ``then`` with the description of a child once it has ended."""


@dataclass(slots=True)
class Part:
    """What one child is given: an item, or a batch of them."""

    given: Any
    items: int
    status: str = PENDING
    child: Child | None = None

    def described(self) -> dict[str, Any]:
        """As result files tell of it."""
        if self.child is None:
            return {"Input": data(self.given), "InputDetails": {"Included": True}, "Status": self.status}
        return mapresults.described(self.child.shown())


@dataclass(slots=True)
class MapRun:
    """One run of a distributed Map, as DescribeMapRun tells of it."""

    arn: str
    label: str
    execution_arn: str
    machine_arn: str
    processor: Mapping[str, Any] = field(repr=False)
    express: bool
    started_at: dt.datetime
    limit: int
    tolerated_count: int
    tolerated_percentage: float
    status: str = RUNNING
    stopped_at: dt.datetime | None = None
    redriven_at: dt.datetime | None = None
    redrives: int = 0
    written: bool = False
    parts: list[Part] = field(default_factory=list, repr=False)
    children: Counter[str] = field(default_factory=Counter)
    items: Counter[str] = field(default_factory=Counter)
    refill: Callable[[], None] = field(default=lambda: None, repr=False)
    """Starts more children, when more of them may run."""

    def starts_more_by(self, refill: Callable[[], None]) -> None:
        """What to call when more children may run."""
        self.refill = refill

    def take(self, parts: list[Part]) -> None:
        """What there is to do."""
        self.parts = parts
        self.children[PENDING] = len(parts)
        self.items[PENDING] = sum(part.items for part in parts)

    def note(self, part: Part, status: str) -> None:
        """A part has come so far."""
        for counts, size in ((self.children, 1), (self.items, part.items)):
            counts[part.status] -= size
            counts[status] += size
        part.status = status

    def tolerates(self) -> bool:
        """Whether it may go on although items failed; what took too long or was stopped failed too."""
        failed, total = sum(self.items[each] for each in _FAILURES), sum(self.items.values())
        by_count = failed <= self.tolerated_count
        by_share = failed * 100 <= self.tolerated_percentage * total
        if self.tolerated_count and self.tolerated_percentage:
            return by_count and by_share
        return (by_share if self.tolerated_percentage else by_count) or not failed

    def most_at_once(self) -> int:
        """How many children may run."""
        return min(self.limit or CHILDREN_AT_ONCE, CHILDREN_AT_ONCE)


class DistributedMaps:
    """Runs distributed Maps for one execution."""

    def __init__(
        self,
        history: History,
        children: Children,
        execution_arn: str,
        machine_arn: str,
        now: Callable[[], dt.datetime],
        runs: dict[str, MapRun],
    ) -> None:
        self._history = history
        self._children = children
        self._execution_arn = execution_arn
        self._machine_arn = machine_arn
        self._now = now
        self._runs = runs

    def run(
        self, state: Mapping[str, Any], processor: Mapping[str, Any], frame: Frame, select: Select
    ) -> Generator[Effect, Any, Any]:
        """Read the items, have a child process each, write or return the results.

        What shall be batched is selected first, item by item. A run that failed before, and is redriven, goes
        on with what did not succeed.
        Source: https://docs.aws.amazon.com/step-functions/latest/dg/input-output-fields-dist-map.html
        """
        run = self._begin(state, processor, frame)
        try:
            yield Call(lambda: self._check(run), "map: permissions")
            if not run.parts:
                items = (
                    state["Items"]
                    if "Items" in state
                    else (
                        yield Call(
                            lambda: mapitems.read(state["ItemReader"], self._children.client("s3")),
                            "map: items",
                        )
                    )
                )
                chosen = [select(item, index) for index, item in enumerate(items)]
                batched = mapitems.batches(chosen, state.get("ItemBatcher"))
                run.take([Part(given, size) for given, size in batched])
            yield Gather(
                [self._child(run, part) for part in run.parts],
                run.most_at_once,
                lambda _failed, _total: run.tolerates(),
                run.starts_more_by,
            )
            output = yield from self._results(state, run)
        except StatesError as error:
            failure = error if error.name in _OWN else StatesError(*_EXCEEDED)
            if error.name not in _OWN and "ResultWriter" in state:
                yield from self._results(state, run)
            self._end(run, "FAILED")
            self._add(frame, "MapRunFailed", error=failure.name, cause=failure.cause or None)
            raise failure from None
        except GeneratorExit:
            self._end(run, "ABORTED")
            raise
        self._end(run, SUCCEEDED)
        self._add(frame, "MapRunSucceeded")
        self._add(frame, "MapStateSucceeded")
        return output

    def _results(self, state: Mapping[str, Any], run: MapRun) -> Generator[Effect, Any, Any]:
        told, writer = [part.described() for part in run.parts], state.get("ResultWriter")
        if writer is None or "Resource" not in writer:
            return mapresults.collected(told, writer)
        written = yield Call(
            lambda: mapresults.write(writer, run.arn, told, self._children.client("s3")), "map: results"
        )
        run.written = True
        return written

    def _begin(self, state: Mapping[str, Any], processor: Mapping[str, Any], frame: Frame) -> MapRun:
        if (run := frame.progress.map_run) is not None:
            run.status, run.stopped_at, run.redriven_at = RUNNING, None, self._now()
            run.redrives += 1
            self._add(frame, "MapRunRedriven", mapRunArn=run.arn, redriveCount=run.redrives)
            return run
        prefix, _, name = self._machine_arn.rpartition(":stateMachine:")
        label = state.get("Label") or uuid.uuid4().hex
        language = {"QueryLanguage": frame.language} if "QueryLanguage" not in processor else {}
        config = processor.get("ProcessorConfig") or {}
        run = MapRun(
            f"{prefix}:mapRun:{name}/{label}:{uuid.uuid4()}",
            label,
            self._execution_arn,
            self._machine_arn,
            {**processor, **language},
            config.get("ExecutionType") == "EXPRESS",
            self._now(),
            int(state.get("MaxConcurrency") or 0),
            int(state.get("ToleratedFailureCount") or 0),
            float(state.get("ToleratedFailurePercentage") or 0),
        )
        frame.progress.map_run = self._runs[run.arn] = run
        self._add(frame, "MapStateStarted", length=len(state.get("Items") or ()))
        self._add(frame, "MapRunStarted", mapRunArn=run.arn)
        return run

    def _check(self, run: MapRun) -> None:
        """Whether the role may start executions of its own machine, and redrive them.

        Source: https://docs.aws.amazon.com/step-functions/latest/dg/iam-policies-eg-dist-map.html
        """
        owner = self._machine_arn.partition("/")[0]
        wanted = [("states:StartExecution", owner)]
        if run.redrives and not run.express:
            executions = owner.replace(":stateMachine:", ":execution:")
            wanted.append(("states:RedriveExecution", f"{executions}/{run.label}:*"))
        for action, resource in wanted:
            if refusal := self._children.refusal(action, resource):
                raise StatesError("States.Permissions", refusal)

    def _child(self, run: MapRun, part: Part) -> Callable[[Fiber], Branch]:
        """The branch that waits for a child; it ends as the child does."""

        def process(fiber: Fiber) -> Branch:
            if part.status == SUCCEEDED:
                return
            again = part.child is not None and not run.express
            if part.child is None or run.express:
                part.child = self._children.spawn(run, fiber, part.given, part.items)
            child, key = part.child, secrets.token_hex(16)
            run.note(part, RUNNING)

            def begin() -> None:
                if again:
                    child.redrive()
                else:
                    child.start()
                self._children.when_ended(child.arn, ended)

            def ended(description: Mapping[str, Any]) -> None:
                fiber.weaver.completions.complete(key, description)

            try:
                description = yield Call(begin, f"{fiber.weaver.label}: map run", key=key)
            except GeneratorExit:
                child.stop(None, None)
                run.note(part, "ABORTED")
                raise
            run.note(part, description["status"])
            if description["status"] != SUCCEEDED:
                raise StatesError(description.get("error") or "", description.get("cause") or "")

        return process

    def _end(self, run: MapRun, status: str) -> None:
        run.status, run.stopped_at = status, self._now()

    def _add(self, frame: Frame, kind: str, **details: Any) -> None:
        frame.fiber.last_event = self._history.add(frame.fiber.last_event, kind, **details)


def shown(run: MapRun, *, short: bool) -> dict[str, Any]:
    """As ListMapRuns, or DescribeMapRun, answers it."""
    made: dict[str, Any] = {
        "executionArn": run.execution_arn,
        "mapRunArn": run.arn,
        "startDate": run.started_at,
        **({"stopDate": run.stopped_at} if run.stopped_at is not None else {}),
    }
    if short:
        return made | {"stateMachineArn": run.machine_arn}
    redriven = {"redriveDate": run.redriven_at} if run.redriven_at is not None else {}
    return (
        made
        | redriven
        | {
            "status": run.status,
            "maxConcurrency": run.limit,
            "toleratedFailurePercentage": run.tolerated_percentage,
            "toleratedFailureCount": run.tolerated_count,
            "redriveCount": run.redrives,
            "itemCounts": _counts(run, run.items),
            "executionCounts": _counts(run, run.children),
        }
    )


def _counts(run: MapRun, counts: Counter[str]) -> dict[str, int]:
    total = sum(counts.values())
    over = run.status not in (RUNNING, SUCCEEDED)
    unfinished = sum(counts[each] for each in (*_FAILURES, PENDING))
    return {
        "pending": counts[PENDING],
        "running": counts[RUNNING],
        "succeeded": counts[SUCCEEDED],
        "failed": counts["FAILED"],
        "timedOut": counts["TIMED_OUT"],
        "aborted": counts["ABORTED"],
        "total": total,
        "resultsWritten": total if run.written else 0,
        "failuresNotRedrivable": 0,
        "pendingRedrive": unfinished if over else 0,
    }
