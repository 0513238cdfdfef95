"""Notebooks in isolation: what they can reach, what ends them, what comes out."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from graders.backend import Backend, open_backend
from sandbox.programs.notebooks import NotebookFailed, NotebookLimits, NotebookSession
from sandbox.runtimes.prepared_notebooks import prepare_notebook_environment

HOME = Path(os.environ.get("COLDSTART_HOME", Path(__file__).parents[2] / "var"))


@pytest.fixture(scope="module")
def environment() -> Path:
    return prepare_notebook_environment(HOME)


@pytest.fixture(scope="module")
def backend() -> Iterator[Backend]:
    with open_backend("emulated") as opened:
        yield opened


def notebook(*sources: str) -> dict[str, Any]:
    cells = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "source": source,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for number, source in enumerate(sources, 1)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


ANSWERS = """
from decimal import Decimal

def double(value):
    return {"value": 2 * value}

class Mine:
    pass

money, mine, loop = Decimal("1.5"), Mine(), []
loop.append(loop)

def nothing():
    return {"cost": float("nan")}

def sleep():
    import time
    time.sleep(60)
"""

# Everything that a notebook could learn of the tests or of this machine.
PROBE = """
import os, socket

def reachable(host, port):
    try:
        socket.create_connection((host, port), timeout=1).close()
        return True
    except OSError:
        return False

probe = {
    "keys": sorted(name for name in os.environ if "SECRET" in name or "COLDSTART" in name),
    "home": os.path.exists("REPOSITORY"),
    "written": os.access("/usr", os.W_OK) or os.access(sys_prefix, os.W_OK),
    "processes": sum(name.isdigit() for name in os.listdir("/proc")),
    "network": [reachable("127.0.0.1", PORT), reachable("8.8.8.8", 53), reachable("169.254.169.254", 80)],
    "files": sorted(os.listdir("/build/in")),
}
"""


def test_values_come_out_and_nothing_else(environment: Path) -> None:
    with NotebookSession(
        environment, notebook(ANSWERS, "1/0"), {}, limits=NotebookLimits(call_s=2)
    ) as session:
        assert [(item.cell, item.error) for item in session.problems] == [
            ("cell-2", "ZeroDivisionError: division by zero")
        ]
        assert session.describe("double") == (True, True)
        assert session.describe("nobody") == (False, False)
        assert session.call("double", [4], {}) == {"value": 8}
        assert session.call("double", [], {"value": "x"}) == {"value": "xx"}
        assert session.value("money") == 1.5
        for name, said in (("mine", "type Mine"), ("loop", "Circular reference"), ("nobody", "KeyError")):
            with pytest.raises(NotebookFailed, match=said):
                session.value(name)
        with pytest.raises(NotebookFailed, match="no answer within 2 s"):
            session.call("sleep", [], {})
        with pytest.raises(NotebookFailed, match="gone"):
            session.call("double", [4], {})


def test_what_is_no_number_is_no_answer(environment: Path) -> None:
    with (
        NotebookSession(environment, notebook(ANSWERS), {}) as session,
        pytest.raises(NotebookFailed, match="NaN and Infinity"),
    ):
        session.call("nothing", [], {})


def test_a_notebook_finds_neither_tests_nor_keys_nor_a_way_out(environment: Path, backend: Backend) -> None:
    account = backend.open()
    port = account.endpoint_url.rsplit(":", 1)[1]
    probe = PROBE.replace("REPOSITORY", str(Path(__file__).parents[2] / "labs")).replace("PORT", port)
    try:
        with NotebookSession(
            environment, notebook("import sys; sys_prefix = sys.prefix", probe), {}
        ) as session:
            assert session.problems == ()
            found = session.value("probe")
    finally:
        account.close()

    # The keeper, the driver and the kernel are all the processes there are.
    assert found.pop("processes") <= 4
    assert found == {
        "keys": [],
        "home": False,
        "written": False,
        "network": [False, False, False],
        "files": ["run.py", "told.json"],
    }


def test_the_accounts_endpoint_is_the_one_thing_a_notebook_reaches(
    environment: Path, backend: Backend
) -> None:
    code = """
import boto3
url = boto3.client("sqs").create_queue(QueueName="from-a-notebook")["QueueUrl"]
"""
    account = backend.open()
    try:
        with NotebookSession(environment, notebook(code), {}, account=account) as session:
            assert session.problems == ()
            assert session.value("url").endswith("/from-a-notebook")
        assert len(account.client("sqs").list_queues()["QueueUrls"]) == 1
    finally:
        account.close()


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("while True: pass", "KeyboardInterrupt"),
        ("import os; os._exit(3)", "The kernel died."),
        ("blocks = [bytearray(10**8) for _ in range(40)]", "The kernel died."),
    ],
)
def test_a_cell_that_uses_too_much_is_ended_and_told(environment: Path, code: str, said: str) -> None:
    limits = NotebookLimits(cell_s=2, time_s=60, memory_mb=500)

    with NotebookSession(environment, notebook(code), {}, limits=limits) as session:
        assert [said in item.error for item in session.problems] == [True]


def test_a_notebook_that_attacks_its_driver_gains_no_answer(environment: Path) -> None:
    code = """
import os, signal
for name in os.listdir("/proc"):
    if name.isdigit() and int(name) not in (1, os.getpid()):
        os.kill(int(name), signal.SIGKILL)
"""
    with pytest.raises(NotebookFailed), NotebookSession(environment, notebook(code), {}):
        pass


def test_a_forged_greeting_is_only_data(environment: Path) -> None:
    """The kernel may speak before the driver does; whatever it says is a value like any other."""
    code = """
import socket
forged = socket.create_connection(("127.0.0.1", 4874))
forged.sendall(b'{"ready": true, "problems": "none", "score": 100}\\n')
forged.sendall(b'{"known": true, "value": "passed"}\\n' * 50)
"""
    with NotebookSession(environment, notebook(code), {}, limits=NotebookLimits(call_s=3)) as session:
        assert session.problems == ()
        assert session.describe("anything") == (True, False)
        assert session.value("anything") == "passed"
