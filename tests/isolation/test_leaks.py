"""Thousands of environments later, nothing is left of them: descriptors, processes, groups, mounts."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from sandbox.isolation.hierarchy import Hierarchies

ENDS = (
    "import os; os._exit(0)",
    "while True: pass",
    "import os\nif os.fork() == 0: os.setsid()\nwhile True: pass",
)


def _left(isolated: Any) -> dict[str, int]:
    """What the spawner's processes and the kernel hold for it."""
    stage_one = isolated.spawner_pid
    (spawner,) = _children(stage_one)
    groups = sum(len([*base.glob("*/")]) for base in _bases(stage_one))
    return {
        "descriptors of the owner": len(os.listdir(f"/proc/{isolated.pid}/fd")),
        "descriptors of stage one": len(os.listdir(f"/proc/{stage_one}/fd")),
        "descriptors of the spawner": len(os.listdir(f"/proc/{spawner}/fd")),
        "processes, zombies included": len(_children(spawner)),
        "groups": groups,
        "mounts of the spawner": len(Path(f"/proc/{spawner}/mountinfo").read_text().splitlines()),
        "mounts of the machine": len(Path("/proc/self/mountinfo").read_text().splitlines()),
    }


def _children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def _bases(stage_one: int) -> list[Path]:
    found = Hierarchies.read()
    places = {place for name in found.mounts for place in found.upwards(name)}
    return [base for place in places for base in place.glob(f"coldstart-{stage_one}") if base.is_dir()]


def _memory_kb(pid: int) -> int:
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise AssertionError("no such line")


def _churn(isolated: Any, rounds: int) -> None:
    for number in range(rounds):
        name = isolated.start(ENDS[number % len(ENDS)], memory_mb=128, tmp_mb=16)
        if number % 5 == 0:
            isolated.ask("freeze", name=name)
        isolated.ask("kill", name=name)


def _settled(isolated: Any, before: dict[str, int]) -> dict[str, int]:
    """Burying is done a moment after the owner sees the end; starting one more takes that turn."""
    for _ in range(100):
        _churn(isolated, 1)
        if (after := _left(isolated)) == before:
            return after
    return after


def _check(isolated: Any, rounds: int) -> None:
    _churn(isolated, 10)
    before = _left(isolated)
    (spawner,) = _children(isolated.spawner_pid)
    memory_kb = _memory_kb(spawner)
    _churn(isolated, rounds)
    assert _settled(isolated, before) == before
    assert _memory_kb(spawner) < memory_kb + 2048


def test_a_few_environments_leave_nothing(isolated: Any) -> None:
    _check(isolated, 15)


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_two_thousand_environments_leave_nothing(isolated: Any) -> None:
    _check(isolated, 2000)
