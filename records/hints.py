"""Hints that a learner has opened, and the work since then."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import insert, select
from sqlalchemy.exc import IntegrityError

from records.database import Database
from records.tables import attempts, hints, reports

Opened = Mapping[str, Mapping[int, datetime]]


@dataclass(frozen=True, slots=True)
class Hints:
    """Which steps of which check's hints were opened, and when."""

    database: Database

    def opened(self, user_id: int, lab: str) -> Opened:
        """The steps that are open, by check, with the moment of opening."""
        query = select(hints.c.check_id, hints.c.step, hints.c.opened_at).where(
            hints.c.user_id == user_id, hints.c.lab == lab
        )
        found: dict[str, dict[int, datetime]] = defaultdict(dict)
        with self.database.read() as connection:
            for row in connection.execute(query):
                found[row.check_id][row.step] = row.opened_at
        return found

    def open(self, user_id: int, lab: str, check_id: str, step: int, at: datetime) -> None:
        """Note that a step was opened; the first time counts."""
        values = {"user_id": user_id, "lab": lab, "check_id": check_id, "step": step, "opened_at": at}
        try:
            with self.database.write() as connection:
                connection.execute(insert(hints).values(values))
        except IntegrityError:
            return

    def work(self, user_id: int, lab: str) -> list[tuple[datetime, str]]:
        """What the learner handed in and had graded: when, and the digest of its files, in order."""
        digest = reports.c.body["submission_digest"].as_string()
        query = (
            select(attempts.c.queued_at, digest.label("digest"))
            .join(reports, reports.c.attempt_id == attempts.c.id)
            .where(attempts.c.user_id == user_id, attempts.c.lab == lab)
            .order_by(attempts.c.id)
        )
        with self.database.read() as connection:
            return [(row.queued_at, row.digest) for row in connection.execute(query)]
