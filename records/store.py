"""What the portal and the worker keep: submissions, attempts, reports, events, workspaces."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from records.database import Database
from records.errors import AlreadyOpen, NotFound
from records.tables import (
    attempts,
    audit,
    blobs,
    events,
    reports,
    submissions,
    workspace_files,
    workspace_saves,
)


def put_blob(connection: Connection, body: bytes) -> str:
    """Keep bytes under their digest, once."""
    digest = f"sha256:{hashlib.sha256(body).hexdigest()}"
    if connection.scalar(select(blobs.c.digest).where(blobs.c.digest == digest)) is None:
        connection.execute(insert(blobs).values(digest=digest, size_bytes=len(body), body=body))
    return digest


@dataclass(frozen=True, slots=True)
class Attempt:
    """One graded submission, numbered per learner and lab."""

    id: int
    user_id: int
    lab: str
    number: int
    submission_id: int
    state: str
    epoch: int
    tries: int
    queued_at: datetime
    started_at: datetime | None
    closed_at: datetime | None
    outcome: str | None
    points: float | None
    points_possible: float | None
    counted: bool
    note: str | None
    seed: int | None

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.state != "closed"

    @property
    def percent(self) -> int:
        """Points earned of those possible, rounded down so that 100 means all."""
        return int(100 * (self.points or 0) / self.points_possible) if self.points_possible else 0


_ATTEMPT = [attempts.c[name] for name in Attempt.__dataclass_fields__]


def _attempt(row: RowMapping) -> Attempt:
    return Attempt(**row)


@dataclass(frozen=True, slots=True)
class Received:
    """A submission as it was received."""

    id: int
    user_id: int
    lab: str
    source: str
    received_at: datetime
    problem: Mapping[str, str] | None


@dataclass(frozen=True, slots=True)
class Store:
    """Reads and writes over one database."""

    database: Database

    # Submissions

    def receive(self, user_id: int, lab: str, source: str, body: bytes, at: datetime) -> int:
        """Keep a submission exactly as it came, before anybody looks into it."""
        with self.database.write() as connection:
            digest = put_blob(connection, body)
            values = {"user_id": user_id, "lab": lab, "source": source, "blob": digest, "received_at": at}
            return int(
                connection.execute(
                    insert(submissions).values(values).returning(submissions.c.id)
                ).scalar_one()
            )

    def refuse(self, submission_id: int, problem: Mapping[str, str]) -> None:
        """Note why a submission can't be graded."""
        with self.database.write() as connection:
            connection.execute(
                update(submissions).where(submissions.c.id == submission_id).values(problem=dict(problem))
            )

    def body_of(self, submission_id: int) -> bytes:
        """A submission's bytes as received; raises NotFound."""
        query = select(blobs.c.body).join(submissions).where(submissions.c.id == submission_id)
        with self.database.read() as connection:
            body = connection.scalar(query)
        if body is None:
            raise NotFound("submission", submission_id)
        return bytes(body)

    def refused(self, user_id: int, lab: str, limit: int = 5) -> list[Received]:
        """The latest submissions of this learner that could not be graded, newest first."""
        query = (
            select(*(submissions.c[name] for name in Received.__dataclass_fields__))
            .where(
                submissions.c.user_id == user_id, submissions.c.lab == lab, submissions.c.problem.is_not(None)
            )
            .order_by(submissions.c.id.desc())
            .limit(limit)
        )
        with self.database.read() as connection:
            return [Received(**row) for row in connection.execute(query).mappings()]

    def owned(self, submission_id: int, user_id: int) -> Received:
        """A submission of this user; raises NotFound."""
        query = select(*(submissions.c[name] for name in Received.__dataclass_fields__)).where(
            submissions.c.id == submission_id, submissions.c.user_id == user_id
        )
        with self.database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("submission", submission_id)
        return Received(**row)

    # Attempts

    def open_attempt(
        self,
        user_id: int,
        lab: str,
        submission_id: int,
        at: datetime,
        *,
        priority: int = 0,
        seed: int | None = None,
    ) -> Attempt:
        """Queue a submission for grading, on the seed of an earlier attempt when one is given.

        Raises:
            AlreadyOpen: another attempt of this learner at this lab waits or runs.
        """
        mine = (attempts.c.user_id == user_id) & (attempts.c.lab == lab)
        try:
            with self.database.write() as connection:
                number = 1 + (connection.scalar(select(func.max(attempts.c.number)).where(mine)) or 0)
                values = {
                    "user_id": user_id,
                    "lab": lab,
                    "number": number,
                    "submission_id": submission_id,
                    "state": "queued",
                    "priority": priority,
                    "seed": seed,
                    "open_key": f"{user_id}:{lab}",
                    "queued_at": at,
                }
                row = (
                    connection.execute(insert(attempts).values(values).returning(*_ATTEMPT)).mappings().one()
                )
                return _attempt(row)
        except IntegrityError:
            running = self.open_of(user_id, lab)
            raise AlreadyOpen(lab, running.id if running else 0) from None

    def open_of(self, user_id: int, lab: str) -> Attempt | None:
        """The attempt of this learner at this lab that waits or runs."""
        query = select(*_ATTEMPT).where(attempts.c.open_key == f"{user_id}:{lab}")
        with self.database.read() as connection:
            row = connection.execute(query).mappings().first()
            return _attempt(row) if row else None

    def attempt(self, attempt_id: int, user_id: int | None = None) -> Attempt:
        """An attempt, of this user when one is given; raises NotFound."""
        query = select(*_ATTEMPT).where(attempts.c.id == attempt_id)
        if user_id is not None:
            query = query.where(attempts.c.user_id == user_id)
        with self.database.read() as connection:
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("attempt", attempt_id)
        return _attempt(row)

    def attempts_of(self, user_id: int, lab: str | None = None, limit: int = 200) -> list[Attempt]:
        """A learner's attempts, newest first."""
        query = select(*_ATTEMPT).where(attempts.c.user_id == user_id)
        if lab is not None:
            query = query.where(attempts.c.lab == lab)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(attempts.c.id.desc()).limit(limit)).mappings()
            return [_attempt(row) for row in rows]

    def report(self, attempt_id: int) -> dict[str, Any] | None:
        """The attempt's report as ``coldstart.report/1``, once there is one."""
        with self.database.read() as connection:
            body = connection.scalar(select(reports.c.body).where(reports.c.attempt_id == attempt_id))
            return dict(body) if body is not None else None

    def events_after(self, attempt_ids: Sequence[int], after: int) -> list[tuple[int, int, dict[str, Any]]]:
        """Events with a greater id: ``(id, attempt id, body)``, in order."""
        query = (
            select(events.c.id, events.c.attempt_id, events.c.body)
            .where(events.c.attempt_id.in_(attempt_ids), events.c.id > after)
            .order_by(events.c.id)
        )
        with self.database.read() as connection:
            return [(row.id, row.attempt_id, dict(row.body)) for row in connection.execute(query)]

    def events_of(self, attempt: Attempt) -> list[tuple[datetime, dict[str, Any]]]:
        """What happened under the attempt's latest claim: ``(at, body)``, in order."""
        query = (
            select(events.c.at, events.c.body)
            .where(events.c.attempt_id == attempt.id, events.c.epoch == attempt.epoch)
            .order_by(events.c.id)
        )
        with self.database.read() as connection:
            return [(row.at, dict(row.body)) for row in connection.execute(query)]

    def last_event(self, attempt_id: int) -> int:
        """The id of the attempt's latest event; 0 when there is none."""
        query = select(func.max(events.c.id)).where(events.c.attempt_id == attempt_id)
        with self.database.read() as connection:
            return int(connection.scalar(query) or 0)

    # Workspaces

    def workspace(self, user_id: int, lab: str) -> dict[str, bytes]:
        """The files of a learner's workspace, by path."""
        query = (
            select(workspace_files.c.path, blobs.c.body)
            .join(blobs)
            .where(workspace_files.c.user_id == user_id, workspace_files.c.lab == lab)
            .order_by(workspace_files.c.path)
        )
        with self.database.read() as connection:
            return {row.path: bytes(row.body) for row in connection.execute(query)}

    def save_files(
        self,
        user_id: int,
        lab: str,
        files: Mapping[str, bytes],
        at: datetime,
        *,
        deleted: Sequence[str] = (),
        replace_all: bool = False,
    ) -> None:
        """Save files of a workspace. What was there before stays in its history."""
        mine = (workspace_files.c.user_id == user_id) & (workspace_files.c.lab == lab)
        owner = {"user_id": user_id, "lab": lab, "saved_at": at}
        with self.database.write() as connection:
            gone = set(deleted)
            if replace_all:
                gone |= set(connection.scalars(select(workspace_files.c.path).where(mine))) - files.keys()
            for path in sorted(gone):
                if connection.execute(
                    delete(workspace_files).where(mine, workspace_files.c.path == path)
                ).rowcount:
                    connection.execute(insert(workspace_saves).values(path=path, blob=None, **owner))
            for path, body in files.items():
                digest = put_blob(connection, body)
                changed = connection.execute(
                    update(workspace_files)
                    .where(mine, workspace_files.c.path == path)
                    .values(blob=digest, saved_at=at)
                ).rowcount
                if not changed:
                    connection.execute(insert(workspace_files).values(path=path, blob=digest, **owner))
                connection.execute(insert(workspace_saves).values(path=path, blob=digest, **owner))

    # Audit

    def notes_of(self, user_id: int) -> list[dict[str, Any]]:
        """What was noted of a user, the oldest first."""
        query = select(audit.c.at, audit.c.action, audit.c.detail).where(audit.c.user_id == user_id)
        with self.database.read() as connection:
            return [dict(row) for row in connection.execute(query.order_by(audit.c.id)).mappings()]

    def note(self, user_id: int | None, action: str, at: datetime, **detail: Any) -> None:
        """One line in the audit trail."""
        with self.database.write() as connection:
            connection.execute(insert(audit).values(user_id=user_id, at=at, action=action, detail=detail))
