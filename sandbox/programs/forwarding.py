"""Passing on what arrives at a socket inside an isolated network: bytes to one address, both ways."""

from __future__ import annotations

import contextlib
import socket
import threading
from collections.abc import Callable

_BLOCK = 65536
_CONNECT_TIMEOUT_S = 10.0
_LOOK_S = 0.2


def forward_to(host: str, port: int) -> Callable[[socket.socket], Callable[[], None]]:
    """For :attr:`isolated.Job.served`: every connection leads to this address, and nowhere else."""

    def serve(listener: socket.socket) -> Callable[[], None]:
        stopped = threading.Event()
        listener.settimeout(_LOOK_S)

        def accept() -> None:
            with listener:
                while not stopped.is_set():
                    try:
                        inside, _address = listener.accept()
                    except TimeoutError:
                        continue
                    except OSError:
                        return
                    threading.Thread(target=connect, args=(inside,), daemon=True).start()

        def connect(inside: socket.socket) -> None:
            inside.settimeout(None)
            with (
                inside,
                contextlib.suppress(OSError),
                socket.create_connection((host, port), timeout=_CONNECT_TIMEOUT_S) as outside,
            ):
                outside.settimeout(None)
                join(inside, outside)

        threading.Thread(target=accept, daemon=True).start()
        return stopped.set

    return serve


def join(one: socket.socket, other: socket.socket) -> None:
    """Copy bytes both ways until both sides have said their last."""
    back = threading.Thread(target=_copy, args=(other, one), daemon=True)
    back.start()
    _copy(one, other)
    back.join()


def _copy(source: socket.socket, target: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while block := source.recv(_BLOCK):
            target.sendall(block)
    for each, how in ((target, socket.SHUT_WR), (source, socket.SHUT_RD)):
        with contextlib.suppress(OSError):
            each.shutdown(how)
