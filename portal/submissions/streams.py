"""Progress as server-sent events. The address carries a signed token, so a stream needs no session."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable, Callable, Iterator, MutableMapping
from typing import Any
from urllib.parse import parse_qs

from itsdangerous import BadSignature, URLSafeTimedSerializer

from records.store import Store

POLL_S = 0.2
KEEP_ALIVE_S = 15.0
VALID_S = 6 * 3600

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]


def token_for(streams: URLSafeTimedSerializer, attempt_id: int) -> str:
    """What a stream's address carries."""
    return str(streams.dumps(attempt_id))


def attempt_of(streams: URLSafeTimedSerializer, token: str) -> int | None:
    """The attempt that a token is for, while it is valid."""
    try:
        return int(streams.loads(token, max_age=VALID_S))
    except (BadSignature, ValueError, TypeError):
        return None


def as_event(event_id: int, body: dict[str, Any]) -> bytes:
    """One event on the wire."""
    return f"id: {event_id}\ndata: {json.dumps(body)}\n\n".encode()


def follow(
    store: Store, attempt_id: int, after: int, wait: Callable[[float], None] = time.sleep
) -> Iterator[bytes]:
    """Events as a plain generator, for `flask run` and tests; ends when the attempt is closed."""
    silent_s = 0.0
    while True:
        for event_id, _, body in store.events_after([attempt_id], after):
            after, silent_s = event_id, 0.0
            yield as_event(event_id, body)
            if body.get("phase") == "closed":
                return
        if not store.attempt(attempt_id).is_open:
            return
        wait(POLL_S)
        silent_s += POLL_S
        if silent_s >= KEEP_ALIVE_S:
            silent_s = 0.0
            yield b": still here\n\n"


class Hub:
    """One reader of the events table for all streams of this process."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._queues: dict[int, set[asyncio.Queue[tuple[int, dict[str, Any]]]]] = {}
        self._task: asyncio.Task[None] | None = None
        self._cursor = 0

    def join(self, attempt_id: int, after: int) -> asyncio.Queue[tuple[int, dict[str, Any]]]:
        """A queue that gets this attempt's events after ``after``."""
        queue: asyncio.Queue[tuple[int, dict[str, Any]]] = asyncio.Queue()
        self._queues.setdefault(attempt_id, set()).add(queue)
        # Reading again from here may repeat events for others; every stream drops what it has sent.
        self._cursor = min(self._cursor, after)
        if self._task is None or self._task.done():
            self._cursor = after
            self._task = asyncio.create_task(self._read())
        return queue

    def leave(self, attempt_id: int, queue: asyncio.Queue[tuple[int, dict[str, Any]]]) -> None:
        """No more events for this queue."""
        waiting = self._queues.get(attempt_id, set())
        waiting.discard(queue)
        if not waiting:
            self._queues.pop(attempt_id, None)

    async def _read(self) -> None:
        while self._queues:
            start = self._cursor
            found = await asyncio.to_thread(self._store.events_after, list(self._queues), start)
            for event_id, attempt_id, body in found:
                for queue in self._queues.get(attempt_id, ()):
                    queue.put_nowait((event_id, body))
            if found and self._cursor == start:
                self._cursor = found[-1][0]
            await asyncio.sleep(POLL_S)


class Streams:
    """The ASGI half: answers ``/events/<token>``, hands everything else on."""

    def __init__(self, portal: Application, store: Store, streams: URLSafeTimedSerializer) -> None:
        self._portal = portal
        self._store = store
        self._streams = streams
        self._hub = Hub(store)

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await _lifespan(receive, send)
        elif scope["type"] == "http" and scope["path"].startswith("/events/") and scope["method"] == "GET":
            await self._stream(scope, receive, send)
        else:
            await self._portal(scope, receive, send)

    async def _stream(self, scope: Message, receive: Receive, send: Send) -> None:
        attempt_id = attempt_of(self._streams, scope["path"].removeprefix("/events/"))
        if attempt_id is None:
            # 204 tells an EventSource to stop asking.
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return
        headers = [
            (b"content-type", b"text/event-stream"),
            (b"cache-control", b"no-store"),
            (b"x-accel-buffering", b"no"),
        ]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        # Something to read at once: servers and proxies hold headers back until the first bytes.
        await send({"type": "http.response.body", "body": b": live\n\n", "more_body": True})
        after = _after(scope)
        queue = self._hub.join(attempt_id, after)
        gone = asyncio.create_task(_disconnected(receive))
        try:
            while not gone.done():
                getting = asyncio.create_task(queue.get())
                await asyncio.wait({getting, gone}, timeout=KEEP_ALIVE_S, return_when=asyncio.FIRST_COMPLETED)
                if not getting.done():
                    getting.cancel()
                    await send({"type": "http.response.body", "body": b": still here\n\n", "more_body": True})
                    continue
                event_id, body = getting.result()
                if event_id <= after:
                    continue
                after = event_id
                await send(
                    {"type": "http.response.body", "body": as_event(event_id, body), "more_body": True}
                )
                if body.get("phase") == "closed":
                    break
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()
            self._hub.leave(attempt_id, queue)


def _after(scope: Message) -> int:
    """Where the client left off: its header when it reconnects, the address when the page was loaded."""
    for name, value in scope["headers"]:
        if name == b"last-event-id" and value.isdigit():
            return int(value)
    asked = parse_qs(scope.get("query_string", b"").decode("latin-1")).get("after", ["0"])[0]
    return int(asked) if asked.isdecimal() else 0


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _lifespan(receive: Receive, send: Send) -> None:
    while True:
        message = await receive()
        await send({"type": f"{message['type']}.complete"})
        if message["type"] == "lifespan.shutdown":
            return
