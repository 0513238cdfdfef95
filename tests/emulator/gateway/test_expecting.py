"""Requests that wait for the word to go on, as AWS's SDKs make them when they put objects."""

from __future__ import annotations

import socket
from collections.abc import Iterable
from typing import Any

import pytest

from sandbox.emulator.gateway import server


def answer(environ: dict[str, Any], start: Any) -> Iterable[bytes]:
    body = environ["wsgi.input"].read()
    start("200 OK", [("Content-Length", str(len(body)))])
    return [body]


@pytest.mark.parametrize("body", [b"", b"some"])
def test_a_body_is_waited_for_only_if_there_is_one(body: bytes) -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    serving = server.serve(answer, listener, threads=2)
    head = b"PUT /k HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n" % len(body)
    with socket.create_connection(listener.getsockname(), timeout=10) as connection:
        connection.sendall(head)
        told = connection.makefile("rb")
        if body:
            assert told.readline() == b"HTTP/1.1 100 Continue\r\n"
            assert told.readline() == b"\r\n"
            connection.sendall(body)
        assert told.readline() == b"HTTP/1.1 200 OK\r\n"
    serving.close()
