"""Progress as server-sent events: from where the reader left off, to the end, for that attempt only."""

from __future__ import annotations

import asyncio
import json
from datetime import UTC, datetime
from typing import Any

import pytest

from portal.submissions.streams import Streams, attempt_of, follow, token_for
from records.queue import Claim, Queue

REPORT = {"outcome": "passed", "points": 1, "points_possible": 1}


@pytest.fixture
def queue(portal: Any) -> Queue:
    return Queue(portal.database, lambda: datetime.now(UTC))


@pytest.fixture
def claim(portal: Any, ada: Any, queue: Queue) -> Claim:
    now = datetime.now(UTC)
    submission = portal.store.receive(ada.id, "say-hello", "zip", b"x", now)
    portal.store.open_attempt(ada.id, "say-hello", submission, now)
    found = queue.claim("w")
    assert found is not None
    return found


async def stream(
    portal: Any, path: str, *, last: str = "", query: str = ""
) -> tuple[int, list[dict[str, Any]]]:
    """Read a stream to its end: status and events."""
    sent: list[dict[str, Any]] = []
    open_for_ever = asyncio.Event()

    async def receive() -> dict[str, Any]:
        await open_for_ever.wait()
        return {"type": "http.disconnect"}

    async def send(message: Any) -> None:
        sent.append(message)

    async def nothing(*_: Any) -> None:
        raise AssertionError("this is a stream")

    headers = [(b"last-event-id", last.encode())] if last else []
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "headers": headers,
        "query_string": query.encode(),
    }
    await asyncio.wait_for(Streams(nothing, portal.store, portal.streams)(scope, receive, send), 20)
    body = b"".join(item.get("body", b"") for item in sent).decode()
    blocks = [
        dict(line.split(": ", 1) for line in block.splitlines())
        for block in body.split("\n\n")
        if "id: " in block
    ]
    return sent[0]["status"], [{"id": int(block["id"]), **json.loads(block["data"])} for block in blocks]


def read(portal: Any, claim: Claim, **options: str) -> tuple[int, list[dict[str, Any]]]:
    token = token_for(portal.streams, claim.attempt_id)
    return asyncio.run(stream(portal, f"/events/{token}", **options))


def test_a_reader_gets_everything_and_then_the_end(portal: Any, queue: Queue, claim: Claim) -> None:
    queue.record(claim, {"phase": "build", "status": "started"})
    queue.close(claim, REPORT)

    status, events = read(portal, claim)

    assert status == 200
    assert [event["phase"] for event in events] == ["claimed", "build", "closed"]


def test_a_reader_goes_on_where_it_left_off(portal: Any, queue: Queue, claim: Claim) -> None:
    queue.record(claim, {"phase": "build", "status": "started"})
    queue.close(claim, REPORT)
    _, events = read(portal, claim)

    _, by_header = read(portal, claim, last=str(events[0]["id"]))
    _, by_address = read(portal, claim, query=f"after={events[1]['id']}")

    assert [event["phase"] for event in by_header] == ["build", "closed"]
    assert [event["phase"] for event in by_address] == ["closed"]


def test_events_arrive_while_one_reads(portal: Any, queue: Queue, claim: Claim) -> None:
    async def both() -> list[dict[str, Any]]:
        token = token_for(portal.streams, claim.attempt_id)
        reading = asyncio.create_task(stream(portal, f"/events/{token}"))
        await asyncio.to_thread(queue.record, claim, {"phase": "deploy", "status": "started"})
        await asyncio.to_thread(queue.close, claim, REPORT)
        return (await reading)[1]

    assert [event["phase"] for event in asyncio.run(both())] == ["claimed", "deploy", "closed"]


def test_a_wrong_or_foreign_address_tells_the_reader_to_stop(portal: Any, claim: Claim) -> None:
    for path in ("/events/1", f"/events/{token_for(portal.streams, 1)}x"):
        assert asyncio.run(stream(portal, path))[0] == 204
    assert attempt_of(portal.streams, token_for(portal.streams, 7)) == 7


def test_without_asgi_a_generator_tells_the_same(
    portal: Any, queue: Queue, claim: Claim, visitor: Any
) -> None:
    queue.close(claim, REPORT)

    told = b"".join(follow(portal.store, claim.attempt_id, 0))

    assert told.count(b"id: ") == 2
    token = token_for(portal.streams, claim.attempt_id)
    assert visitor.get(f"/events/{token}").data == told
    assert visitor.get("/events/nonsense").status_code == 204
