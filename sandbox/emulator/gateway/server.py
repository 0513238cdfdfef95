"""Serves a WSGI application on a listening socket that already exists."""

from __future__ import annotations

import contextlib
import re
import socket
import threading
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer, create_server
from waitress.task import WSGITask

from sandbox.emulator.gateway.requests import UNDERSCORED
from sandbox.emulator.gateway.upgrades import UPGRADE, Line, Receiver, Upgraded

WSGIApplication = Callable[[dict[str, Any], Any], Iterable[bytes]]

_BODY_LIMIT_BYTES = 1024**3
_METADATA = re.compile(rb"^X-Amz-Meta-[^:]*:", re.MULTILINE)
_UNDERSCORED = re.compile(
    rb"^(x-amz-meta-[^:\s]*_[^:\s]*):[ \t]*(.*?)[ \t]*\r?$", re.MULTILINE | re.IGNORECASE
)
_IN_MEMORY_BYTES = 64 * 1024**2
_RECEIVE_BYTES = 64 * 1024  # waitress takes 8 KiB at a time, with a turn of its loop for each
_NEVER_S = 1_000_000_000
_CONNECTIONS_LIMIT = 4096


class _Parser(HTTPRequestParser):
    """Requests that waitress itself would not take as they are.

    It drops headers with underscores, as WSGI's names can't tell them from hyphens. S3's metadata may
    have them and is signed with them: it is handed on under its own names.
    """

    underscored: Mapping[str, str] = {}

    def parse_header(self, header_plus: bytes) -> None:
        super().parse_header(header_plus)
        if not self.chunked and not self.content_length:
            # There is nothing to go on with: waitress would wait for a body that has arrived already.
            self.expect_continue = False
        self.underscored = {
            name.decode("latin-1").lower(): value.decode("latin-1")
            for name, value in _UNDERSCORED.findall(header_plus)
        }


class _Task(WSGITask):
    """waitress writes header names in capitals; S3's metadata is read from them as they stand."""

    channel: Channel

    def get_environment(self) -> dict[str, Any]:
        environ: dict[str, Any] = super().get_environment()
        assert isinstance(self.request, _Parser)
        environ[UNDERSCORED] = self.request.underscored
        environ[UPGRADE] = self.channel.upgrade
        return environ

    def execute(self) -> None:
        try:
            super().execute()
        except Upgraded:
            self.wrote_header = True

    def finish(self) -> None:
        if self.channel.line is None:
            super().finish()

    def build_response_header(self) -> bytes:
        header: bytes = super().build_response_header()
        return _METADATA.sub(lambda found: found[0].lower(), header)


class Channel(HTTPChannel):
    """A connection whose requests keep what waitress would drop."""

    task_class = _Task
    parser_class = _Parser
    line: Line | None = None

    def upgrade(self, receiver: Receiver) -> Line:
        """From now on this is not HTTP any more."""
        self.line = Line(self, receiver)
        return self.line

    def received(self, data: bytes) -> bool:
        if self.line is None:
            return bool(super().received(data))
        if data:
            self.line.receiver.received(data)
        return True

    def handle_write(self) -> None:
        if self.line is None:
            super().handle_write()
            return
        # waitress takes nobody to write while there is no request.
        with self.outbuf_lock:
            super().handle_write()

    def handle_close(self) -> None:
        super().handle_close()
        if self.line is not None:
            self.line.receiver.lost()


class Server:
    """A running server; it ends, with its socket, by :meth:`close`.

    ``connect`` makes a channel of an accepted connection; it is called with the arguments of ``Channel``.
    """

    def __init__(
        self,
        app: WSGIApplication,
        listener: socket.socket,
        threads: int,
        *,
        connect: Callable[..., Any] = Channel,
        scheme: str = "http",
    ) -> None:
        self._sockets: dict[int, Any] = {}
        made = create_server(
            app,
            map=self._sockets,
            sockets=[listener],
            threads=threads,
            ident="Coldstart",
            url_scheme=scheme,
            max_request_body_size=_BODY_LIMIT_BYTES,
            recv_bytes=_RECEIVE_BYTES,
            inbuf_overflow=_IN_MEMORY_BYTES,
            outbuf_overflow=_IN_MEMORY_BYTES,
            # waitress tells idleness by the account's clock: a jump of it would cut every idle connection.
            channel_timeout=_NEVER_S,
            # A client whose answers lie unread holds a connection for each; select() ends at 1,024.
            connection_limit=_CONNECTIONS_LIMIT,
            asyncore_use_poll=True,
            clear_untrusted_proxy_headers=False,
            expose_tracebacks=False,
        )
        # The other kind it may return is for several sockets.
        assert isinstance(made, TcpWSGIServer)
        made.channel_class = connect  # type: ignore[assignment]
        self._server = made
        self._thread = threading.Thread(target=self._run, name="gateway", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        # The loop ends with an error of its own once its sockets are closed under it.
        with contextlib.suppress(OSError):
            self._server.run()

    def close(self) -> None:
        """Stop answering."""
        self._server.task_dispatcher.shutdown(cancel_pending=True, timeout=1)
        for channel in list(self._sockets.values()):
            with contextlib.suppress(OSError):
                channel.close()


def serve(app: WSGIApplication, listener: socket.socket, *, threads: int = 4) -> Server:
    """Serve ``app`` on ``listener`` in threads of its own."""
    return Server(app, listener, threads)
