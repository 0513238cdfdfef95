"""Connections outlive jumps of the account's clock."""

from __future__ import annotations

import datetime as dt
import http.client
import socket
from collections.abc import Iterable
from typing import Any

import time_machine

from sandbox.emulator.gateway import server


def answer(_environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    start("200 OK", [("Content-Length", "2")])
    return [b"ok"]


def ask(connection: http.client.HTTPConnection) -> bytes:
    connection.request("GET", "/")
    return connection.getresponse().read()


def test_an_idle_connection_is_kept_when_the_account_skips_a_week() -> None:
    with time_machine.travel(dt.datetime(2026, 3, 1, tzinfo=dt.UTC)) as clock:
        listener = socket.create_server(("127.0.0.1", 0))
        serving = server.serve(answer, listener, threads=2)
        kept, other = (
            http.client.HTTPConnection("127.0.0.1", listener.getsockname()[1], timeout=10) for _ in range(2)
        )
        try:
            assert ask(kept) == b"ok"
            socket_before = kept.sock

            clock.shift(dt.timedelta(days=7))

            # Whatever the server tidies up, it has done when it has answered somebody else twice.
            assert [ask(other), ask(other)] == [b"ok", b"ok"]
            assert ask(kept) == b"ok"
            assert kept.sock is socket_before
        finally:
            kept.close()
            other.close()
            serving.close()
