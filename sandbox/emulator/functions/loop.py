"""The descriptors of one execution environment, watched by whichever thread drives it.

An environment is driven by the thread that invokes it, so a warm invocation changes no thread: the
invoker writes the event, waits here for the answer, and takes in output and telemetry on the way.
"""

from __future__ import annotations

import select
import socket
from collections.abc import Callable
from dataclasses import dataclass

_EVENTS_AT_ONCE = 64
_CHUNK_BYTES = 256 * 1024
HEAD_LIMIT_BYTES = 64 * 1024
CONNECTIONS_LIMIT = 64


class Loop:
    """Calls a descriptor's callback when it is ready."""

    def __init__(self) -> None:
        self._poll = select.epoll()
        self._callbacks: dict[int, Callable[[int], None]] = {}

    def add(self, descriptor: int, callback: Callable[[int], None]) -> None:
        """Watch for something to read."""
        self._callbacks[descriptor] = callback
        self._poll.register(descriptor, select.EPOLLIN)

    def want_to_write(self, descriptor: int, wanted: bool) -> None:
        """Watch, or no longer watch, for room to write as well."""
        self._poll.modify(descriptor, select.EPOLLIN | (select.EPOLLOUT if wanted else 0))

    def remove(self, descriptor: int) -> None:
        """Stop watching. Call it before the descriptor is closed."""
        if self._callbacks.pop(descriptor, None) is not None:
            self._poll.unregister(descriptor)

    def turn(self, timeout_s: float) -> bool:
        """Handle what is ready, waiting at most ``timeout_s``; whether there was anything."""
        ready = self._poll.poll(max(timeout_s, 0.0), _EVENTS_AT_ONCE)
        for descriptor, events in ready:
            callback = self._callbacks.get(descriptor)
            if callback is not None:
                callback(events)
        return bool(ready)

    def close(self) -> None:
        """Give the poll descriptor back."""
        self._poll.close()
        self._callbacks.clear()


@dataclass(frozen=True, slots=True)
class Sink:
    """Where a body goes as it comes in, instead of being kept: at most ``limit`` bytes of it."""

    write: Callable[[bytes], None]
    limit: int


class Request:
    """One HTTP request; ``oversized`` when the body was larger than allowed and was not kept."""

    __slots__ = ("body", "headers", "method", "oversized", "path", "trailers")

    def __init__(self, method: str, path: str, headers: dict[str, str]) -> None:
        self.method = method
        self.path = path
        self.headers = headers
        self.body = b""
        self.oversized = False
        self.trailers: dict[str, str] = {}


class BadRequest(Exception):
    """What came is not HTTP/1.1 as we understand it; the connection is closed."""


