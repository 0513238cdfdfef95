"""Answers an environment's DNS queries, by UDP and by TCP, in the thread that drives it."""

from __future__ import annotations

import select
import socket

from sandbox.emulator.functions.loop import Loop
from sandbox.isolation import names
from sandbox.isolation.names import LookUp

CONNECTIONS_LIMIT = 16
# So many datagrams are answered in one turn that others wait for.
_AT_ONCE = 32
_LENGTH_BYTES = 2


class Resolver:
    """Serves the two sockets of port 53; nothing blocks."""

    def __init__(
        self,
        loop: Loop,
        datagrams: socket.socket,
        listener: socket.socket,
        look_up: LookUp = names.nobody,
    ) -> None:
        self._look_up = look_up
        self._loop = loop
        self._datagrams = datagrams
        self._listener = listener
        self._streams: dict[socket.socket, bytearray] = {}
        datagrams.setblocking(False)
        listener.setblocking(False)
        loop.add(datagrams.fileno(), self._answer)
        loop.add(listener.fileno(), self._accept)

    def _answer(self, _events: int) -> None:
        for _ in range(_AT_ONCE):
            try:
                query, sender = self._datagrams.recvfrom(names.QUERY_LIMIT_BYTES)
                said = names.answer(query, self._look_up)
                if said is not None:
                    self._datagrams.sendto(said, sender)
            except OSError:  # No more of them, or who asked is gone.
                return

    def _accept(self, _events: int) -> None:
        try:
            stream, _address = self._listener.accept()
        except OSError:
            return
        if len(self._streams) >= CONNECTIONS_LIMIT:
            stream.close()
            return
        stream.setblocking(False)
        self._streams[stream] = bytearray()
        self._loop.add(stream.fileno(), lambda events: self._receive(stream, events))

    def _receive(self, stream: socket.socket, events: int) -> None:
        try:
            data = stream.recv(4096) if events & (select.EPOLLIN | select.EPOLLHUP) else b""
            inbox = self._streams[stream]
            inbox += data
            while len(inbox) >= _LENGTH_BYTES:
                end = _LENGTH_BYTES + int.from_bytes(inbox[:_LENGTH_BYTES], "big")
                if len(inbox) < end:
                    break
                said = names.answer(bytes(inbox[_LENGTH_BYTES:end]), self._look_up)
                del inbox[:end]
                if said is not None:
                    # Nobody has so many questions under way that there is no room for an answer.
                    stream.send(len(said).to_bytes(_LENGTH_BYTES, "big") + said)
        except BlockingIOError:
            data = b""
        except OSError:
            data = b""
        if not data:
            self._hang_up(stream)

    def _hang_up(self, stream: socket.socket) -> None:
        self._loop.remove(stream.fileno())
        del self._streams[stream]
        stream.close()

    def close(self) -> None:
        """Hang up on everybody; the two sockets are the environment's to close."""
        for stream in list(self._streams):
            self._hang_up(stream)
        self._loop.remove(self._datagrams.fileno())
        self._loop.remove(self._listener.fileno())
