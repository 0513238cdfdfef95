"""Mails that wait to be handed over, and the links in them."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, insert, select, update

from records.database import Database
from records.people import hashed
from records.tables import mail_links, mails

# How long somebody who took a mail to hand it over has for that.
_LEASE = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Mail:
    """One that is to be handed over. ``tries`` counts this one."""

    id: int
    to: str
    subject: str
    body: str
    created_at: datetime
    tries: int


@dataclass(frozen=True, slots=True)
class MailLink:
    """What a link in a mail is good for."""

    purpose: str
    user_id: int | None
    email: str
    body: Mapping[str, Any]


_MAIL = [mails.c[name] for name in Mail.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class Mails:
    """The mails and links of one database."""

    database: Database

    def post(self, to: str, subject: str, body: str, at: datetime) -> None:
        """Keep a mail for the one who hands mails over."""
        values = {"to": to, "subject": subject, "body": body, "created_at": at, "due_at": at, "error": ""}
        with self.database.write() as connection:
            connection.execute(insert(mails).values(**values, tries=0))

    def take(self, at: datetime) -> Mail | None:
        """The mail that has been due longest, for whoever asks first."""
        due = select(mails.c.id).where(mails.c.sent_at.is_(None), mails.c.due_at <= at)
        with self.database.write() as connection:
            mail_id = connection.scalar(due.order_by(mails.c.due_at, mails.c.id).limit(1))
            if mail_id is None:
                return None
            # Of two that saw the same one, the second finds it no longer due.
            row = connection.execute(
                update(mails)
                .where(mails.c.id == mail_id, mails.c.sent_at.is_(None), mails.c.due_at <= at)
                .values(tries=mails.c.tries + 1, due_at=at + _LEASE)
                .returning(*_MAIL)
            ).first()
        return Mail(*row) if row else None

    def sent(self, mail: Mail, at: datetime) -> None:
        """It was handed over: what it said is forgotten, for a link in it may still work."""
        with self.database.write() as connection:
            connection.execute(
                update(mails).where(mails.c.id == mail.id).values(sent_at=at, body="", error="")
            )

    def failed(self, mail: Mail, why: str, again_at: datetime) -> None:
        """It could not be handed over; it is tried again then."""
        with self.database.write() as connection:
            connection.execute(
                update(mails).where(mails.c.id == mail.id).values(due_at=again_at, error=why[:300])
            )

    def waiting(self) -> list[tuple[str, int, str]]:
        """Whom mails wait for, how often each was tried, and what went wrong last."""
        query = select(mails.c.to, mails.c.tries, mails.c.error).where(mails.c.sent_at.is_(None))
        with self.database.read() as connection:
            return [(to, tries, error) for to, tries, error in connection.execute(query.order_by(mails.c.id))]

    def make_link(
        self,
        purpose: str,
        email: str,
        at: datetime,
        valid: timedelta,
        *,
        user_id: int | None = None,
        body: Mapping[str, Any] | None = None,
    ) -> str:
        """The token of a link that works once; those made before for the same end."""
        token = secrets.token_urlsafe(24)
        older = (mail_links.c.purpose == purpose) & (mail_links.c.email == email)
        with self.database.write() as connection:
            connection.execute(delete(mail_links).where((mail_links.c.expires_at < at) | older))
            connection.execute(
                insert(mail_links).values(
                    token_hash=hashed(token),
                    purpose=purpose,
                    user_id=user_id,
                    email=email,
                    body=dict(body or {}),
                    expires_at=at + valid,
                )
            )
        return token

    def look_at_link(self, token: str, purpose: str, at: datetime) -> MailLink | None:
        """What a link is good for, without using it."""
        with self.database.read() as connection:
            row = connection.execute(
                select(
                    mail_links.c.purpose, mail_links.c.user_id, mail_links.c.email, mail_links.c.body
                ).where(
                    mail_links.c.token_hash == hashed(token),
                    mail_links.c.purpose == purpose,
                    mail_links.c.expires_at >= at,
                )
            ).first()
        return MailLink(*row) if row else None

    def use_link(self, token: str, purpose: str, at: datetime) -> MailLink | None:
        """What a link is good for; it is not good for anything afterwards."""
        with self.database.write() as connection:
            row = connection.execute(
                delete(mail_links)
                .where(
                    mail_links.c.token_hash == hashed(token),
                    mail_links.c.purpose == purpose,
                    mail_links.c.expires_at >= at,
                )
                .returning(mail_links.c.purpose, mail_links.c.user_id, mail_links.c.email, mail_links.c.body)
            ).first()
        return MailLink(*row) if row else None
