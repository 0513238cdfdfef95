"""OTLP by HTTP as the collector answers it, on the socket that functions find at port 4318.

Source: https://opentelemetry.io/docs/specs/otlp/#otlphttp
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from sandbox.emulator.telemetry.otlp import spans
from sandbox.emulator.telemetry.otlp.spans import Span
from sandbox.emulator.telemetry.otlp.wire import Malformed

LIMIT_BYTES = 8 * 1024 * 1024
PATHS = {"/v1/traces": "traces", "/v1/metrics": "metrics", "/v1/logs": "logs"}
_JSON, _BINARY = "application/json", "application/x-protobuf"
_INVALID_ARGUMENT = 3
# Fits a length of two bytes.
_MESSAGE_LIMIT_BYTES = 1024
_WINDOWS = {"gzip": zlib.MAX_WBITS | 16, "deflate": zlib.MAX_WBITS, "zlib": zlib.MAX_WBITS}


@dataclass(frozen=True, slots=True)
class Export:
    """One request to export. ``body`` is as it came, unless it was ``oversized``."""

    method: str
    path: str
    headers: Mapping[str, str]
    body: bytes
    oversized: bool = False


@dataclass(frozen=True, slots=True)
class Reply:
    """What the exporter is answered."""

    status: int
    body: bytes
    content_type: str


def answer(export: Export, take_spans: Callable[[list[Span]], None], drop: Callable[[str], None]) -> Reply:
    """Take what was sent. ``drop`` is told of signals that nobody keeps here, and of what can't be read."""
    signal = PATHS.get(export.path.partition("?")[0])
    if signal is None:
        return Reply(404, b"404 page not found\n", "text/plain; charset=utf-8")
    if export.method != "POST":
        return Reply(405, b"405 method not allowed, supported: [POST]", "text/plain")
    kind = export.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in (_JSON, _BINARY):
        said = f"415 unsupported media type, supported: [{_JSON}, {_BINARY}]"
        return Reply(415, said.encode(), "text/plain")
    try:
        body = _unpacked(export)
        if signal == "traces":
            take_spans(spans.read(body, as_json=kind == _JSON))
        else:
            drop(f"OTLP {signal} are not kept: Coldstart takes traces alone. This is our gap.")
    except Malformed as bad:
        drop(f"OTLP {signal} that can't be read: {bad}.")
        return refused(str(bad), kind)
    return Reply(200, b'{"partialSuccess":{}}' if kind == _JSON else b"", kind)


def _unpacked(export: Export) -> bytes:
    if export.oversized:
        raise Malformed("http: request body too large")
    coding = export.headers.get("content-encoding", "").strip().lower()
    if coding in ("", "identity"):
        return export.body
    if coding not in _WINDOWS:
        raise Malformed(f"unsupported Content-Encoding: {coding[:40]}")
    inflater = zlib.decompressobj(_WINDOWS[coding])
    try:
        body = inflater.decompress(export.body, LIMIT_BYTES + 1)
    except zlib.error as error:
        raise Malformed(str(error)) from None
    if len(body) > LIMIT_BYTES:
        raise Malformed("http: request body too large")
    if not inflater.eof:
        raise Malformed("unexpected EOF")
    return body


def refused(message: str, kind: str) -> Reply:
    """A ``google.rpc.Status`` in the encoding of the request."""
    if kind == _JSON:
        body = json.dumps({"code": _INVALID_ARGUMENT, "message": message}).encode()
        return Reply(400, body, kind)
    text = message.encode()[:_MESSAGE_LIMIT_BYTES]
    length = bytes((len(text) & 0x7F | 0x80, len(text) >> 7))
    return Reply(400, bytes((0x08, _INVALID_ARGUMENT, 0x12)) + length + text, _BINARY)
