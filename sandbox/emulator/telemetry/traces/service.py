"""X-Ray's API, and the daemon that functions find beside them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handlers, Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.telemetry.otlp.segments import segment
from sandbox.emulator.telemetry.otlp.spans import Span, from_datagram
from sandbox.emulator.telemetry.otlp.wire import Malformed
from sandbox.emulator.telemetry.traces import answers
from sandbox.emulator.telemetry.traces.documents import (
    DOCUMENT_LIMIT_BYTES,
    BadDocument,
    Document,
    read_document,
    shift,
)
from sandbox.emulator.telemetry.traces.filters import BadFilter, read_filter
from sandbox.emulator.telemetry.traces.headers import TRACE_ID
from sandbox.emulator.telemetry.traces.store import KEPT_S, Trace, TraceStore, span_of
from sandbox.emulator.telemetry.traces.views import View, view

_PUT = "xray:PutTraceSegments"
# Source: https://docs.aws.amazon.com/xray/latest/api/API_BatchGetTraces.html
_TRACES_AT_ONCE = 5
# Source: https://docs.aws.amazon.com/xray/latest/api/API_GetTraceSummaries.html, …/API_GetServiceGraph.html
_SUMMARIES_RANGE_S = 24 * 3600
_GRAPH_RANGE_S = 6 * 3600
_SUMMARIES_AT_ONCE = 100
_NOTES_LIMIT = 100
_DAEMON_HEADER = {"format": "json", "version": 1}
# How AWS's distribution of OpenTelemetry marks what it sends to the daemon: spans that are sampled, and what
# is for metrics alone, other spans and metrics themselves.
_SPANS, _FOR_METRICS = b"T1S", (b"T1U", b"M1")


class Traces:
    """Takes segments from the API, from the daemon and from the account's own services."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self.store = TraceStore()
        self._noted: Counter[str] = Counter()
        self._allowed: dict[tuple[str, str], tuple[float, bool]] = {}

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        return {
            ("xray", "PutTraceSegments"): self._put_trace_segments,
            ("xray", "BatchGetTraces"): self._batch_get_traces,
            ("xray", "GetTraceSummaries"): self._get_trace_summaries,
            ("xray", "GetServiceGraph"): self._get_service_graph,
            ("xray", "GetTraceGraph"): self._get_trace_graph,
            ("xray", "GetTraceSegmentDestination"): self._get_destination,
        }

    def add(self, account_id: str, region: str, document: Document) -> None:
        """A segment that a service of the account tells of itself."""
        self.store.put(account_id, region, document, len(json.dumps(document)))

    def may_write(self, principal: Principal, region: str, subject: str, *, quietly: bool = False) -> bool:
        """Whether a role lets traces be written; a refusal is told on the timeline, unless ``quietly``."""
        refusal = self._core.guard.refusal(principal, _PUT, "*", region=region, quietly=quietly)
        if refusal and not quietly:
            self._note(principal.account_id, region, subject, "AccessDenied", refusal)
        return not refusal

    def take_datagram(self, data: bytes, principal: Principal, region: str, subject: str) -> None:
        """What a function sent to the daemon: a line that names the format, then one document.

        Its times are the function's.

        Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-daemon
        """
        header, _, body = data.partition(b"\n")
        try:
            if json.loads(header) != _DAEMON_HEADER:
                raise BadDocument("InvalidHeader")
            if body.startswith(_SPANS):
                self.take_spans(from_datagram(body[len(_SPANS) :]), principal, region, subject)
                return
            if body.startswith(_FOR_METRICS):
                return
            document = read_document(body, self._core.clock.time())
        except (ValueError, RecursionError):
            self._note(principal.account_id, region, subject, "dropped", "The header is not the daemon's.")
        except (BadDocument, Malformed) as bad:
            self._note(principal.account_id, region, subject, "dropped", str(bad))
        else:
            if self._lets_in(principal, region, subject):
                shift(document, self._core.clock.functions_behind_s)
                self.store.put(principal.account_id, region, document, len(body))

    def take_spans(self, spans: list[Span], principal: Principal, region: str, subject: str) -> None:
        """What a function sent by the OpenTelemetry protocol; its times are the function's as well.

        Ids need not begin with a time: X-Ray takes W3C's.
        """
        if not spans or not self._lets_in(principal, region, subject):
            return
        for span in spans:
            if not (span.trace_id and span.span_id):
                self._note(principal.account_id, region, subject, "dropped", "A span has no id.")
                continue
            document = segment(span)
            size_bytes = len(json.dumps(document))
            if size_bytes > DOCUMENT_LIMIT_BYTES:
                self._note(principal.account_id, region, subject, "dropped", str(BadDocument("InvalidSize")))
                continue
            shift(document, self._core.clock.functions_behind_s)
            self.store.put(principal.account_id, region, document, size_bytes)

    def drop(self, principal: Principal, region: str, subject: str, why: str) -> None:
        """A function sent what nobody keeps; told on the timeline."""
        self._note(principal.account_id, region, subject, "dropped", why)

    def _lets_in(self, principal: Principal, region: str, subject: str) -> bool:
        """As :meth:`may_write`, decided once a second: a function may send thousands of datagrams in one."""
        now, key = self._core.clock.time(), (principal.arn, region)
        decided = self._allowed.get(key)
        if decided is None or now - decided[0] >= 1.0:
            decided = self._allowed[key] = (now, self.may_write(principal, region, subject))
        return decided[1]

    def _note(self, account_id: str, region: str, subject: str, outcome: str, message: str) -> None:
        self._noted[subject] += 1
        if self._noted[subject] > _NOTES_LIMIT:
            return  # Who floods the daemon must not drive everything else off the timeline.
        self._core.timeline.add(
            "delivery",
            f"xray:{subject}",
            account_id=account_id,
            region=region,
            outcome=outcome,
            target="xray",
            message=message,
        )

    def _put_trace_segments(self, call: Call) -> dict[str, Any]:
        now = self._core.clock.time()
        unprocessed = []
        for text in call.params["TraceSegmentDocuments"]:
            try:
                document = read_document(text, now)
            except BadDocument as bad:
                told = {"ErrorCode": bad.code, "Message": str(bad)}
                unprocessed.append(told | ({"Id": bad.segment_id} if bad.segment_id else {}))
                continue
            if call.environment_id:
                shift(document, self._core.clock.functions_behind_s)
            self.store.put(call.account_id, call.region, document, len(text))
        return {"UnprocessedTraceSegments": unprocessed}

    def _batch_get_traces(self, call: Call) -> dict[str, Any]:
        wanted = call.params["TraceIds"]
        if len(wanted) > _TRACES_AT_ONCE:
            raise _invalid(f"At most {_TRACES_AT_ONCE} traces can be asked for at once.")
        found = self._named(call, wanted)
        return {
            "Traces": [_told(trace) for trace in found.values()],
            "UnprocessedTraceIds": [trace_id for trace_id in wanted if trace_id not in found],
        }

    def _named(self, call: Call, wanted: list[str]) -> dict[str, Trace]:
        """Those of the traces that are there, by the ids that they were asked for by."""
        if bad := [trace_id for trace_id in wanted if not TRACE_ID.fullmatch(trace_id)]:
            raise _invalid(f"Invalid trace ID: {bad[0]}")
        oldest = self._core.clock.time() - KEPT_S
        found = {}
        for trace_id in wanted:
            trace = self.store.find(call.account_id, call.region, trace_id)
            if trace is not None and trace.began >= oldest:
                found[trace_id] = trace
        return found

    def _get_trace_summaries(self, call: Call) -> dict[str, Any]:
        expression = call.params.get("FilterExpression") or ""
        try:
            wanted = read_filter(expression) if expression.strip() else None
        except BadFilter as bad:
            raise _invalid(str(bad)) from None
        views = self._between(call, _SUMMARIES_RANGE_S)
        matching = [each for each in views if wanted is None or wanted(each)]
        first = _offset(call.params.get("NextToken"))
        page = matching[first : first + _SUMMARIES_AT_ONCE]
        more = first + len(page) < len(matching)
        return {
            "TraceSummaries": [answers.summary(each) for each in page],
            "ApproximateTime": self._core.clock.now(),
            "TracesProcessedCount": len(views),
            **({"NextToken": str(first + len(page))} if more else {}),
        }

    def _get_service_graph(self, call: Call) -> dict[str, Any]:
        if call.params.get("GroupName") or call.params.get("GroupARN"):
            raise AwsError("NotEmulated", "Coldstart does not emulate X-Ray groups. This is our gap.", 501)
        views = self._between(call, _GRAPH_RANGE_S)
        return {
            "StartTime": call.params["StartTime"],
            "EndTime": call.params["EndTime"],
            "Services": answers.service_graph(views),
            "ContainsOldGroupVersions": False,
        }

    def _get_trace_graph(self, call: Call) -> dict[str, Any]:
        traces = self._named(call, call.params["TraceIds"])
        return {"Services": answers.service_graph(view(trace) for trace in traces.values())}

    def _get_destination(self, call: Call) -> dict[str, Any]:
        """Where segments go unless Transaction Search is enabled, which nobody can do here."""
        return {"Destination": "XRay", "Status": "ACTIVE"}

    def _between(self, call: Call, longest_s: float) -> list[View]:
        """Traces of the time range that was asked for, earliest first."""
        start, end = (call.params[name].timestamp() for name in ("StartTime", "EndTime"))
        if start > end:
            raise _invalid("The start of the time range lies after its end.")
        if end - start > longest_s:
            raise _invalid(f"The time range is longer than {longest_s / 3600:g} hours.")
        by_id = (call.params.get("TimeRangeType") or "TraceId") == "TraceId"
        since = max(start, self._core.clock.time() - KEPT_S)
        found = []
        for trace in self.store.all(call.account_id, call.region, since=since if by_id else 0.0):
            seen = view(trace)
            inside = trace.began <= end if by_id else seen.span.start <= end and seen.span.end >= since
            if inside:
                found.append(seen)
        return sorted(found, key=lambda each: each.span.start)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidRequestException", message)


def _offset(token: str | None) -> int:
    if not token:
        return 0
    if not token.isdecimal():
        raise _invalid("The token is none of ours.")
    return int(token)


def _told(trace: Trace) -> dict[str, Any]:
    segments = trace.segments()
    return {
        "Id": trace.trace_id,
        "Duration": round(span_of(segments).duration_s, 3),
        "LimitExceeded": trace.limited,
        "Segments": [
            {"Id": segment["id"], "Document": json.dumps(segment, separators=(",", ":"))}
            for segment in segments
        ],
    }
