"""OTLP's trace messages off the wire: protocol buffers become what OTLP's JSON would say.

Written for input that nobody vouches for: how deep messages lie in each other and how many values there
are is limited before anything is kept. Fields that are not known here are passed over: more may come.

Sources: https://protobuf.dev/programming-guides/encoding/ and
https://opentelemetry.io/docs/specs/otlp/#json-protobuf-encoding
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_DEPTH_LIMIT = 32
_VALUES_LIMIT = 200_000
_VARINT, _FIXED64, _DELIMITED, _FIXED32 = 0, 1, 2, 5
_LAST_BYTE_SHIFT = 63


class Malformed(Exception):
    """What came is not what it says it is."""


@dataclass(frozen=True, slots=True)
class _Field:
    """``kind`` is how a value is written, or the name of the message that lies there."""

    name: str
    kind: str
    repeated: bool = False


_ATTRIBUTES = _Field("attributes", "KeyValue", repeated=True)
_ROOT = "ExportTraceServiceRequest"
_MESSAGES: Mapping[str, Mapping[int, _Field]] = {
    _ROOT: {1: _Field("resourceSpans", "ResourceSpans", repeated=True)},
    "ResourceSpans": {
        1: _Field("resource", "Resource"),
        2: _Field("scopeSpans", "ScopeSpans", repeated=True),
    },
    "Resource": {1: _ATTRIBUTES},
    "ScopeSpans": {2: _Field("spans", "Span", repeated=True)},
    "Span": {
        1: _Field("traceId", "hex"),
        2: _Field("spanId", "hex"),
        4: _Field("parentSpanId", "hex"),
        5: _Field("name", "string"),
        6: _Field("kind", "integer"),
        7: _Field("startTimeUnixNano", "fixed"),
        8: _Field("endTimeUnixNano", "fixed"),
        9: _ATTRIBUTES,
        11: _Field("events", "Event", repeated=True),
        13: _Field("links", "Link", repeated=True),
        15: _Field("status", "Status"),
    },
    "Event": {1: _Field("timeUnixNano", "fixed"), 2: _Field("name", "string"), 3: _ATTRIBUTES},
    "Link": {1: _Field("traceId", "hex"), 2: _Field("spanId", "hex"), 4: _ATTRIBUTES},
    "Status": {2: _Field("message", "string"), 3: _Field("code", "integer")},
    "KeyValue": {1: _Field("key", "string"), 2: _Field("value", "AnyValue")},
    "AnyValue": {
        1: _Field("stringValue", "string"),
        2: _Field("boolValue", "bool"),
        3: _Field("intValue", "integer"),
        4: _Field("doubleValue", "double"),
        5: _Field("arrayValue", "ArrayValue"),
        6: _Field("kvlistValue", "KeyValueList"),
        7: _Field("bytesValue", "hex"),
    },
    "ArrayValue": {1: _Field("values", "AnyValue", repeated=True)},
    "KeyValueList": {1: _Field("values", "KeyValue", repeated=True)},
}
_WRITTEN = {
    "string": _DELIMITED,
    "hex": _DELIMITED,
    "integer": _VARINT,
    "bool": _VARINT,
    "fixed": _FIXED64,
    "double": _FIXED64,
}


def read_traces(data: bytes) -> dict[str, Any]:
    """An ``ExportTraceServiceRequest``.

    Raises:
        Malformed: it is none, or holds more than we take.
    """
    return _Reader(data).message(_ROOT, 0, len(data), 0)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self._data = data
        self._values = 0

    def message(self, name: str, at: int, end: int, depth: int) -> dict[str, Any]:
        if depth > _DEPTH_LIMIT:
            raise Malformed(f"messages lie more than {_DEPTH_LIMIT} deep in each other")
        fields, made = _MESSAGES[name], dict[str, Any]()
        while at < end:
            self._values += 1
            if self._values > _VALUES_LIMIT:
                raise Malformed(f"there are more than {_VALUES_LIMIT} values")
            key, at = self._varint(at, end)
            written, start = key & 7, at
            content, at = self._content(written, at, end)
            field = fields.get(key >> 3)
            if field is None:
                continue
            if written != _WRITTEN.get(field.kind, _DELIMITED):
                raise Malformed(f"field {field.name} of {name} has the wrong wire type {written}")
            if field.kind in _MESSAGES:
                value: Any = self.message(field.kind, at - content, at, depth + 1)
            else:
                value = self._scalar(field.kind, content, start, at)
            if field.repeated:
                made.setdefault(field.name, []).append(value)
            else:
                made[field.name] = value
        return made

    def _content(self, written: int, at: int, end: int) -> tuple[int, int]:
        """A value's number, or how long it is, and where it ends."""
        if written == _VARINT:
            return self._varint(at, end)
        if written == _DELIMITED:
            length, at = self._varint(at, end)
        elif written in (_FIXED64, _FIXED32):
            length = 8 if written == _FIXED64 else 4
        else:
            raise Malformed(f"there is no wire type {written}")
        if at + length > end:
            raise Malformed("unexpected EOF")
        return length, at + length

    def _varint(self, at: int, end: int) -> tuple[int, int]:
        value = shift = 0
        while at < end:
            byte = self._data[at]
            at += 1
            value |= (byte & 0x7F) << shift
            if not byte & 0x80:
                return value & 0xFFFF_FFFF_FFFF_FFFF, at
            shift += 7
            if shift > _LAST_BYTE_SHIFT:
                raise Malformed("integer overflow")
        raise Malformed("unexpected EOF")

    def _scalar(self, kind: str, content: int, start: int, end: int) -> Any:
        if kind == "bool":
            return content != 0
        if kind == "integer":
            return content - (1 << 64) if content >> 63 else content
        if kind == "fixed":
            return int.from_bytes(self._data[start:end], "little")
        if kind == "double":
            return struct.unpack_from("<d", self._data, start)[0]
        raw = self._data[end - content : end]
        return raw.hex() if kind == "hex" else raw.decode("utf-8", "replace")
