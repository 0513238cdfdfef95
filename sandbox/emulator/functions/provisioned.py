"""Provisioned concurrency: environments that are initialised before anybody asks for them.

Source: https://docs.aws.amazon.com/lambda/latest/dg/provisioned-concurrency.html
"""

from __future__ import annotations

import datetime as dt
import threading
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum

from sandbox.emulator.calls import AwsError
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions.fleet import Fleet
from sandbox.emulator.functions.names import FunctionName
from sandbox.emulator.functions.store import FunctionStore, FunctionVersion

# Environments that are really kept ready in an account; what is provisioned beyond starts on demand.
KEPT_READY_LIMIT = 16
INIT_FAILED = "FUNCTION_ERROR_INIT_FAILURE"

# Starts an environment of a version and leaves it ready; whether its init went well.
Prepare = Callable[[FunctionVersion], bool]


class Status(StrEnum):
    IN_PROGRESS = "IN_PROGRESS"
    READY = "READY"
    FAILED = "FAILED"


@dataclass(frozen=True, slots=True)
class Provision:
    """What was asked for a version or an alias, and how far it is. ``version`` is a version's number."""

    name: FunctionName
    version: str
    wanted: int
    modified: dt.datetime
    status: Status = Status.IN_PROGRESS
    ready: int = 0
    reason: str = ""


class Provisions:
    """Keeps what was asked for, and environments ready accordingly. Safe across threads."""

    def __init__(self, core: AccountCore, store: FunctionStore, fleet: Fleet, prepare: Prepare) -> None:
        self._core = core
        self._store = store
        self._fleet = fleet
        self._prepare = prepare
        self._kept: dict[FunctionName, Provision] = {}
        self._lock = threading.Lock()
        fleet.on_lost = self._replace

    def of(self, name: FunctionName) -> list[Provision]:
        """All of a function, by qualifier."""
        found = [kept for kept in list(self._kept.values()) if kept.name.arn == name.arn]
        return sorted(found, key=lambda kept: kept.name.qualifier)

    def find(self, name: FunctionName) -> Provision | None:
        """What was asked for a qualifier."""
        return self._kept.get(name)

    def put(self, name: FunctionName, version: str, wanted: int) -> Provision:
        """Have ``wanted`` environments of a version ready; returns at once."""
        made = Provision(name, version, wanted, self._core.clock.now())
        before = self._kept.get(name)
        with self._lock:
            self._kept = {**self._kept, name: made}
        if before is not None and before.version != version:
            self._fleet.release(name, before.version)
        self._later(made)
        return made

    def forget(self, name: FunctionName) -> None:
        """Nothing is kept ready any more for a qualifier; unqualified: for the whole function."""
        with self._lock:
            gone = [
                kept
                for key, kept in self._kept.items()
                if key.arn == name.arn and name.qualifier in ("", key.qualifier)
            ]
            self._kept = {key: kept for key, kept in self._kept.items() if kept not in gone}
        for each in gone:
            self._fleet.release(each.name, each.version)

    def _later(self, provision: Provision) -> None:
        name = provision.name
        self._core.work.submit(
            lambda: self._fill(name), label=f"lambda {name.name}:{name.qualifier} (provisioned)"
        )

    def _replace(self, version: FunctionVersion) -> None:
        """An environment that was kept ready is gone."""
        for kept in list(self._kept.values()):
            name = kept.name
            if (name.account_id, name.region, name.name, kept.version) == (
                version.account_id,
                version.region,
                version.name,
                version.version,
            ):
                self._later(kept)

    def _fill(self, name: FunctionName) -> None:
        provision = self._kept.get(name)
        if provision is None:
            return
        try:
            version = self._store.resolve(name.at(provision.version)).version
        except AwsError:
            return  # Deleted in the meantime.
        reason = ""
        while not reason and self._missing(provision):
            if not self._prepare(version):
                reason = INIT_FAILED
        if self._kept.get(name) is not provision:
            # Something else was asked for meanwhile; what was begun before is not kept for nobody.
            if not any(kept.version == provision.version for kept in self.of(name)):
                self._fleet.release(name, provision.version)
            return
        ready = self._fleet.provisioned(name, provision.version)
        self._settle(
            replace(
                provision,
                status=Status.FAILED if reason and not ready else Status.READY,
                ready=provision.wanted if not reason else ready,
                reason=reason,
            ),
            provision,
        )

    def _missing(self, provision: Provision) -> bool:
        if self._kept.get(provision.name) is not provision:
            return False  # Something else was asked for since.
        if self._fleet.provisioned_count() >= KEPT_READY_LIMIT:
            return False
        return self._fleet.provisioned(provision.name, provision.version) < provision.wanted

    def _settle(self, now: Provision, before: Provision) -> None:
        with self._lock:
            if self._kept.get(now.name) is before:
                self._kept = {**self._kept, now.name: now}
