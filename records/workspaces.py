"""What a workspace was: every save of every file, and saving against what somebody last saw."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, insert, select, update

from records.database import Database
from records.errors import NotFound
from records.store import put_blob
from records.tables import blobs, workspace_files, workspace_saves


@dataclass(frozen=True, slots=True)
class Save:
    """One save of one file; ``deleted`` when it was one's last look at it."""

    id: int
    path: str
    deleted: bool
    saved_at: datetime


@dataclass(frozen=True, slots=True)
class Stored:
    """What came of a save: the digest of what the file holds now, and its text if that is somebody else's."""

    digest: str
    other: bytes | None = None


@dataclass(frozen=True, slots=True)
class Workspaces:
    """The saves in one database."""

    database: Database

    def labs_of(self, user_id: int) -> list[str]:
        """The labs that a user has files of."""
        query = select(workspace_files.c.lab).where(workspace_files.c.user_id == user_id).distinct()
        with self.database.read() as connection:
            return sorted(connection.scalars(query))

    def digests(self, user_id: int, lab: str) -> dict[str, str]:
        """What each file of a workspace holds now."""
        query = select(workspace_files.c.path, workspace_files.c.blob).where(
            workspace_files.c.user_id == user_id, workspace_files.c.lab == lab
        )
        with self.database.read() as connection:
            return {row.path: row.blob for row in connection.execute(query)}

    def save(self, user_id: int, lab: str, path: str, body: bytes, at: datetime, base: str | None) -> Stored:
        """Save a file if it still holds what it did when its editor looked (``base``; empty: nothing).

        If not, what was sent is kept in the history, and the file is left as it is.
        """
        owner = {"user_id": user_id, "lab": lab, "path": path, "saved_at": at}
        mine = (
            (workspace_files.c.user_id == user_id)
            & (workspace_files.c.lab == lab)
            & (workspace_files.c.path == path)
        )
        with self.database.write() as connection:
            digest = put_blob(connection, body)
            there = connection.scalar(select(workspace_files.c.blob).where(mine))
            if there == digest:
                return Stored(digest)
            connection.execute(insert(workspace_saves).values(blob=digest, **owner))
            if base is not None and (there or "") != base:
                return Stored(there or "", _body(connection, there) if there else b"")
            if there is None:
                connection.execute(insert(workspace_files).values(blob=digest, **owner))
            else:
                connection.execute(update(workspace_files).where(mine).values(blob=digest, saved_at=at))
            return Stored(digest)

    def saves(self, user_id: int, lab: str, path: str = "", limit: int = 200) -> list[Save]:
        """The saves of a workspace, or of one of its files; the newest first."""
        query = (
            select(
                workspace_saves.c.id,
                workspace_saves.c.path,
                workspace_saves.c.blob.is_(None).label("deleted"),
                workspace_saves.c.saved_at,
            )
            .where(workspace_saves.c.user_id == user_id, workspace_saves.c.lab == lab)
            .order_by(workspace_saves.c.id.desc())
            .limit(limit)
        )
        if path:
            query = query.where(workspace_saves.c.path == path)
        with self.database.read() as connection:
            return [Save(**row) for row in connection.execute(query).mappings()]

    def saved(self, save_id: int, user_id: int, lab: str) -> tuple[Save, bytes]:
        """A save of this workspace with the file's content then; raises NotFound."""
        query = (
            select(workspace_saves, blobs.c.body)
            .outerjoin(blobs)
            .where(
                workspace_saves.c.id == save_id,
                workspace_saves.c.user_id == user_id,
                workspace_saves.c.lab == lab,
            )
        )
        with self.database.read() as connection:
            row = connection.execute(query).first()
        if row is None:
            raise NotFound("save", save_id)
        return Save(row.id, row.path, row.blob is None, row.saved_at), bytes(row.body or b"")


def _body(connection: Connection, digest: str) -> bytes:
    return bytes(connection.scalar(select(blobs.c.body).where(blobs.c.digest == digest)) or b"")
