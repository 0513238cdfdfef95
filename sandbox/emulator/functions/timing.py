"""How long an invocation takes with the processor share that its memory buys.

A function has one processor at 1,769 MB, and a share of it in proportion below. We let it run at full
speed and work out the duration: see docs/decisions/0005-cpu-model.md for why, and for what was measured.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-memory.html
"""

from __future__ import annotations

from dataclasses import dataclass

PROCESSOR_MB = 1769
# A share is kept over periods of this length: within one, what a function's share allows runs at full speed.
PERIOD_MS = 20.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What an invocation took here, in milliseconds.

    ``cpu_ms`` of all threads together; ``delay_ms``: how long they waited for a processor of ours.
    """

    wall_ms: float
    cpu_ms: float
    delay_ms: float = 0.0

    @property
    def unhindered_ms(self) -> float:
        """The wall time on a machine that does nothing else."""
        return self.wall_ms - min(self.delay_ms, max(0.0, self.wall_ms - self.cpu_ms))


def duration_ms(spent: Spent, memory_mb: int) -> float:
    """The duration at a memory size: time spent waiting stays, time spent computing stretches.

    With a whole processor or more nothing stretches; several threads may then use several processors.
    """
    unhindered = spent.unhindered_ms
    share = memory_mb / PROCESSOR_MB
    if share >= 1.0:
        return max(unhindered, spent.cpu_ms / share)
    waiting = max(0.0, unhindered - spent.cpu_ms)
    at_once = min(spent.cpu_ms, PERIOD_MS * share)
    return waiting + at_once + (spent.cpu_ms - at_once) / share
