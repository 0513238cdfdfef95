"""Levels 2 and 1: for machines without namespaces, asked for explicitly, and for trusted code only."""

from __future__ import annotations

import os
import select
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.isolation import levels
from tests.isolation.conftest import needs_linux, open_isolated

ROOT = Path(__file__).resolve().parents[2]

ATTEMPT = """
import json, os, signal, socket, sys
def attempt(act):
    try:
        return "done: %r" % (act(),)
    except Exception as error:
        return "refused: " + type(error).__name__
def say(**what):
    print(json.dumps(what), flush=True)
    os._exit(0)
"""


@pytest.fixture(scope="module", params=[2, 1])
def lower(request: pytest.FixtureRequest) -> Iterator[Any]:
    """A spawner of a lower level, as an ordinary user where that can be had."""
    needs_linux()
    worked = {step.name: step.worked for step in levels.probe().steps}
    if request.param == 2 and not worked.get("Landlock files, TCP and signals"):
        pytest.skip("this kernel has no Landlock")
    yield from open_isolated(as_nobody=os.geteuid() == 0, level=request.param)


@pytest.fixture
def landlocked(lower: Any) -> Any:
    """Level 2 alone."""
    if lower.level != 2:
        pytest.skip("level 1 keeps nothing in")
    return lower


def test_python_runs_warm_with_boto3_at_hand(lower: Any) -> None:
    result = lower.run("import boto3\nboto3.client('s3')\nprint('up')\ndef handler(event, context): ...")
    assert result["asked"], result
    assert result["output"] == "up\n"


def test_code_with_its_own_copy_of_a_library_starts_cold(lower: Any) -> None:
    result = lower.run(
        "import urllib3\nprint(urllib3.__file__)\ndef handler(event, context): ...",
        files={"urllib3/__init__.py": ""},
    )
    assert result["asked"], result
    assert result["output"].endswith("urllib3/__init__.py\n")


def test_promised_addresses_and_places_are_replaced_by_real_ones(lower: Any) -> None:
    seen = lower.observe(
        ATTEMPT
        + """
open("/".join([os.environ["TMPDIR"], "mine"]), "w").write("x")
say(
    endpoint=os.environ["AWS_ENDPOINT_URL"],
    api=os.environ["AWS_LAMBDA_RUNTIME_API"],
    task=os.path.isfile(os.environ["LAMBDA_TASK_ROOT"] + "/app.py"),
    connected=attempt(lambda: socket.create_connection(
        ("127.0.0.1", int(os.environ["AWS_ENDPOINT_URL"].rsplit(":", 1)[1])), 5).close()),
)
""",
        variables={"AWS_ENDPOINT_URL": "http://127.0.0.1:4566"},
    )
    assert not seen["endpoint"].endswith(":4566")
    assert not seen["api"].endswith(":9001")
    assert (seen["task"], seen["connected"]) == (True, "done: None")


def test_any_program_can_be_the_runtime(lower: Any) -> None:
    result = lower.run("", command=["/bin/sh", "-c", "echo $GREETING"], variables={"GREETING": "hi"})
    assert (result["status"], result["output"]) == (0, "hi\n")


def test_memory_is_limited(lower: Any) -> None:
    result = lower.run("held = bytearray(4 << 30)\nfor i in range(0, len(held), 4096): held[i] = 1")
    assert not result["asked"] or result["out_of_memory"] or b"MemoryError" in result["output"].encode()
    assert result["memory_peak_mb"] < 1024


def test_a_daemon_ends_with_its_environment(lower: Any) -> None:
    name = lower.start(
        """
import os, time
reader, writer = os.pipe()
if os.fork() == 0:
    os.setsid()
    if os.fork():
        os._exit(0)
    print(os.getpid(), flush=True)
    os.write(writer, b"said")
    while True:
        time.sleep(60)
os.read(reader, 4)
def handler(event, context): ...
"""
    )
    lower.ask("wait", name=name)

    result = lower.ask("kill", name=name)

    assert result["output_ended"], "the last writer of its output is gone"
    daemon = int(result["output"])
    assert not Path(f"/proc/{daemon}").exists()


def test_files_of_the_machine_can_neither_be_read_nor_written(landlocked: Any) -> None:
    seen = landlocked.observe(
        ATTEMPT
        + f"""
say(
    secret=attempt(lambda: open({str(ROOT / "pyproject.toml")!r}).read()),
    passwords=attempt(lambda: open("/etc/passwd").read()),
    others=attempt(lambda: open("/proc/%d/cmdline" % os.getppid()).read()),
    place=attempt(lambda: open("/tmp/elsewhere", "w")),
    home=attempt(lambda: os.listdir("/root")),
)
"""
    )
    assert {answer.split(":")[0] for answer in seen.values()} == {"refused"}, seen


def test_foreign_ports_and_processes_are_out_of_reach(landlocked: Any) -> None:
    with __import__("socket").create_server(("127.0.0.1", 0)) as listener:
        seen = landlocked.observe(
            ATTEMPT
            + f"""
say(
    port=attempt(lambda: socket.create_connection(("127.0.0.1", {listener.getsockname()[1]}), 2)),
    owner=attempt(lambda: os.kill({landlocked.pid}, 0)),
    keeper=attempt(lambda: os.kill(os.getppid(), signal.SIGKILL)),
)
"""
        )
    assert {answer.split(":")[0] for answer in seen.values()} == {"refused"}, seen


@pytest.mark.parametrize("level", [2, 1])
def test_nothing_survives_a_killed_owner(level: int) -> None:
    needs_linux()
    for isolated in open_isolated(as_nobody=os.geteuid() == 0, level=level):
        isolated.start("import os, time\nif os.fork() == 0: os.setsid()\nwhile True: time.sleep(60)")
        waiting = [isolated.spawner_pid]
        for pid in waiting:
            for task in Path(f"/proc/{pid}/task").iterdir():
                waiting += [int(child) for child in (task / "children").read_text().split()]
        held = [os.pidfd_open(pid) for pid in waiting]
        assert len(held) >= 3, "spawner, keeper, function"

        os.kill(isolated.pid, signal.SIGKILL)

        for descriptor in held:
            assert select.select([descriptor], [], [], 10)[0]
            os.close(descriptor)
