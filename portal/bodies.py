"""Bodies of requests, read piece by piece and never beyond what the portal reads."""

from __future__ import annotations

import contextlib
import gzip
import time
from collections.abc import Iterator
from typing import Any

from flask import current_app, request
from werkzeug.exceptions import RequestEntityTooLarge

_PIECE = 65_536
# So much of what is not wanted is still read, and forgotten: who is cut off while sending reads no answer.
_DRAINED_BYTES = 300_000_000
_DRAINED_S = 60.0


def pieces() -> Iterator[bytes]:
    """The request's body, unpacked where it is sent packed.

    A body may come in pieces of no known number: the server ends that stream, and we stop at the limit.

    Raises:
        RequestEntityTooLarge: it is larger than the portal reads.
    """
    left = int(current_app.config["MAX_CONTENT_LENGTH"])
    if (request.content_length or 0) > left:
        raise RequestEntityTooLarge
    stream: Any = request.environ["wsgi.input"] if request.content_length is None else request.stream
    if request.headers.get("Content-Encoding") in ("gzip", "x-gzip"):
        stream = gzip.GzipFile(fileobj=stream)
    while piece := stream.read(_PIECE):
        left -= len(piece)
        if left < 0:
            raise RequestEntityTooLarge
        yield piece


def drain() -> None:
    """Read and forget what is still being sent, so that who sends it gets to read our answer."""
    if "100-continue" in request.headers.get("Expect", ""):
        return
    stream, left = request.environ["wsgi.input"], _DRAINED_BYTES
    end = time.monotonic() + _DRAINED_S
    with contextlib.suppress(OSError):
        while left > 0 and time.monotonic() < end and (piece := stream.read(_PIECE)):
            left -= len(piece)
