"""Finds streams and tells their readers of new records."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Callable

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.streams import patches
from sandbox.emulator.fabric.streams.dynamodb import TableStream
from sandbox.emulator.fabric.streams.kinesis import KinesisStream
from sandbox.emulator.fabric.streams.model import Stream


class Streams:
    """The streams of an account's tables, and those of Kinesis."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._listeners: defaultdict[str, list[Callable[[], None]]] = defaultdict(list)
        patches.tell(self._announce)

    def find(self, arn: Arn) -> Stream | None:
        """The stream that ``arn`` names, or None when there is none."""
        stream: Stream | None = None
        if arn.service == "kinesis" and arn.resource.startswith("stream/"):
            stream = KinesisStream(arn, self._core.dispatch_lock)
        elif arn.service == "dynamodb" and arn.resource.count("/") >= 3:
            stream = TableStream(arn, self._core.dispatch_lock)
        return stream if stream is not None and stream.shards() else None

    def listen(self, arn: str, wake: Callable[[], None]) -> None:
        """Call ``wake`` for each new record of a stream; it must only enqueue."""
        with self._lock:
            self._listeners[arn].append(wake)

    def stop_listening(self, arn: str, wake: Callable[[], None]) -> None:
        """Undo :meth:`listen`."""
        with self._lock:
            if wake in self._listeners[arn]:
                self._listeners[arn].remove(wake)

    def _announce(self, arn: str) -> None:
        with self._lock:
            wakes = list(self._listeners.get(arn, ()))
        for wake in wakes:
            wake()
