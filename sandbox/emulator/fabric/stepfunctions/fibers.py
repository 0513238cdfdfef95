"""Branches of an execution as generators: each says what it waits for, and goes on when that has come.

No thread waits with them, so an execution may wait for a year of account time. Everything within one
execution happens under its lock; what a branch has done elsewhere (a task's call) runs outside of it.
"""

from __future__ import annotations

import functools
import inspect
import itertools
import threading
from collections.abc import Callable, Generator, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.calls import carrying
from sandbox.emulator.fabric.stepfunctions.errors import RUNTIME, TIMEOUT, StatesError
from sandbox.emulator.work import WorkItem, WorkQueue


@dataclass(frozen=True, slots=True)
class Sleep:
    """Go on after ``seconds`` of account time."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Call:
    """Go on with what ``action`` returns, or raises.

    With a ``key`` the action only starts something: the branch goes on when the key is completed.
    ``submitted`` is told what the action returned meanwhile. ``timeout_s`` bounds the whole,
    ``heartbeat_s`` the time between two signs of life. ``trace_header`` goes along with what is called;
    without one it is the execution's own.
    """

    action: Callable[[], Any]
    label: str
    timeout_s: float | None = None
    heartbeat_s: float | None = None
    key: str = ""
    submitted: Callable[[Any], None] | None = None
    trace_header: str | None = None


@dataclass(frozen=True, slots=True)
class Gather:
    """Go on with the results of all ``branches``, of which ``limit`` run at a time (0: all).

    The first failure ends the others, unless ``tolerates(failed, total)`` says to go on: then a failed
    branch's result is its :class:`StatesError`. A limit may change while they run: ``widening`` is told what
    to call then.
    """

    branches: Sequence[Callable[[Fiber], Branch]]
    limit: int | Callable[[], int] = 0
    tolerates: Callable[[int, int], bool] = lambda failed, total: False
    widening: Callable[[Callable[[], None]], None] | None = None


Effect = Sleep | Call | Gather
Branch = Generator[Effect, Any, Any]


class Weaver:
    """Runs the branches of one execution. ``completions`` is shared by all of an account's executions.

    What they call belongs to the trace that ``trace_header`` names.
    """

    def __init__(
        self,
        work: WorkQueue,
        completions: Completions,
        label: str,
        trace_header: str = "",
        hold: Callable[[Callable[[], None]], bool] = lambda _action: False,
    ) -> None:
        self.lock = threading.RLock()
        self.work = work
        self.completions = completions
        self.label = label
        self.trace_header = trace_header
        self.hold = hold
        """Keeps what a dark region would do until it is back; false while it is not dark."""

    def start(
        self, make: Callable[[Fiber], Branch], done: Callable[[Any, StatesError | None], None]
    ) -> Fiber:
        """Start the root branch; ``done`` is called with its result or its error."""
        fiber = Fiber(self, None, done)
        with self.lock:
            fiber.begin(make)
        return fiber


class Completions:
    """Branches that wait for somebody else to complete a key: a task token, another execution."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._waiting: dict[str, tuple[Fiber, int]] = {}

    def add(self, key: str, fiber: Fiber, ticket: int) -> None:
        """``fiber`` waits for ``key``."""
        with self._lock:
            self._waiting[key] = fiber, ticket

    def discard(self, key: str) -> None:
        """Nobody waits any more."""
        with self._lock:
            self._waiting.pop(key, None)

    def complete(self, key: str, value: Any = None, error: StatesError | None = None) -> bool:
        """Whether somebody waited for ``key``, and now goes on."""
        with self._lock:
            found = self._waiting.pop(key, None)
        if found is None:
            return False
        fiber, ticket = found
        fiber.weaver.work.submit(
            lambda: fiber.deliver(ticket, value, error), label=f"{fiber.weaver.label}: completed"
        )
        return True

    def begin(
        self, key: str, timeout_s: float | None, heartbeat_s: float | None, started: Callable[[], None]
    ) -> bool:
        """Whether somebody waits for ``key``, whose limits then count from now; ``started`` is told."""
        with self._lock:
            found = self._waiting.get(key)
        return found is not None and found[0].limit(found[1], timeout_s, heartbeat_s, started)

    def heartbeat(self, key: str) -> bool:
        """Whether somebody waits for ``key``, and now has longer to wait."""
        with self._lock:
            found = self._waiting.get(key)
        if found is None:
            return False
        fiber, ticket = found
        fiber.beat(ticket)
        return True


