"""The resolver of an environment, over real sockets."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from sandbox.emulator.functions.loop import Loop
from sandbox.emulator.functions.resolver import CONNECTIONS_LIMIT, Resolver
from sandbox.isolation import names
from tests.isolation.test_names import query, read


@dataclass
class Served:
    loop: Loop
    datagrams: tuple[str, int]
    stream: tuple[str, int]

    def turn(self) -> None:
        while self.loop.turn(0.2):
            continue


@pytest.fixture
def served() -> Iterator[Served]:
    loop = Loop()
    with (
        socket.socket(type=socket.SOCK_DGRAM) as datagrams,
        socket.create_server((names.ADDRESS, 0)) as stream,
    ):
        datagrams.bind((names.ADDRESS, 0))
        resolver = Resolver(loop, datagrams, stream)
        yield Served(loop, datagrams.getsockname(), stream.getsockname())
        resolver.close()
    loop.close()


def test_datagrams_are_answered_and_rubbish_is_passed_over(served: Served) -> None:
    with socket.socket(type=socket.SOCK_DGRAM) as client:
        client.settimeout(5)
        client.connect(served.datagrams)
        for sent in (b"x", query("example.com"), query("sts.amazonaws.com")):
            client.send(sent)
        served.turn()
        assert read(client.recv(512)) == (7, 3, [])
        assert read(client.recv(512)) == (7, 0, ["127.0.0.1"])


def test_a_connection_may_ask_several_times_and_in_pieces(served: Served) -> None:
    asked = query("sts.amazonaws.com")
    framed = len(asked).to_bytes(2, "big") + asked
    with socket.create_connection(served.stream, 5) as client:
        served.turn()
        for piece in (framed[:1], framed[1:9], framed[9:] + framed):
            client.send(piece)
            served.turn()
        said = client.recv(4096)
    served.turn()
    length = int.from_bytes(said[:2], "big")
    assert read(said[2 : 2 + length]) == (7, 0, ["127.0.0.1"])
    assert len(said) == 2 * (2 + length)


def test_more_connections_than_it_keeps_are_hung_up_on_and_make_room_when_they_end(served: Served) -> None:
    clients = [socket.create_connection(served.stream, 5) for _ in range(CONNECTIONS_LIMIT + 1)]
    served.turn()
    assert clients[-1].recv(1) == b""
    for client in clients:
        client.close()
    served.turn()
    asked = query("sts.amazonaws.com")
    with socket.create_connection(served.stream, 5) as client:
        client.send(len(asked).to_bytes(2, "big") + asked)
        served.turn()
        assert client.recv(512)
