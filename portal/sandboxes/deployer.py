"""``python -m portal.sandboxes.deployer``: builds and deploys workspaces, beside the portal that started it.

A process of its own, so that builds hold up no page; it stays for a while, as its start takes longer than
most deployments. What it leaves unfinished when it dies is taken over by the next one.
"""

from __future__ import annotations

import os
import select
import sys
import threading
from collections.abc import Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import structlog

from curriculum.loader import Catalogue
from graders.backend import SandboxBackend
from graders.practice import Progress, deploy
from portal.sandboxes.accounts import PracticeAccounts, place_of
from records.database import Database
from records.practice import LEASE, Deployment, Practice
from sandbox.errors import AccountUnavailable, EnvironmentFault
from sandbox.submissions import Limits, read_zip
from settings import Settings

log = structlog.get_logger()

AT_ONCE = 2
_LOOK_S = 2.0
_IDLE_S = 600.0
# The values a practice deployment gets are those of a grading with this seed: always the same ones.
SEED = 1


def stack_of(slug: str) -> str:
    """The name of a lab's stack in a practice account."""
    return slug


class Deployer:
    """Takes deployments and carries them out, ``AT_ONCE`` at a time."""

    def __init__(self, settings: Settings) -> None:
        home = settings.home
        self._practice = Practice(Database(settings.database), place_of(home))
        self._accounts = PracticeAccounts(
            self._practice, home, settings.isolation, _now, settings.practice_limit, timedelta(days=1)
        )
        self._labs = settings.labs_folder
        self._backend = SandboxBackend(_none, home / "builds", home)
        self._running: dict[Future[None], Deployment] = {}

    def serve(self, orders: int) -> None:
        """Until nothing was ordered for long, or whoever orders on this descriptor is gone."""
        began_to_wait = _now()
        with ThreadPoolExecutor(AT_ONCE) as pool:
            wanted = True
            while wanted or self._running:
                if wanted and len(self._running) < AT_ONCE and (job := self._practice.claim(_now())):
                    self._running[pool.submit(self._carry_out, *job)] = job[0]
                    continue
                for future in [each for each in self._running if each.done()]:
                    del self._running[future]
                    began_to_wait = _now()
                if wanted and select.select([orders], [], [], 0.2 if self._running else _LOOK_S)[0]:
                    wanted = bool(os.read(orders, 4096))
                elif not wanted:
                    threading.Event().wait(0.2)
                if not self._running and _now() - began_to_wait > timedelta(seconds=_IDLE_S):
                    return

    def _carry_out(self, job: Deployment, archive: bytes) -> None:
        over = threading.Event()
        keeper = threading.Thread(target=self._keep, args=(job, over), daemon=True)
        keeper.start()
        try:
            progress = Progress(lambda body: self._tell(job, body))
            done = self._deployed(job, archive, progress)
            self._practice.report(job, progress.as_json(), _now(), "done" if done else "failed")
        finally:
            over.set()

    def _deployed(self, job: Deployment, archive: bytes, progress: Progress) -> bool:
        try:
            account = self._accounts.find(job.user_id)
            if account is None or account.account_id != job.account_id:
                raise AccountUnavailable("The practice account ended before this was deployed.")
            lab = Catalogue(self._labs).get_lab(job.lab)
            submission = read_zip(archive, limits=Limits(unpacked_bytes=lab.manifest.limit_bytes))
            return deploy(lab, submission, account, self._backend, stack_of(lab.slug), SEED, progress)
        except EnvironmentFault as error:
            log.warning("practice_deployment_broke", deployment=job.id, error=str(error))
            progress.problem = ours(str(error))
        except Exception as error:  # The edge of this thread: the learner has to be told.
            log.exception("practice_deployment_failed", deployment=job.id)
            progress.problem = ours(type(error).__name__)
        return False

    def _tell(self, job: Deployment, body: Mapping[str, Any]) -> None:
        self._practice.report(job, body, _now())

    def _keep(self, job: Deployment, over: threading.Event) -> None:
        while not over.wait(LEASE.total_seconds() / 3):
            self._practice.renew(job, _now())


def ours(what: str) -> dict[str, str]:
    """A problem that is not the learner's."""
    return {"message": f"Our environment failed: {what}", "where": "", "what_to_do": "Deploy again."}


def _none() -> Any:
    raise AssertionError("a deployer opens no accounts")


def _now() -> datetime:
    return datetime.now(UTC)


if __name__ == "__main__":
    # Nothing that is run here may read what the portal orders, or keep it from ending.
    _orders = os.dup(sys.stdin.fileno())
    with Path(os.devnull).open() as _nothing:
        os.dup2(_nothing.fileno(), sys.stdin.fileno())
    Deployer(Settings()).serve(_orders)
    # A build that hangs on has no say any more.
    os._exit(0)
