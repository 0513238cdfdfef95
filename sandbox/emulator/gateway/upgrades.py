"""Connections that stop speaking HTTP: an application takes one over, and gets its bytes from then on.

The server puts a function under ``UPGRADE`` into the WSGI environment. Who calls it gets the connection as a
:class:`Line`, answers the request itself, and raises :class:`Upgraded`, so that nothing else is written.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

from waitress.channel import ClientDisconnected

UPGRADE = "coldstart.upgrade"
# What a client may leave unread before it is taken for gone.
_UNREAD_LIMIT_BYTES = 8 * 1024**2


class Upgraded(Exception):
    """The connection has another owner now."""


class Receiver(Protocol):
    """Who takes a connection over. Called by the server's loop, so it must not block."""

    def received(self, data: bytes) -> None:
        """Bytes came."""

    def lost(self) -> None:
        """The connection is gone."""


Upgrade = Callable[[Receiver], "Line"]


class Line:
    """An upgraded connection; any thread may send."""

    def __init__(self, channel: Any, receiver: Receiver) -> None:
        self._channel = channel
        self.receiver = receiver

    def send(self, data: bytes) -> None:
        """Send soon. What is sent to nobody is dropped, as are clients that read nothing."""
        if self._channel.total_outbufs_len > _UNREAD_LIMIT_BYTES:
            self.end()
            return
        try:
            self._channel.write_soon(data)
        except ClientDisconnected:
            return
        self._channel.server.pull_trigger()

    def end(self) -> None:
        """Close the connection once everything is sent."""
        self._channel.close_when_flushed = True
        self._channel.server.pull_trigger()
