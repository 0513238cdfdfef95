"""Practice accounts: whose they are and when they were used, what is deployed into them, saved events."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.exc import IntegrityError

from records.database import Database
from records.errors import Deploying, NoRoom, NotFound, TooManyEvents
from records.store import put_blob
from records.tables import blobs, practice_accounts, practice_deployments, practice_events

EVENTS_LIMIT = 30
LEASE = timedelta(seconds=15)
_TRIES = 3
_KEPT = 5


@dataclass(frozen=True, slots=True)
class PracticeAccount:
    """A learner's account on one machine. ``account_id`` is None while it is being opened."""

    user_id: int
    account_id: str | None
    opened_at: datetime
    used_at: datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """A deployment of a workspace. ``body`` has what a page shows of it."""

    id: int
    user_id: int
    account_id: str
    lab: str
    state: str
    epoch: int
    version: int
    queued_at: datetime
    closed_at: datetime | None
    body: Mapping[str, Any]

    @property
    def is_open(self) -> bool:
        """Whether it waits or runs."""
        return self.state in ("queued", "running")


@dataclass(frozen=True, slots=True)
class SavedEvent:
    """A test event that a learner keeps for a lab."""

    name: str
    body: str


_ACCOUNT = [practice_accounts.c[name] for name in PracticeAccount.__dataclass_fields__]
_DEPLOYMENT = [practice_deployments.c[name] for name in Deployment.__dataclass_fields__]
_OPEN = practice_deployments.c.state.in_(("queued", "running"))


