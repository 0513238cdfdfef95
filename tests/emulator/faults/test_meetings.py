"""Calls of functions that wait for each other."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.emulator.calls import Call
from sandbox.emulator.faults import Faults
from sandbox.emulator.faults.meetings import Meetings


@dataclass
class Crowd:
    """Functions under way; each that comes is remembered when it may go on."""

    account: Any
    running: int = 0
    faults: Faults = field(default_factory=Faults)
    pool: ThreadPoolExecutor = field(default_factory=lambda: ThreadPoolExecutor(8))

    def __post_init__(self) -> None:
        self.faults.begin("calls.meet", {"operation": "s3:PutObject"})
        self.meetings = Meetings(self.faults, lambda: self.running)

    def comes(self, environment: str, operation: str = "PutObject") -> Future[None]:
        core = self.account.core
        call = Call("s3", operation, {}, core.owner, core.account_id, core.region, "r", environment)
        return self.pool.submit(self.meetings.attend, call)


@pytest.fixture
def crowd(account: Any) -> Crowd:
    return Crowd(account)


def test_one_alone_goes_on(crowd: Crowd) -> None:
    crowd.running = 1
    crowd.comes("a").result(timeout=2)


def test_calls_wait_until_all_have_come_or_ended(crowd: Crowd) -> None:
    crowd.running = 3
    first, second = crowd.comes("a"), crowd.comes("b")
    crowd.comes("c", "GetObject").result(timeout=2)
    assert not first.done()
    assert not second.done()

    crowd.running = 2  # c has ended

    first.result(timeout=2)
    second.result(timeout=2)


def test_who_was_let_go_does_not_count_for_the_next_meeting(crowd: Crowd) -> None:
    crowd.running = 2
    for each in (crowd.comes("a"), crowd.comes("b")):
        each.result(timeout=2)
    again = crowd.comes("a")
    assert not again.done()
    crowd.comes("b").result(timeout=2)
    again.result(timeout=2)


def test_without_the_fault_and_from_outside_nobody_waits(crowd: Crowd) -> None:
    crowd.running = 2
    crowd.comes("").result(timeout=2)
    crowd.faults.clear()
    crowd.comes("a").result(timeout=2)
