"""Traces as people read them: who was asked, from when on and how long, each below its caller."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import Any

# X-Ray tells of a day at a time, and gives five traces at once.
_RANGE = timedelta(hours=24)
_AT_ONCE = 5
# So far lines are set in.
_DEEPEST = 100


def find_traces(client: Any, now: datetime, since_s: float, expression: str) -> Iterator[dict[str, Any]]:
    """Traces that began in the last ``since_s`` seconds, earliest first: a summary with its ``Segments``."""
    start = now - timedelta(seconds=since_s)
    while start < now:
        end = min(start + _RANGE, now)
        wanted = {"FilterExpression": expression} if expression else {}
        pages = client.get_paginator("get_trace_summaries").paginate(
            StartTime=start, EndTime=end, TimeRangeType="Event", **wanted
        )
        summaries = [summary for page in pages for summary in page["TraceSummaries"]]
        yield from _with_segments(client, [each for each in summaries if each["StartTime"] >= start])
        start = end


def _with_segments(client: Any, summaries: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for first in range(0, len(summaries), _AT_ONCE):
        some = summaries[first : first + _AT_ONCE]
        found = client.batch_get_traces(TraceIds=[each["Id"] for each in some])["Traces"]
        segments = {each["Id"]: [json.loads(part["Document"]) for part in each["Segments"]] for each in found}
        for summary in some:
            yield summary | {"Segments": segments.get(summary["Id"], [])}


def as_json(trace: dict[str, Any]) -> dict[str, Any]:
    """A trace as plain JSON types."""
    return {
        "id": trace["Id"],
        "start": trace["StartTime"].timestamp(),
        "duration_s": trace["Duration"],
        "response_time_s": trace["ResponseTime"],
        "fault": trace["HasFault"],
        "error": trace["HasError"],
        "throttle": trace["HasThrottle"],
        "links": [link for segment in trace["Segments"] for link in _links(segment)],
        "segments": trace["Segments"],
    }


def lines(trace: dict[str, Any]) -> Iterator[str]:
    """A trace as a waterfall; times are milliseconds since its beginning."""
    verdict = _verdict({word: trace[f"Has{word.title()}"] for word in ("fault", "error", "throttle")})
    began = trace["StartTime"].timestamp()
    at = f"{trace['StartTime'].astimezone():%H:%M:%S}"
    yield f"{trace['Id']}  {at}  {trace['Duration'] * 1000:.0f} ms{verdict}"
    segments = trace["Segments"]
    known = {each["id"] for segment in segments for each in _within(segment)}
    for segment in segments:
        if segment.get("parent_id") not in known:
            yield from _below(segment, [each for each in segments if each is not segment], began, 1)


def _below(part: dict[str, Any], segments: list[dict[str, Any]], began: float, depth: int) -> Iterator[str]:
    start, end = part.get("start_time"), part.get("end_time")
    offset = f"{(start - began) * 1000:8.1f}" if isinstance(start, int | float) else " " * 8
    length = (end - start) * 1000 if isinstance(start, int | float) and isinstance(end, int | float) else None
    took = "in progress" if length is None else f"{length:8.1f} ms"
    http = part.get("http")
    status = (http.get("response") or {}).get("status", "") if isinstance(http, dict) else ""
    words = [str(part.get("name", "")), str(part.get("origin", part.get("namespace", ""))), str(status)]
    linked = [f"linked to {link}" for link in _links(part)]
    text = "  ".join(word for word in [*words, *linked] if word)
    yield f"{offset} {took:>11}  {'  ' * depth}{text}{_verdict(part)}"
    called = [segment for segment in segments if segment.get("parent_id") == part["id"]]
    segments = [segment for segment in segments if segment not in called]
    if depth == _DEEPEST:
        yield f"{' ' * 21}{'  ' * depth}… and what lies below"
        return
    for each in [*part.get("subsegments", ()), *called]:
        yield from _below(each, segments, began, depth + 1)


def _links(part: dict[str, Any]) -> list[str]:
    """The traces that a segment says it goes on from; anybody may have written it."""
    found = part.get("links")
    links = found if isinstance(found, list) else []
    return [str(link["trace_id"]) for link in links if isinstance(link, dict) and "trace_id" in link]


def _within(part: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield part
    for each in part.get("subsegments", ()):
        yield from _within(each)


def _verdict(flags: dict[str, Any]) -> str:
    found = [word for word in ("fault", "throttle", "error") if flags.get(word) is True]
    return f" [{', '.join(found)}]" if found else ""
