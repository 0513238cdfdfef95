"""Signing in and up, with passwords and by mail."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cached_property

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError
from flask_babel import gettext

from portal.errors import TooManyTries
from portal.mailing import Postman
from records.errors import LoginTaken, NotFound
from records.mails import MailLink, Mails
from records.people import People, User
from records.sessions import Sessions
from records.store import Store

WINDOW = timedelta(minutes=15)
TRIES_PER_LOGIN = 8
TRIES_PER_ADDRESS = 30
MAILS_PER_ADDRESS = 5
MAILS_PER_CALLER = 20
MINIMUM_PASSWORD = 10
MAXIMUM_PASSWORD = 1000
LINK_VALID = timedelta(hours=2)
_LOGIN = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,118}")
_EMAIL = re.compile(
    r"[^@\s\"<>(),:;\\]{1,64}@[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+"
)
# What common passwords are made of, besides digits and punctuation.
_COMMON = frozenset(
    {"password", "passwort", "passw", "qwerty", "qwertz", "qwertyuiop", "qwertzuiop", "asdfghjkl", "letmein"}
    | {
        "iloveyou",
        "welcome",
        "willkommen",
        "admin",
        "administrator",
        "coldstart",
        "football",
        "dragon",
        "monkey",
    }
    | {
        "sunshine",
        "princess",
        "hallo",
        "hello",
        "abc",
        "abcdef",
        "abcdefghij",
        "changeme",
        "geheim",
        "secret",
        "",
    }
)


@dataclass(frozen=True)
class Accounts:
    """Local accounts. A wrong login costs the same time as a wrong password.

    ``url`` is where the portal is reached, without a slash at its end; mails lead there, whatever a request
    says it was sent to.
    """

    people: People
    sessions: Sessions
    store: Store
    mails: Mails
    postman: Postman
    now: Callable[[], datetime]
    url: str
    sign_up_open: bool = True
    verify_email: bool = True
    hasher: PasswordHasher = field(default_factory=PasswordHasher)

    @cached_property
    def _decoy(self) -> str:
        """Compared with where there is nothing to compare with, so that this takes as long."""
        return self.hasher.hash("no account has this password")

    def active(self, user_id: int) -> User | None:
        """The user, unless the account is gone or closed."""
        try:
            user = self.people.get(user_id)
        except NotFound:
            return None
        return user if user.disabled_at is None else None

    # --- passwords

    def sign_in(self, login: str, password: str, address: str) -> User | None:
        """The user, or None when login and password do not belong together.

        Raises:
            TooManyTries: this login or this address failed too often of late.
        """
        wanted, now = login.strip().casefold()[:254], self.now()
        subjects = {f"login:{wanted[:120]}": TRIES_PER_LOGIN, f"address:{address}": TRIES_PER_ADDRESS}
        self._refuse_too_many(subjects)
        user = self.people.find(wanted) or self.people.by_email(wanted)
        if not self.knows(user, password) or user is None:
            self.people.note_failure(list(subjects), now)
            return None
        if self.hasher.check_needs_rehash(str(user.password_hash)):
            self.people.change(user.id, password_hash=self.hasher.hash(password))
        self.store.note(user.id, "signed_in", now, address=address)
        return user

    def knows(self, user: User | None, password: str) -> bool:
        """Whether that is the user's password; takes as long for nobody's."""
        decoy = self._decoy
        usable = user is not None and user.password_hash and user.disabled_at is None
        stored = user.password_hash if user and usable else decoy
        try:
            return self.hasher.verify(str(stored), password[: MAXIMUM_PASSWORD + 1]) and bool(usable)
        except (VerificationError, InvalidHashError):
            return False

    def problems_of(self, password: str, *names: str) -> list[str]:
        """What is wrong with a password for somebody of these names."""
        if len(password) < MINIMUM_PASSWORD:
            return [gettext("Password: at least %(number)s characters.", number=MINIMUM_PASSWORD)]
        if len(password) > MAXIMUM_PASSWORD:
            return [gettext("Password: at most %(number)s characters.", number=MAXIMUM_PASSWORD)]
        words = re.sub(r"[\W\d_]+", "", password.casefold())
        own = {
            re.sub(r"[\W\d_]+", "", part)
            for name in names
            for part in (name.casefold(), name.casefold().split("@")[0])
        }
        if len(set(password)) < 5 or words in _COMMON | own:
            return [gettext("Password: this one is among the first that somebody would try.")]
        return []

    def set_password(self, user: User, password: str) -> list[str]:
        """Give a user another password, or say what is wrong with it."""
        problems = self.problems_of(password, user.login, user.name, user.email or "")
        if not problems:
            self.people.change(user.id, password_hash=self.hasher.hash(password))
            self.store.note(user.id, "password_changed", self.now())
        return problems

    # --- signing up

    def sign_up(self, login: str, name: str, password: str) -> tuple[User | None, list[str]]:
        """A new learner without an address, or everything that is wrong with what was entered."""
        wanted = login.strip().casefold()
        problems = []
        if not _LOGIN.fullmatch(wanted):
            problems.append(
                gettext("Login: two or more letters, digits or . _ - @ +, beginning with a letter or digit.")
            )
        problems += self._name_problems(name) + self.problems_of(password, wanted, name)
        if problems:
            return None, problems
        try:
            user = self.people.add(wanted, name.strip() or wanted, self.hasher.hash(password), self.now())
        except LoginTaken:
            return None, [gettext("Login: choose another one.")]
        self.store.note(user.id, "signed_up", self.now())
        return user, []

    def ask_to_sign_up(self, email: str, name: str, password: str, address: str) -> list[str]:
        """Mail a link that makes the account, or say what is wrong with what was entered.

        Whoever has an account already is told so by that mail, and nobody else is.
        """
        wanted = email.strip().casefold()
        problems = [] if self.is_email(wanted) else [gettext("E-mail: this is no address.")]
        problems += self._name_problems(name) + self.problems_of(password, wanted, name)
        if problems:
            return problems
        self._count_mail(wanted, address)
        # Hashed in any case, so that both take as long.
        body = {"name": name.strip() or wanted.split("@")[0], "password_hash": self.hasher.hash(password)}
        if self.people.by_email(wanted) or self.people.find(wanted):
            self._mail(
                wanted,
                gettext("You have an account already"),
                gettext("Somebody, probably you, wanted to create an account. This address has one already."),
                f"{self.url}/sign-in",
            )
            return []
        token = self.mails.make_link("sign-up", wanted, self.now(), LINK_VALID, body=body)
        self._mail(
            wanted,
            gettext("Confirm your address"),
            gettext("Open this link to create your account. It works once, for two hours."),
            f"{self.url}/sign-up/confirm/{token}",
        )
        return []

    def finish_sign_up(self, token: str) -> User | None:
        """The account of a link that was mailed; None when the link is no longer good."""
        link = self.mails.use_link(token, "sign-up", self.now())
        if link is None:
            return None
        now = self.now()
        try:
            user = self.people.add(
                link.email, link.body["name"], link.body["password_hash"], now, email=link.email
            )
        except LoginTaken:
            return None
        self.store.note(user.id, "signed_up", now)
        return user

    # --- what mails are for

    def ask_for_reset(self, email: str, address: str) -> None:
        """Mail a link to choose a new password, if somebody has that address."""
        wanted = email.strip().casefold()
        if not self.is_email(wanted):
            return
        self._count_mail(wanted, address)
        user = self.people.by_email(wanted)
        if user is None or user.disabled_at is not None:
            return
        token = self.mails.make_link("reset", wanted, self.now(), LINK_VALID, user_id=user.id)
        self._mail(
            wanted,
            gettext("Choose a new password"),
            gettext("Open this link to choose a new password. It works once, for two hours."),
            f"{self.url}/sign-in/reset/{token}",
        )

    def reset(self, token: str, password: str) -> tuple[User | None, list[str]]:
        """Give the user of a mailed link a new password and end their sessions."""
        link = self.mails.look_at_link(token, "reset", self.now())
        user = self._of(link)
        if user is None:
            return None, []
        problems = self.problems_of(password, user.login, user.name)
        if problems:
            return user, problems
        if self.mails.use_link(token, "reset", self.now()) is None:
            return None, []
        self.set_password(user, password)
        self.end_all(user.id)
        return self.people.get(user.id), []

    def ask_to_change_email(self, user: User, email: str, address: str) -> list[str]:
        """Mail a link to a new address."""
        wanted = email.strip().casefold()
        if not self.is_email(wanted):
            return [gettext("E-mail: this is no address.")]
        self._count_mail(wanted, address)
        if self.people.by_email(wanted):
            return []
        token = self.mails.make_link("change", wanted, self.now(), LINK_VALID, user_id=user.id)
        self._mail(
            wanted,
            gettext("Confirm your address"),
            gettext(
                "Open this link to use this address for your account %(login)s. It works once, for 2 hours.",
                login=user.login,
            ),
            f"{self.url}/account/email/{token}",
        )
        return []

    def change_email(self, user: User, token: str) -> bool:
        """Take the address of a mailed link, and tell the one before. False: the link is no longer good."""
        link = self.mails.look_at_link(token, "change", self.now())
        if link is None or link.user_id != user.id:
            return False
        self.mails.use_link(token, "change", self.now())
        try:
            self.people.change(user.id, email=link.email)
        except LoginTaken:
            return False
        if user.email:
            self._mail(
                user.email,
                gettext("Your address was changed"),
                gettext(
                    "Your account %(login)s has another address now. Not you? Ask whoever runs the portal.",
                    login=user.login,
                ),
                f"{self.url}/sign-in",
            )
        self.store.note(user.id, "email_changed", self.now(), before=user.email or "")
        return True

    def end_all(self, user_id: int, but: int | None = None) -> None:
        """End a user's sessions, but perhaps one. Without an exception what was opened from them ends too."""
        self.sessions.end_all(user_id, but)
        if but is None:
            self.people.end_sessions(user_id)

    def limit(self, what: str, who: str, most: int) -> None:
        """Count something that may be done so often in a quarter of an hour; raises TooManyTries."""
        subject = f"{what}:{who}"[:200]
        self._refuse_too_many({subject: most})
        self.people.note_failure([subject], self.now())

    @staticmethod
    def is_email(text: str) -> bool:
        """Whether a text is an address that we would write to."""
        return len(text) <= 254 and bool(_EMAIL.fullmatch(text))

    def _of(self, link: MailLink | None) -> User | None:
        return self.active(link.user_id) if link is not None and link.user_id is not None else None

    def _name_problems(self, name: str) -> list[str]:
        return [gettext("Name: at most 120 characters.")] if len(name) > 120 else []

    def _refuse_too_many(self, subjects: dict[str, int]) -> None:
        since = self.now() - WINDOW
        if any(self.people.failures([item], since) >= most for item, most in subjects.items()):
            raise TooManyTries

    def _count_mail(self, email: str, address: str) -> None:
        subjects = {f"mail:{email[:180]}": MAILS_PER_ADDRESS, f"mails:{address}": MAILS_PER_CALLER}
        self._refuse_too_many(subjects)
        self.people.note_failure(list(subjects), self.now())

    def _mail(self, to: str, subject: str, text: str, link: str) -> None:
        foot = gettext("If this was not you, there is nothing to do.")
        self.postman.post(to, subject, f"{text}\n\n{link}\n\n{foot}\n\n-- \nColdstart, {self.url}\n")
