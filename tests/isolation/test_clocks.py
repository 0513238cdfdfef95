"""Environments see the time that their owner says, from their first byte and after a rest."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from sandbox.isolation import kernel, vdso
from sandbox.isolation.vdso import Clocks, ClockUnavailable

DAY_S = 86_400
HERE = Clocks()
pytestmark = pytest.mark.skipif(not HERE.work(), reason=f"no clocks of their own here: {HERE.reason}")

TELL = """
import json, time
print(json.dumps({"time": time.time(), "monotonic": time.monotonic()}), flush=True)
def handler(event, context): ...
"""
TELL_AGAIN = """
import json, time
seen = time.time()
while time.time() - seen < 3600:
    time.sleep(0.005)
print(json.dumps({"time": time.time()}), flush=True)
def handler(event, context): ...
"""


def test_a_fork_sees_its_clock_from_its_first_byte(isolated: Any) -> None:
    told = isolated.observe(TELL, clock_ahead_s=3 * DAY_S)

    assert abs(told["time"] - time.time() - 3 * DAY_S) < 5
    assert abs(told["monotonic"] - time.monotonic()) < 5


def test_an_interpreter_that_starts_cold_sees_its_clock_too(isolated: Any) -> None:
    told = isolated.observe(TELL, files={"urllib3/__init__.py": ""}, clock_ahead_s=3 * DAY_S)

    assert abs(told["time"] - time.time() - 3 * DAY_S) < 5


def test_any_program_sees_its_clock(isolated: Any) -> None:
    result = isolated.run("", command=["/bin/date", "+%s"], clock_ahead_s=3 * DAY_S)

    assert abs(int(result["output"]) - time.time() - 3 * DAY_S) < 5


def test_a_program_that_cannot_run_is_still_reported(isolated: Any) -> None:
    result = isolated.run("", command=["/var/task/bootstrap"], clock_ahead_s=DAY_S)

    assert result["asked"], "somebody has to say that it is missing"


@pytest.mark.parametrize("first_s", [0, DAY_S])
def test_a_clock_is_moved_while_it_rests(isolated: Any, first_s: float) -> None:
    name = isolated.start(TELL_AGAIN, clock_ahead_s=first_s)
    assert not isolated.ask("printed", name=name, timeout_s=0.1)["value"]
    isolated.ask("freeze", name=name)

    assert isolated.ask("set_clock", name=name, ahead_s=5 * DAY_S)["value"]

    assert isolated.ask("clock", name=name)["value"] == 5 * DAY_S
    isolated.ask("thaw", name=name)
    assert isolated.ask("printed", name=name, timeout_s=10)["value"]
    told = json.loads(isolated.ask("kill", name=name)["output"].splitlines()[0])
    assert abs(told["time"] - time.time() - 5 * DAY_S) < 5


def test_a_clock_is_not_moved_while_it_runs(isolated: Any) -> None:
    name = isolated.start(TELL_AGAIN)

    assert not isolated.ask("set_clock", name=name, ahead_s=DAY_S)["value"]
    assert isolated.ask("clock", name=name)["value"] == 0
    isolated.ask("kill", name=name)


HIDES_ITS_PAGE = """
import ctypes, time
libc = ctypes.CDLL(None, use_errno=True)
maps = open("/proc/self/maps").read().splitlines()
begin, end = (int(part, 16) for part in next(line for line in maps if "[vdso]" in line).split()[0].split("-"))
libc.munmap(ctypes.c_void_p(begin), ctypes.c_size_t(end - begin))
libc.write(1, b"gone\\n", 5)
libc.pause()
"""


def test_a_function_that_takes_its_page_away_only_loses_its_clock(isolated: Any) -> None:
    name = isolated.start(HIDES_ITS_PAGE)
    assert isolated.ask("printed", name=name, timeout_s=10)["value"]
    isolated.ask("freeze", name=name)

    assert not isolated.ask("set_clock", name=name, ahead_s=DAY_S)["value"]

    assert isolated.observe(TELL, clock_ahead_s=DAY_S)["time"] > time.time() + DAY_S / 2
    isolated.ask("kill", name=name)


def test_a_process_that_stands_where_the_code_changes_is_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    image = vdso.find()
    at = image.jumps[0][0]
    base = vdso._base("/proc/self/auxv")
    sleeper = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
    try:
        theirs = _base_when_running(sleeper.pid)
        monkeypatch.setattr(vdso, "_at", lambda _pid: [theirs + at + 2])

        with pytest.raises(ClockUnavailable, match="while it asked for the time"):
            image.shift(sleeper.pid, 10.0)

        with open(f"/proc/{sleeper.pid}/mem", "rb", buffering=0) as memory:
            found = os.pread(memory.fileno(), 5, theirs + at)
        assert found == image.jumps[0][1]
    finally:
        sleeper.kill()
        sleeper.wait()
    assert base


def _base_when_running(pid: int) -> int:
    """Where its page is, once it has become the other program."""
    until = time.monotonic() + 10
    while b"pause" not in Path(f"/proc/{pid}/cmdline").read_bytes():
        assert time.monotonic() < until
    return vdso._base(f"/proc/{pid}/auxv")


def test_a_machine_that_the_code_is_not_for_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(kernel, "MACHINE", "riscv64")
    clocks = Clocks()

    assert not clocks.work()
    assert "riscv64" in clocks.reason


@pytest.mark.parametrize(
    ("ahead_s", "words"),
    [(0.0, (0, 0, 0)), (1.5, (1, 500_000_000, 500_000)), (86_400.000001, (86_400, 1_000, 1))],
)
def test_the_words_beside_the_code(ahead_s: float, words: tuple[int, int, int]) -> None:
    assert vdso._DATA.unpack(vdso._data(ahead_s))[:3] == words
