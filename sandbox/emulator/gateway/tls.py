"""The gateway by HTTPS: the same server, whose connections are decrypted as they come.

A connection is one of waitress's, read by its loop and written to by that loop and by the threads that
answer. OpenSSL allows one of them at a time, hence a lock; nothing blocks while it is held.
"""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from typing import Any

from sandbox.emulator.gateway.server import Channel, Server, WSGIApplication

# One record of TLS: what OpenSSL could not write has to be offered again as it was.
_RECORD_BYTES = 16 * 1024
_NOT_NOW = (ssl.SSLWantReadError, ssl.SSLWantWriteError)


class _TlsChannel(Channel):
    def __init__(self, server: Any, stream: ssl.SSLSocket, *arguments: Any, **options: Any) -> None:
        self._tls = threading.Lock()
        self._agreed = False
        self._stream = stream
        super().__init__(server, stream, *arguments, **options)

    def handle_read(self) -> None:
        try:
            data = self._decrypted()
        except _NOT_NOW:
            return
        except OSError:  # No TLS, or not with us: SSLError is one of these.
            data = b""
        if not data:
            self.handle_close()
            return
        self.last_activity = time.time()
        self.received(data)

    def _decrypted(self) -> bytes:
        """What there is, to the end of its record; the rest is still with the kernel, which will say so."""
        with self._tls:
            if not self._agreed:
                self._stream.do_handshake()
                self._agreed = True
            data: bytes = self._stream.recv(_RECORD_BYTES)
            while data and (left := self._stream.pending()):
                data += self._stream.recv(left)
            return data

    def send(self, data: bytes, do_close: bool = True) -> int:
        try:
            with self._tls:
                return int(self._stream.send(data[:_RECORD_BYTES]))
        except _NOT_NOW:
            return 0
        except OSError:
            if do_close:
                self.handle_close()
            return 0

    def close(self) -> None:
        # Say goodbye, so that a client knows the end from an interruption; not to wait for an answer.
        with contextlib.suppress(OSError, ValueError), self._tls:
            self._stream.unwrap()
        super().close()


def serve(
    app: WSGIApplication, listener: socket.socket, context: ssl.SSLContext, *, threads: int = 4
) -> Server:
    """Serve ``app`` on ``listener`` by TLS, in threads of its own."""

    def connect(server: Any, stream: socket.socket, *arguments: Any, **options: Any) -> None:
        try:
            stream.setblocking(False)
            wrapped = context.wrap_socket(stream, server_side=True, do_handshake_on_connect=False)
        except OSError:  # It is gone again.
            stream.close()
            return
        _TlsChannel(server, wrapped, *arguments, **options)

    return Server(app, listener, threads, connect=connect, scheme="https")
