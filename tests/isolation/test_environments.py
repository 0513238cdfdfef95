"""Environments start warm, start cold when they must, and end when their owner does."""

from __future__ import annotations

import errno
import os
import select
import signal
from pathlib import Path
from typing import Any

import pytest


def test_python_asks_for_its_first_invocation_with_boto3_at_hand(isolated: Any) -> None:
    code = """
import boto3
s3, table = boto3.client("s3"), boto3.resource("dynamodb").Table("orders")
print(boto3.__file__, __file__)
def handler(event, context): ...
"""
    result = isolated.run(code)
    assert result["asked"], result
    assert result["output"] == "/var/runtime/boto3/__init__.py /var/task/app.py\n"


def test_code_with_its_own_copy_of_a_library_starts_cold_and_gets_its_own(isolated: Any) -> None:
    result = isolated.run(
        "import urllib3\nprint(urllib3.__file__)\ndef handler(event, context): ...",
        files={"urllib3/__init__.py": ""},
    )
    assert result["asked"], result
    assert result["output"] == "/var/task/urllib3/__init__.py\n"


def test_a_failing_init_is_told_to_the_runtime_api_and_ends_the_process(isolated: Any) -> None:
    result = isolated.run("import nothing_of_that_name")
    assert result["asked"], "the runtime client posts the init error"


def test_a_program_that_cannot_run_is_reported_to_the_runtime_api_not_to_the_log(isolated: Any) -> None:
    result = isolated.run("", command=["/var/task/bootstrap"])
    assert result["asked"], "somebody has to say that it is missing"
    assert result["output"] == ""


def test_any_program_can_be_the_runtime(isolated: Any) -> None:
    result = isolated.run(
        "", command=["/bin/sh", "-c", "echo $GREETING from $PWD"], variables={"GREETING": "hi"}
    )
    assert result["status"] == 0
    assert result["output"] == "hi from /var/task\n"


def test_a_missing_code_directory_is_our_fault_and_said(isolated: Any) -> None:
    with pytest.raises(AssertionError, match=r"EnvironmentFault: .*could not be started"):
        isolated.ask("start", name="../nothing/at/all", files={})


def _descendants(pid: int) -> set[int]:
    children: dict[int, set[int]] = {}
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        children.setdefault(int(fields[1]), set()).add(int(status.parent.name))
    found, waiting = set(), [pid]
    while waiting:
        for child in children.get(waiting.pop(), set()):
            found.add(child)
            waiting.append(child)
    return found


def _all_end(pids: set[int]) -> bool:
    """Wait for processes that are not our children, by descriptors."""
    for pid in pids:
        try:
            descriptor = os.pidfd_open(pid)
        except OSError as error:
            if error.errno not in (errno.ESRCH, errno.EINVAL):
                raise
            continue  # Gone, or (Linux 6.1) ended and not yet buried.
        try:
            if not select.select([descriptor], [], [], 10)[0]:
                return False
        finally:
            os.close(descriptor)
    return True


SLEEPER = (
    "import time, os\nif os.fork() == 0: os.setsid()\nprint('up', flush=True)\nwhile True: time.sleep(60)"
)


@pytest.mark.parametrize("victim", ["owner", "stage one", "spawner", "first process"])
def test_nothing_survives_kill_9_of_any_process_in_the_chain(fresh: Any, victim: str) -> None:
    name = fresh.start(SLEEPER)
    stage_one = fresh.spawner_pid
    everything = _descendants(stage_one) | {stage_one}
    (spawner,) = (pid for pid in everything if _parent(pid) == stage_one)
    below = _descendants(spawner)
    (first,) = (pid for pid in below if _parent(pid) == spawner)
    doomed = {
        "owner": everything,
        "stage one": everything,
        "spawner": everything,
        "first process": below,
    }[victim]
    target = {"owner": fresh.pid, "stage one": stage_one, "spawner": spawner, "first process": first}[victim]
    assert len(below) >= 2, "the function runs"
    os.kill(target, signal.SIGKILL)
    if victim == "owner":
        fresh.process.wait(10)
    assert _all_end(doomed - {stage_one} if victim == "spawner" else doomed)
    if victim == "first process":
        assert fresh.ask("kill", name=name)["signal"] == signal.SIGKILL
        assert fresh.observe('import os\nprint("{}", flush=True)\nos._exit(0)') == {}


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except OSError:
        return 0


def test_an_account_process_takes_its_environments_with_it_and_leaves_the_spawner(fresh: Any) -> None:
    """The spawner serves many accounts; one that dies must not cost the others anything."""
    kept = fresh.start("import time\nwhile True: time.sleep(60)")
    before = _descendants(fresh.spawner_pid)
    account = fresh.ask("account")["pid"]
    its_own = _descendants(fresh.spawner_pid) - before
    assert its_own
    os.kill(account, signal.SIGKILL)
    assert _all_end(its_own)
    assert fresh.ask("usage", name=kept)["memory_peak_mb"] > 0
