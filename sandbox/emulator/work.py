"""One queue of timed work drives everything that happens by itself in an account.

Deliveries, retries, batching windows and schedules are all items here, due at a time of the
account's clock. So *settled* is a fact and not a guess: nothing running, nothing due.
"""

from __future__ import annotations

import heapq
import itertools
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import structlog

from sandbox.emulator.clock import VirtualClock

log = structlog.get_logger()


@dataclass(order=True, slots=True)
class WorkItem:
    """Something to do at ``due`` (seconds since the epoch, account time).

    What ``observes`` only looks at the account, so nobody needs to wait for it.
    """

    due: float
    order: int
    label: str = field(compare=False)
    action: Callable[[], None] = field(compare=False, repr=False)
    observes: bool = field(compare=False, default=False)
    cancelled: bool = field(compare=False, default=False)


@dataclass(frozen=True, slots=True)
class Settled:
    """What :meth:`WorkQueue.settle` or :meth:`WorkQueue.advance` found.

    ``settled`` is true when nothing runs and nothing is due; ``running`` names what still does.
    ``next_due`` is the account time of the earliest future item that does more than observe, if any.
    """

    settled: bool
    now: float
    running: tuple[str, ...] = ()
    next_due: float | None = None


class WorkQueue:
    """Runs items when they are due, and knows when nothing is left to happen.

    Actions run on a pool of threads, ordered by due time and then by submission; an action that
    raises is logged, counted in :attr:`faults` and told to ``on_fault(label, what)``: never silently
    lost and never the learner's.
    """

    def __init__(
        self,
        clock: VirtualClock,
        *,
        threads: int = 32,
        on_fault: Callable[[str, str], None] | None = None,
    ) -> None:
        self._clock = clock
        self._threads = threads
        self._heap: list[WorkItem] = []
        self._order = itertools.count()
        self._running: Counter[str] = Counter()
        self._changed = threading.Condition()
        self._pool: ThreadPoolExecutor | None = None
        self._dispatcher: threading.Thread | None = None
        self._stopping = False
        self._on_fault = on_fault
        self.faults: list[str] = []

    def now(self) -> float:
        """Seconds since the epoch in the account's time."""
        return self._clock.time()

    def start(self) -> None:
        """Start the dispatcher. Call once, after the fork."""
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="work")
        self._dispatcher = threading.Thread(target=self._dispatch, name="work-dispatcher", daemon=True)
        self._dispatcher.start()

    def stop(self) -> None:
        """Stop dispatching; running actions are not waited for."""
        with self._changed:
            self._stopping = True
            self._changed.notify_all()
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)

    def submit(
        self, action: Callable[[], None], *, label: str, delay_s: float = 0.0, observes: bool = False
    ) -> WorkItem:
        """Do ``action`` once the account's clock is ``delay_s`` seconds further.

        ``label`` is what a person reads when the account does not settle. Never blocks, so
        producers may call it while they hold the dispatch lock.
        """
        with self._changed:
            item = WorkItem(self._clock.time() + delay_s, next(self._order), label, action, observes)
            heapq.heappush(self._heap, item)
            self._changed.notify_all()
        return item

    def cancel(self, item: WorkItem) -> None:
        """Forget an item that has not started."""
        with self._changed:
            item.cancelled = True
            self._changed.notify_all()

    def report_fault(self, label: str, error: Exception) -> None:
        """Something of ours broke while ``label`` was done."""
        what = f"{type(error).__name__}: {error}"
        self.faults.append(f"{label}: {what}")
        if self._on_fault is not None:
            self._on_fault(label, what)

    @contextmanager
    def in_flight(self, label: str) -> Iterator[None]:
        """Hold the account unsettled while something runs outside the queue, e.g. an API invoke."""
        with self._changed:
            self._running[label] += 1
            self._changed.notify_all()
        try:
            yield
        finally:
            self._finished(label)

    def settle(self, timeout_s: float = 30.0) -> Settled:
        """Wait until nothing runs and nothing is due, at most ``timeout_s`` wall seconds."""
        deadline = time.monotonic() + timeout_s
        with self._changed:
            while not self.is_settled():
                left = deadline - time.monotonic()
                if left <= 0:
                    return self._report(settled=False)
                self._changed.wait(left)
            return self._report(settled=True)

    def wait_until(self, holds: Callable[[], object], timeout_s: float = 30.0) -> bool:
        """Whether ``holds()`` is true within ``timeout_s`` wall seconds; asked when work comes or goes."""
        with self._changed:
            return bool(self._changed.wait_for(holds, timeout_s))

    def advance(self, seconds: float, timeout_s: float = 60.0) -> Settled:
        """Skip ``seconds`` of account time, delivering what falls due on the way, in order.

        The clock jumps only while nothing runs, so a running invocation is never skipped over.
        ``timeout_s`` bounds the wall time; on running out the result is not settled and the
        clock stands where it got to.
        """
        deadline = time.monotonic() + timeout_s
        target = self._clock.time() + seconds
        while True:
            with self._changed:
                while not self.is_settled():
                    left = deadline - time.monotonic()
                    if left <= 0:
                        return self._report(settled=False)
                    self._changed.wait(left)
                now = self._clock.time()
                if now >= target:
                    return self._report(settled=True)
                upcoming = self._peek()
                goal = min(target, upcoming.due) if upcoming is not None else target
                self._clock.shift(max(0.0, goal - now))
                self._changed.notify_all()

    def _peek(self) -> WorkItem | None:
        while self._heap and self._heap[0].cancelled:
            heapq.heappop(self._heap)
        return self._heap[0] if self._heap else None

    def is_settled(self) -> bool:
        upcoming = self._peek()
        return not self._running and (upcoming is None or upcoming.due > self._clock.time())

    def _report(self, *, settled: bool) -> Settled:
        coming = (item.due for item in self._heap if not (item.cancelled or item.observes))
        return Settled(
            settled=settled,
            now=self._clock.time(),
            running=tuple(sorted(self._running)),
            next_due=min(coming, default=None),
        )

    def _dispatch(self) -> None:
        while True:
            with self._changed:
                if self._stopping:
                    return
                upcoming = self._peek()
                wait_s = None if upcoming is None else upcoming.due - self._clock.time()
                if upcoming is None or (wait_s is not None and wait_s > 0):
                    self._changed.wait(wait_s)
                    continue
                heapq.heappop(self._heap)
                self._running[upcoming.label] += 1
                self._changed.notify_all()
                assert self._pool is not None
                self._pool.submit(self._run, upcoming)

    def _run(self, item: WorkItem) -> None:
        try:
            item.action()
        except Exception as error:
            log.exception("work_failed", label=item.label)
            self.report_fault(item.label, error)
        finally:
            self._finished(item.label)

    def _finished(self, label: str) -> None:
        with self._changed:
            self._running[label] -= 1
            if self._running[label] <= 0:
                del self._running[label]
            self._changed.notify_all()
