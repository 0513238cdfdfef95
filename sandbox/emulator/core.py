"""What every part of an account is built on; handed to each by its constructor."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from sandbox.emulator.calls import Call, Principal
from sandbox.emulator.clock import VirtualClock
from sandbox.emulator.faults import Faults
from sandbox.emulator.iam.enforcement import Guard
from sandbox.emulator.timeline import Timeline
from sandbox.emulator.work import WorkQueue


class Clients(Protocol):
    """Makes in-process AWS clients: same API as boto3, no socket, through the gateway."""

    def client(self, service: str, *, region: str, principal: Principal) -> Any:
        """A botocore client whose calls are made as ``principal``. Cached; safe across threads."""


@dataclass(slots=True)
class AccountCore:
    """The shared parts of one account process.

    ``account_id`` is the learner's account; other account ids (fixtures) live in the same process.
    ``dispatch_lock`` guards moto: hold it around any touch of a moto backend, never while
    learner code runs or while waiting for anything. ``home`` is this account's scratch directory.
    ``gateway_port`` is the TCP port the gateway answers on at 127.0.0.1, outside and (same number)
    inside every execution environment, so that URLs mean the same in both.
    """

    account_id: str
    region: str
    home: Path
    gateway_port: int
    clock: VirtualClock
    work: WorkQueue
    timeline: Timeline
    clients: Clients
    moto: Callable[[Call], dict[str, Any]]
    """Has moto perform a call that a handler took over: its output members; AwsError when it refuses."""
    guard: Guard
    """Decides what callers and services may do, and keeps what was decided."""
    owner: Principal
    """The learner account's root user, as whom the learner deploys."""
    dispatch_lock: threading.RLock = field(default_factory=threading.RLock)
    faults: Faults = field(default_factory=Faults)
    """What is broken at the moment, on purpose."""
