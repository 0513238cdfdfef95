"""Where people are signed in."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update

from records.database import Database
from records.people import hashed
from records.tables import sessions

LIFETIME = timedelta(days=14)
# Seen is noted this often, not at every request.
_NOTED_EVERY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Session:
    """One browser that is signed in."""

    id: int
    user_id: int
    agent: str
    address: str
    created_at: datetime
    seen_at: datetime


_SESSION = [sessions.c[name] for name in Session.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class Sessions:
    """The sessions of one database."""

    database: Database

    def begin(self, user_id: int, agent: str, address: str, at: datetime) -> str:
        """A new session's token."""
        token = secrets.token_urlsafe(24)
        values = {"agent": agent[:200], "address": address[:60], "created_at": at, "seen_at": at}
        with self.database.write() as connection:
            connection.execute(delete(sessions).where(sessions.c.seen_at < at - LIFETIME))
            connection.execute(insert(sessions).values(user_id=user_id, token_hash=hashed(token), **values))
        return token

    def find(self, token: str, at: datetime) -> Session | None:
        """The session of a token that is still good, noted as seen."""
        query = select(*_SESSION).where(
            sessions.c.token_hash == hashed(token), sessions.c.seen_at >= at - LIFETIME
        )
        with self.database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            return None
        found = Session(*row)
        if at - found.seen_at > _NOTED_EVERY:
            with self.database.write() as connection:
                connection.execute(update(sessions).where(sessions.c.id == found.id).values(seen_at=at))
        return found

    def of(self, user_id: int) -> list[Session]:
        """All of a user's, the last seen first."""
        query = select(*_SESSION).where(sessions.c.user_id == user_id)
        with self.database.read() as connection:
            return [Session(*row) for row in connection.execute(query.order_by(sessions.c.seen_at.desc()))]

    def end(self, user_id: int, session_id: int) -> None:
        """End one of a user's."""
        with self.database.write() as connection:
            connection.execute(
                delete(sessions).where(sessions.c.user_id == user_id, sessions.c.id == session_id)
            )

    def end_all(self, user_id: int, but: int | None = None) -> None:
        """End all of a user's, but perhaps one."""
        ended = delete(sessions).where(sessions.c.user_id == user_id)
        with self.database.write() as connection:
            connection.execute(ended if but is None else ended.where(sessions.c.id != but))
