"""Says to an open page that something is new in the practice account; the page then asks what."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Callable, Iterator
from typing import Any

from portal.sandboxes.services import PracticeService
from portal.submissions.streams import KEEP_ALIVE_S, Application, Message, Receive, Send
from sandbox.errors import SandboxError

PATH = "/practice-events/"
POLL_S = 0.4


class Watch:
    """What a page can see changing: deployments, and what happens in the account."""

    def __init__(self, service: PracticeService, user_id: int) -> None:
        self._service = service
        self._user_id = user_id
        self._sequence = 0

    def look(self) -> dict[str, Any]:
        """Everything that tells a change; equal while nothing is new."""
        found: dict[str, Any] = {"deployment": self._service.practice.version(self._user_id)}
        account = self._service.accounts.find(self._user_id)
        found["account"] = account.account_id if account is not None else ""
        if account is not None:
            try:
                events = account.timeline(self._sequence)
            except SandboxError:
                return found
            if events:
                self._sequence = events[-1]["sequence"]
            # What the page itself asks for is no news: it would ask again, for ever.
            if any(not account.is_grader_key(str(e["detail"].get("access_key_id", ""))) for e in events):
                self._seen = self._sequence
        found["happened"] = self._seen
        return found

    _seen = 0


def as_event(found: dict[str, Any]) -> bytes:
    """One event on the wire."""
    return f"data: {json.dumps(found)}\n\n".encode()


def follow(
    service: PracticeService, user_id: int, wait: Callable[[float], None] = time.sleep
) -> Iterator[bytes]:
    """Events as a plain generator, for `flask run` and tests."""
    watch, last, silent_s = Watch(service, user_id), None, 0.0
    while True:
        found = watch.look()
        if found != last:
            last, silent_s = found, 0.0
            yield as_event(found)
        wait(POLL_S)
        silent_s += POLL_S
        if silent_s >= KEEP_ALIVE_S:
            silent_s = 0.0
            yield b": still here\n\n"


class PracticeStreams:
    """The ASGI half: answers ``/practice-events/<token>``, hands everything else on."""

    def __init__(self, portal: Application, service: PracticeService) -> None:
        self._portal = portal
        self._service = service

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(PATH) and scope["method"] == "GET":
            await self._stream(scope["path"].removeprefix(PATH), receive, send)
        else:
            await self._portal(scope, receive, send)

    async def _stream(self, token: str, receive: Receive, send: Send) -> None:
        user_id = self._service.user_of(token)
        if user_id is None:
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
        await send({"type": "http.response.body", "body": b": live\n\n", "more_body": True})
        gone = asyncio.create_task(_disconnected(receive))
        watch, last, silent_s = Watch(self._service, user_id), None, 0.0
        try:
            while not gone.done():
                found = await asyncio.to_thread(watch.look)
                if found != last:
                    last, silent_s = found, 0.0
                    await send({"type": "http.response.body", "body": as_event(found), "more_body": True})
                elif silent_s >= KEEP_ALIVE_S:
                    silent_s = 0.0
                    body = b": still here\n\n"
                    await send({"type": "http.response.body", "body": body, "more_body": True})
                await asyncio.wait({gone}, timeout=POLL_S)
                silent_s += POLL_S
            await send({"type": "http.response.body", "body": b""})
        finally:
            gone.cancel()


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
