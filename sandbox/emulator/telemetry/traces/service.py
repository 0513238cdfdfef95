"""X-Ray's API, and the daemon that functions find beside them."""

from __future__ import annotations

import json
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handlers, Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.telemetry.traces.documents import BadDocument, Document, read_document, shift
from sandbox.emulator.telemetry.traces.headers import TRACE_ID
from sandbox.emulator.telemetry.traces.store import KEPT_S, Trace, TraceStore, span_of

_PUT = "xray:PutTraceSegments"
# Source: https://docs.aws.amazon.com/xray/latest/api/API_BatchGetTraces.html
_TRACES_AT_ONCE = 5
_DAEMON_HEADER = {"format": "json", "version": 1}


class Traces:
    """Takes segments from the API, from the daemon and from the account's own services."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self.store = TraceStore()

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        return {
            ("xray", "PutTraceSegments"): self._put_trace_segments,
            ("xray", "BatchGetTraces"): self._batch_get_traces,
        }

    def add(self, account_id: str, region: str, document: Document) -> None:
        """A segment that a service of the account tells of itself."""
        self.store.put(account_id, region, document, len(json.dumps(document)))

    def may_write(self, principal: Principal, region: str, subject: str) -> bool:
        """Whether a function's role lets traces be written; a refusal is told on the timeline."""
        refusal = self._core.guard.refusal(principal, _PUT, "*", region=region)
        if refusal:
            self._note(principal.account_id, region, subject, "AccessDenied", refusal)
        return not refusal

    def take_datagram(self, data: bytes, principal: Principal, region: str, subject: str) -> None:
        """What a function sent to the daemon: a line that names the format, then one document.

        Its times are the function's, whose clock is the wall's.

        Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-api-sendingdata.html#xray-api-daemon
        """
        header, _, body = data.partition(b"\n")
        try:
            if json.loads(header) != _DAEMON_HEADER:
                raise BadDocument("InvalidHeader")
            document = read_document(body, self._core.clock.time())
        except (ValueError, RecursionError):
            self._note(principal.account_id, region, subject, "dropped", "The header is not the daemon's.")
        except BadDocument as bad:
            self._note(principal.account_id, region, subject, "dropped", str(bad))
        else:
            if self.may_write(principal, region, subject):
                shift(document, self._core.clock.offset_s)
                self.store.put(principal.account_id, region, document, len(body))

    def _note(self, account_id: str, region: str, subject: str, outcome: str, message: str) -> None:
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
                shift(document, self._core.clock.offset_s)
            self.store.put(call.account_id, call.region, document, len(text))
        return {"UnprocessedTraceSegments": unprocessed}

    def _batch_get_traces(self, call: Call) -> dict[str, Any]:
        wanted = call.params["TraceIds"]
        if len(wanted) > _TRACES_AT_ONCE:
            raise AwsError(
                "InvalidRequestException", f"At most {_TRACES_AT_ONCE} traces can be asked for at once."
            )
        if bad := [trace_id for trace_id in wanted if not TRACE_ID.fullmatch(trace_id)]:
            raise AwsError("InvalidRequestException", f"Invalid trace ID: {bad[0]}")
        oldest = self._core.clock.time() - KEPT_S
        found = {}
        for trace_id in wanted:
            trace = self.store.find(call.account_id, call.region, trace_id)
            if trace is not None and int(trace_id[2:10], 16) >= oldest:
                found[trace_id] = trace
        return {
            "Traces": [_told(trace) for trace in found.values()],
            "UnprocessedTraceIds": [trace_id for trace_id in wanted if trace_id not in found],
        }


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
