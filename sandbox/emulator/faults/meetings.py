"""Calls of functions that wait for each other, so that what may overlap does."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

from sandbox.emulator.calls import Call
from sandbox.emulator.faults.register import Faults
from sandbox.faults.calls import CallsMeet

_LIMIT_S = 5.0
_LOOK_S = 0.02


class Meetings:
    """Holds a function's call of one operation until every invocation under way is held or has ended.

    The fault ``calls.meet`` names the ``operation``, such as ``s3:PutObject``; ``running`` counts the
    invocations. Nothing is held for longer than five seconds: an invocation may wait for another one's end.
    """

    def __init__(self, faults: Faults, running: Callable[[], int]) -> None:
        self._faults = faults
        self._running = running
        self._met = threading.Condition()
        self._held: set[str] = set()

    def attend(self, call: Call) -> None:
        """Return when a call may go on."""
        fault = self._faults.find(CallsMeet)
        if fault is None or not call.environment_id or fault.operation != f"{call.service}:{call.operation}":
            return
        ends = time.monotonic() + _LIMIT_S
        with self._met:
            held = self._held
            held.add(call.environment_id)
            # Who lets the others go leaves an empty set behind for those who come next.
            while held is self._held and len(held) < self._running() and time.monotonic() < ends:
                self._met.wait(_LOOK_S)
            if held is self._held:
                self._held = set()
                self._met.notify_all()
