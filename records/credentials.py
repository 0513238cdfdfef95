"""What people prove who they are with, besides a password: passkeys, other issuers, tokens for programs."""

from __future__ import annotations

import secrets
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from records.database import Database
from records.errors import Taken
from records.people import hashed
from records.tables import identities, passkeys, tokens

# What a token may be good for.
SCOPES = ("read", "submit", "workspace", "practice")


@dataclass(frozen=True, slots=True)
class Passkey:
    """A key that an authenticator holds. ``credential_id`` is base64url, ``public_key`` COSE."""

    id: int
    user_id: int
    name: str
    credential_id: str
    public_key: bytes
    sign_count: int
    created_at: datetime
    used_at: datetime | None


@dataclass(frozen=True, slots=True)
class Identity:
    """Who somebody is elsewhere. ``shown`` is what they know it by."""

    id: int
    user_id: int
    provider: str
    subject: str
    shown: str
    created_at: datetime


@dataclass(frozen=True, slots=True)
class Token:
    """A program's way in. ``scopes`` are words separated by spaces."""

    id: int
    user_id: int
    name: str
    scopes: str
    created_at: datetime
    used_at: datetime | None
    expires_at: datetime | None

    def may(self, scope: str) -> bool:
        """Whether it is good for that."""
        return scope in self.scopes.split()


_PASSKEY = [passkeys.c[name] for name in Passkey.__dataclass_fields__]
_IDENTITY = [identities.c[name] for name in Identity.__dataclass_fields__]
_TOKEN = [tokens.c[name] for name in Token.__dataclass_fields__]


@dataclass(frozen=True, slots=True)
class Credentials:
    """Those of one database."""

    database: Database

    # --- passkeys

    def add_passkey(
        self, user_id: int, name: str, credential_id: str, public_key: bytes, sign_count: int, at: datetime
    ) -> None:
        """Keep a new one; raises Taken when somebody has it."""
        values = {"credential_id": credential_id, "public_key": public_key, "sign_count": sign_count}
        try:
            with self.database.write() as connection:
                connection.execute(
                    insert(passkeys).values(user_id=user_id, name=name[:80], created_at=at, **values)
                )
        except IntegrityError:
            raise Taken("passkey") from None

    def passkeys_of(self, user_id: int) -> list[Passkey]:
        """A user's, the oldest first."""
        query = select(*_PASSKEY).where(passkeys.c.user_id == user_id).order_by(passkeys.c.id)
        with self.database.read() as connection:
            return [Passkey(*row) for row in connection.execute(query)]

    def passkey(self, credential_id: str) -> Passkey | None:
        """The one with this id."""
        with self.database.read() as connection:
            row = connection.execute(
                select(*_PASSKEY).where(passkeys.c.credential_id == credential_id)
            ).first()
        return Passkey(*row) if row else None

    def used_passkey(self, passkey: Passkey, sign_count: int, at: datetime) -> None:
        """Note how often it says that it has signed."""
        with self.database.write() as connection:
            connection.execute(
                update(passkeys).where(passkeys.c.id == passkey.id).values(sign_count=sign_count, used_at=at)
            )

    def remove_passkey(self, user_id: int, passkey_id: int) -> None:
        """Forget one of a user's."""
        with self.database.write() as connection:
            connection.execute(
                delete(passkeys).where(passkeys.c.user_id == user_id, passkeys.c.id == passkey_id)
            )

    # --- other issuers

    def link(self, user_id: int, provider: str, subject: str, shown: str, at: datetime) -> None:
        """Note who a user is elsewhere; raises Taken when that is somebody else here."""
        values = {"provider": provider, "subject": subject, "shown": shown[:254], "created_at": at}
        try:
            with self.database.write() as connection:
                connection.execute(insert(identities).values(user_id=user_id, **values))
        except IntegrityError:
            raise Taken("identity") from None

    def identity(self, provider: str, subject: str) -> Identity | None:
        """Who that is here."""
        query = select(*_IDENTITY).where(identities.c.provider == provider, identities.c.subject == subject)
        with self.database.read() as connection:
            row = connection.execute(query).first()
        return Identity(*row) if row else None

    def identities_of(self, user_id: int) -> list[Identity]:
        """Who a user is elsewhere."""
        query = select(*_IDENTITY).where(identities.c.user_id == user_id).order_by(identities.c.id)
        with self.database.read() as connection:
            return [Identity(*row) for row in connection.execute(query)]

    def unlink(self, user_id: int, identity_id: int) -> None:
        """Forget who a user is somewhere."""
        with self.database.write() as connection:
            connection.execute(
                delete(identities).where(identities.c.user_id == user_id, identities.c.id == identity_id)
            )

    # --- tokens

    def make_token(
        self,
        user_id: int,
        name: str,
        at: datetime,
        scopes: Collection[str] = SCOPES,
        valid: timedelta | None = None,
    ) -> str:
        """A token for programs. It is shown once; only its digest is kept."""
        token = f"cst_{secrets.token_urlsafe(32)}"
        values = {
            "name": name[:80],
            "scopes": " ".join(scope for scope in SCOPES if scope in scopes),
            "created_at": at,
            "expires_at": at + valid if valid else None,
        }
        with self.database.write() as connection:
            connection.execute(insert(tokens).values(user_id=user_id, token_hash=hashed(token), **values))
        return token

    def token(self, token: str, at: datetime) -> Token | None:
        """A token that is still good, noted as used."""
        good = (tokens.c.token_hash == hashed(token)) & (
            tokens.c.expires_at.is_(None) | (tokens.c.expires_at >= at)
        )
        with self.database.write() as connection:
            row = connection.execute(update(tokens).where(good).values(used_at=at).returning(*_TOKEN)).first()
        return Token(*row) if row else None

    def tokens_of(self, user_id: int) -> list[Token]:
        """A user's, the newest first."""
        query = select(*_TOKEN).where(tokens.c.user_id == user_id).order_by(tokens.c.id.desc())
        with self.database.read() as connection:
            return [Token(*row) for row in connection.execute(query)]

    def revoke(self, user_id: int, token_id: int) -> None:
        """End one of a user's."""
        with self.database.write() as connection:
            connection.execute(delete(tokens).where(tokens.c.user_id == user_id, tokens.c.id == token_id))
