"""A home of the tests' own, and ways to see which processes are left."""

from __future__ import annotations

import io
import json
import os
import select
import shutil
import sys
import tempfile
import zipfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox.providers.emulated import EmulatedProvider
from sandbox.runtimes.prepared import prepare_python_runtime, python_runtime_place
from sandbox.runtimes.prepared_nodejs import nodejs_runtime_place, prepare_further_runtimes

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = Path(os.environ.get("COLDSTART_HOME", ROOT / "var"))


def quietly(_text: str) -> None:
    """Nobody watches a test's progress."""


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A home that shares nothing but the installed Python runtime with the installation's."""
    runtime = prepare_python_runtime(INSTALLED, quietly)
    prepare_further_runtimes(INSTALLED, quietly)
    with tempfile.TemporaryDirectory(prefix="home-") as made:
        place = python_runtime_place(Path(made))
        place.parent.mkdir()
        # A copy: the function's files must not be seen through a link into the repository.
        shutil.copytree(runtime, place)
        nodejs_runtime_place(Path(made)).symlink_to(nodejs_runtime_place(INSTALLED))
        yield Path(made)


@pytest.fixture(scope="session")
def provider(home: Path) -> Iterator[EmulatedProvider]:
    """A private supervisor that every test may open accounts at, and none may kill."""
    with EmulatedProvider(home, say=quietly) as opened:
        yield opened


def below(pid: int) -> list[int]:
    """A process and everything it started that still runs."""
    found = [pid]
    for parent in found:
        try:
            tasks = list(Path(f"/proc/{parent}/task").iterdir())
            found += [int(child) for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            continue
    return found


class Watched:
    """Processes, held so that their numbers can't be taken over by others."""

    def __init__(self, pids: list[int]) -> None:
        self.held = {}
        for pid in pids:
            try:
                self.held[pid] = os.pidfd_open(pid)
            except ProcessLookupError:
                continue

    def await_end(self, timeout_s: float = 15.0) -> list[int]:
        """Wait until all are gone; those that outlived ``timeout_s`` otherwise."""
        left = []
        for pid, held in self.held.items():
            poll = select.poll()
            poll.register(held, select.POLLIN)
            if not poll.poll(timeout_s * 1000):
                left.append(pid)
            os.close(held)
        self.held = {}
        return left


def make_function(account: Any, code: str) -> str:
    """A Python function with the right to do anything; its name."""
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as written:
        written.writestr("app.py", code)
    trust = {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": trust})
    iam, client = account.client("iam"), account.client("lambda")
    role = iam.create_role(RoleName="anything", AssumeRolePolicyDocument=document)["Role"]["Arn"]
    iam.attach_role_policy(RoleName="anything", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    client.create_function(
        FunctionName="function",
        Code={"ZipFile": archive.getvalue()},
        Runtime=f"python{sys.version_info.major}.{sys.version_info.minor}",
        Handler="app.handler",
        Timeout=600,
        Role=role,
    )
    client.get_waiter("function_active_v2").wait(FunctionName="function")
    return "function"
