"""Responses that are sent on while the function still writes them.

Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html and, for the
frames, https://smithy.io/2.0/aws/amazon-eventstream.html
"""

from __future__ import annotations

import base64
import binascii
import json
import queue
import struct
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.functions.contract import InvokeOutcome

# Pieces that may wait for a caller who reads slowly; beyond it the function waits, as on Lambda.
_PIECES_WAITING = 64
_LOOK_UP_S = 0.2


@dataclass(frozen=True, slots=True)
class Chunk:
    """A piece of a response."""

    content_type: str
    data: bytes


@dataclass(frozen=True, slots=True)
class _Started:
    version: str


class ResponseStream:
    """Between the thread that drives an environment and the one that answers the caller.

    The first end is ``execution.StreamSink`` and :meth:`finish`; the other :meth:`begin`, :meth:`chunks`,
    then :attr:`outcome`. It calls :meth:`abandon` when nobody listens any more.
    """

    def __init__(self) -> None:
        self._queue: queue.Queue[_Started | Chunk | InvokeOutcome] = queue.Queue(_PIECES_WAITING)
        self._abandoned = threading.Event()
        self.version = ""
        self.outcome: InvokeOutcome | None = None

    def started(self, version: str) -> None:
        """The event goes to this version of the function."""
        self._put(_Started(version))

    def chunk(self, content_type: str, data: bytes) -> None:
        """A piece of the response; waits for a slow caller."""
        if data:
            self._put(Chunk(content_type, data))

    def finish(self, outcome: InvokeOutcome) -> None:
        """Nothing more comes."""
        self._put(outcome)

    def _put(self, item: _Started | Chunk | InvokeOutcome) -> None:
        while not self._abandoned.is_set():
            try:
                self._queue.put(item, timeout=_LOOK_UP_S)
            except queue.Full:
                continue
            return

    def begin(self) -> InvokeOutcome | None:
        """Wait until the event is with the function: None, or how it ended before that."""
        first = self._queue.get()
        if isinstance(first, InvokeOutcome):
            self.outcome, self.version = first, first.executed_version
        elif isinstance(first, _Started):
            self.version = first.version
        return self.outcome

    def chunks(self) -> Iterator[Chunk]:
        """Every piece as it comes; then :attr:`outcome` is set."""
        while self.outcome is None:
            item = self._queue.get()
            if isinstance(item, InvokeOutcome):
                self.outcome = item
            elif isinstance(item, Chunk):
                yield item

    def abandon(self) -> None:
        """Nobody reads on; the function goes on without being held up."""
        self._abandoned.set()


def frames(stream: ResponseStream, *, with_log: bool) -> Iterator[bytes]:
    """A begun stream as InvokeWithResponseStream writes it: PayloadChunk events, then InvokeComplete."""
    try:
        for chunk in stream.chunks():
            yield frame("PayloadChunk", "application/octet-stream", chunk.data)
        assert stream.outcome is not None
        yield frame("InvokeComplete", "application/json", json.dumps(_end(stream.outcome, with_log)).encode())
    finally:
        stream.abandon()


def _end(outcome: InvokeOutcome, with_log: bool) -> dict[str, Any]:
    end: dict[str, Any] = {}
    if outcome.function_error:
        end["ErrorCode"] = outcome.function_error
        end["ErrorDetails"] = outcome.payload.decode(errors="replace")
    if with_log:
        end["LogResult"] = base64.b64encode(outcome.log_tail).decode()
    return end


def frame(event: str, content_type: str, payload: bytes, *, kind: str = "event") -> bytes:
    """One event of an event stream, or an ``exception`` that ends it."""
    headers = b"".join(
        _header(name, value)
        for name, value in (
            (f":{kind}-type", event),
            (":content-type", content_type),
            (":message-type", kind),
        )
    )
    # Three lengths and checksums around headers and payload; 16 bytes in all.
    prelude = struct.pack(">II", 16 + len(headers) + len(payload), len(headers))
    body = prelude + struct.pack(">I", binascii.crc32(prelude)) + headers + payload
    return body + struct.pack(">I", binascii.crc32(body))


def _header(name: str, value: str) -> bytes:
    text = value.encode()
    return struct.pack(">B", len(name)) + name.encode() + struct.pack(">BH", 7, len(text)) + text