@dataclass(slots=True)
class _Waiting:
    ticket: int
    timers: list[WorkItem] = field(default_factory=list)
    heartbeat: WorkItem | None = None
    heartbeat_s: float | None = None
    key: str = ""


_tickets = itertools.count(1)


class Fiber:
    """One branch. ``last_event`` is the history's event that its next one follows.

    ``subsegment`` is the state in the execution's trace that it works on.
    """

    def __init__(
        self, weaver: Weaver, parent: Fiber | None, done: Callable[[Any, StatesError | None], None]
    ) -> None:
        self.weaver = weaver
        self.last_event: int = parent.last_event if parent is not None else 0
        self.subsegment: str = parent.subsegment if parent is not None else ""
        self._done = done
        self._branch: Branch | None = None
        self._waiting: _Waiting | None = None
        self._children: list[Fiber] = []
        self._ended = False

    @property
    def ended(self) -> bool:
        """It has its result, or was cancelled."""
        return self._ended

    def begin(self, make: Callable[[Fiber], Branch]) -> None:
        """Run until it waits for the first time. Hold the lock."""
        self._branch = make(self)
        self._go_on(None, None)

    def cancel(self) -> None:
        """End it and all its branches without a result. Hold the lock."""
        if self._ended:
            return
        self._ended = True
        self._stop_waiting()
        for child in self._children:
            child.cancel()
        if self._branch is not None and inspect.getgeneratorstate(self._branch) != inspect.GEN_RUNNING:
            self._branch.close()

    def deliver(self, ticket: int, value: Any, error: StatesError | None) -> None:
        """What was waited for has come; too late is ignored."""
        with self.weaver.lock:
            if self._ended or self._waiting is None or self._waiting.ticket != ticket:
                return
            self._stop_waiting()
            self._go_on(value, error)

    def beat(self, ticket: int) -> None:
        """A sign of life: the heartbeat's time begins anew."""
        with self.weaver.lock:
            waiting = self._waiting
            if waiting is None or waiting.ticket != ticket or waiting.heartbeat_s is None:
                return
            if waiting.heartbeat is not None:
                self.weaver.work.cancel(waiting.heartbeat)
            waiting.heartbeat = self._timer(
                waiting, waiting.heartbeat_s, StatesError("States.HeartbeatTimeout")
            )

    def limit(
        self, ticket: int, timeout_s: float | None, heartbeat_s: float | None, started: Callable[[], None]
    ) -> bool:
        """Whether it still waits: then ``started`` is called, and its time is limited from now on."""
        with self.weaver.lock:
            waiting = self._waiting
            if self._ended or waiting is None or waiting.ticket != ticket:
                return False
            started()
            self._set_limits(waiting, timeout_s, heartbeat_s)
            return True

    def _set_limits(self, waiting: _Waiting, timeout_s: float | None, heartbeat_s: float | None) -> None:
        if timeout_s is not None:
            waiting.timers.append(self._timer(waiting, timeout_s, StatesError(TIMEOUT)))
        if heartbeat_s is not None:
            waiting.heartbeat_s = heartbeat_s
            waiting.heartbeat = self._timer(waiting, heartbeat_s, StatesError("States.HeartbeatTimeout"))

    def _go_on(self, value: Any, error: StatesError | None) -> None:
        assert self._branch is not None
        try:
            effect = self._branch.send(value) if error is None else self._branch.throw(error)
        except StopIteration as stop:
            self._end(stop.value, None)
        except StatesError as failure:
            self._end(None, failure)
        except RecursionError:
            self._end(None, StatesError(RUNTIME, "The data is nested too deeply."))
        else:
            self._wait_for(effect)

    def _end(self, value: Any, error: StatesError | None) -> None:
        self._ended = True
        self._done(value, error)

    def _stop_waiting(self) -> None:
        waiting, self._waiting = self._waiting, None
        if waiting is None:
            return
        for timer in waiting.timers:
            self.weaver.work.cancel(timer)
        if waiting.heartbeat is not None:
            self.weaver.work.cancel(waiting.heartbeat)
        if waiting.key:
            self.weaver.completions.discard(waiting.key)

    def _timer(self, waiting: _Waiting, seconds: float, error: StatesError | None) -> WorkItem:
        return self.weaver.work.submit(
            lambda: self.deliver(waiting.ticket, None, error),
            label=f"{self.weaver.label}: timer",
            delay_s=max(seconds, 0.0),
        )

    def _wait_for(self, effect: Effect) -> None:
        if isinstance(effect, Gather):
            self._gather(effect)
            return
        waiting = self._waiting = _Waiting(next(_tickets))
        if isinstance(effect, Sleep):
            waiting.timers.append(self._timer(waiting, effect.seconds, None))
            return
        self._set_limits(waiting, effect.timeout_s, effect.heartbeat_s)
        if effect.key:
            waiting.key = effect.key
            self.weaver.completions.add(effect.key, self, waiting.ticket)
        ticket = waiting.ticket
        self.weaver.work.submit(lambda: self._perform(effect, ticket), label=effect.label)

    def _perform(self, call: Call, ticket: int) -> None:
        if self.weaver.hold(lambda: self._perform(call, ticket)):
            return
        try:
            own = self.weaver.trace_header
            with carrying(own if call.trace_header is None else call.trace_header):
                value = call.action()
        except StatesError as error:
            self.deliver(ticket, None, error)
            return
        except Exception as error:  # ours: the queue reports it, and the branch must not wait for ever
            self.deliver(ticket, None, StatesError(RUNTIME, f"Internal error: {type(error).__name__}"))
            raise
        if not call.key:
            self.deliver(ticket, value, None)
            return
        with self.weaver.lock:
            waits = self._waiting is not None and self._waiting.ticket == ticket and not self._ended
            if waits and call.submitted is not None:
                call.submitted(value)

    def _gather(self, effect: Gather) -> None:
        waiting = self._waiting = _Waiting(next(_tickets))
        results: list[Any] = [None] * len(effect.branches)
        todo = iter(enumerate(effect.branches))
        left, failed, running, filling = len(effect.branches), 0, 0, False
        if not left:
            self._children_end(waiting, [], None)
            return

        given = effect.limit
        limit = given if callable(given) else (lambda: given)

        def fill() -> None:
            """Start as many as may run; a branch that ends at once comes back here, into the loop."""
            nonlocal running, filling
            if filling:
                return
            filling = True
            while self._waiting is waiting and (not (most := limit()) or running < most):
                index, make = next(todo, (None, None))
                if index is None or make is None:
                    break
                running += 1
                child = Fiber(self.weaver, self, functools.partial(finished, index))
                self._children.append(child)
                child.begin(make)
            filling = False

        def finished(index: int, value: Any, error: StatesError | None) -> None:
            nonlocal left, failed, running
            if self._waiting is not waiting:
                return
            left, running = left - 1, running - 1
            failed += error is not None
            results[index] = value if error is None else error
            self._children = [child for child in self._children if not child.ended]
            if error is not None and not effect.tolerates(failed, len(results)):
                self._children_end(waiting, None, error)
            elif left == 0:
                self._children_end(waiting, results, None)
            else:
                fill()

        def refill() -> None:
            with self.weaver.lock:
                fill()

        if effect.widening is not None:
            effect.widening(refill)
        fill()

    def _children_end(self, waiting: _Waiting, value: Any, error: StatesError | None) -> None:
        children, self._children = self._children, []
        for child in children:
            child.cancel()
        # Not at once: the child that ended is still on the stack.
        self.weaver.work.submit(
            lambda: self.deliver(waiting.ticket, value, error), label=f"{self.weaver.label}: branches ended"
        )
