"""What a function prints: always taken in, kept up to a limit, cut into log lines."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Callable

from sandbox.emulator.functions.loop import Loop

KEPT_BYTES = 1024 * 1024
LINE_LIMIT_BYTES = 256 * 1024
_CHUNK_BYTES = 256 * 1024
_PIPE_BYTES = 1024 * 1024
# How a runtime client begins what it writes to the descriptor in _LAMBDA_TELEMETRY_LOG_FD.
_FRAME = b"\xa5\x5a\x00"
_FRAME_HEAD_BYTES = 16


class Output:
    """Drains a pipe without ever blocking. ``now_ms`` stamps the lines."""

    def __init__(self, descriptor: int, now_ms: Callable[[], int]) -> None:
        self._descriptor = descriptor
        self._now_ms = now_ms
        self._chunks: list[tuple[int, bytes]] = []
        self._partial = (0, b"")
        self._kept = 0
        self._ended = False
        self.total = 0
        os.set_blocking(descriptor, False)
        try:
            fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, _PIPE_BYTES)
        except OSError:
            return  # The user's share of pipe memory is used up; the usual size will do.

    def watch(self, loop: Loop) -> None:
        """Take what comes whenever ``loop`` turns."""

        def on_ready(_events: int) -> None:
            if not self._read() and self._ended:
                loop.remove(self._descriptor)  # Everybody closed it; it would be ready for ever.

        loop.add(self._descriptor, on_ready)

    def drain(self) -> None:
        """Take everything that was written so far, at most a pipe full: the writer may go on."""
        for _ in range(_PIPE_BYTES // _CHUNK_BYTES + 1):
            if not self._read():
                return

    def _read(self) -> bool:
        try:
            chunk = os.read(self._descriptor, _CHUNK_BYTES)
        except (BlockingIOError, OSError):
            return False
        if not chunk:
            self._ended = True
            return False
        self.total += len(chunk)
        room = KEPT_BYTES - self._kept
        if room > 0:
            self._chunks.append((self._now_ms(), chunk[:room]))
            self._kept += min(room, len(chunk))
        return True

    @property
    def waiting(self) -> bool:
        """Whether something was read that nobody has taken."""
        return bool(self._chunks)

    def take(self, *, ended: bool = True) -> tuple[list[tuple[int, str]], int]:
        """The lines since the last time, each with when it came, and how many bytes were not kept.

        Unless the invocation has ``ended``, a line without its end stays for the next time, and the
        limit goes on counting.
        """
        lines: list[tuple[int, str]] = []
        since, pending = self._partial
        for at, chunk in self._chunks:
            since = since if pending else at
            complete, pending = _cut(pending + chunk)
            for line in complete:
                lines.append((since, _text(line)))
                since = at
        self._chunks.clear()
        self._partial = (since, pending)
        dropped = 0
        if ended:
            if pending:
                lines.append((since, _text(pending)))
            dropped = self.total - self._kept
            self._partial = (0, b"")
            self._kept = self.total = 0
        return [(at, line) for at, line in lines if line], dropped


def _cut(data: bytes) -> tuple[list[bytes], bytes]:
    """The complete events in ``data``, and what is left: lines, and messages that a client has framed.

    A frame holds one event of however many lines: 4 bytes of type, 4 of length, 8 of time.
    """
    complete: list[bytes] = []
    while True:
        at = data.find(_FRAME)
        *lines, rest = (data if at < 0 else data[:at]).split(b"\n")
        complete += lines
        if at < 0:
            return complete, rest
        if rest:
            complete.append(rest)
        end = at + _FRAME_HEAD_BYTES + int.from_bytes(data[at + 4 : at + 8], "big")
        if len(data) < max(end, at + _FRAME_HEAD_BYTES):
            return complete, data[at:]
        complete.append(data[at + _FRAME_HEAD_BYTES : end].rstrip(b"\n"))
        data = data[end:]


def _text(line: bytes) -> str:
    # The Python runtime client separates the lines of one traceback by a carriage return, so that they
    # stay one log event.
    return line[:LINE_LIMIT_BYTES].decode("utf-8", "replace").rstrip("\r").replace("\r", "\n")
