"""Every learner's JupyterLab: started when they come, their files kept in the workspace, ended when idle."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

import structlog

from curriculum.loader import Catalogue, Lab
from records.errors import RecordsError
from records.store import Store
from sandbox.account import Account
from sandbox.errors import BadSubmission, EnvironmentFault
from sandbox.programs.jupyter import JupyterServer
from sandbox.submissions import Limits, pack, read_zip

log = structlog.get_logger()


class TooMany(Exception):
    """As many run as this installation allows."""


@dataclass
class Opened:
    """One learner's JupyterLab for one lab. ``saved`` is what the workspace has of it."""

    user_id: int
    lab: Lab
    server: JupyterServer
    saved: dict[str, bytes] = field(repr=False)
    used_at: float = field(default_factory=time.monotonic)
    trouble: str = ""
    saving: threading.Lock = field(default_factory=threading.Lock)


@dataclass
class Keeper:
    """All of them. ``account`` is a learner's practice account, if there is one to be had."""

    store: Store
    catalogue: Callable[[], Catalogue]
    environment: Callable[[], Path]
    account: Callable[[int], Account | None]
    origin: str
    now: Callable[[], datetime]
    limit: int
    idle_s: float
    _running: dict[tuple[int, str], Opened] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def open(self, user_id: int, slug: str) -> Opened:
        """The learner's JupyterLab for a lab; started with the workspace's files if it does not run.

        Raises:
            TooMany: as many run already as may.
            EnvironmentFault: it can't be started here.
        """
        with self._lock:
            known = self._running.get((user_id, slug))
            if known is not None and not known.server.ended.is_set():
                return known
            self._forget_ended()
            if len(self._running) >= self.limit:
                raise TooMany
            lab = self.catalogue().get_lab(slug)
            files = self._files(user_id, lab)
            server = JupyterServer(self.environment(), files, self.origin, self._account(user_id))
            server.start()
            opened = self._running[user_id, slug] = Opened(user_id, lab, server, dict(files))
            log.info("jupyter_started", user=user_id, lab=slug)
            return opened

    def find(self, user_id: int, slug: str) -> Opened | None:
        """The one that runs, if it does."""
        found = self._running.get((user_id, slug))
        return None if found is None or found.server.ended.is_set() else found

    def save(self, one: Opened) -> None:
        """Bring what changed in JupyterLab into the workspace, as saves of its history.

        Only what differs from the last time is written, so an edit of another file in the portal stays.
        """
        with one.saving:
            limits = Limits(unpacked_bytes=one.lab.manifest.limit_bytes)
            try:
                found = one.server.take_files(limits.unpacked_bytes)
                files = dict(read_zip(pack(found), limits=limits).files) if found else {}
            except BadSubmission as error:
                one.trouble = f"Nothing was saved to your workspace: {error}"
                return
            except ConnectionError as error:
                one.trouble = f"Nothing was saved to your workspace: {error}"
                return
            changed = {path: body for path, body in files.items() if one.saved.get(path) != body}
            gone = [path for path in one.saved if path not in files]
            one.trouble = ""
            if changed or gone:
                self.store.save_files(one.user_id, one.lab.slug, changed, self.now(), deleted=gone)
                one.saved = files

    def end_idle(self, is_current: Callable[[int], bool]) -> None:
        """Save all; end those that nobody uses, and those whose learner's sessions were ended."""
        for one in list(self._running.values()):
            if one.server.ended.is_set():
                continue
            try:
                self.save(one)
                idle_s = time.monotonic() - one.used_at
                if idle_s > self.idle_s or not is_current(one.user_id):
                    log.info("jupyter_ended", user=one.user_id, lab=one.lab.slug, idle_s=round(idle_s))
                    one.server.close()
            except RecordsError as error:
                log.warning("jupyter_not_saved", user=one.user_id, lab=one.lab.slug, error=str(error))
        with self._lock:
            self._forget_ended()

    def close(self) -> None:
        """Save and end all of them, side by side."""

        def end(one: Opened) -> None:
            if not one.server.ended.is_set():
                self.save(one)
                one.server.close()

        with ThreadPoolExecutor(8) as pool:
            list(pool.map(end, list(self._running.values())))

    def _forget_ended(self) -> None:
        for key, one in list(self._running.items()):
            if one.server.ended.is_set():
                del self._running[key]

    def _files(self, user_id: int, lab: Lab) -> Mapping[str, bytes]:
        files = self.store.workspace(user_id, lab.slug)
        if not files and lab.starters:
            files = lab.starter("python" if "python" in lab.starters else lab.starters[0])
            self.store.save_files(user_id, lab.slug, files, self.now())
        return files

    def _account(self, user_id: int) -> Account | None:
        try:
            return self.account(user_id)
        except EnvironmentFault as error:  # Without an account there is a notebook all the same.
            log.warning("jupyter_without_account", user=user_id, error=str(error))
            return None
