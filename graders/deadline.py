"""The time a run may take, enforced from outside the check that overruns it."""

from __future__ import annotations

import threading
from types import TracebackType

import structlog

from graders.findings import Finding, inconclusive, not_assessed
from sandbox.account import Account
from sandbox.errors import EnvironmentFault

log = structlog.get_logger()


class Deadline:
    """Ends an account whose run takes longer than ``limit_s`` seconds of wall time.

    Whatever waits for the account then fails at once. Who is at fault is read from the account
    just before: the submission's own code still running, or our machinery standing still.
    """

    def __init__(self, account: Account, limit_s: float) -> None:
        self._account = account
        self._limit_s = limit_s
        self._running: tuple[str, ...] = ()
        self._timer = threading.Timer(limit_s, self._end)
        self._timer.daemon = True
        self.passed = False

    def __enter__(self) -> Deadline:
        self._timer.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._timer.cancel()

    def finding(self) -> Finding:
        """The finding of every check that the deadline left without an answer."""
        over = f"The run took longer than its {self._limit_s:.0f} s"
        if self._running:
            return not_assessed(f"{over}; still running then: {', '.join(self._running[:3])}.", blocked=True)
        return inconclusive(f"{over}, and none of your code was running.")

    def _end(self) -> None:
        self.passed = True
        try:
            self._running = self._account.settle(timeout_s=0.2).running
        except EnvironmentFault as error:
            log.warning("deadline_without_answer", error=str(error))
        self._account.close()
