"""Tickets: how the portal tells the process that serves JupyterLab who stands at its door."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert

from records.database import Database
from records.people import hashed
from records.tables import notebook_tickets

VALID = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Ticket:
    """For whom, for which lab, and what for: ``open`` JupyterLab or ``save`` its files."""

    user_id: int
    lab: str
    use: str


@dataclass(frozen=True, slots=True)
class Tickets:
    """Each is 32 random bytes, good once and for a minute; only its digest is kept."""

    database: Database

    def make(self, ticket: Ticket, at: datetime) -> str:
        """A new one's secret."""
        secret = secrets.token_urlsafe(32)
        with self.database.write() as connection:
            connection.execute(delete(notebook_tickets).where(notebook_tickets.c.expires_at < at))
            connection.execute(
                insert(notebook_tickets).values(
                    token_hash=hashed(secret),
                    user_id=ticket.user_id,
                    lab=ticket.lab,
                    use=ticket.use,
                    expires_at=at + VALID,
                )
            )
        return secret

    def redeem(self, secret: str, use: str, at: datetime) -> Ticket | None:
        """What a ticket stands for; using it ends it."""
        with self.database.write() as connection:
            row = connection.execute(
                delete(notebook_tickets)
                .where(notebook_tickets.c.token_hash == hashed(secret), notebook_tickets.c.use == use)
                .returning(notebook_tickets.c.user_id, notebook_tickets.c.lab, notebook_tickets.c.expires_at)
            ).first()
        return Ticket(row.user_id, row.lab, use) if row and row.expires_at >= at else None
