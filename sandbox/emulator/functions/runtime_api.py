"""The Lambda Runtime API of one execution environment.

Source: https://docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html and, for streams,
https://docs.aws.amazon.com/lambda/latest/dg/runtimes-custom.html#runtimes-custom-response-streaming
"""

from __future__ import annotations

import base64
import binascii
import json
import socket
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.emulator.functions.loop import Connection, HttpServer, Loop, Request, Sink

RESPONSE_LIMIT_BYTES = 6 * 1024 * 1024
RESPONSE_LIMIT_IN_MESSAGES = 6_291_556  # AWS allows, and names, a little more than 6 MB.
# Source: https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
STREAM_LIMIT_BYTES = 200 * 1024 * 1024
_BODY_LIMIT_BYTES = RESPONSE_LIMIT_IN_MESSAGES
_PREFIX = "/2018-06-01/runtime/"
_STATUS_OK = b'{"status":"OK"}\n'


@dataclass(frozen=True, slots=True)
class Event:
    """One event for the function. ``deadline_ms`` is on the clock that the function sees."""

    request_id: str
    payload: bytes
    deadline_ms: int
    function_arn: str
    trace_header: str
    client_context: str = ""

    def headers(self) -> str:
        """As header lines."""
        text = (
            f"Lambda-Runtime-Aws-Request-Id: {self.request_id}\r\n"
            f"Lambda-Runtime-Deadline-Ms: {self.deadline_ms}\r\n"
            f"Lambda-Runtime-Invoked-Function-Arn: {self.function_arn}\r\n"
            f"Lambda-Runtime-Trace-Id: {self.trace_header}\r\n"
        )
        if self.client_context:
            text += f"Lambda-Runtime-Client-Context: {self.client_context}\r\n"
        return text


@dataclass(frozen=True, slots=True)
class Answer:
    """What the runtime posted. ``error_type`` is empty for a response.

    ``streamed`` when the response went to the event's sink as it came.
    """

    body: bytes
    error_type: str = ""
    too_large: bool = False
    streamed: bool = False


# Takes a streamed response: its content type and a piece of it.
TakeChunk = Callable[[str, bytes], None]


class RuntimeApi:
    """Hands one event out at a time and takes its answer.

    The state is read between turns of the loop: :attr:`ready` once the runtime asked for an event,
    :attr:`answer` once it answered the current one, :attr:`init_error` once it gave up starting.
    """

    def __init__(self, loop: Loop, listener: socket.socket) -> None:
        self._server = HttpServer(
            loop, listener, self._respond, body_limit=_BODY_LIMIT_BYTES, begin=self._begin
        )
        self._waiting: Connection | None = None
        self._current: str | None = None
        self._take_chunk: TakeChunk | None = None
        self._streaming: Request | None = None
        self.answer: Answer | None = None
        self.init_error: Answer | None = None

    @property
    def ready(self) -> bool:
        """Whether the runtime waits for an event."""
        return self._waiting is not None and not self._waiting.closed

    def dispatch(self, event: Event, take_chunk: TakeChunk | None = None) -> None:
        """Give the waiting runtime an event; a streamed response goes to ``take_chunk``."""
        assert self._waiting is not None
        waiting, self._waiting = self._waiting, None
        self._take_chunk, self._streaming = take_chunk, None
        self._current, self.answer = event.request_id, None
        waiting.answer(200, event.payload, event.headers())

    def abandon(self) -> None:
        """The current invocation is over, whatever the runtime still says about it."""
        self._current = self._take_chunk = None

    def close(self) -> None:
        """Stop answering."""
        self._server.close()

    def _respond(self, request: Request, connection: Connection) -> None:
        path = request.path.partition("?")[0]
        if not path.startswith(_PREFIX):
            connection.answer(404, b"404 page not found\n", content_type="text/plain")
            return
        match path.removeprefix(_PREFIX).split("/"):
            case ["invocation", "next"] if request.method == "GET":
                self._waiting = connection
            case ["invocation", request_id, "response"] if request.method == "POST":
                self._take(request_id, request, connection, error=False)
            case ["invocation", request_id, "error"] if request.method == "POST":
                self._take(request_id, request, connection, error=True)
            case ["init", "error"] if request.method == "POST":
                self.init_error = _error(request)
                connection.answer(202, _STATUS_OK)
            case ["invocation", *_] | ["init", *_]:
                connection.answer(405, b"", content_type="text/plain")
            case _:
                connection.answer(404, b"404 page not found\n", content_type="text/plain")

    def _begin(self, request: Request) -> Sink | None:
        """A streamed response to the current event, if somebody wants it as it comes."""
        wanted = f"{_PREFIX}invocation/{self._current}/response"
        if (
            self._take_chunk is None
            or self._streaming is not None
            or request.path.partition("?")[0] != wanted
            or not _is_streamed(request)
        ):
            return None
        self._streaming = request
        kind = request.headers.get("content-type", "application/octet-stream")
        return Sink(lambda data: self._chunk(kind, data), STREAM_LIMIT_BYTES)

    def _chunk(self, kind: str, data: bytes) -> None:
        if self._take_chunk is not None:
            self._take_chunk(kind, data)

    def _take(self, request_id: str, request: Request, connection: Connection, *, error: bool) -> None:
        if request_id != self._current:
            connection.answer(403, _error_body("InvalidRequestID", "Invalid request ID"))
            return
        self._current = None
        if request.oversized:
            message = f"Exceeded maximum allowed payload size ({RESPONSE_LIMIT_IN_MESSAGES} bytes)."
            self.answer = Answer(b"", too_large=True, streamed=request is self._streaming)
            connection.answer(413, _error_body("RequestEntityTooLarge", message))
            return
        if error:
            self.answer = _error(request)
        elif _is_streamed(request):
            self.answer = _streamed(request, passed_on=request is self._streaming)
        else:
            self.answer = Answer(request.body)
        connection.answer(202, _STATUS_OK)


def _is_streamed(request: Request) -> bool:
    """Whether the runtime says so, or announces errors in trailers as Go's does without saying more."""
    if "lambda-runtime-function-error-type" in request.headers.get("trailer", "").lower():
        return True
    return request.headers.get("lambda-runtime-function-response-mode", "").lower() == "streaming"


def _streamed(request: Request, *, passed_on: bool) -> Answer:
    """The end of a streamed response; an error in mid-stream is told in its trailers."""
    kind = request.trailers.get("lambda-runtime-function-error-type", "")
    if not kind:
        return Answer(request.body, streamed=passed_on)
    try:
        body = base64.b64decode(request.trailers.get("lambda-runtime-function-error-body", ""), validate=True)
    except (binascii.Error, ValueError):
        body = b""
    return Answer(body or json.dumps({"errorType": kind}).encode(), error_type=kind, streamed=passed_on)


def _error(request: Request) -> Answer:
    """An error report; its type is in the body, or in a header of runtimes that send no body."""
    header = request.headers.get("lambda-runtime-function-error-type", "")
    try:
        told = json.loads(request.body)
    except ValueError:
        told = None
    kind = told.get("errorType") if isinstance(told, dict) else None
    body = request.body or json.dumps({"errorType": header or "Unknown"}).encode()
    return Answer(body, error_type=str(kind or header or "Function.Unknown"))


def _error_body(kind: str, message: str) -> bytes:
    return json.dumps({"errorMessage": message, "errorType": kind}).encode() + b"\n"
