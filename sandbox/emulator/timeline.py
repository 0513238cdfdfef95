"""What happened in an account, in order: API calls, deliveries, invocations, clock moves, faults."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.calls import whence


@dataclass(frozen=True, slots=True)
class TimelineEvent:
    """One thing that happened.

    ``kind`` is one of ``api``, ``delivery``, ``invocation``, ``deployment``, ``clock``, ``fault``,
    ``gap`` (something we do not emulate). ``subject`` names it (``s3:PutObject``,
    ``invoice-intake``), ``detail`` is JSON-able. ``account_id`` is whose resource it touched.
    ``during`` in the detail is the request id of the API call that made it happen, ``trace_id`` the trace
    it belongs to.
    """

    sequence: int
    at: dt.datetime
    kind: str
    subject: str
    account_id: str
    region: str
    outcome: str = "ok"
    detail: dict[str, Any] = field(default_factory=dict)

    def as_json(self) -> dict[str, Any]:
        """The event as plain JSON types, ``at`` in RFC 3339 with milliseconds."""
        return {
            "sequence": self.sequence,
            "at": self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "kind": self.kind,
            "subject": self.subject,
            "account_id": self.account_id,
            "region": self.region,
            "outcome": self.outcome,
            "detail": self.detail,
        }


class Timeline:
    """Append-only, in memory, safe across threads; the oldest go first when it is full."""

    def __init__(self, now: Callable[[], dt.datetime], *, limit: int = 200_000) -> None:
        self._now = now
        self._limit = limit
        self._sequence = itertools.count(1)
        self._events: list[TimelineEvent] = []
        self._lock = threading.Lock()
        self.listeners: list[Callable[[TimelineEvent], None]] = []
        """Told of each event right after it was recorded, by whoever records it; they must be quick."""

    def add(
        self,
        kind: str,
        subject: str,
        *,
        account_id: str,
        region: str,
        outcome: str = "ok",
        **detail: Any,
    ) -> TimelineEvent:
        """Record that something happened now."""
        detail = whence() | detail
        with self._lock:
            event = TimelineEvent(
                next(self._sequence), self._now(), kind, subject, account_id, region, outcome, detail
            )
            self._events.append(event)
            if len(self._events) > self._limit:
                del self._events[: self._limit // 10]
        for listener in self.listeners:
            listener(event)
        return event

    def since(self, sequence: int = 0) -> list[TimelineEvent]:
        """Events after ``sequence``, oldest first."""
        with self._lock:
            return [event for event in self._events if event.sequence > sequence]
