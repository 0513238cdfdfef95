"""Tumbling windows of streams: a state that goes from invocation to invocation until the window ends.

Source: https://docs.aws.amazon.com/lambda/latest/dg/services-kinesis-windows.html
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.fabric.streams import Record
from sandbox.emulator.functions.contract import InvokeOutcome

STATE_LIMIT_BYTES = 1024 * 1024


@dataclass(slots=True)
class Window:
    """One window of a lane, from ``start`` to ``end`` in account time; records are in it by their arrival."""

    start: float
    end: float
    state: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def around(cls, moment: float, seconds: int) -> Window:
        """The window in which something that arrived at ``moment`` is."""
        start = moment // seconds * seconds
        return cls(start, start + seconds)

    def holds(self, record: Record) -> bool:
        """Whether a record belongs to it."""
        return self.start <= record.arrived < self.end

    @property
    def full(self) -> bool:
        """Its state is larger than it may be: it ends before its time."""
        return len(json.dumps(self.state).encode()) > STATE_LIMIT_BYTES

    def take(self, outcome: InvokeOutcome) -> None:
        """Keep the state that a function answered with."""
        try:
            answer = json.loads(outcome.payload) if outcome.payload.strip() else None
        except ValueError:
            answer = None
        told = answer.get("state") if isinstance(answer, dict) else None
        self.state = told if isinstance(told, dict) else {}

    def payload(self, plain: bytes, shard_id: str, source: str, *, final: bool) -> bytes:
        """An invocation's event: the one of a mapping without windows, and what windows add."""
        more = {
            "shardId": shard_id,
            "eventSourceARN": source,
            "window": {"start": _text(self.start), "end": _text(self.end)},
            "state": self.state,
            "isFinalInvokeForWindow": final,
            "isWindowTerminatedEarly": final and self.full,
        }
        return plain[:-1] + b"," + json.dumps(more, separators=(",", ":")).encode()[1:]


def in_first_window(new: Sequence[Record], window: Window) -> Sequence[Record]:
    """Those records at the front that belong to the window."""
    count = next((index for index, each in enumerate(new) if not window.holds(each)), len(new))
    return new[:count]


def _text(moment: float) -> str:
    return dt.datetime.fromtimestamp(moment, dt.UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
