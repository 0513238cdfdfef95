"""Files in a stream: name, whether it may be run, content. Simpler to trust than any archive format."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import BinaryIO

_HEAD = struct.Struct(">IBQ")
NAME_LIMIT_BYTES = 4096


def write_frame(stream: BinaryIO, name: str, body: bytes, *, runs: bool = False) -> None:
    """Append one file."""
    encoded = name.encode("utf-8", "surrogateescape")
    stream.write(_HEAD.pack(len(encoded), runs, len(body)))
    stream.write(encoded)
    stream.write(body)


def write_end(stream: BinaryIO) -> None:
    """Say that no file follows."""
    stream.write(_HEAD.pack(0, 0, 0))
    stream.flush()


def read_frames(stream: BinaryIO) -> Iterator[tuple[str, bool, int]]:
    """Name, whether it may be run, and size of each file; read ``size`` bytes before going on.

    Raises:
        EOFError: the stream ended before its end was told.
        ValueError: a name is longer than any path.
    """
    while True:
        head = stream.read(_HEAD.size)
        if len(head) < _HEAD.size:
            raise EOFError("the stream of files ended early")
        length, runs, size = _HEAD.unpack(head)
        if length == 0:
            return
        if length > NAME_LIMIT_BYTES:
            raise ValueError("a file name in the stream is too long")
        yield stream.read(length).decode("utf-8", "surrogateescape"), bool(runs), size
