"""What every benchmark shares: one measured figure, a stopwatch, and the sandbox it measures."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sandbox.providers.emulated import EmulatedProvider


@dataclass(frozen=True, slots=True)
class Figure:
    """One measured figure. ``goal`` is in the same unit; ``at_most``: smaller is better."""

    name: str
    unit: str
    values: tuple[float, ...]
    goal: float
    at_most: bool = True

    def row(self) -> tuple[str, ...]:
        """Its line in the table."""
        median = statistics.median(self.values)
        ratio = median / self.goal
        met = ratio <= 1 if self.at_most else ratio >= 1
        spread = f"{min(self.values):.3g}–{max(self.values):.3g}"
        sign = "≤" if self.at_most else "≥"
        return (
            self.name,
            f"{median:.3g} {self.unit}",
            spread,
            str(len(self.values)),
            f"{sign} {self.goal:g} {self.unit}",
            f"{ratio:.2f}×",
            "met" if met else "missed",
        )


@dataclass(frozen=True, slots=True)
class Bench:
    """What a topic may use: the supervisor's accounts (warm), and where builds and other files are kept.

    ``small``: a look in passing, on a machine that others need as well.
    """

    provider: EmulatedProvider
    home: Path
    small: bool = False

    def times(self, count: int) -> int:
        """How often something is done that is worth doing ``count`` times when there is time for it."""
        return max(count // 20, min(count, 4)) if self.small else count


def timed(work: Callable[[], Any]) -> float:
    """Milliseconds that ``work`` took."""
    started = time.perf_counter()
    work()
    return (time.perf_counter() - started) * 1000
