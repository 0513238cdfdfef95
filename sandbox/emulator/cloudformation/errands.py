"""An operation's own thread, which steps out of the account's work while it waits for somebody else."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager

import structlog

from sandbox.emulator.cloudformation.callbacks import Mailbox
from sandbox.emulator.work import WorkQueue

log = structlog.get_logger()


class OutOfTime(Exception):
    """The operation as a whole may take no longer."""


class Errand:
    """One operation on a stack. While it waits the account may settle and its clock may be moved.

    Otherwise it counts as running, also from the very moment at which what it waits for has come.
    ``deadline`` is the account time at which :meth:`wait` gives up whatever it waits for, if any.
    """

    def __init__(self, work: WorkQueue, now: Callable[[], float], label: str) -> None:
        self._work = work
        self._now = now
        self._label = label
        self._lock = threading.Lock()
        self._held: list[AbstractContextManager[None]] = []
        self._woken = threading.Event()
        self._asleep = False
        self._stirred = False
        self.ended = False
        self.deadline: float | None = None

    def begin(self, action: Callable[[], None]) -> None:
        """Do ``action`` on a thread of its own, as soon as the account gets to it."""

        def launch() -> None:
            self._hold()
            threading.Thread(target=self._run, args=(action,), name=self._label, daemon=True).start()

        self._work.submit(launch, label=self._label)

    @property
    def overdue(self) -> bool:
        """Whether the operation's time is up."""
        return self.deadline is not None and self._now() >= self.deadline

    def wait(self, mailbox: Mailbox, timeout_s: float) -> bool:
        """Whether ``mailbox`` has what it wants within ``timeout_s`` seconds of account time.

        Raises:
            OutOfTime: the operation's own time is up.
        """
        if self.deadline is not None:
            timeout_s = min(timeout_s, max(0.0, self.deadline - self._now()))
        expired = threading.Event()

        def expire() -> None:
            expired.set()
            self._wake()

        timer = self._work.submit(expire, label=f"{self._label} waits no longer", delay_s=timeout_s)
        mailbox.listener = self._wake
        try:
            while not mailbox.full and not expired.is_set():
                self._sleep()
        finally:
            mailbox.listener = None
            self._work.cancel(timer)
        if mailbox.full:
            return True
        if self.overdue:
            raise OutOfTime
        return False

    def _run(self, action: Callable[[], None]) -> None:
        try:
            action()
        except Exception as error:
            log.exception("stack_operation_broke", label=self._label)
            self._work.report_fault(self._label, error)
        finally:
            self.ended = True
            self._release()

    def _wake(self) -> None:
        with self._lock:
            self._stirred = True
            if not self._asleep:
                return
            self._asleep = False
        self._hold()
        self._woken.set()

    def _sleep(self) -> None:
        with self._lock:
            if self._stirred:
                self._stirred = False
                return
            self._asleep = True
            self._woken.clear()
        self._release()
        self._woken.wait()
        with self._lock:
            self._stirred = False

    def _hold(self) -> None:
        held = self._work.in_flight(self._label)
        held.__enter__()
        with self._lock:
            self._held.append(held)

    def _release(self) -> None:
        with self._lock:
            held = self._held.pop()
        held.__exit__(None, None, None)
