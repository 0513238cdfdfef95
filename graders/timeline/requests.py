"""Which events belong to one request: what came of it, across services and functions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from graders.timeline.recording import seconds

_SLACK_S = 0.05

Event = Mapping[str, Any]


class _Groups:
    """Disjoint sets of keys, joined two at a time."""

    def __init__(self) -> None:
        self._above: dict[str, str] = {}

    def find(self, key: str) -> str:
        above = self._above.setdefault(key, key)
        if above != key:
            above = self._above[key] = self.find(above)
        return above

    def join(self, first: str, *others: str) -> None:
        for other in others:
            self._above[self.find(other)] = self.find(first)


def number_requests(events: Sequence[Event]) -> dict[int, int]:
    """The number of the request each event belongs to, by its sequence number; 1 is the earliest.

    Events belong together when they name the same request or trace, when one happened while the other was
    answered, when a function called during an invocation, or when an invocation is what a delivery to
    that function led to. Events that nothing else belongs to have no number.
    """
    groups = _Groups()
    runs = _by_environment(events)
    for event in events:
        groups.join(f"event {event['sequence']}", *_names(event), *_invocation_around(event, runs))
    for delivery, invocation in _delivered(events):
        groups.join(f"event {delivery}", f"event {invocation}")
    members: defaultdict[str, list[int]] = defaultdict(list)
    for event in events:
        members[groups.find(f"event {event['sequence']}")].append(event["sequence"])
    several = (found for found in members.values() if len(found) > 1)
    return {sequence: number for number, found in enumerate(several, 1) for sequence in found}


def _names(event: Event) -> Iterable[str]:
    """What an event says of itself that others may say, too."""
    detail = event["detail"]
    for key in ("request_id", "during"):
        if detail.get(key):
            yield f"request {detail[key]}"
    for request in detail.get("sent_during") or ():
        yield f"request {request}"
    for trace in (detail.get("trace_id"), *(detail.get("linked_traces") or ())):
        if trace:
            yield f"trace {trace}"
    for key in ("execution", "deployment", "stack_id"):
        if detail.get(key):
            yield f"{key} {detail[key]}"


def began(event: Event) -> float:
    """When an event began; most took no time."""
    at, detail = seconds(event["at"]), event["detail"]
    if detail.get("started"):
        return min(at, seconds(detail["started"]))
    wall_ms = detail.get("wall_ms", detail.get("latency_ms"))
    return at - float(wall_ms or 0) / 1000


def _by_environment(events: Sequence[Event]) -> dict[str, list[tuple[float, float, str]]]:
    found: defaultdict[str, list[tuple[float, float, str]]] = defaultdict(list)
    for event in events:
        environment = event["detail"].get("environment_id")
        if event["kind"] == "invocation" and environment:
            request = f"request {event['detail'].get('request_id', '')}"
            found[environment].append((began(event), seconds(event["at"]), request))
    return found


def _invocation_around(event: Event, runs: Mapping[str, list[tuple[float, float, str]]]) -> Iterable[str]:
    """The invocation around a function's call that names no trace: an environment has one at a time."""
    detail = event["detail"]
    if event["kind"] == "api" and detail.get("environment_id") and not detail.get("trace_id"):
        at = began(event)
        near = [
            (max(begin - at, at - end, 0.0), name)
            for begin, end, name in runs.get(detail["environment_id"], ())
        ]
        yield from (name for away, name in sorted(near)[:1] if away <= _SLACK_S)


def _delivered(events: Sequence[Event]) -> Iterable[tuple[int, int]]:
    """Pairs of a delivery and the invocation it led to, where neither names the other: first come first."""
    waiting: defaultdict[tuple[str, str], list[int]] = defaultdict(list)
    starts = sorted(
        (event for event in events if event["kind"] in ("delivery", "invocation")),
        key=lambda event: (began(event), event["kind"]),
    )
    named = {
        event["detail"].get("request_id")
        for event in events
        if event["kind"] == "delivery" and event["detail"].get("request_id")
    }
    for event in starts:
        detail = event["detail"]
        if event["kind"] == "delivery":
            if event["outcome"] == "ok" and not detail.get("request_id"):
                function = str(detail.get("target") or detail.get("function") or "")
                waiting[_bare(function), _source(event["subject"])].append(event["sequence"])
        elif detail.get("request_id") not in named:
            queue = waiting[_bare(str(detail.get("function", ""))), _source(str(detail.get("source", "")))]
            if queue:
                yield queue.pop(0), event["sequence"]


def _bare(arn: str) -> str:
    """A function's ARN without a qualifier."""
    return ":".join(arn.split(":")[:7])


def _source(name: str) -> str:
    """``s3`` of ``s3:bucket``: sources are not named alike by both sides."""
    return name.split(":")[0]
