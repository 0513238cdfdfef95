"""Calls that may take long: a page waits for them for a while, and no learner can take every thread."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as NotYet
from dataclasses import dataclass, field
from typing import TypeVar

from portal.languages import N_
from sandbox.console.refusals import Refused

_T = TypeVar("_T")
WAIT_S = 25.0
_AT_ONCE = 12
_A_LEARNER = 2


@dataclass
class Errands:
    """Runs them, a few at once."""

    wait_s: float = WAIT_S
    _pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(_AT_ONCE, "practice"))
    _running: Counter[int] = field(default_factory=Counter)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def run(self, user_id: int, work: Callable[[], _T]) -> _T:
        """What ``work`` gives.

        Raises:
            Refused: it takes longer than a page waits (it goes on), or too many are under way.
        """
        with self._lock:
            if self._running[user_id] >= _A_LEARNER or self._running.total() >= _AT_ONCE:
                raise Refused(N_("Calls of yours are still under way. Wait until one of them has ended."))
            self._running[user_id] += 1

        def carried_out() -> _T:
            try:
                return work()
            finally:
                with self._lock:
                    self._running[user_id] -= 1

        future = self._pool.submit(carried_out)
        try:
            return future.result(self.wait_s)
        except NotYet:
            raise Refused(
                N_("This takes longer than a page waits. It goes on; logs and timeline tell how it ends.")
            ) from None


# One for the process: it is the process whose threads are shared out.
errands = Errands()
