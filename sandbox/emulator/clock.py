"""The account's virtual clock: wall speed, plus whatever somebody has skipped."""

from __future__ import annotations

import datetime as dt
import threading
import time

import time_machine


def _real_time() -> float:
    """Seconds since the epoch, whatever this process is made to believe."""
    hatch = time_machine.escape_hatch
    told: float = hatch.time.time() if hatch.is_travelling() else time.time()
    return told


class VirtualClock:
    """Time as the whole account process sees it.

    The clock runs at wall speed from the moment it is created; :meth:`shift` moves it forward.
    ``time.time`` and ``datetime.now`` follow in this process; ``time.monotonic`` and lock
    time-outs stay real, so waiting for a process to answer is never cut short by a jump.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._offset_s = 0.0
        self._travel: time_machine.travel | None = None
        self._traveller: time_machine.Traveller | None = None
        self.functions_follow = True
        """Whether functions see this clock; where this machine can't have that, they see the wall's."""

    def start(self) -> None:
        """Make this process follow the clock. Call once, after the fork."""
        self._travel = time_machine.travel(dt.datetime.fromtimestamp(_real_time(), dt.UTC), tick=True)
        self._traveller = self._travel.start()
        # Setting off takes a moment, by which the process would be behind for ever.
        self._traveller.shift(dt.timedelta(seconds=self.time() - time.time()))

    def stop(self) -> None:
        """Give the process its wall clock back."""
        if self._travel is not None:
            self._travel.stop()
            self._travel = self._traveller = None

    def time(self) -> float:
        """Seconds since the epoch in the account's time."""
        return _real_time() + self._offset_s

    def now(self) -> dt.datetime:
        """The account's time, aware, in UTC."""
        return dt.datetime.fromtimestamp(self.time(), dt.UTC)

    @staticmethod
    def wall_time() -> float:
        """Seconds since the epoch outside; what request signatures are judged against."""
        return _real_time()

    @property
    def offset_s(self) -> float:
        """How far the account is ahead of the wall clock, in seconds."""
        return self._offset_s

    @property
    def functions_behind_s(self) -> float:
        """How far what functions tell of the time is behind the account."""
        return 0.0 if self.functions_follow else self._offset_s

    def shift(self, seconds: float) -> None:
        """Move the clock forward by ``seconds`` (never back).

        Raises:
            ValueError: ``seconds`` is negative.
        """
        if seconds < 0:
            raise ValueError("The clock only moves forward.")
        with self._lock:
            self._offset_s += seconds
            if self._traveller is not None:
                self._traveller.shift(dt.timedelta(seconds=seconds))
