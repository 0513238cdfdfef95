"""Response streaming: through the API and at a function's own address."""

from __future__ import annotations

import json
import time
from typing import Any

from tests.conformance.table import Case, row


def _stream(case: Case, **event: Any) -> tuple[list[tuple[float, bytes]], dict[str, Any]]:
    """The chunks, each with when it came, and the end's members."""
    told = case.api.invoke_with_response_stream(
        FunctionName=case.name, Payload=json.dumps(event).encode(), LogType="Tail"
    )
    began, chunks, end = time.monotonic(), [], {}
    for part in told["EventStream"]:
        if "PayloadChunk" in part:
            chunks.append((time.monotonic() - began, part["PayloadChunk"]["Payload"]))
        else:
            end = part["InvokeComplete"]
    return chunks, end


@row("streams", quick=True)
def _streams(case: Case) -> None:
    case.fresh(Handler=case.runtime.streaming_handler)
    chunks, end = _stream(case, chunks=["one ", "two ", "three"], pause_s=0.4)
    assert b"".join(chunk for _at, chunk in chunks) == b"one two three"
    assert chunks[-1][0] - chunks[0][0] > 0.5
    assert "ErrorCode" not in end
    assert end["LogResult"]


@row("streaming errors", quick=True)
def _streaming_errors(case: Case) -> None:
    case.fresh(Handler=case.runtime.streaming_handler)
    chunks, end = _stream(case, chunks=["one ", "two ", "three"], pause_s=0.05, fail_after=2)
    assert b"".join(chunk for _at, chunk in chunks).startswith(b"one two ")
    assert end["ErrorCode"]


@row("a whole answer comes as a stream, too", quick=True)
def _buffered(case: Case) -> None:
    chunks, end = _stream(case.shared(), do="echo", value={"a": 1})
    assert json.loads(b"".join(chunk for _at, chunk in chunks)) == {"a": 1}
    assert "ErrorCode" not in end


@row("an error of a whole answer ends the stream")
def _buffered_error(case: Case) -> None:
    _chunks, end = _stream(case.shared(), do="throw", message="no stream")
    assert end["ErrorCode"] == "Unhandled"
    assert "no stream" in end["ErrorDetails"]
