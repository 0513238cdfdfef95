"""Signing in and up."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask_babel import gettext

from portal.errors import TooManyTries
from records.errors import LoginTaken
from records.people import People, User
from records.store import Store

WINDOW = timedelta(minutes=15)
TRIES_PER_LOGIN = 8
TRIES_PER_ADDRESS = 30
MINIMUM_PASSWORD = 10
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,118}")


@dataclass(frozen=True)
class Accounts:
    """Local accounts. A wrong login costs the same time as a wrong password."""

    people: People
    store: Store
    now: Callable[[], datetime]
    sign_up_open: bool = True
    hasher: PasswordHasher = field(default_factory=PasswordHasher)

    def __post_init__(self) -> None:
        object.__setattr__(self, "_decoy", self.hasher.hash("no account has this password"))

    def sign_in(self, login: str, password: str, address: str) -> User | None:
        """The user, or None when login and password do not belong together.

        Raises:
            TooManyTries: this login or this address failed too often of late.
        """
        wanted, now = login.strip().casefold()[:120], self.now()
        subjects = {f"login:{wanted}": TRIES_PER_LOGIN, f"address:{address}": TRIES_PER_ADDRESS}
        if any(self.people.failures([item], now - WINDOW) >= most for item, most in subjects.items()):
            raise TooManyTries
        user = self.people.find(wanted)
        stored = user.password_hash if user and user.password_hash else str(getattr(self, "_decoy"))  # noqa: B009
        try:
            self.hasher.verify(stored, password)
        except (VerificationError, InvalidHashError):
            user = None
        if user is None or user.password_hash is None:
            self.people.note_failure(list(subjects), now)
            return None
        self.store.note(user.id, "signed_in", now, address=address)
        return user

    def sign_up(self, login: str, name: str, password: str) -> tuple[User | None, list[str]]:
        """A new learner, or everything that is wrong with what was entered."""
        wanted = login.strip().casefold()
        problems = []
        if not _LOGIN.fullmatch(wanted):
            problems.append(
                gettext("Login: two or more letters, digits or . _ - @ +, beginning with a letter or digit.")
            )
        if len(password) < MINIMUM_PASSWORD:
            problems.append(gettext("Password: at least %(number)s characters.", number=MINIMUM_PASSWORD))
        if len(password) > 1000 or len(name) > 120:
            problems.append(gettext("Name: at most 120 characters. Password: at most 1000."))
        if problems:
            return None, problems
        try:
            user = self.people.add(wanted, name.strip() or wanted, self.hasher.hash(password), self.now())
        except LoginTaken:
            return None, [gettext("Login: choose another one.")]
        self.store.note(user.id, "signed_up", self.now())
        return user, []
