"""The tables, one place for all of them. Migrations create them; nothing else does."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


class Moment(TypeDecorator[datetime]):
    """An aware datetime in UTC, also where the database (SQLite) keeps no zone."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: Any, dialect: Dialect) -> Any:
        """Stored in UTC."""
        if value is None:
            return None
        at = value.astimezone(UTC)
        return at.replace(tzinfo=None) if dialect.name == "sqlite" else at

    def process_result_value(self, value: Any, dialect: Dialect) -> datetime | None:
        """Read back as aware."""
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)  # type: ignore[no-any-return]


def _id() -> Column[int]:
    return Column("id", Integer, primary_key=True, autoincrement=True)


def _user(*, nullable: bool = False) -> Column[int]:
    return Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), nullable=nullable)


users = Table(
    "users",
    metadata,
    _id(),
    Column("login", String(120), nullable=False, unique=True),
    Column("name", String(120), nullable=False),
    Column("password_hash", String(255)),
    Column("role", String(20), nullable=False, default="learner"),
    # Raised to end every session of this user.
    Column("session_epoch", Integer, nullable=False, default=0),
    Column("created_at", Moment, nullable=False),
    # Verified: nothing else gets here.
    Column("email", String(254), unique=True),
    Column("disabled_at", Moment),
)

# Where somebody is signed in. The cookie has the token, we its digest.
sessions = Table(
    "sessions",
    metadata,
    _id(),
    _user(),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("agent", String(200), nullable=False),
    Column("address", String(60), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("seen_at", Moment, nullable=False),
    Index(None, "user_id"),
)

# Links in mails: to sign up, to choose a new password, to take another address. Each works once.
mail_links = Table(
    "mail_links",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    Column("purpose", String(10), nullable=False),
    _user(nullable=True),
    Column("email", String(254), nullable=False),
    # Of a sign-up: what the account is to be made with.
    Column("body", JSON, nullable=False),
    Column("expires_at", Moment, nullable=False),
)

# Kept until it was handed over; then only that and when.
mails = Table(
    "mails",
    metadata,
    _id(),
    Column("to", String(254), nullable=False),
    Column("subject", String(200), nullable=False),
    Column("body", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("due_at", Moment, nullable=False),
    Column("tries", Integer, nullable=False, default=0),
    Column("sent_at", Moment),
    Column("error", String(300), nullable=False, default=""),
    Index(None, "sent_at", "due_at"),
)

passkeys = Table(
    "passkeys",
    metadata,
    _id(),
    _user(),
    Column("name", String(80), nullable=False),
    Column("credential_id", String(1400), nullable=False, unique=True),
    Column("public_key", LargeBinary, nullable=False),
    Column("sign_count", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment),
    Index(None, "user_id"),
)

# Who somebody is to an OpenID Connect issuer.
identities = Table(
    "identities",
    metadata,
    _id(),
    _user(),
    Column("provider", String(40), nullable=False),
    Column("subject", String(255), nullable=False),
    Column("shown", String(254), nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("provider", "subject"),
    Index(None, "user_id"),
)

sign_in_links = Table(
    "sign_in_links",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    _user(),
    Column("expires_at", Moment, nullable=False),
)

sign_in_failures = Table(
    "sign_in_failures",
    metadata,
    _id(),
    Column("subject", String(200), nullable=False),
    Column("at", Moment, nullable=False),
    Index(None, "subject", "at"),
)

tokens = Table(
    "tokens",
    metadata,
    _id(),
    _user(),
    Column("name", String(80), nullable=False),
    Column("token_hash", String(64), nullable=False, unique=True),
    # Words separated by spaces.
    Column("scopes", String(200), nullable=False, default=""),
    Column("created_at", Moment, nullable=False),
    Column("used_at", Moment),
    Column("expires_at", Moment),
)

# In the database and not on disk: a worker on another machine, a backup and a transaction see the same.
blobs = Table(
    "blobs",
    metadata,
    Column("digest", String(71), primary_key=True),
    Column("size_bytes", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

submissions = Table(
    "submissions",
    metadata,
    _id(),
    _user(),
    Column("lab", String(80), nullable=False),
    Column("source", String(20), nullable=False),
    Column("blob", String(71), ForeignKey("blobs.digest"), nullable=False),
    Column("received_at", Moment, nullable=False),
    # Why it can't be graded: message, where, what_to_do.
    Column("problem", JSON(none_as_null=True)),
    Index(None, "user_id", "lab"),
)

attempts = Table(
    "attempts",
    metadata,
    _id(),
    _user(),
    Column("lab", String(80), nullable=False),
    Column("number", Integer, nullable=False),
    Column("submission_id", Integer, ForeignKey("submissions.id"), nullable=False),
    Column("state", String(12), nullable=False),
    Column("priority", Integer, nullable=False, default=0),
    # `user:lab` until the attempt is closed, then null: one open attempt per learner and lab.
    Column("open_key", String(120), unique=True),
    # Raised by every claim; whoever writes with an older one writes nothing.
    Column("epoch", Integer, nullable=False, default=0),
    Column("tries", Integer, nullable=False, default=0),
    Column("owner", String(120)),
    Column("lease_until", Moment),
    Column("queued_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("closed_at", Moment),
    Column("outcome", String(20)),
    Column("points", Float),
    Column("points_possible", Float),
    Column("counted", Boolean, nullable=False, default=True),
    Column("note", Text),
    # The seed of the attempt that this one repeats, which is then not counted; null for a fresh seed.
    Column("seed", Integer),
    UniqueConstraint("user_id", "lab", "number"),
    Index(None, "state", "priority", "queued_at"),
)

reports = Table(
    "reports",
    metadata,
    Column("attempt_id", Integer, ForeignKey("attempts.id", ondelete="CASCADE"), primary_key=True),
    Column("body", JSON, nullable=False),
)

# A report that its learner shows to whoever has the key; the row goes when they take that back.
shared_reports = Table(
    "shared_reports",
    metadata,
    Column("attempt_id", Integer, ForeignKey("attempts.id", ondelete="CASCADE"), primary_key=True),
    Column("key", String(43), nullable=False, unique=True),
    Column("shared_at", Moment, nullable=False),
)

# Which hints of a check a learner has opened, and when.
hints = Table(
    "hints",
    metadata,
    _id(),
    _user(),
    Column("lab", String(80), nullable=False),
    Column("check_id", String(20), nullable=False),
    Column("step", Integer, nullable=False),
    Column("opened_at", Moment, nullable=False),
    UniqueConstraint("user_id", "lab", "check_id", "step"),
)

events = Table(
    "events",
    metadata,
    _id(),
    Column("attempt_id", Integer, ForeignKey("attempts.id", ondelete="CASCADE"), nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("at", Moment, nullable=False),
    Column("body", JSON, nullable=False),
    Index(None, "attempt_id", "id"),
    # Ids only grow, also after deletes: a reader's Last-Event-ID stays true.
    sqlite_autoincrement=True,
)

workspace_files = Table(
    "workspace_files",
    metadata,
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("lab", String(80), primary_key=True),
    Column("path", String(400), primary_key=True),
    Column("blob", String(71), ForeignKey("blobs.digest"), nullable=False),
    Column("saved_at", Moment, nullable=False),
)

# Every save, rename and delete; a null blob says that the file was deleted.
workspace_saves = Table(
    "workspace_saves",
    metadata,
    _id(),
    _user(),
    Column("lab", String(80), nullable=False),
    Column("path", String(400), nullable=False),
    Column("blob", String(71), ForeignKey("blobs.digest")),
    Column("saved_at", Moment, nullable=False),
    Index(None, "user_id", "lab", "path"),
)

# Good once and briefly: who may enter the process that serves JupyterLab, and for which lab.
notebook_tickets = Table(
    "notebook_tickets",
    metadata,
    Column("token_hash", String(64), primary_key=True),
    _user(),
    Column("lab", String(80), nullable=False),
    Column("use", String(10), nullable=False),
    Column("expires_at", Moment, nullable=False),
)

# The emulated account a learner practises in. The account's own process holds all but this.
practice_accounts = Table(
    "practice_accounts",
    metadata,
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    # The machine (and home folder) whose supervisor it runs below.
    Column("place", String(160), primary_key=True),
    # Null while it is being opened.
    Column("account_id", String(12)),
    Column("opened_at", Moment, nullable=False),
    Column("used_at", Moment, nullable=False),
    # Of the account's timeline: what came up to here was looked at for signs of use.
    Column("sequence", Integer, nullable=False, default=0),
)

practice_deployments = Table(
    "practice_deployments",
    metadata,
    _id(),
    _user(),
    Column("place", String(160), nullable=False),
    Column("account_id", String(12), nullable=False),
    Column("lab", String(80), nullable=False),
    Column("blob", String(71), ForeignKey("blobs.digest"), nullable=False),
    Column("state", String(12), nullable=False),
    # `user:place` until it is closed, then null: one at a time.
    Column("open_key", String(200), unique=True),
    # Raised by every claim; whoever writes with an older one writes nothing.
    Column("epoch", Integer, nullable=False, default=0),
    # Raised by every change, so that a page sees that there is something new.
    Column("version", Integer, nullable=False, default=0),
    Column("lease_until", Moment),
    Column("queued_at", Moment, nullable=False),
    Column("closed_at", Moment),
    Column("body", JSON, nullable=False),
    Index(None, "user_id", "lab"),
    Index(None, "state", "place"),
)

practice_events = Table(
    "practice_events",
    metadata,
    Column("user_id", Integer, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("lab", String(80), primary_key=True),
    Column("name", String(80), primary_key=True),
    Column("body", Text, nullable=False),
    Column("saved_at", Moment, nullable=False),
)

audit = Table(
    "audit",
    metadata,
    _id(),
    _user(nullable=True),
    Column("at", Moment, nullable=False),
    Column("action", String(60), nullable=False),
    Column("detail", JSON, nullable=False),
)
