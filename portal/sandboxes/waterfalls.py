"""Traces as bars below each other: who was asked, from when on and for how long. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

_ROWS = 120


@dataclass(frozen=True, slots=True)
class Bar:
    """A part of a trace. ``left`` and ``width`` are percents of the whole."""

    name: str
    what: str
    depth: int
    left: float
    width: float
    start_ms: float
    length_ms: float | None
    verdict: str


@dataclass(frozen=True, slots=True)
class Waterfall:
    """A trace."""

    id: str
    began: datetime
    length_ms: float
    verdict: str
    bars: list[Bar]


def waterfall(trace: Mapping[str, Any]) -> Waterfall:
    """A trace, as ``graders.timeline.traces`` finds it."""
    began = trace["StartTime"].timestamp()
    segments: list[dict[str, Any]] = trace["Segments"]
    ends = [end for each in segments for end in _ends(each)]
    span = max([end - began for end in ends] + [float(trace["Duration"]), 0.001])
    known = {each["id"] for segment in segments for each in _within(segment)}
    bars: list[Bar] = []
    for segment in segments:
        if segment.get("parent_id") not in known:
            others = [each for each in segments if each is not segment]
            bars += _below(segment, others, began, span, 0)
    flags = {word.lower(): trace.get(f"Has{word}") for word in ("Fault", "Throttle", "Error")}
    return Waterfall(trace["Id"], trace["StartTime"], span * 1000, _verdict(flags), bars[:_ROWS])


def _below(
    part: Mapping[str, Any], segments: Sequence[dict[str, Any]], began: float, span: float, depth: int
) -> Iterator[Bar]:
    start, end = part.get("start_time"), part.get("end_time")
    begin = max(0.0, float(start) - began) if isinstance(start, int | float) else 0.0
    length = (
        float(end) - float(start) if isinstance(start, int | float) and isinstance(end, int | float) else None
    )
    http = part.get("http")
    status = (http.get("response") or {}).get("status", "") if isinstance(http, dict) else ""
    what = " ".join(filter(None, (str(part.get("origin", part.get("namespace", ""))), str(status))))
    left = min(99.5, begin / span * 100)
    width = min(100 - left, max(0.5, (length if length is not None else span - begin) / span * 100))
    yield Bar(
        str(part.get("name", "")),
        what,
        depth,
        round(left, 3),
        round(width, 3),
        begin * 1000,
        None if length is None else length * 1000,
        _verdict(part),
    )
    called = [segment for segment in segments if segment.get("parent_id") == part["id"]]
    rest = [segment for segment in segments if segment not in called]
    for each in [*part.get("subsegments", ()), *called]:
        yield from _below(each, rest, began, span, depth + 1)


def _within(part: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    yield part
    for each in part.get("subsegments", ()):
        yield from _within(each)


def _ends(part: Mapping[str, Any]) -> Iterator[float]:
    for each in _within(part):
        if isinstance(each.get("end_time"), int | float):
            yield float(each["end_time"])


def _verdict(flags: Mapping[str, Any]) -> str:
    return next((word for word in ("fault", "throttle", "error") if flags.get(word) is True), "")
