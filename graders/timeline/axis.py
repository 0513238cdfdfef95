"""A time axis on which idle time takes little room: hours pass on a virtual clock while nothing happens."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from dataclasses import dataclass

# Idle time is folded when it is longer than this, in seconds.
FOLDED_FROM_S = 1.0
# How wide a fold is, as a share of all that is shown as it was.
_FOLD_SHARE = 0.02
_FOLD_AT_LEAST_S = 0.02


@dataclass(frozen=True, slots=True)
class Axis:
    """Pairs of a moment (seconds since the epoch) and its place, both growing; between them it is linear.

    ``folds`` are the indices of the pairs at which folded time begins.
    """

    knots: tuple[tuple[float, float], ...]
    folds: tuple[int, ...]

    def place(self, moment: float) -> float:
        """Where a moment is."""
        for (before, left), (after, right) in itertools.pairwise(self.knots):
            if moment <= after:
                share = (moment - before) / (after - before) if after > before else 0.0
                return left + max(0.0, share) * (right - left)
        return self.knots[-1][1]


def fold(moments: Iterable[float]) -> Axis:
    """The axis on which these moments are told apart."""
    ordered = sorted(set(moments)) or [0.0]
    steps = [after - before for before, after in itertools.pairwise(ordered)]
    busy = sum(step for step in steps if step <= FOLDED_FROM_S)
    width = max(busy * _FOLD_SHARE, _FOLD_AT_LEAST_S)
    knots, folds, place = [(ordered[0], 0.0)], [], 0.0
    for before, after in itertools.pairwise(ordered):
        if after - before <= FOLDED_FROM_S:
            place += after - before
            continue
        if knots[-1][0] < before:
            knots.append((before, place))
        folds.append(len(knots) - 1)
        place += width
        knots.append((after, place))
    if knots[-1][0] < ordered[-1]:
        knots.append((ordered[-1], place))
    return Axis(tuple(knots), tuple(folds))
