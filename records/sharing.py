"""Reports that learners show to others by a link, until they take it back."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import delete, insert, select

from records.database import Database
from records.tables import audit, shared_reports


@dataclass(frozen=True, slots=True)
class Sharing:
    """Which reports are shared. A key is 32 random bytes: whoever has it may read."""

    database: Database

    def share(self, attempt_id: int, user_id: int, at: datetime) -> str:
        """The key of an attempt's link; the one there is, if it is shared already."""
        with self.database.write() as connection:
            known = connection.scalar(
                select(shared_reports.c.key).where(shared_reports.c.attempt_id == attempt_id)
            )
            if known is not None:
                return str(known)
            key = secrets.token_urlsafe(32)
            connection.execute(insert(shared_reports).values(attempt_id=attempt_id, key=key, shared_at=at))
            note = {"attempt": attempt_id}
            connection.execute(
                insert(audit).values(user_id=user_id, at=at, action="report shared", detail=note)
            )
            return key

    def key_of(self, attempt_id: int) -> str | None:
        """The key of an attempt's link, if it is shared."""
        with self.database.read() as connection:
            key = connection.scalar(
                select(shared_reports.c.key).where(shared_reports.c.attempt_id == attempt_id)
            )
        return None if key is None else str(key)

    def find(self, key: str) -> int | None:
        """The attempt that a key shows, if there is one."""
        with self.database.read() as connection:
            found = connection.scalar(select(shared_reports.c.attempt_id).where(shared_reports.c.key == key))
        return None if found is None else int(found)

    def take_back(self, attempt_id: int, user_id: int, at: datetime) -> None:
        """End a link; sharing the report again makes another one."""
        with self.database.write() as connection:
            ended = connection.execute(
                delete(shared_reports).where(shared_reports.c.attempt_id == attempt_id)
            ).rowcount
            if ended:
                note = {"attempt": attempt_id}
                connection.execute(
                    insert(audit).values(user_id=user_id, at=at, action="report unshared", detail=note)
                )
