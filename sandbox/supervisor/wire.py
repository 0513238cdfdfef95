"""Messages on the supervisor's and the accounts' sockets: one JSON document a line.

A request is ``{"do": name, …}``; its answer is ``{"ok": result}`` or ``{"error": text, "kind": class name}``.
"""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Mapping
from typing import Any

from sandbox.errors import AccountUnavailable, EnvironmentFault, IsolationUnavailable, SandboxError

LARGEST_BYTES = 64 * 1024 * 1024


class NoSuchSandbox(SandboxError):
    """Somebody named a sandbox that does not run."""


class NameTaken(SandboxError):
    """A sandbox of this name runs already."""


class BadRequest(SandboxError):
    """What was asked for makes no sense to the account; the message says why."""


_KINDS: Mapping[str, type[SandboxError]] = {
    kind.__name__: kind
    for kind in (
        AccountUnavailable,
        BadRequest,
        EnvironmentFault,
        IsolationUnavailable,
        NameTaken,
        NoSuchSandbox,
    )
}


def encode(message: Mapping[str, Any]) -> bytes:
    """One line."""
    return json.dumps(message, separators=(",", ":")).encode() + b"\n"


def failure(error: BaseException) -> dict[str, str]:
    """An error as an answer. What is not ours by name becomes an EnvironmentFault."""
    kind = type(error).__name__
    if kind in _KINDS:
        return {"error": str(error), "kind": kind}
    return {"error": f"{kind}: {error}", "kind": "EnvironmentFault"}


def result(answer: Mapping[str, Any]) -> Any:
    """What was answered.

    Raises:
        SandboxError: the error that was answered, as its own class.
    """
    if "ok" in answer:
        return answer["ok"]
    raise _KINDS.get(str(answer.get("kind")), EnvironmentFault)(str(answer.get("error")))


class Lines:
    """Splits what arrives into messages."""

    def __init__(self) -> None:
        self._pending = bytearray()

    def feed(self, data: bytes) -> list[dict[str, Any]]:
        """The messages that ``data`` completes.

        Raises:
            BadRequest: a line is no JSON object, or is too long.
        """
        self._pending += data
        *whole, rest = self._pending.split(b"\n")
        self._pending = bytearray(rest)
        if len(rest) > LARGEST_BYTES:
            raise BadRequest("The message is too long.")
        return [_decode(bytes(line)) for line in whole if line.strip()]


def _decode(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError as error:
        raise BadRequest(f"The message is not JSON: {error}") from None
    if not isinstance(message, dict):
        raise BadRequest("The message is not a JSON object.")
    return message


class Line:
    """A connection on which requests are answered in order. Not safe across threads."""

    def __init__(self, path: str, timeout_s: float) -> None:
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.socket.settimeout(timeout_s)
        self._lines = Lines()
        try:
            self.socket.connect(path)
        except OSError:
            self.socket.close()
            raise

    def fileno(self) -> int:
        """For select: readable when an answer, or the end, is there."""
        return self.socket.fileno()

    def ask(self, do: str, wait_s: float, **arguments: Any) -> Any:
        """One request; what was answered.

        Raises:
            OSError: nobody answers (any more), or not within ``wait_s``.
            SandboxError: the error that was answered.
        """
        self.socket.settimeout(wait_s)
        self.socket.sendall(encode({"do": do, **arguments}))
        while True:
            data = self.socket.recv(1 << 18)
            if not data:
                raise ConnectionResetError("the other side hung up")
            for answer in self._lines.feed(data):
                return result(answer)

    def wait_for_end(self, timeout_s: float) -> None:
        """Until the other side hangs up; what else it says is passed over."""
        self.socket.settimeout(timeout_s)
        while self.socket.recv(1 << 16):
            continue

    def close(self) -> None:
        """Hang up. Idempotent."""
        self.socket.close()


def peer_is_us(connection: socket.socket) -> bool:
    """Whether the same user, or root, is at the other end of a unix socket."""
    packed = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, struct.calcsize("3i"))
    _pid, uid, _gid = struct.unpack("3i", packed)
    return uid in (0, os.geteuid())
