"""The attempts as a queue: claimed under a lease, fenced by an epoch, closed once.

A claim raises the attempt's epoch. Every later write names the epoch it was claimed under, so a
worker that lost its lease (killed, stopped, cut off) writes nothing any more. An attempt can be
started twice; it is closed once.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from statistics import median
from typing import Any

from sqlalchemy import and_, false, func, insert, or_, select, update
from sqlalchemy.sql.elements import ColumnElement

from records.database import Database
from records.store import Attempt
from records.tables import attempts, events, reports

LEASE = timedelta(seconds=15)
TRIES = 3


@dataclass(frozen=True, slots=True)
class Claim:
    """The right to work on an attempt, as long as its lease is renewed."""

    attempt_id: int
    epoch: int
    owner: str
    user_id: int
    lab: str
    submission_id: int
    seed: int | None


@dataclass(frozen=True, slots=True)
class Queue:
    """The queue in one database. ``now`` is the clock of all leases."""

    database: Database
    now: Callable[[], datetime]
    lease: timedelta = LEASE

    def claim(self, owner: str) -> Claim | None:
        """Take the next attempt that waits, or whose worker stopped renewing its lease."""
        now = self.now()
        ready = or_(
            attempts.c.state == "queued", and_(attempts.c.state == "running", attempts.c.lease_until < now)
        )
        with self.database.read() as connection:
            if connection.scalar(select(attempts.c.id).where(ready).limit(1)) is None:
                return None
        following = (
            select(attempts.c.id)
            .where(ready)
            .order_by(attempts.c.priority.desc(), attempts.c.queued_at, attempts.c.id)
            .limit(1)
            .with_for_update(skip_locked=True)
            .scalar_subquery()
        )
        with self.database.write() as connection:
            row = connection.execute(
                update(attempts)
                .where(attempts.c.id == following)
                .values(
                    state="running",
                    owner=owner,
                    epoch=attempts.c.epoch + 1,
                    tries=attempts.c.tries + 1,
                    lease_until=now + self.lease,
                    started_at=now,
                )
                .returning(
                    attempts.c.id,
                    attempts.c.epoch,
                    attempts.c.user_id,
                    attempts.c.lab,
                    attempts.c.submission_id,
                    attempts.c.seed,
                )
            ).first()
            if row is None:
                return None
            claim = Claim(row.id, row.epoch, owner, row.user_id, row.lab, row.submission_id, row.seed)
            self._event(connection, claim, {"phase": "claimed", "status": "done"})
            return claim

    def renew(self, claim: Claim) -> bool:
        """Prolong the lease; false when it was lost."""
        with self.database.write() as connection:
            changed = connection.execute(
                update(attempts).where(_held(claim)).values(lease_until=self.now() + self.lease)
            )
            return changed.rowcount == 1

    def record(self, claim: Claim, body: Mapping[str, Any]) -> bool:
        """Append a progress event; false (and nothing written) when the lease was lost."""
        with self.database.write() as connection:
            if connection.scalar(select(attempts.c.id).where(_held(claim))) is None:
                return False
            self._event(connection, claim, body)
            return True

    def close(self, claim: Claim, report: Mapping[str, Any] | None, note: str = "") -> bool:
        """Close the attempt with its report; false (and nothing written) when the lease was lost.

        Without a report, or with an inconclusive one, the attempt is not counted: the fault is ours.
        Neither is a repeated one: it tells whether a result holds, not whether a lab is passed.
        """
        outcome = str(report["outcome"]) if report else "inconclusive"
        with self.database.write() as connection:
            changed = connection.execute(
                update(attempts)
                .where(_held(claim))
                .values(
                    state="closed",
                    open_key=None,
                    lease_until=None,
                    closed_at=self.now(),
                    outcome=outcome,
                    points=report["points"] if report else None,
                    points_possible=report["points_possible"] if report else None,
                    counted=attempts.c.seed.is_(None) if outcome != "inconclusive" else false(),
                    note=note or None,
                )
            )
            if changed.rowcount != 1:
                return False
            if report is not None:
                body = json.loads(json.dumps(report))
                connection.execute(insert(reports).values(attempt_id=claim.attempt_id, body=body))
            self._event(connection, claim, {"phase": "closed", "status": "done", "outcome": outcome})
            return True

    def release(self, claim: Claim) -> bool:
        """Give an unfinished attempt back, as if it had not been tried; for a worker that stops."""
        with self.database.write() as connection:
            changed = connection.execute(
                update(attempts)
                .where(_held(claim))
                .values(state="queued", owner=None, lease_until=None, tries=attempts.c.tries - 1)
            )
            return changed.rowcount == 1

    def sweep(self) -> list[int]:
        """Close, uncounted, attempts whose workers died under them ``TRIES`` times; their ids."""
        with self.database.write() as connection:
            given_up = connection.execute(
                update(attempts)
                .where(
                    attempts.c.state == "running",
                    attempts.c.lease_until < self.now(),
                    attempts.c.tries >= TRIES,
                )
                .values(
                    state="closed",
                    open_key=None,
                    lease_until=None,
                    closed_at=self.now(),
                    outcome="inconclusive",
                    counted=False,
                    epoch=attempts.c.epoch + 1,
                    note=f"Our grading process ended {TRIES} times before it could report.",
                )
                .returning(attempts.c.id, attempts.c.epoch)
            ).all()
            for row in given_up:
                body = {"phase": "closed", "status": "done", "outcome": "inconclusive"}
                connection.execute(
                    insert(events).values(attempt_id=row.id, epoch=row.epoch, at=self.now(), body=body)
                )
            return [int(row.id) for row in given_up]

    def position(self, attempt: Attempt) -> int:
        """How many waiting attempts come before this one."""
        query = select(func.count()).where(attempts.c.state == "queued", _before(attempt))
        with self.database.read() as connection:
            return int(connection.scalar(query) or 0)

    def wait_s(self, attempt: Attempt) -> float | None:
        """Seconds until a waiting attempt begins, as far as the latest gradings tell; None when nothing does.

        What runs and what waits before it takes its lab's typical time, at as many places as are busy now.
        """
        ahead = or_(attempts.c.state == "running", and_(attempts.c.state == "queued", _before(attempt)))
        with self.database.read() as connection:
            rows = connection.execute(select(attempts.c.lab, attempts.c.started_at).where(ahead)).all()
        running = [row for row in rows if row.started_at is not None]
        if not running:
            return None
        typical = {lab: self.typical_s(lab) for lab in {row.lab for row in rows}}
        left = 0.0
        for row in rows:
            whole = typical[row.lab]
            if whole is None:
                return None
            spent = (self.now() - row.started_at).total_seconds() if row.started_at else 0.0
            left += max(whole - spent, 0.0)
        return left / len(running)

    def typical_s(self, lab: str) -> float | None:
        """How long the latest twenty gradings of a lab took, as a median in seconds."""
        query = (
            select(attempts.c.started_at, attempts.c.closed_at)
            .where(attempts.c.lab == lab, attempts.c.state == "closed", attempts.c.started_at.is_not(None))
            .order_by(attempts.c.id.desc())
            .limit(20)
        )
        with self.database.read() as connection:
            took = [(row.closed_at - row.started_at).total_seconds() for row in connection.execute(query)]
        return median(took) if took else None

    def _event(self, connection: Any, claim: Claim, body: Mapping[str, Any]) -> None:
        connection.execute(
            insert(events).values(
                attempt_id=claim.attempt_id, epoch=claim.epoch, at=self.now(), body=dict(body)
            )
        )


def _before(attempt: Attempt) -> ColumnElement[bool]:
    mine = select(attempts.c.priority).where(attempts.c.id == attempt.id).scalar_subquery()
    return or_(attempts.c.priority > mine, and_(attempts.c.priority == mine, attempts.c.id < attempt.id))


def _held(claim: Claim) -> ColumnElement[bool]:
    return and_(
        attempts.c.id == claim.attempt_id,
        attempts.c.epoch == claim.epoch,
        attempts.c.owner == claim.owner,
        attempts.c.state == "running",
    )
