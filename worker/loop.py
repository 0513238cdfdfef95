"""The worker: claims attempts under leases, grades them, closes them once."""

from __future__ import annotations

import os
import secrets
import socket
import threading
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import structlog
from sqlalchemy.exc import SQLAlchemyError

from records.queue import Claim, Queue
from records.store import Store
from worker.grading import Grade, Report

log = structlog.get_logger()

POLL_S = 0.1
SWEEP_S = 2.0


def owner_name() -> str:
    """A name no other worker has, also after a restart with the same process id."""
    return f"{socket.gethostname()}:{os.getpid()}:{secrets.token_hex(4)}"


class Worker:
    """Takes attempts from a queue, ``concurrency`` at a time, until it is stopped."""

    def __init__(self, queue: Queue, store: Store, grade: Grade, *, concurrency: int = 1) -> None:
        self.owner = owner_name()
        self._queue = queue
        self._store = store
        self._grade = grade
        self._stopping = threading.Event()
        self._drained = threading.Event()
        self._held: dict[int, Claim] = {}
        self._lock = threading.Lock()
        self._threads = [
            threading.Thread(target=self._work, name=f"grading-{number}", daemon=True)
            for number in range(concurrency)
        ]
        self._keeper = threading.Thread(target=self._keep, name="leases", daemon=True)

    def start(self) -> None:
        """Begin taking attempts."""
        self._keeper.start()
        for thread in self._threads:
            thread.start()

    def stop(self, patience_s: float = 5.0) -> None:
        """Take no more attempts; what does not finish within the patience goes back to the queue."""
        self._stopping.set()
        for thread in self._threads:
            thread.join(patience_s)
        with self._lock:
            held = list(self._held.values())
        for claim in held:
            # Fenced from here on: the grading thread that still runs can no longer write.
            self._queue.release(claim)
        self._drained.set()
        self._keeper.join(patience_s)

    def wait(self) -> None:
        """Until :meth:`stop` is called."""
        self._stopping.wait()

    def request_stop(self) -> None:
        """Make :meth:`wait` return; safe in a signal handler."""
        self._stopping.set()

    def run_one(self) -> bool:
        """Claim and grade one attempt; false when none is ready."""
        claim = self._queue.claim(self.owner)
        if claim is None:
            return False
        with self._lock:
            self._held[claim.attempt_id] = claim
        try:
            self._close(claim, *self._graded(claim))
        finally:
            with self._lock:
                self._held.pop(claim.attempt_id, None)
        return True

    def _graded(self, claim: Claim) -> tuple[Report | None, str]:
        def on_progress(body: Mapping[str, Any]) -> None:
            # Progress is told, not promised: a busy database must not end a grading.
            with suppress(SQLAlchemyError):
                self._queue.record(claim, body)

        log.info("attempt_claimed", attempt_id=claim.attempt_id, lab=claim.lab, epoch=claim.epoch)
        try:
            return self._grade(
                claim.lab, self._store.body_of(claim.submission_id), on_progress, claim.seed
            ), ""
        except Exception as error:  # whatever grading raises is our failure, and the attempt stays free
            log.exception("grading_failed", attempt_id=claim.attempt_id)
            return None, f"The grading could not run ({type(error).__name__}). This attempt is not counted."

    def _close(self, claim: Claim, report: Report | None, note: str) -> None:
        closed = self._queue.close(claim, report, note)
        log.info("attempt_closed" if closed else "lease_lost", attempt_id=claim.attempt_id, epoch=claim.epoch)

    def _work(self) -> None:
        while not self._stopping.is_set():
            try:
                worked = self.run_one()
            except SQLAlchemyError:
                log.exception("queue_unavailable")
                worked = False
            if not worked:
                self._stopping.wait(POLL_S)

    def _keep(self) -> None:
        """Renew leases and sweep, whatever happens: a lease that ends gives the attempt to another."""
        pause_s = min(SWEEP_S, self._queue.lease.total_seconds() / 3)
        while not self._drained.wait(pause_s):
            with self._lock:
                held = list(self._held.values())
            try:
                for claim in held:
                    self._queue.renew(claim)
                self._queue.sweep()
            except SQLAlchemyError:
                log.exception("lease_renewal_failed")
