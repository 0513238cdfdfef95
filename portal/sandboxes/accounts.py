"""Practice accounts: one a learner, opened at first use, kept over restarts, ended when nobody uses it.

One and not one a lab: it is the same account in the browser, in JupyterLab and in the learner's own shell,
its keys stay good when they go from lab to lab, and each lab's stack has the lab's name in it.
"""

from __future__ import annotations

import select
import socket
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path

import structlog

from records.practice import Practice, PracticeAccount
from sandbox.errors import AccountUnavailable, EnvironmentFault
from sandbox.isolation.spec import IsolationLevel
from sandbox.providers.emulated import EmulatedAccount, KeptSandboxes
from sandbox.supervisor.client import Wanted
from sandbox.supervisor.wire import Line, NoSuchSandbox

log = structlog.get_logger()

_PREFIX = "practice-"
# How long what opens accounts is kept ready for somebody who looked at the page.
_READY = timedelta(minutes=10)
_OPENING = timedelta(seconds=60)
_TOUCH = timedelta(seconds=30)
_LOOK_AGAIN_S = 0.2
_OPENING_POLL_S = 0.05


def place_of(home: Path) -> str:
    """This machine's home folder, whose supervisor runs the accounts."""
    return f"{socket.gethostname()[:60]}:{home.absolute()}"[:160]


