"""The tracing header: which trace a request belongs to, below which segment, and whether it is recorded.

Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
"""

from __future__ import annotations

import re
import secrets
from dataclasses import dataclass

TRACE_ID = re.compile(r"1-([0-9a-f]{8})-[0-9a-f]{24}", re.IGNORECASE)
SEGMENT_ID = re.compile(r"[0-9a-f]{16}", re.IGNORECASE)
_HEADER_LIMIT = 1024


def new_trace_id(now: float) -> str:
    """A trace that begins at ``now``, in seconds since the epoch."""
    return f"1-{int(now):08x}-{secrets.token_hex(12)}"


def new_id() -> str:
    """The id of a segment or subsegment."""
    return secrets.token_hex(8)


@dataclass(frozen=True, slots=True)
class TraceHeader:
    """A request's place in a trace. ``sampled`` is None while nobody has decided."""

    trace_id: str
    parent_id: str = ""
    sampled: bool | None = None

    @classmethod
    def read(cls, text: str) -> TraceHeader | None:
        """From a header or a message's attribute; None when it names no trace."""
        fields = {}
        for part in text[:_HEADER_LIMIT].split(";"):
            name, _, value = part.strip().partition("=")
            fields[name] = value.strip()
        if not TRACE_ID.fullmatch(fields.get("Root", "")):
            return None
        parent = fields.get("Parent", "")
        sampled = {"1": True, "0": False}.get(fields.get("Sampled", ""))
        return cls(fields["Root"], parent if SEGMENT_ID.fullmatch(parent) else "", sampled)

    def __str__(self) -> str:
        parts = [f"Root={self.trace_id}"]
        parts += [f"Parent={self.parent_id}"] if self.parent_id else []
        parts += [f"Sampled={int(self.sampled)}"] if self.sampled is not None else []
        return ";".join(parts)
