"""The states of the Amazon States Language, as branches that run them.

Source: https://states-language.net/spec.html
"""

from __future__ import annotations

import datetime as dt
import functools
import random
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

from sandbox.emulator.fabric import task_tokens
from sandbox.emulator.fabric.stepfunctions import choices, paths
from sandbox.emulator.fabric.stepfunctions.errors import RUNTIME, StatesError
from sandbox.emulator.fabric.stepfunctions.fibers import Branch, Effect, Fiber, Gather, Sleep
from sandbox.emulator.fabric.stepfunctions.history import NOT_TRUNCATED, History, data
from sandbox.emulator.fabric.stepfunctions.queries import JSONATA, JSONPATH, Language, Scope, language
from sandbox.emulator.fabric.stepfunctions.tracing import ExecutionTrace

if TYPE_CHECKING:
    from sandbox.emulator.fabric.stepfunctions.mapruns import MapRun

# Source: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
DATA_LIMIT_BYTES = 262_144


class Tasks(Protocol):
    """Does the work of Task states."""

    def run(
        self,
        fiber: Fiber,
        name: str,
        state: Mapping[str, Any],
        resource: str,
        given: Any,
        context: dict[str, Any],
    ) -> Generator[Effect, Any, Any]:
        """Perform a task and return its result; history events included."""


class Maps(Protocol):
    """Does the work of distributed Map states."""

    def run(
        self, state: Mapping[str, Any], processor: Mapping[str, Any], frame: Frame, select: Select
    ) -> Generator[Effect, Any, Any]:
        """Read the items, process them, write the results; ``select`` makes of an item what is processed."""


Select = Callable[[Any, int], Any]


@dataclass(slots=True)
class Progress:
    """How far a branch has come, so that a redriven execution goes on where it failed.

    ``within`` are the branches or iterations of the state that it is at, ``map_run`` a
    distributed Map's.
    """

    state: str = ""
    given: Any = None
    variables: dict[str, Any] = field(default_factory=dict)
    within: dict[int, Progress] = field(default_factory=dict)
    map_run: MapRun | None = None
    done: bool = False
    output: Any = None

    def enter(self, state: str, given: Any, variables: Mapping[str, Any]) -> None:
        """The branch is at a state now."""
        self.state, self.given, self.variables = state, given, dict(variables)
        self.forget()

    def forget(self) -> None:
        """The state begins anew."""
        self.within, self.map_run = {}, None

    def end(self, output: Any) -> None:
        """The branch is through."""
        self.done, self.output, self.given = True, output, None


@dataclass(slots=True)
class Frame:
    """What a branch carries from state to state."""

    fiber: Fiber
    context: dict[str, Any]
    variables: dict[str, Any]
    language: str
    progress: Progress = field(default_factory=Progress)

    def branch(self, fiber: Fiber, index: int) -> Frame:
        """The frame of a branch within: what it sets ends with it. Values are never changed in place."""
        progress = self.progress.within.setdefault(index, Progress())
        return Frame(fiber, dict(self.context), dict(self.variables), self.language, progress)


@dataclass(slots=True)
class _Attempt:
    """One state on its way: its raw input, its effective input, its language."""

    name: str
    state: Mapping[str, Any]
    raw: Any
    language: Language
    frame: Frame

    @property
    def jsonata(self) -> bool:
        return self.language is JSONATA

    def scope(self, value: Any) -> Scope:
        """What fields refer to when ``value`` is the input."""
        return Scope(value, self.frame.context, self.frame.variables)


