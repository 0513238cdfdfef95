"""Segment documents: read strictly, refused as X-Ray refuses them, put together to whole segments.

Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-api-segmentdocuments.html
"""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeGuard

from sandbox.emulator.telemetry.traces.headers import SEGMENT_ID, TRACE_ID

DOCUMENT_LIMIT_BYTES = 64 * 1024
# How old a trace may be, and how far ahead of our clock.
_OLDEST_S = 30 * 24 * 3600
_AHEAD_S = 300
_NAME_LIMIT = 200
_NAME = re.compile(r"[\w\s.:/%&#=+\\\-@]+")
_DEPTH_LIMIT = 32
# How many documents lie below each other at most.
_NESTING_LIMIT = 64

Document = dict[str, Any]


class BadDocument(Exception):
    """Why X-Ray does not take a document. ``segment_id`` is empty when it can't be read."""

    def __init__(self, code: str, kind: str = "segment", segment_id: str = "") -> None:
        self.code = code
        self.segment_id = segment_id
        super().__init__(f"Invalid {kind}. ErrorCode: {code}")


def read_document(text: str | bytes, now: float) -> Document:
    """A segment, or a subsegment that comes by itself.

    AWS documents the form of its refusals and ``InvalidTraceId``; ``MissingId`` and ``InvalidName`` are known
    from reports of users, the others are named alike.

    Raises:
        BadDocument: it is not JSON, or something about it is missing or wrong.
    """
    if len(text) > DOCUMENT_LIMIT_BYTES:
        raise BadDocument("InvalidSize")
    try:
        found = json.loads(text, parse_constant=_refuse_constant)
    except (ValueError, RecursionError):
        raise BadDocument("ParseError") from None
    if not isinstance(found, dict):
        raise BadDocument("MissingId")
    _check(found, "subsegment" if found.get("type") == "subsegment" else "segment", now)
    _check_nested(found, 0)
    return found


def _refuse_constant(name: str) -> None:
    """``NaN`` and its like are not JSON."""
    raise ValueError(name)


def _check(document: Document, kind: str, now: float) -> None:
    segment_id = document.get("id")
    if segment_id is None:
        raise BadDocument("MissingId", kind)
    if not isinstance(segment_id, str) or not SEGMENT_ID.fullmatch(segment_id):
        raise BadDocument("InvalidId", kind)

    def refuse(code: str) -> BadDocument:
        return BadDocument(code, kind, segment_id)

    name = document.get("name")
    if name is None:
        raise refuse("MissingName")
    if not isinstance(name, str) or not 0 < len(name) <= _NAME_LIMIT or not _NAME.fullmatch(name):
        raise refuse("InvalidName")
    trace_id = TRACE_ID.fullmatch(str(document.get("trace_id", "")))
    if trace_id is None or not -_AHEAD_S <= now - int(trace_id[1], 16) <= _OLDEST_S:
        raise refuse("InvalidTraceId")
    parent = document.get("parent_id")
    if parent is not None and not (isinstance(parent, str) and SEGMENT_ID.fullmatch(parent)):
        raise refuse("InvalidParentId")
    if kind == "subsegment" and parent is None:
        raise refuse("MissingParentId")
    if not _is_time(document.get("start_time")):
        raise refuse("MissingStartTime" if document.get("start_time") is None else "InvalidStartTime")
    if document.get("in_progress") is not True and not _is_time(document.get("end_time")):
        raise refuse("MissingEndTime" if document.get("end_time") is None else "InvalidEndTime")


def _check_nested(document: Document, depth: int) -> None:
    nested = document.get("subsegments", [])
    if not isinstance(nested, list) or depth > _DEPTH_LIMIT:
        raise BadDocument("InvalidSubsegment", segment_id=document["id"])
    for each in nested:
        if not isinstance(each, dict) or not isinstance(each.get("id"), str):
            raise BadDocument("MissingId", "subsegment", document["id"])
        _check_nested(each, depth + 1)


def _is_time(value: Any) -> TypeGuard[float]:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e11


def verdict(status: int) -> dict[str, bool]:
    """How X-Ray counts an answer.

    Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-errors
    """
    if status == 429:
        return {"error": True, "throttle": True}
    return {"fault": True} if status >= 500 else {"error": True} if status >= 400 else {}


def time_of(document: Document, name: str) -> float | None:
    """``start_time`` or ``end_time``; None where it is not told, or is no time."""
    value = document.get(name)
    return float(value) if _is_time(value) else None


def shift(document: Document, seconds: float) -> None:
    """Move its times, and those of everything in it, to another clock."""
    for each in within(document):
        for name in ("start_time", "end_time"):
            if _is_time(each.get(name)):
                each[name] += seconds


def within(document: Document) -> Iterator[Document]:
    """A segment and every subsegment below it."""
    yield document
    for each in document.get("subsegments", ()):
        yield from within(each)


def put_together(documents: Iterable[Document]) -> list[Document]:
    """Segments with the subsegments that came by themselves below their parents, in order of time.

    One whose parent never came stands alone, and so does one that would lie too deep or below itself.
    """
    every = [copy.deepcopy(document) for document in documents]
    places = {part["id"]: (at, part) for at, document in enumerate(every) for part in within(document)}
    above = {
        at: places[document["parent_id"]][0]
        for at, document in enumerate(every)
        if document.get("type") == "subsegment" and document.get("parent_id") in places
    }
    depths = _depths(len(every), above)
    for at, document in enumerate(every):
        if depths[at]:
            places[document["parent_id"]][1].setdefault("subsegments", []).append(document)
    whole = [document for at, document in enumerate(every) if depths[at] == 0]
    for at, document in enumerate(every):
        for name in _OF_ITS_OWN if depths[at] else ():
            document.pop(name, None)
    for document in whole:
        for each in within(document):
            if "subsegments" in each:
                each["subsegments"].sort(key=_began)
    return sorted(whole, key=_began)


def _depths(count: int, above: Mapping[int, int]) -> list[int]:
    """How far below a whole document each one lies; 0 for those that stand alone."""
    found: dict[int, int] = {}
    for at in range(count):
        way: dict[int, None] = {}
        while at not in found and at in above and at not in way:
            way[at] = None
            at = above[at]
        if at not in found:
            # It is the topmost, or else they lie below each other.
            found[next(reversed(way)) if at in way else at] = 0
        for each in reversed(way):
            if each not in found:
                found[each] = (found[above[each]] + 1) % (_NESTING_LIMIT + 1)
    return [found[at] for at in range(count)]


# What a subsegment needs only where it comes by itself.
_OF_ITS_OWN = frozenset({"type", "trace_id", "parent_id"})


def _began(document: Document) -> float:
    return time_of(document, "start_time") or 0.0
