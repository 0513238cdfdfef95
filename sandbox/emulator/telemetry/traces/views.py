"""A trace as a request's way through services: who was visited, from where, how long, and how it went.

Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.telemetry.traces.documents import Document, time_of, within
from sandbox.emulator.telemetry.traces.store import Span, Trace, span_of


@dataclass(frozen=True, slots=True)
class ServiceName:
    """A node of the service graph. ``kind`` is ``AWS::Lambda``, ``remote``, ``client`` …, or empty."""

    name: str
    kind: str = ""


CLIENT = ServiceName("client", "client")


@dataclass(frozen=True, slots=True)
class Visit:
    """One service on the way. ``caller`` is whence; ``inferred``: only the caller tells of it."""

    service: ServiceName
    caller: ServiceName
    document: Document
    inferred: bool = False
    account_id: str = ""

    @property
    def span(self) -> Span:
        """From when to when; a visit in progress has no length yet."""
        start = time_of(self.document, "start_time") or 0.0
        end = time_of(self.document, "end_time")
        return Span(start, start if end is None else end)

    @property
    def http(self) -> Mapping[str, Any]:
        """What is told of the request and the response."""
        return _mapping(self.document.get("http"))

    @property
    def status(self) -> int | None:
        """The response's status."""
        found = _mapping(self.http.get("response")).get("status")
        return found if isinstance(found, int) else None

    @property
    def fault(self) -> bool:
        """The service failed."""
        return self.document.get("fault") is True

    @property
    def error(self) -> bool:
        """The caller was at fault."""
        return self.document.get("error") is True

    @property
    def throttle(self) -> bool:
        """There were too many calls."""
        return self.document.get("throttle") is True

    @property
    def ok(self) -> bool:
        """Nothing went wrong."""
        return not (self.fault or self.error or self.throttle)


@dataclass(frozen=True, slots=True)
class View:
    """A trace and its visits, earliest first."""

    trace: Trace
    segments: tuple[Document, ...]
    visits: tuple[Visit, ...]

    @property
    def span(self) -> Span:
        """From the first beginning to the last end."""
        return span_of(list(self.segments))

    @property
    def root(self) -> Visit | None:
        """Where the request came in."""
        return next((visit for visit in self.visits if visit.caller == CLIENT), None)

    @property
    def response_time_s(self) -> float:
        """How long the one who asked had to wait."""
        root = self.root
        return self.span.duration_s if root is None else root.span.duration_s

    @property
    def partial(self) -> bool:
        """Whether something is still in progress."""
        return any(each.get("in_progress") is True for segment in self.segments for each in within(segment))

    def annotations(self) -> Iterator[tuple[str, Any, ServiceName]]:
        """What segments and subsegments are annotated with, and whose they are."""
        for visit in self.visits:
            if not visit.inferred:
                for each in within(visit.document):
                    for key, value in _mapping(each.get("annotations")).items():
                        if isinstance(value, str | int | float | bool):
                            yield key, value, visit.service

    def users(self) -> Iterator[tuple[str, ServiceName]]:
        """Whom segments name as the user."""
        for visit in self.visits:
            if isinstance(visit.document.get("user"), str):
                yield visit.document["user"], visit.service


def view(trace: Trace) -> View:
    """Read a trace."""
    segments = trace.segments()
    owners = {each["id"]: (_name(segment), each) for segment in segments for each in within(segment)}
    answered = {segment["parent_id"] for segment in segments if "parent_id" in segment}
    visits = []
    for segment in segments:
        caller, _call = owners.get(segment.get("parent_id", ""), (CLIENT, None))
        account = str(_mapping(segment.get("aws")).get("account_id", ""))
        visits.append(Visit(_name(segment), caller, segment, account_id=account))
        for each in within(segment):
            calls = each is not segment and each.get("namespace") in ("aws", "remote")
            if calls and each["id"] not in answered:
                visits.append(Visit(_inferred(each), _name(segment), each, inferred=True))
    return View(trace, tuple(segments), tuple(visits))


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a service took that another trace had sent: ``visit`` is linked to a visit to ``source``."""

    source: ServiceName
    visit: Visit
    age_s: float


def linked(views: Iterable[View]) -> list[Arrival]:
    """Where traces go on in other ones of these, by the links of their segments.

    Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-tracelinking.html
    """
    views = list(views)
    sent: dict[tuple[str, str], tuple[ServiceName, float]] = {}
    for each in views:
        for visit in each.visits:
            for part in [visit.document] if visit.inferred else within(visit.document):
                key = (each.trace.trace_id, part["id"])
                if visit.inferred or key not in sent:
                    sent[key] = visit.service, time_of(part, "end_time") or visit.span.end
    found = []
    for visit in (visit for each in views for visit in each.visits if visit.caller == CLIENT):
        links = visit.document.get("links")
        for link in links if isinstance(links, list) else []:
            told = _mapping(link)
            source = sent.get((str(told.get("trace_id", "")).lower(), str(told.get("id", ""))))
            if source is not None:
                found.append(Arrival(source[0], visit, max(0.0, visit.span.start - source[1])))
    return found


def _name(segment: Document) -> ServiceName:
    return ServiceName(str(segment.get("name", "")), str(segment.get("origin", "")))


def _inferred(call: Document) -> ServiceName:
    """The service behind a call that it does not tell of itself."""
    name, aws = str(call.get("name", "")), _mapping(call.get("aws"))
    if call["namespace"] == "remote":
        return ServiceName(name, "remote")
    if table := aws.get("table_name"):
        return ServiceName(str(table), "AWS::DynamoDB::Table")
    if queue := aws.get("queue_url"):
        return ServiceName(str(queue).rsplit("/", 1)[-1], "AWS::SQS::Queue")
    if topic := aws.get("topic_arn"):
        return ServiceName(str(topic).rsplit(":", 1)[-1], "AWS::SNS::Topic")
    return ServiceName(name, f"AWS::{name}")


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