@dataclass
class PracticeAccounts:
    """All of this place. ``isolation`` is the setting; below level 3 none is opened. Safe across threads."""

    practice: Practice
    home: Path
    isolation: str
    now: Callable[[], datetime]
    limit: int
    idle: timedelta
    _known: dict[str, EmulatedAccount] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _preparing: threading.Lock = field(default_factory=threading.Lock)
    _held: Line | None = None
    _held_at: datetime | None = None

    def find(self, user_id: int) -> EmulatedAccount | None:
        """The learner's, if it runs. A note of one that is gone is dropped."""
        record = self.practice.account(user_id)
        if record is None or record.account_id is None:
            return None
        account = self._running(record)
        if account is None:
            self.practice.forget(user_id, record.account_id)
        elif self.now() - record.used_at > _TOUCH:
            self.practice.used(user_id, self.now())
        return account

    def open(self, user_id: int) -> EmulatedAccount:
        """The learner's; a new, empty one if none runs.

        Raises:
            NoRoom: as many are open as this installation allows.
            EnvironmentFault: it can't be started.
        """
        until = time.monotonic() + _OPENING.total_seconds()
        while time.monotonic() < until:
            found = self.find(user_id)
            if found is not None:
                return found
            if self.practice.reserve(user_id, self.now(), self.limit):
                return self._start(user_id)
            record = self.practice.account(user_id)
            if record and record.account_id is None and self.now() - record.opened_at > _OPENING:
                self.practice.forget(user_id, None)
            time.sleep(_OPENING_POLL_S)  # Another request is opening it.
        raise AccountUnavailable("The practice account was not ready in time.")

    def close(self, user_id: int) -> None:
        """End the learner's and everything in it."""
        record = self.practice.account(user_id)
        if record is not None and record.account_id is not None:
            self._end(user_id, record.account_id)

    def reset(self, user_id: int) -> EmulatedAccount:
        """End the learner's and open an empty one.

        Raises:
            NoRoom, EnvironmentFault: as :meth:`open`.
        """
        self.prepare()
        self.close(user_id)
        return self.open(user_id)

    def prepare(self) -> None:
        """Have ready what opens accounts: somebody may want one soon. The first time takes seconds.

        Raises:
            EnvironmentFault: it can't be started.
        """
        with self._preparing:
            if self._held is None or _ended(self._held):
                self._held = self._kept().hold()
            self._held_at = self.now()

    def release(self) -> None:
        """Let go of everything; the accounts stay."""
        with self._preparing:
            if self._held is not None:
                self._held.close()
                self._held = None
        with self._lock:
            known, self._known = self._known, {}
        for account in known.values():
            account.close()

    def sweep(self) -> None:
        """Set right what a restart left behind, and end what nobody uses any more."""
        with self._preparing:
            if self._held and self._held_at and self.now() - self._held_at > _READY:
                self._held.close()
                self._held = None
        records = {_name(record.user_id): record for record in self.practice.accounts()}
        for record in records.values():
            if record.account_id is None:
                if self.now() - record.opened_at > _OPENING:
                    self.practice.forget(record.user_id, None)
            elif self.now() - record.used_at > self.idle and not self._still_used(record):
                log.info("practice_account_idle", user=record.user_id)
                self._end(record.user_id, record.account_id)
        # A note is written before its account is opened, so one without is nobody's.
        noted = {_name(record.user_id) for record in self.practice.accounts()}
        for account in self._kept().running():
            if account.name.startswith(_PREFIX) and account.name not in noted:
                log.info("practice_account_left", name=account.name)
                self._down(account.name)

    def ends_at(self, user_id: int) -> datetime | None:
        """When the learner's ends if nobody uses it until then."""
        record = self.practice.account(user_id)
        return None if record is None else record.used_at + self.idle

    def _start(self, user_id: int) -> EmulatedAccount:
        try:
            wanted = Wanted.named(self.isolation)
            if wanted.minimum < IsolationLevel.NAMESPACES:
                raise EnvironmentFault(
                    "Practice accounts run other people's code, which takes isolation level 3 or above."
                )
            # One of this name without a note is somebody else's, such as of a user whose number came again.
            self._down(_name(user_id))
            account = self._kept().up(_name(user_id))
            self.practice.opened(user_id, account.account_id)
        except BaseException:
            self.practice.forget(user_id, None)
            raise
        with self._lock:
            self._known[account.account_id] = account
        log.info("practice_account_opened", user=user_id, account=account.account_id)
        return account

    def _running(self, record: PracticeAccount) -> EmulatedAccount | None:
        account = self._look(record)
        if account is None:
            time.sleep(_LOOK_AGAIN_S)  # A supervisor under load may be deaf for a moment.
            account = self._look(record)
        assert record.account_id is not None
        with self._lock:
            if account is None:
                gone = self._known.pop(record.account_id, None)
                if gone is not None:
                    gone.close()
                return None
            # The one we know has its clients, which take long to make.
            return self._known.setdefault(record.account_id, account)

    def _look(self, record: PracticeAccount) -> EmulatedAccount | None:
        try:
            found = self._kept().get(_name(record.user_id))
        except NoSuchSandbox:
            return None
        return found if found.account_id == record.account_id else None

    def _still_used(self, record: PracticeAccount) -> bool:
        """Whether somebody called it from outside, past the portal, since it was last looked at."""
        account = self._running(record)
        if account is None:
            return False
        events = account.timeline(record.sequence)
        used = any(
            event["kind"] == "api"
            and not event["detail"].get("environment_id")
            and not account.is_grader_key(str(event["detail"].get("access_key_id", "")))
            for event in events
        )
        if used:
            self.practice.used(record.user_id, self.now(), events[-1]["sequence"])
        return used

    def _end(self, user_id: int, account_id: str) -> None:
        self._down(_name(user_id))
        self.practice.forget(user_id, account_id)
        with self._lock:
            gone = self._known.pop(account_id, None)
        if gone is not None:
            gone.close()

    def _down(self, name: str) -> None:
        try:
            self._kept().down(name)
        except NoSuchSandbox:
            return

    def _kept(self) -> KeptSandboxes:
        return KeptSandboxes(self.home, Wanted.named(self.isolation), say=lambda _: None)


def _name(user_id: int) -> str:
    return f"{_PREFIX}{user_id}"


def _ended(line: Line) -> bool:
    if line.fileno() < 0:
        return True
    poll = select.poll()
    poll.register(line, select.POLLIN | select.POLLRDHUP)
    return bool(poll.poll(0))
