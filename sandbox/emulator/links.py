"""The ways between an account's regions: how long data is under way, and whether it gets through.

Everything that copies data to another region (tables, buckets, secrets) asks here, so that one switch
slows or cuts all of it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from sandbox.emulator.faults import Faults

# AWS: "typically replicated within a second" (global tables).
# Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
USUAL_DELAY_S = 1.0
# What takes no longer than this is waited for when an account settles.
SOON_S = 5.0
DELAY = "replication.delay"


class Links:
    """All ways between regions.

    ``is_cut(source, target)`` says whether nothing gets through. ``when_healed`` is called by
    :meth:`changed`, and must only enqueue.
    """

    def __init__(self, faults: Faults, is_cut: Callable[[str, str], bool] = lambda _source, _target: False):
        self._faults = faults
        self._lock = threading.Lock()
        self._listeners: list[Callable[[], None]] = []
        self.is_cut = is_cut

    def delay_s(self, source: str, target: str) -> float:
        """How long a change takes that sets out now, in seconds of account time."""
        fault = self._faults.find(DELAY)
        if fault is None or fault.get("source", source) != source or fault.get("target", target) != target:
            return USUAL_DELAY_S
        return max(float(fault.get("seconds", USUAL_DELAY_S)), 0.0)

    def when_changed(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when a way may have opened again."""
        with self._lock:
            self._listeners.append(listener)

    def changed(self) -> None:
        """Something was cut or healed."""
        with self._lock:
            listeners = list(self._listeners)
        for listener in listeners:
            listener()
