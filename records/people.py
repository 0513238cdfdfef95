"""Users, links that sign them in, and failed tries."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from records.database import Database
from records.errors import LoginTaken, NotFound
from records.tables import blobs, metadata, sign_in_failures, sign_in_links, users


@dataclass(frozen=True, slots=True)
class User:
    """A person's login."""

    id: int
    login: str
    name: str
    password_hash: str | None
    role: str
    session_epoch: int
    email: str | None = None
    disabled_at: datetime | None = None


_USER = [users.c[name] for name in User.__dataclass_fields__]

# Values of one query: SQLite takes some ten thousand, others fewer.
_AT_ONCE = 500


def hashed(token: str) -> str:
    """What we keep of a token: enough to know it again, nothing to use."""
    return hashlib.sha256(token.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class People:
    """Users of one database."""

    database: Database

    def add(
        self,
        login: str,
        name: str,
        password_hash: str | None,
        at: datetime,
        role: str = "learner",
        email: str | None = None,
    ) -> User:
        """A new user, with an address that is verified; raises LoginTaken."""
        values = {
            "login": login,
            "name": name,
            "password_hash": password_hash,
            "role": role,
            "created_at": at,
            "email": email,
        }
        try:
            with self.database.write() as connection:
                row = connection.execute(insert(users).values(values).returning(*_USER)).mappings().one()
                return User(**row)
        except IntegrityError:
            raise LoginTaken(login) from None

    def find(self, login: str) -> User | None:
        """The user with this login."""
        with self.database.read() as connection:
            row = connection.execute(select(*_USER).where(users.c.login == login)).mappings().first()
            return User(**row) if row else None

    def get(self, user_id: int) -> User:
        """A user; raises NotFound."""
        with self.database.read() as connection:
            row = connection.execute(select(*_USER).where(users.c.id == user_id)).mappings().first()
        if row is None:
            raise NotFound("user", user_id)
        return User(**row)

    def end_sessions(self, user_id: int) -> None:
        """Make every session of this user invalid."""
        with self.database.write() as connection:
            connection.execute(
                update(users).where(users.c.id == user_id).values(session_epoch=users.c.session_epoch + 1)
            )

    def make_link(self, user_id: int, at: datetime, valid: timedelta = timedelta(hours=12)) -> str:
        """A token that signs this user in once."""
        token = secrets.token_urlsafe(24)
        with self.database.write() as connection:
            connection.execute(delete(sign_in_links).where(sign_in_links.c.expires_at < at))
            connection.execute(
                insert(sign_in_links).values(token_hash=hashed(token), user_id=user_id, expires_at=at + valid)
            )
        return token

    def use_link(self, token: str, at: datetime) -> User | None:
        """The user of a link that was not used before; using it ends it."""
        with self.database.write() as connection:
            row = connection.execute(
                delete(sign_in_links)
                .where(sign_in_links.c.token_hash == hashed(token))
                .returning(sign_in_links.c.user_id, sign_in_links.c.expires_at)
            ).first()
        return self.get(row.user_id) if row and row.expires_at >= at else None

    def by_email(self, email: str) -> User | None:
        """The user with this verified address."""
        with self.database.read() as connection:
            row = connection.execute(select(*_USER).where(users.c.email == email)).mappings().first()
        return User(**row) if row else None

    def all(self) -> list[User]:
        """Everybody, by login."""
        with self.database.read() as connection:
            return [
                User(**row) for row in connection.execute(select(*_USER).order_by(users.c.login)).mappings()
            ]

    def change(self, user_id: int, **values: Any) -> None:
        """Set name, email, password_hash, role or disabled_at; raises LoginTaken for an address in use."""
        try:
            with self.database.write() as connection:
                connection.execute(update(users).where(users.c.id == user_id).values(**values))
        except IntegrityError:
            raise LoginTaken(str(values.get("email"))) from None

    def remove(self, user_id: int) -> None:
        """Delete a user and all that is theirs, with the bodies of files that nobody else has."""
        holders = [table for table in metadata.sorted_tables if "blob" in table.c]
        with self.database.write() as connection:
            theirs: set[str] = set()
            for table in holders:
                held = select(table.c.blob).where(table.c.user_id == user_id, table.c.blob.is_not(None))
                theirs |= set(connection.scalars(held))
            connection.execute(delete(users).where(users.c.id == user_id))
            for table in holders:
                found = sorted(theirs)
                for start in range(0, len(found), _AT_ONCE):
                    some = table.c.blob.in_(found[start : start + _AT_ONCE])
                    theirs -= set(connection.scalars(select(table.c.blob).where(some)))
            for digest in theirs:
                connection.execute(delete(blobs).where(blobs.c.digest == digest))

    def failures(self, subjects: Sequence[str], since: datetime) -> int:
        """The most failed sign-ins that one of these subjects has since then."""
        query = (
            select(func.count())
            .where(sign_in_failures.c.subject.in_(subjects), sign_in_failures.c.at >= since)
            .group_by(sign_in_failures.c.subject)
        )
        with self.database.read() as connection:
            return max(connection.scalars(query), default=0)

    def note_failure(
        self, subjects: Sequence[str], at: datetime, keep: timedelta = timedelta(days=1)
    ) -> None:
        """Remember a failed sign-in."""
        with self.database.write() as connection:
            connection.execute(delete(sign_in_failures).where(sign_in_failures.c.at < at - keep))
            connection.execute(insert(sign_in_failures), [{"subject": item, "at": at} for item in subjects])