class Connection:
    """One HTTP/1.1 connection: keep-alive, chunked bodies, Expect; nothing blocks."""

    def __init__(self, server: HttpServer, stream: socket.socket) -> None:
        self._server = server
        self._stream = stream
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._request: Request | None = None
        self._reader: _BodyReader | None = None
        self._last = False
        self._writing = False
        stream.setblocking(False)
        stream.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def fileno(self) -> int:
        """The socket's descriptor."""
        return self._stream.fileno()

    def on_ready(self, events: int) -> None:
        """Called by the loop."""
        if events & select.EPOLLOUT:
            self._flush()
        if events & (select.EPOLLIN | select.EPOLLHUP | select.EPOLLERR):
            self._receive()

    def _receive(self) -> None:
        try:
            data = self._stream.recv(_CHUNK_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.close()
            return
        self._inbox += data
        try:
            self._read_requests()
        except BadRequest:
            self._last = True
            self.answer(400, b"")

    def _read_requests(self) -> None:
        while self._inbox or self._reader is not None:
            if self._reader is None and not self._read_head():
                return
            assert self._reader is not None
            assert self._request is not None
            if not self._reader.read(self._inbox):
                return
            request = self._request
            request.body, request.oversized = self._reader.result()
            request.trailers = self._reader.trailers
            self._request = self._reader = None
            self._server.respond(request, self)

    def _read_head(self) -> bool:
        end = self._inbox.find(b"\r\n\r\n")
        if end < 0:
            if len(self._inbox) > HEAD_LIMIT_BYTES:
                raise BadRequest
            return False
        head = self._inbox[:end].decode("latin-1")
        del self._inbox[: end + 4]
        line, *rest = head.split("\r\n")
        parts = line.split(" ")
        if len(parts) != 3 or not parts[2].startswith("HTTP/1."):
            raise BadRequest
        headers = dict(_header(item) for item in rest)
        self._request = Request(parts[0], parts[1], headers)
        self._last = headers.get("connection", "").lower() == "close" or parts[2] == "HTTP/1.0"
        sink = self._server.begin(self._request)
        self._reader = _BodyReader(headers, sink.limit if sink else self._server.body_limit, sink)
        if headers.get("expect", "").lower() == "100-continue":
            self._send(b"HTTP/1.1 100 Continue\r\n\r\n")
        return True

    def answer(
        self, status: int, body: bytes, headers: str = "", content_type: str = "application/json"
    ) -> None:
        """Answer the request. ``headers`` are further lines, each ended by CRLF."""
        closing = "Connection: close\r\n" if self._last else ""
        head = (
            f"HTTP/1.1 {status} {_REASONS.get(status, 'Unknown')}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\n{closing}{headers}\r\n"
        )
        self._send(head.encode("latin-1", "replace") + body)
        if self._last and not self._outbox:
            self.close()

    def _send(self, data: bytes) -> None:
        waiting = bool(self._outbox)
        self._outbox += data
        if not waiting:
            self._flush()

    def _flush(self) -> None:
        if self._stream.fileno() < 0:
            return
        try:
            sent = self._stream.send(self._outbox)
        except BlockingIOError:
            sent = 0
        except OSError:
            self.close()
            return
        del self._outbox[:sent]
        if self._writing != bool(self._outbox):
            self._writing = not self._writing
            self._server.loop.want_to_write(self.fileno(), self._writing)
        if self._last and not self._outbox:
            self.close()

    def close(self) -> None:
        """Hang up."""
        if self._stream.fileno() >= 0:
            self._server.forget(self)
            self._stream.close()
        self._inbox.clear()
        self._outbox.clear()

    @property
    def closed(self) -> bool:
        """Whether either side hung up."""
        return self._stream.fileno() < 0


class _BodyReader:
    """A body of known length or in chunks; beyond the limit it is taken off the wire, not kept."""

    def __init__(self, headers: dict[str, str], limit: int, sink: Sink | None = None) -> None:
        self.trailers: dict[str, str] = {}
        self._limit = limit
        self._sink = sink
        self._kept = bytearray()
        self._total = 0
        self._chunked = "chunked" in headers.get("transfer-encoding", "").lower()
        self._left = 0 if self._chunked else _number(headers.get("content-length", "0"), 10)
        self._done = not self._chunked and self._left == 0
        self._trailer = False

    def read(self, inbox: bytearray) -> bool:
        """Take what is there; whether the body is complete."""
        while not self._done:
            if self._left:
                taken = inbox[: self._left]
                if not taken:
                    return False
                del inbox[: len(taken)]
                self._keep(taken)
                self._left -= len(taken)
                self._done = not self._chunked and self._left == 0
                continue
            end = inbox.find(b"\r\n")
            if end < 0:
                if len(inbox) > HEAD_LIMIT_BYTES:
                    raise BadRequest
                return False
            line = bytes(inbox[:end])
            del inbox[: end + 2]
            if self._trailer:
                self._done = not line
                if line:
                    name, value = _header(line.decode("latin-1"))
                    self.trailers[name] = value
            elif line:
                self._left = _number(line.partition(b";")[0].decode("latin-1").strip(), 16)
                self._trailer = self._left == 0
        return True

    def _keep(self, data: bytearray) -> None:
        self._total += len(data)
        if self._sink is not None:
            if self._total <= self._limit:
                self._sink.write(bytes(data))
        elif self._total <= self._limit:
            self._kept += data
        else:
            self._kept.clear()

    def result(self) -> tuple[bytes, bool]:
        """The body, and whether it was too large to be kept."""
        return bytes(self._kept), self._total > self._limit


def _header(line: str) -> tuple[str, str]:
    name, _, value = line.partition(":")
    return name.strip().lower(), value.strip()


def _number(text: str, base: int) -> int:
    try:
        value = int(text, base)
    except ValueError:
        raise BadRequest from None
    if value < 0:
        raise BadRequest
    return value


class HttpServer:
    """Accepts on a listening socket and has ``respond`` answer each request.

    ``begin`` sees a request before its body, and may want the body as it comes.
    """

    def __init__(
        self,
        loop: Loop,
        listener: socket.socket,
        respond: Callable[[Request, Connection], None],
        *,
        body_limit: int,
        begin: Callable[[Request], Sink | None] = lambda _request: None,
    ) -> None:
        self.loop = loop
        self.respond = respond
        self.begin = begin
        self.body_limit = body_limit
        self._listener = listener
        self._connections: set[Connection] = set()
        listener.setblocking(False)
        loop.add(listener.fileno(), self._accept)

    def _accept(self, _events: int) -> None:
        try:
            stream, _address = self._listener.accept()
        except OSError:
            return
        if len(self._connections) >= CONNECTIONS_LIMIT:
            stream.close()
            return
        connection = Connection(self, stream)
        self._connections.add(connection)
        self.loop.add(connection.fileno(), connection.on_ready)

    def forget(self, connection: Connection) -> None:
        """A connection ends."""
        self.loop.remove(connection.fileno())
        self._connections.discard(connection)

    def close(self) -> None:
        """Hang up on everybody; the listening socket is the environment's to close."""
        for connection in list(self._connections):
            connection.close()
        self.loop.remove(self._listener.fileno())


_REASONS = {
    200: "OK",
    202: "Accepted",
    400: "Bad Request",
    403: "Forbidden",
    404: "Not Found",
    405: "Method Not Allowed",
    413: "Payload Too Large",
    415: "Unsupported Media Type",
}
