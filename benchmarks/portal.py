"""The portal with 1,000 learners and 50,000 attempts, on SQLite and PostgreSQL; streams on one process."""

from __future__ import annotations

import asyncio
import json
import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

from flask.testing import FlaskClient
from sqlalchemy import insert

from app import Portal
from benchmarks.figures import Bench, Figure, timed
from curriculum.loader import Catalogue
from graders.backend import SandboxBackend
from graders.runner import grade
from portal.submissions.streams import token_for
from records.people import People
from records.queue import Queue
from records.tables import attempts, blobs, reports, submissions, users
from sandbox.submissions import pack, read_folder
from settings import REPOSITORY, Settings
from tests.postgres import postgres, programs

LEARNERS, ATTEMPTS, STREAMS = 1_000, 50_000, 500
VISITS = 20
_BATCH = 5_000
_READY_S = 60.0


def measure(bench: Bench) -> Iterator[Figure]:
    """Server time of each page a learner opens, and how late an event reaches the last of many readers."""
    report = _report(bench)
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        yield from _pages(bench, Settings(home=home, secret_key="bench"), "SQLite", report)
        yield from _streams(bench, Settings(home=home, secret_key="bench"))
    if programs():
        with ExitStack() as stack:
            home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
            url = stack.enter_context(postgres())
            settings = Settings(home=home, secret_key="bench", database_url=url)
            yield from _pages(bench, settings, "PostgreSQL", report)


def _report(bench: Bench) -> dict[str, Any]:
    lab = Catalogue().get_lab("a02")
    backend = SandboxBackend(bench.provider.open, bench.home / "builds", bench.home)
    submission = read_folder(lab.folder / "solutions" / "reference-python")
    return grade(lab, submission, backend, seed=1, seeds=1).report


def _pages(bench: Bench, settings: Settings, database: str, report: dict[str, Any]) -> Iterator[Figure]:
    portal = Portal(settings)
    portal.database.upgrade()
    try:
        attempt = _fill(bench, portal, report)
        client = portal.flask.test_client()
        client.get(f"/sign-in/link/{People(portal.database).make_link(1, datetime.now(UTC))}")
        paths = {
            "home": "/",
            "lab": "/labs/invoice-intake",
            "workspace": "/labs/invoice-intake/workspace",
            "attempts": "/attempts",
            "report": f"/attempts/{attempt}",
            "comparison": f"/attempts/{attempt}/compare",
        }
        for name, path in paths.items():
            _visit(client, path)
            times = tuple(timed(lambda path=path: _visit(client, path)) for _ in range(bench.times(VISITS)))  # type: ignore[misc]
            yield Figure(f"portal page, {database}: {name}", "ms", times, 60)
    finally:
        portal.database.close()


def _visit(client: FlaskClient, path: str) -> None:
    answer = client.get(path)
    if answer.status_code != 200:
        raise RuntimeError(f"{path} answers {answer.status_code}.")


def _fill(bench: Bench, portal: Portal, report: dict[str, Any]) -> int:
    """Learners and attempts over all labs; the first learner's have reports. The id of one with a report."""
    labs = [lab.slug for lab in Catalogue().labs]
    drawn, start = random.Random(1), datetime.now(UTC) - timedelta(days=90)
    learners, total = bench.times(LEARNERS), bench.times(ATTEMPTS)
    lab = Catalogue().get_lab("a02")
    body = pack(read_folder(lab.folder / "solutions" / "reference-python").files)
    people = [
        {"login": f"learner{n}", "name": f"Learner {n}", "role": "learner", "created_at": start}
        for n in range(1, learners + 1)
    ]
    blob = {"digest": f"sha256:{'0' * 64}", "size_bytes": len(body), "body": body}
    handed, graded, numbers = [], [], dict[tuple[int, str], int]()
    for n in range(1, total + 1):
        user, slug = 1 + n % learners, drawn.choice(labs)
        number = numbers[user, slug] = numbers.get((user, slug), 0) + 1
        at = start + timedelta(minutes=n)
        passed = drawn.random() < 0.3
        handed.append(
            {"user_id": user, "lab": slug, "source": "zip", "blob": blob["digest"], "received_at": at}
        )
        graded.append(
            {
                "user_id": user,
                "lab": slug,
                "number": number,
                "submission_id": n,
                "state": "closed",
                "epoch": 1,
                "tries": 1,
                "queued_at": at,
                "started_at": at,
                "counted": True,
                "closed_at": at + timedelta(seconds=4),
                "outcome": "passed" if passed else "not_passed",
                "points": 100 if passed else drawn.randrange(80),
                "points_possible": 100,
            }
        )
    mine = [n for n, item in enumerate(graded, 1) if item["user_id"] == 1]
    with portal.database.write() as connection:
        connection.execute(insert(users), people)
        connection.execute(insert(blobs), [blob])
        for begin in range(0, total, _BATCH):
            connection.execute(insert(submissions), handed[begin : begin + _BATCH])
            connection.execute(insert(attempts), graded[begin : begin + _BATCH])
        connection.execute(insert(reports), [{"attempt_id": n, "body": report} for n in mine])
    first = graded[mine[0] - 1]["lab"]
    return next(n for n in reversed(mine) if graded[n - 1]["lab"] == first)