@dataclass(frozen=True, slots=True)
class Practice:
    """The rows of one ``place``: a machine's home folder, whose supervisor runs the accounts."""

    database: Database
    place: str

    # Accounts

    def account(self, user_id: int) -> PracticeAccount | None:
        """The learner's, if there is one."""
        with self.database.read() as connection:
            query = select(*_ACCOUNT).where(self._mine(user_id))
            row = connection.execute(query).mappings().first()
        return None if row is None else PracticeAccount(**row)

    def accounts(self) -> list[PracticeAccount]:
        """All of this place, the longest unused first."""
        query = select(*_ACCOUNT).where(practice_accounts.c.place == self.place)
        with self.database.read() as connection:
            rows = connection.execute(query.order_by(practice_accounts.c.used_at)).mappings()
            return [PracticeAccount(**row) for row in rows]

    def reserve(self, user_id: int, at: datetime, limit: int) -> bool:
        """Note that an account is being opened; false when there is a note already.

        Raises:
            NoRoom: ``limit`` accounts are open.
        """
        here = practice_accounts.c.place == self.place
        with self.database.write() as connection:
            known = connection.scalar(select(practice_accounts.c.user_id).where(self._mine(user_id)))
            if known is not None:
                return False
            if (connection.scalar(select(func.count()).where(here)) or 0) >= limit:
                raise NoRoom(limit)
            values = {"user_id": user_id, "place": self.place, "opened_at": at, "used_at": at, "sequence": 0}
            connection.execute(insert(practice_accounts).values(values))
            return True

    def opened(self, user_id: int, account_id: str) -> None:
        """Note that it is there."""
        with self.database.write() as connection:
            connection.execute(
                update(practice_accounts).where(self._mine(user_id)).values(account_id=account_id)
            )

    def used(self, user_id: int, at: datetime, sequence: int | None = None) -> None:
        """Note that it is used."""
        values = {"used_at": at} if sequence is None else {"used_at": at, "sequence": sequence}
        with self.database.write() as connection:
            connection.execute(update(practice_accounts).where(self._mine(user_id)).values(values))

    def forget(self, user_id: int, account_id: str | None) -> None:
        """Drop the note of an account that is gone, with its deployments; not that of a newer one."""
        same = (
            practice_accounts.c.account_id.is_(None)
            if account_id is None
            else practice_accounts.c.account_id == account_id
        )
        with self.database.write() as connection:
            connection.execute(delete(practice_accounts).where(self._mine(user_id), same))
            connection.execute(
                delete(practice_deployments).where(
                    practice_deployments.c.user_id == user_id,
                    practice_deployments.c.place == self.place,
                    practice_deployments.c.account_id == (account_id or ""),
                )
            )

    def _mine(self, user_id: int) -> Any:
        return (practice_accounts.c.user_id == user_id) & (practice_accounts.c.place == self.place)

    # Deployments

    def queue(self, user_id: int, account_id: str, lab: str, archive: bytes, at: datetime) -> Deployment:
        """Queue a deployment of these files.

        Raises:
            Deploying: another one of this learner waits or runs.
        """
        values = {
            "user_id": user_id,
            "place": self.place,
            "account_id": account_id,
            "lab": lab,
            "state": "queued",
            "open_key": f"{user_id}:{self.place}",
            "epoch": 0,
            "version": 1,
            "queued_at": at,
            "body": {},
        }
        try:
            with self.database.write() as connection:
                values["blob"] = put_blob(connection, archive)
                made = connection.execute(
                    insert(practice_deployments).values(values).returning(practice_deployments.c.id)
                ).scalar_one()
                mine = practice_deployments.c.user_id == user_id, practice_deployments.c.lab == lab
                newest = (
                    select(practice_deployments.c.id)
                    .where(*mine)
                    .order_by(practice_deployments.c.id.desc())
                    .limit(_KEPT)
                )
                kept = list(connection.scalars(newest))
                connection.execute(
                    delete(practice_deployments).where(*mine, practice_deployments.c.id.not_in(kept))
                )
        except IntegrityError:
            raise Deploying from None
        return self.deployment(int(made))

    def deployment(self, deployment_id: int) -> Deployment:
        """One by its id; raises NotFound."""
        with self.database.read() as connection:
            query = select(*_DEPLOYMENT).where(practice_deployments.c.id == deployment_id)
            row = connection.execute(query).mappings().first()
        if row is None:
            raise NotFound("deployment", deployment_id)
        return Deployment(**row)

    def latest(self, user_id: int, lab: str) -> Deployment | None:
        """The learner's newest one of a lab, if there is one."""
        query = select(*_DEPLOYMENT).where(
            practice_deployments.c.user_id == user_id,
            practice_deployments.c.place == self.place,
            practice_deployments.c.lab == lab,
        )
        with self.database.read() as connection:
            row = connection.execute(query.order_by(practice_deployments.c.id.desc())).mappings().first()
        return None if row is None else Deployment(**row)

    def version(self, user_id: int) -> tuple[int, int]:
        """Grows with every change of the learner's deployments."""
        query = select(func.max(practice_deployments.c.id), func.sum(practice_deployments.c.version))
        with self.database.read() as connection:
            row = connection.execute(query.where(practice_deployments.c.user_id == user_id)).one()
        return int(row[0] or 0), int(row[1] or 0)

    def waiting(self, at: datetime) -> bool:
        """Whether one waits for somebody to carry it out."""
        with self.database.read() as connection:
            query = select(practice_deployments.c.id).where(self._claimable(at)).limit(1)
            return connection.scalar(query) is not None

    def claim(self, at: datetime) -> tuple[Deployment, bytes] | None:
        """Take the one that has waited longest, with its files."""
        query = (
            select(*_DEPLOYMENT, blobs.c.body.label("archive"))
            .join(blobs, blobs.c.digest == practice_deployments.c.blob)
            .where(self._claimable(at))
            .order_by(practice_deployments.c.id)
            .limit(1)
            .with_for_update(of=practice_deployments, skip_locked=True)
        )
        with self.database.write() as connection:
            row = connection.execute(query).mappings().first()
            if row is None:
                return None
            found = dict(row)
            archive = bytes(found.pop("archive"))
            found |= {"epoch": found["epoch"] + 1, "version": found["version"] + 1, "state": "running"}
            connection.execute(
                update(practice_deployments)
                .where(practice_deployments.c.id == found["id"])
                .values(
                    epoch=found["epoch"], version=found["version"], state="running", lease_until=at + LEASE
                )
            )
            return Deployment(**found), archive

    def report(self, claimed: Deployment, body: Mapping[str, Any], at: datetime, state: str = "") -> bool:
        """Note how far a claimed one is; with ``state`` (done, failed) it is closed. False: it was lost."""
        values: dict[str, Any] = {
            "body": dict(body),
            "version": practice_deployments.c.version + 1,
            "lease_until": at + LEASE,
        }
        if state:
            values |= {"state": state, "open_key": None, "closed_at": at, "lease_until": None}
        return self._write(claimed, values)

    def renew(self, claimed: Deployment, at: datetime) -> bool:
        """Go on holding it. False: it was lost."""
        return self._write(claimed, {"lease_until": at + LEASE})

    def _write(self, claimed: Deployment, values: Mapping[str, Any]) -> bool:
        with self.database.write() as connection:
            return bool(
                connection.execute(
                    update(practice_deployments)
                    .where(
                        practice_deployments.c.id == claimed.id,
                        practice_deployments.c.epoch == claimed.epoch,
                        practice_deployments.c.state == "running",
                    )
                    .values(values)
                ).rowcount
            )

    def give_up(self, at: datetime, body: Mapping[str, Any]) -> None:
        """Close those whose holders died again and again."""
        lost = (
            (practice_deployments.c.place == self.place)
            & (practice_deployments.c.state == "running")
            & (practice_deployments.c.lease_until < at)
            & (practice_deployments.c.epoch >= _TRIES)
        )
        with self.database.write() as connection:
            connection.execute(
                update(practice_deployments)
                .where(lost)
                .values(
                    state="failed",
                    open_key=None,
                    closed_at=at,
                    body=dict(body),
                    version=practice_deployments.c.version + 1,
                )
            )

    def _claimable(self, at: datetime) -> Any:
        c = practice_deployments.c
        left = (c.state == "running") & (c.lease_until < at) & (c.epoch < _TRIES)
        return (c.place == self.place) & ((c.state == "queued") | left)

    # Test events

    def events(self, user_id: int, lab: str) -> list[SavedEvent]:
        """What the learner keeps for a lab, by name."""
        query = (
            select(practice_events.c.name, practice_events.c.body)
            .where(practice_events.c.user_id == user_id, practice_events.c.lab == lab)
            .order_by(practice_events.c.name)
        )
        with self.database.read() as connection:
            return [SavedEvent(row.name, row.body) for row in connection.execute(query)]

    def save_event(self, user_id: int, lab: str, name: str, body: str, at: datetime) -> None:
        """Keep an event under a name, in the place of the one that had it.

        Raises:
            TooManyEvents: there are EVENTS_LIMIT of other names.
        """
        mine = (practice_events.c.user_id == user_id) & (practice_events.c.lab == lab)
        with self.database.write() as connection:
            connection.execute(delete(practice_events).where(mine, practice_events.c.name == name))
            if (connection.scalar(select(func.count()).where(mine)) or 0) >= EVENTS_LIMIT:
                raise TooManyEvents(EVENTS_LIMIT)
            connection.execute(
                insert(practice_events).values(user_id=user_id, lab=lab, name=name, body=body, saved_at=at)
            )

    def drop_event(self, user_id: int, lab: str, name: str) -> None:
        """Keep it no longer."""
        with self.database.write() as connection:
            connection.execute(
                delete(practice_events).where(
                    practice_events.c.user_id == user_id,
                    practice_events.c.lab == lab,
                    practice_events.c.name == name,
                )
            )
