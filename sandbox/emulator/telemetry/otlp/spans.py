"""Spans as they were sent, in either of OTLP's encodings, read strictly.

Source: https://opentelemetry.io/docs/specs/otlp/
"""

from __future__ import annotations

import base64
import binascii
import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.telemetry.otlp import wire
from sandbox.emulator.telemetry.otlp.wire import Malformed

INTERNAL, SERVER, CLIENT, PRODUCER, CONSUMER = 1, 2, 3, 4, 5
ERROR = 2
SPANS_LIMIT = 10_000
_DEPTH_LIMIT = 16
_TRACE_ID, _SPAN_ID = re.compile(r"[0-9a-f]{32}"), re.compile(r"[0-9a-f]{16}")

Attributes = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened within a span, at ``at`` seconds since the epoch."""

    name: str
    at: float
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Link:
    """Another span that belongs to this one; ids in hexadecimal."""

    trace_id: str
    span_id: str
    attributes: Attributes


@dataclass(frozen=True, slots=True)
class Span:
    """One span. Ids are in hexadecimal, times in seconds since the epoch; ``parent_id`` may be empty."""

    trace_id: str
    span_id: str
    parent_id: str
    name: str
    kind: int
    start: float
    end: float
    attributes: Attributes
    events: tuple[Event, ...]
    links: tuple[Link, ...]
    status: int
    message: str
    resource: Attributes


def read(body: bytes, *, as_json: bool) -> list[Span]:
    """The spans of an export request.

    Raises:
        Malformed: it is none, or holds more than we take.
    """
    found: list[Span] = []
    for span in _spans(_json(body) if as_json else wire.read_traces(body)):
        found.append(span)
        if len(found) > SPANS_LIMIT:
            raise Malformed(f"there are more than {SPANS_LIMIT} spans")
    return found


def _json(body: bytes) -> dict[str, Any]:
    try:
        found = json.loads(body)
    except RecursionError:
        raise Malformed("objects lie too deep in each other") from None
    except ValueError as error:
        raise Malformed(str(error)) from None
    if not isinstance(found, dict):
        raise Malformed("the request is no object")
    return found


def _spans(request: Mapping[str, Any]) -> Iterator[Span]:
    for each in _objects(request, "resourceSpans"):
        resource = _attributes(_object(each, "resource"))
        for scope in _objects(each, "scopeSpans"):
            for span in _objects(scope, "spans"):
                yield _span(span, resource)


def _span(given: Mapping[str, Any], resource: Attributes) -> Span:
    status = _object(given, "status")
    return Span(
        _id(given, "traceId", _TRACE_ID),
        _id(given, "spanId", _SPAN_ID),
        _id(given, "parentSpanId", _SPAN_ID),
        _text(given, "name"),
        _enumerated(given.get("kind"), "SPAN_KIND_"),
        _time(given, "startTimeUnixNano"),
        _time(given, "endTimeUnixNano"),
        _attributes(given),
        tuple(
            Event(_text(each, "name"), _time(each, "timeUnixNano"), _attributes(each))
            for each in _objects(given, "events")
        ),
        tuple(
            Link(_id(each, "traceId", _TRACE_ID), _id(each, "spanId", _SPAN_ID), _attributes(each))
            for each in _objects(given, "links")
        ),
        _enumerated(status.get("code"), "STATUS_CODE_"),
        _text(status, "message"),
        resource,
    )


def _attributes(given: Mapping[str, Any]) -> dict[str, Any]:
    return {_text(each, "key"): _value(_object(each, "value"), 0) for each in _objects(given, "attributes")}


def _value(given: Mapping[str, Any], depth: int) -> Any:
    """An attribute's value; None for an empty one."""
    if depth > _DEPTH_LIMIT:
        raise Malformed("values lie too deep in each other")
    for kind, value in given.items():
        if kind in ("stringValue", "bytesValue") and isinstance(value, str):
            return value
        if kind == "boolValue" and isinstance(value, bool):
            return value
        if kind == "intValue":
            return _integer(value)
        if kind == "doubleValue":
            return _double(value)
        if kind == "arrayValue" and isinstance(value, dict):
            return [_value(each, depth + 1) for each in _objects(value, "values")]
        if kind == "kvlistValue" and isinstance(value, dict):
            return {
                _text(each, "key"): _value(_object(each, "value"), depth + 1)
                for each in _objects(value, "values")
            }
    return None


def _objects(given: Mapping[str, Any], name: str) -> list[dict[str, Any]]:
    found = given.get(name) or []
    if not isinstance(found, list) or not all(isinstance(each, dict) for each in found):
        raise Malformed(f"{name} is no list of objects")
    return found


def _object(given: Mapping[str, Any], name: str) -> dict[str, Any]:
    found = given.get(name) or {}
    if not isinstance(found, dict):
        raise Malformed(f"{name} is no object")
    return found


def _text(given: Mapping[str, Any], name: str) -> str:
    found = given.get(name) or ""
    if not isinstance(found, str):
        raise Malformed(f"{name} is no string")
    return found


def _id(given: Mapping[str, Any], name: str, form: re.Pattern[str]) -> str:
    found = _text(given, name).lower()
    if found and not form.fullmatch(found):
        raise Malformed(f"invalid length or character in {name}")
    return "" if not found.strip("0") else found


def _enumerated(value: Any, prefix: str) -> int:
    """JSON takes the number; some exporters write the name all the same."""
    names = {"SPAN_KIND_": _KINDS, "STATUS_CODE_": _CODES}[prefix]
    if isinstance(value, str) and value.startswith(prefix):
        return names.get(value.removeprefix(prefix), 0)
    return 0 if value is None else _integer(value)


_KINDS = {
    "INTERNAL": INTERNAL,
    "SERVER": SERVER,
    "CLIENT": CLIENT,
    "PRODUCER": PRODUCER,
    "CONSUMER": CONSUMER,
}
_CODES = {"OK": 1, "ERROR": ERROR}


def _integer(value: Any) -> int:
    """JSON writes numbers of 64 bits as strings."""
    plain = isinstance(value, int) and not isinstance(value, bool)
    if plain or (isinstance(value, str) and re.fullmatch(r"-?\d{1,20}", value, re.ASCII)):
        return int(value)
    raise Malformed(f"{str(value)[:40]!r} is no integer")


def _double(value: Any) -> float | str:
    """JSON has no word for what is no number, and neither has X-Ray."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        if value in ("NaN", "Infinity", "-Infinity"):
            return str(value)
        raise Malformed(f"{str(value)[:40]!r} is no number")
    try:
        number = float(value)
    except OverflowError:
        raise Malformed("a number is too large") from None
    return number if math.isfinite(number) else str(number)


def _time(given: Mapping[str, Any], name: str) -> float:
    nanoseconds = _integer(given.get(name) or 0)
    if not 0 <= nanoseconds < 1 << 64:
        raise Malformed(f"{name} is no time")
    return nanoseconds / 1e9


def from_datagram(text: bytes) -> list[Span]:
    """Spans as AWS's distribution sends them to the daemon when there is no collector.

    Raises:
        Malformed: they can't be read.
    """
    try:
        body = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        raise Malformed("it is no base64") from None
    return read(body, as_json=False)
