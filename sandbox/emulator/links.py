"""The ways between an account's regions: how long data is under way, and whether it gets through.

Everything that copies data to another region (tables, buckets, secrets) asks here, so that one fault
slows or cuts all of it.
"""

from __future__ import annotations

from collections.abc import Callable

from sandbox.emulator.faults import Faults

# AWS: "typically replicated within a second" (global tables).
# Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_HowItWorks.html
USUAL_DELAY_S = 1.0
# What takes no longer than this is waited for when an account settles.
SOON_S = 5.0


class Links:
    """All ways between regions, as the faults that are on leave them."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults

    def delay_s(self, source: str, target: str) -> float:
        """How long a change takes that sets out now, in seconds of account time."""
        return self._faults.replication_delay_s(source, target, USUAL_DELAY_S)

    def is_cut(self, source: str, target: str) -> bool:
        """Whether nothing gets through: the way is cut, or one of the regions is dark."""
        return source != target and self._faults.replication_cut(source, target)

    def when_changed(self, listener: Callable[[], None]) -> None:
        """Call ``listener`` when a way may have opened again; it must only enqueue."""
        self._faults.listen(lambda _fault: listener())
