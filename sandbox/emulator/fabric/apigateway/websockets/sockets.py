"""WebSocket's frames on an upgraded connection, within API Gateway's limits.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from websockets.exceptions import InvalidState
from websockets.frames import CloseCode, Frame, Opcode
from websockets.protocol import Protocol, Side, State
from websockets.utils import accept_key

from sandbox.emulator.gateway.upgrades import Line

MESSAGE_LIMIT_BYTES = 128 * 1024
FRAME_LIMIT_BYTES = 32 * 1024
_DATA = frozenset({Opcode.TEXT, Opcode.BINARY, Opcode.CONT})
_NO_STATUS = 1005
_ABNORMAL = 1006
# How AWS puts what a client did not say.
_REASONS = {
    _NO_STATUS: "Client-side close frame status not set",
    _ABNORMAL: "Connection closed abnormally",
}


def head(key: str, *extra: tuple[str, str]) -> bytes:
    """The answer that makes a WebSocket of a connection."""
    lines = [
        "HTTP/1.1 101 Switching Protocols",
        "Upgrade: websocket",
        "Connection: Upgrade",
        f"Sec-WebSocket-Accept: {accept_key(key)}",
        *(f"{name}: {value}" for name, value in extra),
    ]
    return ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")


class Socket:
    """One client's WebSocket. ``took`` is given its messages, ``seen`` told of each sign of life.

    ``ended`` is told once how it ended: a status code and a reason.
    """

    def __init__(
        self, took: Callable[[str], None], seen: Callable[[], None], ended: Callable[[int, str], None]
    ) -> None:
        self._took = took
        self._seen = seen
        self._ended = ended
        self._lock = threading.RLock()
        self._protocol = Protocol(
            Side.SERVER, state=State.OPEN, max_size=(MESSAGE_LIMIT_BYTES, FRAME_LIMIT_BYTES)
        )
        self._parts: list[bytes] = []
        self._told = False
        self.line: Line | None = None

    def send(self, payload: bytes) -> bool:
        """Send a message, in as many frames as it needs; whether the client is still there."""
        pieces = [
            payload[at : at + FRAME_LIMIT_BYTES] for at in range(0, len(payload) or 1, FRAME_LIMIT_BYTES)
        ]
        with self._lock:
            try:
                self._protocol.send_text(pieces[0], fin=len(pieces) == 1)
                for number, piece in enumerate(pieces[1:], start=2):
                    self._protocol.send_continuation(piece, fin=number == len(pieces))
            except InvalidState:
                return False
            self._flush()
        return True

    def close(self, code: int, reason: str) -> None:
        """Say goodbye, and do not wait for an answer."""
        with self._lock:
            self._protocol.fail(code, reason)
            self._flush()
        self._tell(code, reason)

    def received(self, data: bytes) -> None:
        """Bytes came from the client."""
        messages: list[str] = []
        with self._lock:
            self._protocol.receive_data(data)
            for event in self._protocol.events_received():
                if isinstance(event, Frame) and event.opcode in _DATA:
                    messages += self._message(event)
            self._flush()
            over = self._protocol.state is not State.OPEN
        self._seen()
        for text in messages:
            self._took(text)
        if over:
            self._tell(*self._how())

    def lost(self) -> None:
        """The connection is gone."""
        self._tell(*self._how())

    def _message(self, frame: Frame) -> list[str]:
        """The message that a frame completes, if it does."""
        if frame.opcode is Opcode.BINARY:
            # Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-binary-media-types.html
            self._protocol.fail(CloseCode.UNSUPPORTED_DATA, "Binary frames are not supported")
            return []
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return []
        whole, self._parts = b"".join(self._parts), []
        try:
            return [whole.decode()]
        except UnicodeDecodeError:
            self._protocol.fail(CloseCode.INVALID_DATA, "The message is not UTF-8")
            return []

    def _flush(self) -> None:
        if self.line is None:
            return
        for data in self._protocol.data_to_send():
            if data:
                self.line.send(data)
            else:
                self.line.end()

    def _how(self) -> tuple[int, str]:
        told = self._protocol.close_rcvd or self._protocol.close_sent
        code = told.code if told is not None else _ABNORMAL
        return int(code), (told.reason if told is not None else "") or _REASONS.get(int(code), "")

    def _tell(self, code: int, reason: str) -> None:
        with self._lock:
            told, self._told = self._told, True
        if not told:
            self._ended(code, reason)