def _streams(bench: Bench, settings: Settings) -> Iterator[Figure]:
    """Readers of as many open attempts on one server process, each told of an event at the same time."""
    portal = Portal(settings)
    queue = Queue(portal.database, lambda: datetime.now(UTC), timedelta(hours=1))
    count = bench.times(STREAMS)
    with portal.database.write() as connection:
        connection.execute(
            insert(attempts),
            [
                {
                    "user_id": 1 + n,
                    "lab": "streamed",
                    "number": 1,
                    "submission_id": 1 + n,
                    "state": "queued",
                    "queued_at": datetime.now(UTC),
                    "counted": True,
                    "epoch": 0,
                }
                for n in range(count)
            ],
        )
    claims = [claim for _ in range(count) if (claim := queue.claim("bench"))]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    environment = {
        **os.environ,
        "COLDSTART_HOME": str(settings.home),
        "COLDSTART_SECRET_KEY": settings.secret_key,
        "PYTHONPATH": str(REPOSITORY),
    }
    command = ["-m", "gunicorn", "app:asgi", "-k", "asgi", "-b", f"127.0.0.1:{port}", "--no-control-socket"]
    limits = ["--worker-connections", "2000", "--log-level", "error", "--chdir", str(REPOSITORY)]
    server = subprocess.Popen([sys.executable, *command, *limits], env=environment)
    try:
        _ready(f"http://127.0.0.1:{port}/healthz", server)
        paths = [f"/events/{token_for(portal.streams, claim.attempt_id)}" for claim in claims]
        late = asyncio.run(_follow(port, paths, lambda: _tell(queue, claims)))
        yield Figure(f"{len(late)} event streams on one process: event to reader", "ms", tuple(late), 1000)
        answers = tuple(timed(lambda: urlopen(f"http://127.0.0.1:{port}/healthz").read()) for _ in range(20))
        yield Figure("a request beside them", "ms", answers, 60)
    finally:
        server.terminate()
        server.wait()
        portal.database.close()


def _tell(queue: Queue, claims: list[Any]) -> None:
    for claim in claims:
        queue.record(claim, {"phase": "deploy", "status": "started", "seed": 1, "told_at": time.time()})


async def _follow(port: int, paths: list[str], tell: Any) -> list[float]:
    """Milliseconds from each event to its reader."""
    opened = [asyncio.Event() for _ in paths]

    async def read(path: str, ready: asyncio.Event) -> float:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        async for line in reader:
            if line.startswith(b": live"):
                ready.set()
            if line.startswith(b"data: ") and "told_at" in (body := json.loads(line[6:])):
                writer.close()
                return (time.time() - body["told_at"]) * 1000
        raise RuntimeError("A stream ended before its event came.")

    tasks = [asyncio.create_task(read(path, ready)) for path, ready in zip(paths, opened, strict=True)]
    await asyncio.wait_for(asyncio.gather(*(event.wait() for event in opened)), _READY_S)
    await asyncio.to_thread(tell)
    return list(await asyncio.wait_for(asyncio.gather(*tasks), _READY_S))


def _ready(url: str, server: subprocess.Popen[bytes]) -> None:
    until = time.monotonic() + _READY_S
    while time.monotonic() < until and server.poll() is None:
        try:
            urlopen(url, timeout=2).close()
            return
        except OSError:
            time.sleep(0.05)
    raise RuntimeError("The portal did not start.")