class Interpreter:
    """Runs the states of one execution."""

    def __init__(
        self,
        history: History,
        tasks: Tasks,
        maps: Maps,
        now: Callable[[], dt.datetime],
        chance: random.Random,
        trace: ExecutionTrace,
    ) -> None:
        self.history = history
        self._trace = trace
        self._tasks = tasks
        self._maps = maps
        self._now = now
        self._chance = chance

    def run(self, machine: Mapping[str, Any], given: Any, frame: Frame) -> Branch:
        """Run a machine, or a part of one, from its first state to an end; or from where it failed."""
        progress = frame.progress
        if progress.done:
            return progress.output
        following: str | None = machine["StartAt"]
        value, resumed = given, bool(progress.state)
        if resumed:
            following, value = progress.state, progress.given
            frame.variables = dict(progress.variables)
        while following is not None:
            if not resumed:
                progress.enter(following, value, frame.variables)
            with self._trace.state(frame.fiber, following):
                following, value = yield from self._step(
                    following, machine["States"][following], value, frame, resumed=resumed
                )
            resumed = False
        progress.end(value)
        return value

    def _event(self, frame: Frame, kind: str, **details: Any) -> None:
        frame.fiber.last_event = self.history.add(frame.fiber.last_event, kind, **details)

    def _step(
        self, name: str, state: Mapping[str, Any], given: Any, frame: Frame, *, resumed: bool
    ) -> Generator[Effect, Any, tuple[str | None, Any]]:
        _check_size(given, name)
        kind = state["Type"]
        frame.context["State"] = {"EnteredTime": _moment(self._now()), "Name": name, "RetryCount": 0}
        frame.context.pop("Task", None)
        if not resumed:
            details = {"input": data(given), "inputDetails": NOT_TRUNCATED}
            self._event(frame, f"{kind}StateEntered", name=name, **details)
        attempt = _Attempt(name, state, given, language(state.get("QueryLanguage") or frame.language), frame)
        if kind == "Fail":
            raise self._fail(attempt)
        if kind == "Choice":
            outcome: tuple[str | None, Any] = self._choose(attempt)
        else:
            outcome = yield from self._work(attempt)
        following, output = outcome
        _check_size(output, name)
        self._event(frame, f"{kind}StateExited", name=name, output=data(output), outputDetails=NOT_TRUNCATED)
        return following, output

    def _work(self, attempt: _Attempt) -> Generator[Effect, Any, tuple[str | None, Any]]:
        """A state that does something: again as its retriers say, elsewhere as its catchers say."""
        state, kind = attempt.state, attempt.state["Type"]
        counts: dict[int, int] = {}
        while True:
            try:
                output = yield from self._perform(attempt)
            except StatesError as error:
                delay_s = self._retry_delay(state, error, counts)
                if delay_s is not None:
                    yield Sleep(delay_s)
                    attempt.frame.progress.forget()
                    entered = attempt.frame.context["State"]
                    attempt.frame.context["State"] = entered | {"RetryCount": entered["RetryCount"] + 1}
                    continue
                caught = self._catch(attempt, error)
                if caught is None:
                    raise
                return caught
            ends = kind == "Succeed" or state.get("End") is True
            return (None if ends else state["Next"]), output

    def _perform(self, attempt: _Attempt) -> Generator[Effect, Any, Any]:
        state, kind = attempt.state, attempt.state["Type"]
        resource = ""
        if kind == "Task":
            resource = attempt.language.fill(state["Resource"], attempt.scope(attempt.raw), "Resource")
            if resource.endswith(".waitForTaskToken"):
                machine = attempt.frame.context["StateMachine"]["Id"].partition("/")[0]
                attempt.frame.context["Task"] = {"Token": task_tokens.make(machine)}
        given = self._effective_input(attempt)
        if kind in ("Pass", "Succeed"):
            result = state.get("Result", given)
        elif kind == "Wait":
            yield Sleep(self._wait_s(attempt, given))
            result = given
        elif kind == "Task":
            result = yield from self._tasks.run(
                attempt.frame.fiber,
                attempt.name,
                self._task_limits(attempt, given),
                resource,
                given,
                attempt.frame.context,
            )
        elif kind == "Parallel":
            result = yield from self._parallel(attempt, given)
        else:
            result = yield from self._map(attempt, given)
        return self._output(attempt, given, result)

    def _effective_input(self, attempt: _Attempt) -> Any:
        state = attempt.state
        if attempt.jsonata:
            if "Arguments" in state:
                return attempt.language.fill(state["Arguments"], attempt.scope(attempt.raw), "Arguments")
            return attempt.raw
        given = self._select(attempt, "InputPath", attempt.raw)
        if "Parameters" in state and state["Type"] != "Map":
            return attempt.language.fill(state["Parameters"], attempt.scope(given), "Parameters")
        return given

    def _select(self, attempt: _Attempt, field: str, value: Any) -> Any:
        path = attempt.state.get(field, "$")
        if path is None:
            return {}
        if path == "$":
            return value
        return JSONPATH.resolve(path, attempt.scope(value), field)

    def _output(self, attempt: _Attempt, given: Any, result: Any) -> Any:
        state, frame = attempt.state, attempt.frame
        if attempt.jsonata:
            scope = attempt.scope(attempt.raw)
            scope.result = result
            output = attempt.language.fill(state["Output"], scope, "Output") if "Output" in state else result
            assigned = attempt.language.fill(state.get("Assign") or {}, scope, "Assign")
        else:
            assigned = attempt.language.fill(state.get("Assign") or {}, attempt.scope(result), "Assign")
            if "ResultSelector" in state:
                result = attempt.language.fill(
                    state["ResultSelector"], attempt.scope(result), "ResultSelector"
                )
            path = state.get("ResultPath", "$")
            merged = attempt.raw if path is None else paths.write(path, attempt.raw, result)
            if state["Type"] in ("Succeed", "Wait"):
                merged = given
            output = self._select(attempt, "OutputPath", merged)
        frame.variables.update(assigned)
        return output

    def _task_limits(self, attempt: _Attempt, given: Any) -> dict[str, Any]:
        """The state with its time limits as numbers."""
        state = dict(attempt.state)
        for name in ("TimeoutSeconds", "HeartbeatSeconds"):
            if f"{name}Path" in state:
                state[name] = JSONPATH.resolve(state[f"{name}Path"], attempt.scope(attempt.raw), name)
            elif isinstance(state.get(name), str):
                state[name] = attempt.language.fill(state[name], attempt.scope(attempt.raw), name)
        return state

    def _wait_s(self, attempt: _Attempt, given: Any) -> float:
        state = attempt.state
        for name in ("Seconds", "Timestamp"):
            if f"{name}Path" in state:
                value = JSONPATH.resolve(state[f"{name}Path"], attempt.scope(given), f"{name}Path")
            elif name in state:
                value = attempt.language.fill(state[name], attempt.scope(attempt.raw), name)
            else:
                continue
            try:
                if name == "Seconds":
                    return float(value)
                return (dt.datetime.fromisoformat(value) - self._now()).total_seconds()
            except (TypeError, ValueError):
                raise StatesError(RUNTIME, f"The {name} of a Wait state can't be {value!r}.") from None
        raise StatesError(RUNTIME, "A Wait state has neither Seconds nor Timestamp.")

    def _choose(self, attempt: _Attempt) -> tuple[str, Any]:
        state = attempt.state
        given = attempt.raw if attempt.jsonata else self._select(attempt, "InputPath", attempt.raw)
        scope = attempt.scope(given)
        for index, rule in enumerate(state["Choices"]):
            if attempt.jsonata:
                where = f"Choices[{index}]/Condition"
                held = attempt.language.fill(rule["Condition"], scope, where)
                if not isinstance(held, bool):
                    raise StatesError(
                        "States.QueryEvaluationError", f"The field '{where}' is not a boolean: {data(held)}"
                    )
            else:
                held = choices.holds(rule, scope)
            if held:
                return rule["Next"], self._chosen(attempt, rule, given)
        if "Default" not in state:
            raise choices.no_choice()
        return state["Default"], self._chosen(attempt, state, given)

    def _chosen(self, attempt: _Attempt, rule: Mapping[str, Any], given: Any) -> Any:
        scope = attempt.scope(given)
        assigned = attempt.language.fill(rule.get("Assign") or {}, scope, "Assign")
        output = given
        if attempt.jsonata:
            if "Output" in rule:
                output = attempt.language.fill(rule["Output"], scope, "Output")
        else:
            output = self._select(attempt, "OutputPath", given)
        attempt.frame.variables.update(assigned)
        return output

    def _fail(self, attempt: _Attempt) -> StatesError:
        told: list[str] = []
        for name in ("Error", "Cause"):
            if f"{name}Path" in attempt.state:
                value = JSONPATH.resolve(
                    attempt.state[f"{name}Path"], attempt.scope(attempt.raw), f"{name}Path"
                )
            else:
                value = attempt.language.fill(attempt.state.get(name), attempt.scope(attempt.raw), name)
            told.append("" if value is None else str(value))
        return StatesError(*told)

    def _parallel(self, attempt: _Attempt, given: Any) -> Generator[Effect, Any, Any]:
        frame = attempt.frame
        self._event(frame, "ParallelStateStarted")

        def start(index: int, machine: Mapping[str, Any]) -> Callable[[Fiber], Branch]:
            return lambda fiber: self.run(machine, given, frame.branch(fiber, index))

        branches = enumerate(attempt.state["Branches"])
        try:
            results = yield Gather([start(index, machine) for index, machine in branches])
        except StatesError:
            self._event(frame, "ParallelStateFailed")
            raise
        self._event(frame, "ParallelStateSucceeded")
        return results

    def _map(self, attempt: _Attempt, given: Any) -> Generator[Effect, Any, Any]:
        state, frame = attempt.state, attempt.frame
        processor = state.get("ItemProcessor") or state["Iterator"]
        selector = state.get("ItemSelector", state.get("Parameters"))

        def selected(context: Mapping[str, Any], variables: Mapping[str, Any], item: Any, index: int) -> Any:
            if selector is None:
                return item
            context = {**context, "Map": {"Item": {"Index": index, "Value": item}}}
            scope = Scope(attempt.raw if attempt.jsonata else given, context, variables)
            return attempt.language.fill(selector, scope, "ItemSelector")

        def iterate(inner: Frame, item: Any, index: int) -> Callable[[Fiber], Branch]:
            def run(fiber: Fiber) -> Branch:
                mine = inner.branch(fiber, index)
                if mine.progress.done:
                    return mine.progress.output
                mine.context["Map"] = {"Item": {"Index": index, "Value": item}}
                value = selected(mine.context, mine.variables, item, index)
                self._event(mine, "MapIterationStarted", name=attempt.name, index=index)
                try:
                    output = yield from self.run(processor, value, mine)
                except StatesError:
                    self._event(mine, "MapIterationFailed", name=attempt.name, index=index)
                    raise
                self._event(mine, "MapIterationSucceeded", name=attempt.name, index=index)
                return output

            return run

        if (processor.get("ProcessorConfig") or {}).get("Mode") == "DISTRIBUTED":
            resolved = self._map_fields(attempt, given)
            select = functools.partial(selected, frame.context, frame.variables)
            return (yield from self._maps.run(resolved, processor, frame, select))
        resolved = self._map_fields(attempt, given)
        items = resolved["Items"]
        self._event(frame, "MapStateStarted", length=len(items))
        limit = int(resolved.get("MaxConcurrency") or 0)
        try:
            results = yield Gather([iterate(frame, item, index) for index, item in enumerate(items)], limit)
        except StatesError:
            self._event(frame, "MapStateFailed")
            raise
        self._event(frame, "MapStateSucceeded")
        return results

    def _map_fields(self, attempt: _Attempt, given: Any) -> dict[str, Any]:
        """The state with its paths and expressions resolved; with ``Items``, unless it has a reader."""
        state, scope = dict(attempt.state), attempt.scope(attempt.raw if attempt.jsonata else given)
        numbers = ("MaxConcurrency", "ToleratedFailureCount", "ToleratedFailurePercentage")
        for name in numbers:
            if f"{name}Path" in state:
                state[name] = JSONPATH.resolve(state[f"{name}Path"], scope, name)
            elif isinstance(state.get(name), str):
                state[name] = attempt.language.fill(state[name], scope, name)
        for name in ("ItemReader", "ResultWriter", "ItemBatcher"):
            if name in state:
                state[name] = _resolved(attempt.language.fill(state[name], scope, name), scope)
        if "ItemReader" in state:
            return state
        if attempt.jsonata:
            items = attempt.language.fill(state.get("Items", attempt.raw), scope, "Items")
        elif isinstance(state.get("Items"), list):
            items = attempt.language.fill(state["Items"], scope, "Items")
        else:
            items = JSONPATH.resolve(state.get("ItemsPath", "$"), scope, "ItemsPath")
        if isinstance(items, dict) and attempt.jsonata:
            items = [{"Key": key, "Value": value} for key, value in items.items()]
        if not isinstance(items, list):
            raise StatesError(
                RUNTIME,
                f'Reference path "{state.get("ItemsPath", "$")}" must point to array.',
            )
        return state | {"Items": items}

    def _retry_delay(
        self, state: Mapping[str, Any], error: StatesError, counts: dict[int, int]
    ) -> float | None:
        """Seconds until the next try, or None when no retrier has one left."""
        for index, retrier in enumerate(state.get("Retry") or ()):
            if not error.matches(retrier["ErrorEquals"]):
                continue
            tried = counts.get(index, 0)
            if tried >= int(retrier.get("MaxAttempts", 3)):
                return None
            counts[index] = tried + 1
            rate = float(retrier.get("BackoffRate", 2.0))
            delay_s = float(retrier.get("IntervalSeconds", 1)) * rate ** min(tried, 200)
            delay_s = min(delay_s, float(retrier.get("MaxDelaySeconds", delay_s)))
            if retrier.get("JitterStrategy") == "FULL":
                delay_s = self._chance.uniform(0.0, delay_s)
            return delay_s
        return None

    def _catch(self, attempt: _Attempt, error: StatesError) -> tuple[str, Any] | None:
        told = {"Error": error.name, "Cause": error.cause}
        for catcher in attempt.state.get("Catch") or ():
            if not error.matches(catcher["ErrorEquals"]):
                continue
            if attempt.jsonata:
                scope = attempt.scope(attempt.raw)
                scope.error = told
                output = (
                    attempt.language.fill(catcher["Output"], scope, "Output") if "Output" in catcher else told
                )
                assigned = attempt.language.fill(catcher.get("Assign") or {}, scope, "Assign")
            else:
                path = catcher.get("ResultPath", "$")
                output = attempt.raw if path is None else paths.write(path, attempt.raw, told)
                assigned = attempt.language.fill(catcher.get("Assign") or {}, attempt.scope(told), "Assign")
            attempt.frame.variables.update(assigned)
            return catcher["Next"], output
        return None


def _resolved(settings: Mapping[str, Any], scope: Scope) -> dict[str, Any]:
    """Settings of a distributed Map with the numbers that a path names, such as ``MaxItemsPath``."""
    made = dict(settings)
    for name in ("MaxItemsPerBatch", "MaxInputBytesPerBatch", "MaxItems"):
        if f"{name}Path" in made:
            made[name] = JSONPATH.resolve(made.pop(f"{name}Path"), scope, name)
    if "ReaderConfig" in made:
        made["ReaderConfig"] = _resolved(made["ReaderConfig"], scope)
    return made


def _check_size(value: Any, name: str) -> None:
    if len(data(value).encode()) > DATA_LIMIT_BYTES:
        raise StatesError(
            "States.DataLimitExceeded",
            f"The state/task '{name}' returned a result with a size exceeding the maximum number of bytes "
            "service limit.",
        )


def _moment(moment: dt.datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
