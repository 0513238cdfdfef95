"""When a hint may be opened. Pure: new work opens the next step, handing in the same again does not."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

PATIENCE = timedelta(minutes=10)
LAST = 4
# How many gradings of files that were never graded before each step takes after the one before it.
_NEW_WORK = {1: 0, 2: 1, 3: 2, 4: 2}

Work = Sequence[tuple[datetime, str]]


@dataclass(frozen=True, slots=True)
class Next:
    """The step that comes next: ``0`` missing gradings of changed files when it may be opened now."""

    step: int
    missing: int
    opens_at: datetime | None = None

    @property
    def is_open(self) -> bool:
        """Whether it may be opened."""
        return self.missing == 0


def following(opened: Mapping[int, datetime], work: Work, now: datetime) -> Next | None:
    """The step after those that are open; None when all are."""
    step = 1 + max(opened, default=0)
    if step > LAST:
        return None
    if step == 1:
        return Next(1, 0)
    since = opened[step - 1]
    missing = max(_NEW_WORK[step] - new_work(work, since), 0)
    # The third step also comes to those who think instead of trying.
    opens_at = since + PATIENCE if step == 3 and missing else None
    return Next(step, 0) if opens_at and now >= opens_at else Next(step, missing, opens_at)


def new_work(work: Work, since: datetime) -> int:
    """How many different submissions were graded since then that had not been before."""
    return len({digest for at, digest in work if at > since} - {digest for at, digest in work if at <= since})
