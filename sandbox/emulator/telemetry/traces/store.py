"""The traces of an account, by region."""

from __future__ import annotations

import math
import threading
from dataclasses import dataclass, field, replace

from sandbox.emulator.telemetry.traces.documents import Document, put_together, time_of, within

# Source: https://docs.aws.amazon.com/general/latest/gr/xray.html (30 days; 500 KB a trace)
KEPT_S = 30 * 24 * 3600
TRACE_LIMIT_BYTES = 500 * 1024
# How far an id's time may lie ahead of the first segment's.
_AHEAD_S = 300
# Beyond it the oldest traces go.
STORE_LIMIT_BYTES = 64 * 1024 * 1024


@dataclass(slots=True)
class Trace:
    """What came of one trace. ``limited``: more came than a trace may hold, and was dropped."""

    trace_id: str
    documents: dict[str, Document] = field(default_factory=dict)
    size_bytes: int = 0
    revision: int = 0
    limited: bool = False
    first: float = math.inf

    @property
    def began(self) -> float:
        """When it began: as its id says or, where that is one of W3C's and says nothing, its segments."""
        told = int(self.trace_id[2:10], 16)
        return told if -KEPT_S <= told - self.first <= _AHEAD_S else self.first

    def segments(self) -> list[Document]:
        """Whole segments, earliest first."""
        return put_together(self.documents.values())


@dataclass(frozen=True, slots=True)
class Span:
    """From when to when something happened, in seconds since the epoch."""

    start: float
    end: float

    @property
    def duration_s(self) -> float:
        """How long that is."""
        return self.end - self.start


def span_of(segments: list[Document]) -> Span:
    """From the first beginning to the last end in a trace."""
    every = [each for segment in segments for each in within(segment)]
    starts = [time for each in every if (time := time_of(each, "start_time")) is not None]
    ends = [time for each in every if (time := time_of(each, "end_time")) is not None]
    start = min(starts, default=0.0)
    return Span(start, max(ends, default=start))


_Place = tuple[str, str]


class TraceStore:
    """Safe across threads. Every trace is as it was when it was asked for."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._traces: dict[tuple[_Place, str], Trace] = {}
        self._size = 0

    def put(self, account_id: str, region: str, document: Document, size_bytes: int) -> None:
        """Add a document to its trace; one in progress gives way to what it has become."""
        key = ((account_id, region), str(document["trace_id"]).lower())
        with self._lock:
            trace = self._traces.setdefault(key, Trace(key[1]))
            before = trace.documents.get(document["id"])
            if before is not None and before.get("in_progress") is not True:
                return  # Complete segments do not change any more.
            if trace.size_bytes + size_bytes > TRACE_LIMIT_BYTES:
                trace.limited = True
                return
            trace.documents[document["id"]] = document
            trace.size_bytes += size_bytes
            trace.revision += 1
            trace.first = min(trace.first, time_of(document, "start_time") or trace.first)
            self._size += size_bytes
            while self._size > STORE_LIMIT_BYTES and len(self._traces) > 1:
                self._size -= self._traces.pop(next(iter(self._traces))).size_bytes

    def find(self, account_id: str, region: str, trace_id: str) -> Trace | None:
        """One trace."""
        with self._lock:
            found = self._traces.get(((account_id, region), trace_id.lower()))
            return None if found is None else _copy(found)

    def all(self, account_id: str, region: str, *, since: float = 0.0) -> list[Trace]:
        """Traces that began at ``since`` or later, in the order they were heard of."""
        place = (account_id, region)
        with self._lock:
            return [
                _copy(trace)
                for (where, _trace_id), trace in self._traces.items()
                if where == place and trace.began >= since - 1
            ]


def _copy(trace: Trace) -> Trace:
    return replace(trace, documents=dict(trace.documents))
