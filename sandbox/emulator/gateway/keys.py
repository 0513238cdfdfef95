"""Which principal an access key belongs to: ours, IAM users' and STS sessions'."""

from __future__ import annotations

import datetime as dt
import random
import secrets
import string
from dataclasses import dataclass

from moto.iam.models import iam_backends
from moto.moto_api._internal import mock_random
from moto.moto_api._internal.moto_random import MotoRandom
from moto.sts.models import sts_backends

from sandbox.account import AccessKeys
from sandbox.emulator.calls import Principal, PrincipalKind

_LETTERS = string.ascii_uppercase + "234567"


@dataclass(frozen=True, slots=True)
class Issued:
    """An access key, whose it is and until when (seconds since the epoch, account time; None: for good)."""

    keys: AccessKeys
    principal: Principal
    expires: float | None = None


class _Unforeseeable(MotoRandom):  # type: ignore[misc]  # moto has no types here.
    """moto draws ids that anybody may see and secret keys from one generator: it must not be guessable."""

    _system = random.SystemRandom()

    def random(self) -> float:
        return self._system.random()

    def getrandbits(self, k: int, /) -> int:
        return self._system.getrandbits(k)

    def randbytes(self, n: int) -> bytes:
        return self._system.randbytes(n)


class KeyRing:
    """Every access key that this account process accepts.

    moto keeps the keys of IAM users and role sessions; ours are the root users' of the accounts here
    and those of ``GetSessionToken``. Call with the dispatch lock held.
    """

    def __init__(self) -> None:
        mock_random.__class__ = _Unforeseeable
        self._ours: dict[str, Issued] = {}
        self._sessions: dict[str, Issued] = {}
        self._seen: dict[str, int] = {}

    def issue_root(self, account_id: str) -> Issued:
        """A new access key of an account's root user."""
        principal = Principal(
            PrincipalKind.ROOT,
            account_id,
            f"arn:aws:iam::{account_id}:root",
            access_key_id=new_key_id("AKIA"),
        )
        issued = Issued(AccessKeys(principal.access_key_id, secrets.token_urlsafe(30)), principal)
        self._ours[principal.access_key_id] = issued
        return issued

    def end(self, access_key_id: str) -> None:
        """Accept a key of ours no longer."""
        self._ours.pop(access_key_id, None)

    def issue_session(self, principal: Principal, expires: float) -> Issued:
        """Temporary keys for a principal that stays who it is."""
        held = Principal(
            principal.kind, principal.account_id, principal.arn, new_key_id("ASIA"), principal.role_arn
        )
        keys = AccessKeys(held.access_key_id, secrets.token_urlsafe(30), secrets.token_urlsafe(120))
        issued = Issued(keys, held, expires)
        self._ours[held.access_key_id] = issued
        return issued

    def find(self, access_key_id: str) -> Issued | None:
        """Whose key this is."""
        found = self._ours.get(access_key_id)
        if found is not None:
            return found
        return self._user(access_key_id) or self._session(access_key_id)

    def _user(self, access_key_id: str) -> Issued | None:
        for account_id, partitions in list(iam_backends.items()):
            key = partitions["aws"].access_keys.get(access_key_id)
            if key is None or key.status != "Active" or not key.user_name:
                continue
            user = partitions["aws"].users.get(key.user_name)
            arn = user.arn if user is not None else f"arn:aws:iam::{account_id}:user/{key.user_name}"
            principal = Principal(PrincipalKind.USER, account_id, arn, access_key_id)
            return Issued(AccessKeys(access_key_id, key.secret_access_key), principal)
        return None

    def _session(self, access_key_id: str) -> Issued | None:
        for account_id, partitions in list(sts_backends.items()):
            roles = partitions["aws"].assumed_roles
            for role in roles[self._seen.get(account_id, 0) :]:
                held = role.account_id
                principal = Principal(
                    PrincipalKind.ROLE_SESSION, held, role.arn, role.access_key_id, role_arn=role.role_arn
                )
                keys = AccessKeys(role.access_key_id, role.secret_access_key, role.session_token)
                expires = role.expiration.replace(tzinfo=dt.UTC).timestamp()
                self._sessions[role.access_key_id] = Issued(keys, principal, expires)
            self._seen[account_id] = len(roles)
        return self._sessions.get(access_key_id)


def new_key_id(prefix: str) -> str:
    """A 20 character access key id."""
    return prefix + "".join(secrets.choice(_LETTERS) for _ in range(16))
