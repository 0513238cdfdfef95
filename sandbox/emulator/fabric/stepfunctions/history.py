"""What happened in an execution, as GetExecutionHistory and the logs tell it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.fabric.stepfunctions.errors import RUNTIME, StatesError

# Source: https://docs.aws.amazon.com/step-functions/latest/dg/service-quotas.html
EVENTS_LIMIT = 25_000


@dataclass(frozen=True, slots=True)
class Event:
    """One event; ``details`` belong under the member that the API has for its type."""

    id: int
    previous: int
    type: str
    at: dt.datetime
    details: dict[str, Any] = field(repr=False)

    def shown(self, *, with_data: bool = True) -> dict[str, Any]:
        """As GetExecutionHistory answers it."""
        made: dict[str, Any] = {
            "id": self.id,
            "previousEventId": self.previous,
            "type": self.type,
            "timestamp": self.at,
        }
        details = self.details if with_data else _without_data(self.details)
        if details:
            made[_member(self.type)] = details
        return made


def _member(kind: str) -> str:
    if kind.endswith("StateEntered"):
        return "stateEnteredEventDetails"
    if kind.endswith("StateExited"):
        return "stateExitedEventDetails"
    return kind[0].lower() + kind[1:] + "EventDetails"


def _without_data(details: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in details.items() if name not in ("input", "output", "parameters")}


class History:
    """Events in order. ``watch`` is told of each; ``limit`` is how many there may be before the last."""

    def __init__(
        self, now: Callable[[], dt.datetime], watch: Callable[[Event], None], limit: int | None = EVENTS_LIMIT
    ) -> None:
        self._now = now
        self._limit = limit
        self._watch = watch
        self.events: list[Event] = []

    def add(self, previous: int, kind: str, **details: Any) -> int:
        """Append an event and return its id. Values that are None are left out.

        Raises:
            StatesError: the history is full.
        """
        if self._limit is not None and len(self.events) >= self._limit and not kind.startswith("Execution"):
            raise StatesError(
                RUNTIME, f"The execution reached the limit of {self._limit} events in its history."
            )
        given = {name: value for name, value in details.items() if value is not None}
        event = Event(len(self.events) + 1, previous, kind, self._now(), given)
        self.events.append(event)
        self._watch(event)
        return event.id


def data(value: Any) -> str:
    """A state's input or output as text."""
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)


NOT_TRUNCATED = {"truncated": False}
