"""Log events as rows: system fields, and what is discovered in their messages.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/CWL_AnalyzeLogData-discoverable-fields.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.telemetry.insights.values import Moment, Value, Written

MOST_FIELDS = 200
_DECODER = json.JSONDecoder(parse_float=Written)
_OF_LAMBDA = re.compile(r"/aws/lambda/")
_STREAM_OF_LAMBDA = re.compile(r"\d{4}/\d\d/\d\d/[^\[\]]*\[(\$LATEST|\d+)\][0-9a-f]{32}")
_UUID = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_PLATFORM = re.compile(rf"\A(START|END|REPORT) RequestId: ({_UUID})")
_OF_INVOCATION = re.compile(rf"\A(?:\[\w+\]\t)?\S+Z\t({_UUID})\t|\ARequestId: ({_UUID}) |\A\S+Z ({_UUID}) ")
# What REPORT says → the field's name, and what makes bytes of megabytes.
_REPORTED = {
    "Duration": ("@duration", 1),
    "Billed Duration": ("@billedDuration", 1),
    "Init Duration": ("@initDuration", 1),
    "Restore Duration": ("@restoreDuration", 1),
    "Billed Restore Duration": ("@billedRestoreDuration", 1),
    "Memory Size": ("@memorySize", 1_000_000),
    "Max Memory Used": ("@maxMemoryUsed", 1_000_000),
}
_MEASURE = re.compile(r"(?:\A|\t)\s*([A-Z][A-Za-z ]+): ([\d.]+) (?:ms|MB)")
_TRACE = re.compile(r"XRAY TraceId: (\S+)\s+SegmentId: (\S+)")


@dataclass(slots=True)
class Event:
    """One log event as a query sees it."""

    account_id: str
    group: str
    stream: str
    message: str
    timestamp: int
    ingestion_time: int
    pointer: str
    _discovered: dict[str, Value] | None = field(default=None, repr=False)

    def get(self, name: str) -> Value:
        """A field's value; None when the event does not have it."""
        match name:
            case "@message":
                return self.message
            case "@timestamp":
                return Moment(self.timestamp)
            case "@ingestionTime":
                return Moment(self.ingestion_time)
            case "@logStream":
                return self.stream
            case "@log":
                return f"{self.account_id}:{self.group}"
            case "@ptr":
                return self.pointer
        return self.discovered.get(name)

    @property
    def discovered(self) -> dict[str, Value]:
        """The fields found in the message."""
        if self._discovered is None:
            self._discovered = dict(self._discover())
        return self._discovered

    def names(self) -> list[str]:
        """All fields it has, system fields first."""
        return ["@timestamp", "@message", "@ingestionTime", "@logStream", "@log", "@ptr", *self.discovered]

    def _discover(self) -> Iterator[tuple[str, Value]]:
        of_lambda = bool(_OF_LAMBDA.match(self.group) or _STREAM_OF_LAMBDA.fullmatch(self.stream))
        if of_lambda:
            yield from _lambda_fields(self.message)
        start = self.message.find("{") if of_lambda else 0
        if start < 0 or not self.message[start:].lstrip().startswith("{"):
            return
        try:
            found, end = _DECODER.raw_decode(self.message[start:].lstrip())
        except (ValueError, RecursionError):
            return
        if not of_lambda and self.message.strip()[end:]:
            return
        for count, (name, value) in enumerate(_flat(found, "")):
            if count >= MOST_FIELDS:
                return
            yield name, value


def _flat(value: Any, name: str) -> Iterator[tuple[str, Value]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            # A field that begins with an @ is told from the system's by another one.
            shown = f"@{key}" if not name and key.startswith("@") else key
            yield from _flat(inner, f"{name}.{shown}" if name else shown)
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield from _flat(inner, f"{name}.{index}")
    elif value is not None:
        yield name, value


def _lambda_fields(message: str) -> Iterator[tuple[str, Value]]:
    if platform := _PLATFORM.match(message):
        yield "@type", platform[1]
        yield "@requestId", platform[2]
    elif line := _OF_INVOCATION.match(message):
        yield "@requestId", next(group for group in line.groups() if group)
    if message.startswith("REPORT "):
        for label, amount in _MEASURE.findall(message):
            if label in _REPORTED:
                name, factor = _REPORTED[label]
                yield name, Written(amount) if factor == 1 else int(float(amount) * factor)
    if trace := _TRACE.search(message):
        yield "@xrayTraceId", trace[1]
        yield "@xraySegmentId", trace[2]


class Row:
    """What a command works on: computed columns before the event's own fields."""

    __slots__ = ("columns", "event")

    def __init__(self, event: Event | None = None, columns: dict[str, Value] | None = None) -> None:
        self.event = event
        self.columns = columns or {}

    def get(self, name: str) -> Value:
        """A column, a field, or a part of a structure that a column holds."""
        if name in self.columns:
            return self.columns[name]
        found = self.event.get(name) if self.event is not None else None
        return _inside(self.columns, name) if found is None and "." in name else found


def _inside(columns: dict[str, Value], name: str) -> Value:
    parts = name.split(".")
    for count in range(len(parts) - 1, 0, -1):
        held = columns.get(".".join(parts[:count]))
        if isinstance(held, dict | list):
            return _descend(held, parts[count:])
    return None


def _descend(held: Value, parts: list[str]) -> Value:
    """Follow names and indices; a key may itself have dots in it."""
    if not parts:
        return held
    if isinstance(held, list):
        index = parts[0]
        return _descend(held[int(index)], parts[1:]) if index.isdigit() and int(index) < len(held) else None
    if isinstance(held, dict):
        for count in range(1, len(parts) + 1):
            key = ".".join(parts[:count])
            if key in held:
                return _descend(held[key], parts[count:])
    return None
