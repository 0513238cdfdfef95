"""What a worker promises: an attempt is graded, closed once, and never charged for our failure."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from sqlalchemy import select

from records.tables import attempts
from worker.loop import Worker

ROOT = Path(__file__).parents[2]
REPORT = {"outcome": "passed", "points": 9, "points_possible": 10}


def until(condition: Callable[[], bool], within_s: float = 30.0) -> None:
    """Wait for something that another thread or process does."""
    end = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < end, "this did not happen in time"
        threading.Event().wait(0.02)


def test_an_attempt_is_graded_from_what_was_handed_in(records: Any) -> None:
    seen: list[tuple[str, bytes]] = []

    def grade(lab: str, archive: bytes, on_progress: Any, seed: int | None) -> Mapping[str, Any]:
        seen.append((lab, archive))
        on_progress({"phase": "deploy", "status": "started", "seed": 7})
        return REPORT

    attempt = records.hand_in()
    worker = Worker(records.queue, records.store, grade)

    assert worker.run_one()
    assert not worker.run_one()
    assert seen == [("say-hello", b"as it came")]
    assert records.store.report(attempt.id) == REPORT
    phases = [body["phase"] for _, _, body in records.store.events_after([attempt.id], 0)]
    assert phases == ["claimed", "deploy", "closed"]


def test_a_grading_that_breaks_is_told_without_a_traceback_and_not_counted(records: Any) -> None:
    def grade(*_: Any) -> Mapping[str, Any]:
        raise RuntimeError("secret detail")

    attempt = records.hand_in()
    Worker(records.queue, records.store, grade).run_one()

    closed = records.store.attempt(attempt.id)
    assert (closed.outcome, closed.counted) == ("inconclusive", False)
    assert closed.note is not None
    assert "RuntimeError" in closed.note
    assert "secret detail" not in closed.note


def test_a_worker_that_is_stopped_gives_back_what_it_cannot_finish(records: Any) -> None:
    begun, forever = threading.Event(), threading.Event()

    def grade(*_: Any) -> Mapping[str, Any]:
        begun.set()
        forever.wait()
        return REPORT

    attempt = records.hand_in()
    worker = Worker(records.queue, records.store, grade)
    worker.start()
    assert begun.wait(10)

    worker.stop(patience_s=0.05)

    waiting = records.store.attempt(attempt.id)
    assert (waiting.state, waiting.tries) == ("queued", 0)
    forever.set()
    until(lambda: not any(thread.is_alive() for thread in worker._threads))
    assert records.store.attempt(attempt.id).state == "queued"


def test_a_worker_renews_the_lease_of_what_it_grades(records: Any) -> None:
    begun, go_on = threading.Event(), threading.Event()

    def grade(*_: Any) -> Mapping[str, Any]:
        begun.set()
        go_on.wait()
        return REPORT

    attempt = records.hand_in()
    worker = Worker(records.queue, records.store, grade)
    worker._queue = type(records.queue)(records.database, records.clock, records.queue.lease / 50)
    worker.start()
    assert begun.wait(10)
    # The lease it was claimed under is over; only a renewal keeps the attempt.
    records.clock.move(0.2)
    until(lambda: _lease_left(records, attempt.id))
    go_on.set()
    until(lambda: not records.store.attempt(attempt.id).is_open)
    worker.stop()

    assert records.store.attempt(attempt.id).tries == 1


def _lease_left(records: Any, attempt_id: int) -> bool:
    with records.database.read() as connection:
        query = select(attempts.c.lease_until).where(attempts.c.id == attempt_id)
        until_when = connection.scalar(query)
    return bool(until_when and until_when > records.clock())


def test_a_worker_killed_in_mid_job_is_replaced_and_the_attempt_closes_once(
    records: Any, tmp_path: Path
) -> None:
    records.clock.at = datetime.now(UTC)
    attempt = records.hand_in()
    first = _start(records.database.url, "hang", tmp_path / "first")
    try:
        until((tmp_path / "first").exists)
    finally:
        os.kill(first.pid, signal.SIGKILL)
        first.wait()
    assert records.store.attempt(attempt.id).state == "running"

    second = _start(records.database.url, "finish", tmp_path / "second")
    assert second.wait(30) == 0

    closed = records.store.attempt(attempt.id)
    assert (closed.outcome, closed.tries, closed.counted) == ("passed", 2, True)
    assert records.store.report(attempt.id)["graded_by"] == "finish"
    events = [body for _, _, body in records.store.events_after([attempt.id], 0)]
    assert sum(body["phase"] == "closed" for body in events) == 1


def _start(url: str, mode: str, started: Path) -> subprocess.Popen[bytes]:
    arguments = [sys.executable, str(Path(__file__).parent / "driver.py"), url, mode, str(started)]
    return subprocess.Popen(arguments, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)})
