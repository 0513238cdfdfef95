"""An account in this process: the real gateway and moto, no server, no functions unless a test adds them."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from moto.core.base_backend import BackendDict

import sandbox.emulator.aws_policies  # noqa: F401 (registers its patch)
from sandbox.emulator import patches
from sandbox.emulator.calls import Handlers
from sandbox.emulator.clock import VirtualClock
from sandbox.emulator.core import AccountCore
from sandbox.emulator.faults import Faults
from sandbox.emulator.gateway.edge import Gateway
from sandbox.emulator.timeline import Timeline
from sandbox.emulator.work import WorkQueue

ACCOUNT_ID = "111122223333"
REGION = "eu-north-1"


class InProcessAccount:
    """What tests hold: ``core``, ``gateway``, in-process clients, and a way to add services."""

    def __init__(self, home: Path) -> None:
        clock = VirtualClock()
        clock.start()
        lock = threading.RLock()
        work = WorkQueue(clock)
        timeline = Timeline(clock.now)
        self.faults = Faults(work, timeline, account_id=ACCOUNT_ID, region=REGION)
        self.gateway = Gateway(clock, timeline, lock, faults=self.faults)
        issued = self.gateway.root_keys(ACCOUNT_ID)
        self.keys = issued.keys
        self.core = AccountCore(
            account_id=ACCOUNT_ID,
            region=REGION,
            home=home,
            gateway_port=4566,
            clock=clock,
            work=work,
            timeline=timeline,
            clients=self.gateway.clients,
            moto=self.gateway.moto,
            guard=self.gateway.guard,
            owner=issued.principal,
            dispatch_lock=lock,
            faults=self.faults,
        )
        work.start()

    def client(self, service: str, region: str = REGION) -> Any:
        """An in-process client of the account's root user."""
        return self.core.clients.client(service, region=region, principal=self.core.owner)

    def add(self, handlers: Handlers) -> None:
        """Let a service's handlers take over."""
        self.gateway.add(handlers)

    def settle(self, timeout_s: float = 10.0) -> None:
        """Wait until nothing runs and nothing is due; fail if that does not happen."""
        found = self.core.work.settle(timeout_s)
        assert found.settled, found
        assert not self.core.work.faults, self.core.work.faults

    def advance(self, seconds: float) -> None:
        """Let account time pass."""
        found = self.core.work.advance(seconds)
        assert found.settled, found
        assert not self.core.work.faults, self.core.work.faults

    def events(self, kind: str) -> list[Any]:
        """What the timeline holds of one kind."""
        return [event for event in self.core.timeline.since() if event.kind == kind]


@pytest.fixture
def account(tmp_path: Path) -> Iterator[InProcessAccount]:
    """An empty account with the real gateway in front of moto."""
    BackendDict.reset()
    patches.apply_all()
    made = InProcessAccount(tmp_path)
    yield made
    made.core.work.stop()
    made.core.clock.stop()
    BackendDict.reset()
