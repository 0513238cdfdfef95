"""Traces as X-Ray has them: who told of a request, what was called on the way, and the annotations."""

from __future__ import annotations

import datetime as dt
import json
import secrets
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.account import Account

API = ("AWS::ApiGateway::Stage",)
LAMBDA, FUNCTION = "AWS::Lambda", "AWS::Lambda::Function"
_AT_ONCE = 5


@dataclass(frozen=True, slots=True)
class TraceView:
    """One trace; ``segments`` are its documents, subsegments inside."""

    id: str
    segments: tuple[Mapping[str, Any], ...]

    @property
    def origins(self) -> list[str]:
        """Who told of the request: ``AWS::ApiGateway::Stage``, ``AWS::Lambda::Function`` …"""
        return list(dict.fromkeys(str(each.get("origin", "no origin")) for each in self.segments))

    @property
    def text(self) -> str:
        """All that it tells, as JSON."""
        return json.dumps(self.segments, ensure_ascii=False)

    def annotations(self, name: str) -> list[Any]:
        """The values of an annotation, wherever it stands."""
        found = []
        for each in self._everything():
            told = each.get("annotations")
            if isinstance(told, Mapping) and name in told:
                found.append(told[name])
        return found

    def calls(self) -> list[str]:
        """What functions called, by the names in their subsegments."""
        return [
            str(each.get("name", ""))
            for segment in self.segments
            if segment.get("origin") == FUNCTION
            for each in within(segment)
            if each.get("namespace") in ("aws", "remote")
        ]

    def missing(self, *origins: str) -> list[str]:
        """Those of some origins that told nothing."""
        return [origin for origin in origins if origin not in self.origins]

    def _everything(self) -> Iterator[Mapping[str, Any]]:
        for segment in self.segments:
            yield from within(segment)


def within(document: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    """A segment and every subsegment below it."""
    yield document
    for each in document.get("subsegments", ()):
        yield from within(each)


def new_trace(now: dt.datetime) -> tuple[str, str]:
    """A trace id of our own, and the header that has the request recorded under it."""
    trace_id = f"1-{int(now.timestamp()):08x}-{secrets.token_hex(12)}"
    return trace_id, f"Root={trace_id};Sampled=1"


def read_traces(account: Account, ids: Sequence[str]) -> list[TraceView]:
    """Traces by their ids; those that nobody told of are left out."""
    client = account.client("xray")
    found = []
    for first in range(0, len(ids), _AT_ONCE):
        page = client.batch_get_traces(TraceIds=list(ids[first : first + _AT_ONCE]))
        for trace in page["Traces"]:
            documents = tuple(json.loads(segment["Document"]) for segment in trace["Segments"])
            found.append(TraceView(trace["Id"], documents))
    return found


def traces_since(account: Account, since: dt.datetime) -> list[TraceView]:
    """All traces that began at or after a moment."""
    pages = (
        account.client("xray")
        .get_paginator("get_trace_summaries")
        .paginate(StartTime=since.replace(microsecond=0), EndTime=account.now() + dt.timedelta(seconds=1))
    )
    return read_traces(account, [item["Id"] for page in pages for item in page["TraceSummaries"]])
