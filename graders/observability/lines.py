"""The lines that functions wrote, each in its place: by which function, in which invocation."""

from __future__ import annotations

import datetime as dt
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graders import telemetry
from graders.functions import FunctionView
from graders.telemetry import LogEvent, Mark
from sandbox.account import Account

_ID = r"(?P<id>[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12})"
# What Lambda itself writes. Whole lines, so that nothing a function prints can hide behind such a beginning.
_START = re.compile(rf"START RequestId: {_ID} Version: (\$LATEST|\d+)\s*")
_PLATFORM = re.compile(
    rf"END RequestId: {_ID}\s*"
    rf"|REPORT RequestId: (?P<report>[0-9a-f-]{{36}})\t(Duration|Init Duration): [^{{}}\"@]*"
    rf"|INIT_START Runtime Version: [^{{}}\"@]*"
    rf"|INIT_REPORT Init Duration: [^{{}}\"@]*"
    rf"|XRAY TraceId: \S+\tSegmentId: \S+.*"
    rf"|(?P<late>\S+Z) [0-9a-f-]{{36}} Task timed out after [\d.]+ seconds\s*"
    rf"|RequestId: [0-9a-f-]{{36}} Error: Runtime exited[^{{}}\"@]*",
    re.DOTALL,
)
_BEGINS_ENVIRONMENT = "INIT_START "


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line that a function wrote; what Lambda writes itself is none.

    ``request_id`` is the invocation it was written in, by the platform's own lines around it, and empty for
    what code prints while it is loaded. ``cold`` says whether that was its environment's first invocation.
    ``fields`` is the JSON object that the line is, None when it is no such.
    """

    at: dt.datetime
    text: str
    function: str
    request_id: str
    cold: bool
    fields: Mapping[str, Any] | None

    @property
    def counts(self) -> bool:
        """It is a document in embedded metric format, which is nothing that anybody reads."""
        told = (self.fields or {}).get("_aws")
        return isinstance(told, Mapping) and "CloudWatchMetrics" in told

    @property
    def level(self) -> str:
        """Its level in capitals, ``WARNING`` as ``WARN``; empty without one."""
        level = str((self.fields or {}).get("level", "")).upper()
        return "WARN" if level == "WARNING" else level

    @property
    def size_bytes(self) -> int:
        """Its length."""
        return len(self.text.encode())

    def get(self, name: str) -> Any:
        """A field, None without it."""
        return (self.fields or {}).get(name)

    def fault(self, *required: str, **truths: Any) -> str:
        """What it lacks of a structured line with these fields; empty when nothing.

        A required field is a text that is not empty; those of ``truths`` have exactly this value.
        """
        if self.fields is None:
            return "is no JSON object"
        for name in required:
            if not isinstance(self.fields.get(name), str) or not self.fields[name]:
                return f"has no `{name}`" if name not in self.fields else f"has an empty `{name}`"
        for name, value in truths.items():
            if name not in self.fields:
                return f"has no `{name}`"
            if self.fields[name] != value or type(self.fields[name]) is not type(value):
                return f"has `{name}` {json.dumps(self.fields[name])}, and it was {json.dumps(value)}"
        return ""

    def quoted(self, characters: int = 160) -> str:
        """Its beginning, for evidence."""
        return self.text if len(self.text) <= characters else f"{self.text[:characters]}…"


def read_lines(account: Account, functions: Iterable[FunctionView], since: Mark | None) -> list[LogLine]:
    """What functions wrote since a moment at which none of them ran, oldest first in each environment."""
    views = list(functions)
    whose = {
        record.request_id: view.name
        for view in views
        for record in telemetry.invocations(account, view, since)
    }
    lines: list[LogLine] = []
    for group in dict.fromkeys(view.log_group for view in views):
        owners = [view.name for view in views if view.log_group == group]
        streams: dict[str, list[LogEvent]] = {}
        for event in telemetry.logs(account, group, since):
            streams.setdefault(event.stream, []).append(event)
        for events in streams.values():
            lines += _of_stream(events, whose, owners)
    return lines


def bytes_per(lines: Sequence[LogLine], requests: int) -> float:
    """The mean length of what was written for a request."""
    return sum(line.size_bytes for line in lines) / requests


def _of_stream(events: Iterable[LogEvent], whose: Mapping[str, str], owners: Sequence[str]) -> list[LogLine]:
    """The lines of one environment."""
    lines: list[LogLine] = []
    request_id, begun, cold = "", False, False
    for event in events:
        fields = _object(event.message)
        started = _started(event.message, fields)
        if started:
            request_id, cold, begun = started, begun, False
        elif event.message.startswith(_BEGINS_ENVIRONMENT) and _PLATFORM.fullmatch(event.message):
            request_id, begun = "", True
        elif _is_of_platform(event.message, fields):
            begun = begun or (fields or {}).get("type") == "platform.initStart"
        else:
            owner = whose.get(request_id, owners[0] if len(owners) == 1 else "")
            lines.append(LogLine(event.at, event.message, owner, request_id, cold, fields))
    return lines


def _started(message: str, fields: Mapping[str, Any] | None) -> str:
    """The invocation that a platform's line begins; empty when it is no such line."""
    if match := _START.fullmatch(message):
        return match["id"]
    if fields is not None and fields.get("type") == "platform.start":
        return str((fields.get("record") or {}).get("requestId", ""))
    return ""


def _is_of_platform(message: str, fields: Mapping[str, Any] | None) -> bool:
    if fields is not None:
        kind = fields.get("type")
        return (
            isinstance(kind, str)
            and kind.startswith("platform.")
            and set(fields) == {"time", "type", "record"}
        )
    return _PLATFORM.fullmatch(message) is not None


def _object(text: str) -> Mapping[str, Any] | None:
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return found if isinstance(found, dict) else None
