"""What the pages about a practice account ask for."""

from __future__ import annotations

import contextlib
import os
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from itsdangerous import BadSignature, URLSafeTimedSerializer
from sqlalchemy.exc import SQLAlchemyError

from curriculum.loader import Lab
from portal.sandboxes.accounts import PracticeAccounts
from portal.sandboxes.deployer import ours
from records.practice import Deployment, Practice
from sandbox.errors import SandboxError
from sandbox.submissions import pack
from settings import REPOSITORY

log = structlog.get_logger()

_SWEEP_S = 20.0
_PATIENCE_S = 5.0
_STREAM_VALID_S = 6 * 3600


@dataclass
class Deployers:
    """The process that deploys, started when there is something to do. ``environment`` are its settings."""

    environment: Mapping[str, str]
    _process: subprocess.Popen[bytes] | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def call(self) -> None:
        """There is something to deploy."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", "portal.sandboxes.deployer"],
                    stdin=subprocess.PIPE,
                    cwd=REPOSITORY,
                    env={**os.environ, **self.environment},
                    start_new_session=True,
                )
            assert self._process.stdin is not None
            try:
                self._process.stdin.write(b".")
                self._process.stdin.flush()
            except BrokenPipeError:
                log.warning("deployer_ended")  # The next look at what waits starts another one.

    def close(self) -> None:
        """Let it finish what it does and end."""
        with self._lock:
            process, self._process = self._process, None
        if process is not None and process.stdin is not None:
            process.stdin.close()
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(_PATIENCE_S)


@dataclass
class PracticeService:
    """Practice accounts and what is deployed into them."""

    practice: Practice
    accounts: PracticeAccounts
    deployers: Deployers
    streams: URLSafeTimedSerializer
    now: Callable[[], datetime]
    # Where learners on other machines forward their account's port from; empty: they can't.
    ssh: str = ""
    _over: threading.Event = field(default_factory=threading.Event)
    _keeper: threading.Thread | None = None

    def deploy(self, user_id: int, lab: Lab, files: Mapping[str, bytes]) -> Deployment:
        """Queue a deployment of these files; opens the account if there is none.

        Raises:
            NoRoom, Deploying: not now.
            EnvironmentFault: no account can be started.
        """
        account = self.accounts.open(user_id)
        queued = self.practice.queue(user_id, account.account_id, lab.slug, pack(files), self.now())
        self.deployers.call()
        return queued

    def token(self, user_id: int) -> str:
        """What the address of a learner's event stream carries."""
        return str(self.streams.dumps(user_id))

    def user_of(self, token: str) -> int | None:
        """Whose stream a token is for, while it is valid."""
        try:
            return int(self.streams.loads(token, max_age=_STREAM_VALID_S))
        except (BadSignature, ValueError, TypeError):
            return None

    def prepare(self) -> None:
        """Begin to have ready what opens accounts, and return at once."""

        def prepare() -> None:
            try:
                self.accounts.prepare()
            except SandboxError:
                log.exception("practice_accounts_not_prepared")  # Opening one will say so to the learner.

        threading.Thread(target=prepare, name="practice-prepare", daemon=True).start()

    def keep(self) -> None:
        """Begin to look after the accounts; safe to call again."""
        if self._keeper is None:
            self._keeper = threading.Thread(target=self._look_after, name="practice", daemon=True)
            self._keeper.start()

    def look_after(self) -> None:
        """Once: what a dead process left is taken up or given up, and idle accounts end."""
        self.practice.give_up(self.now(), {"problem": ours("it was interrupted again and again")})
        if self.practice.waiting(self.now()):
            self.deployers.call()
        self.accounts.sweep()

    def close(self) -> None:
        """Stop looking after them. The accounts stay."""
        self._over.set()
        self.deployers.close()
        self.accounts.release()

    def _look_after(self) -> None:
        while True:
            try:
                self.look_after()
            except (SandboxError, SQLAlchemyError, OSError):
                log.exception("practice_accounts_not_swept")
            if self._over.wait(_SWEEP_S):
                return
