"""What a row of the trigger matrix is: a source, a target, and what has to be seen of either end."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any

import pytest

from tests.triggers import payloads

if TYPE_CHECKING:
    from tests.triggers.world import World

TABLE: list[Row] = []
# How far a try may lie from its time on the account's clock: the clock also runs while a function does.
_TOLERANCE_S = 1.5


class Ending(StrEnum):
    """Where an event ends that its target never took, in the words of the documentation."""

    QUEUE_DLQ = "the queue's dead-letter queue"
    FUNCTION_DLQ = "the function's dead-letter queue"
    FUNCTION_DESTINATION = "the function's on-failure destination"
    MAPPING_DESTINATION = "the mapping's on-failure destination"
    SUBSCRIPTION_DLQ = "the subscription's dead-letter queue"
    TARGET_DLQ = "the target's dead-letter queue"
    SCHEDULE_DLQ = "the schedule's dead-letter queue"
    PIPE_DLQ = "the pipe's dead-letter queue"
    CAUGHT = "the state's `Catch`"
    FAILED_EXECUTION = "a failed execution"
    CALLER = "the caller, as an error"
    DEPLOYMENT = "a failed deployment"
    ROLLBACK = "a stack that is rolled back"
    HISTORY = "the alarm's history"
    TOLD = "the timeline, with the reason"


@dataclass(frozen=True, slots=True)
class Row:
    """``payload`` names the schema of what is delivered, ``kept`` that of what the endings hold.

    ``tries_s`` are the moments of the tries of what fails, from the first on, in seconds of account time.
    """

    source: str
    target: str
    payload: str
    run: Callable[[World], Observed]
    tries_s: tuple[float, ...]
    endings: tuple[Ending, ...]
    kept: str = ""
    note: str = ""

    @property
    def id(self) -> str:
        """Its name as a test's."""
        words = f"{self.source} to {self.target}"
        return "".join(c if c.isalnum() else "_" for c in words).strip("_")


@dataclass(frozen=True, slots=True)
class Observed:
    """What really happened. ``delivered`` is what the target got, ``ended`` what was found where.

    ``tries_s`` are account times; only their distances count.
    """

    delivered: Sequence[Any]
    tries_s: Sequence[float] = ()
    ended: Mapping[Ending, Sequence[Any]] = field(default_factory=dict)


def row(
    source: str,
    target: str,
    payload: str,
    *,
    tries_s: tuple[float, ...] = (),
    endings: tuple[Ending, ...] = (),
    kept: str = "",
    note: str = "",
) -> Callable[[Callable[[World], Observed]], Callable[[World], Observed]]:
    """Add a function to the table; what it returns is held against what is said here."""

    def add(run: Callable[[World], Observed]) -> Callable[[World], Observed]:
        made = Row(source, target, payload, run, tries_s, endings, kept, note)
        assert made.id not in {each.id for each in TABLE}
        TABLE.append(made)
        return run

    return add


def hold(row: Row, observed: Observed) -> None:
    """Compare what was observed with what the row says, which is what the documentation says."""
    assert observed.delivered, "nothing was delivered"
    for each in observed.delivered:
        payloads.validate(row.payload, each)
    first = observed.tries_s[0] if observed.tries_s else 0.0
    seen = [moment - first for moment in observed.tries_s]
    assert seen == pytest.approx(list(row.tries_s), abs=_TOLERANCE_S), f"tries at {seen}"
    assert set(observed.ended) == set(row.endings), observed.ended
    for ending, found in observed.ended.items():
        assert found, f"nothing in {ending}"
        for each in found:
            if ending is Ending.TOLD:
                assert isinstance(each, str)
                assert each
            elif row.kept:
                payloads.validate(row.kept, each)
