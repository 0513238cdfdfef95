"""A home of the tests' own, and ways to see which processes are left."""

from __future__ import annotations

import os
import select
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sandbox.providers.emulated import EmulatedProvider
from sandbox.runtimes.prepared import prepare_python_runtime, python_runtime_place

ROOT = Path(__file__).resolve().parents[2]
INSTALLED = Path(os.environ.get("COLDSTART_HOME", ROOT / "var"))


def quietly(_text: str) -> None:
    """Nobody watches a test's progress."""


@pytest.fixture(scope="session")
def home() -> Iterator[Path]:
    """A home that shares nothing but the installed Python runtime with the installation's."""
    runtime = prepare_python_runtime(INSTALLED, quietly)
    with tempfile.TemporaryDirectory(prefix="home-") as made:
        place = python_runtime_place(Path(made))
        place.parent.mkdir()
        # A copy: the function's files must not be seen through a link into the repository.
        shutil.copytree(runtime, place)
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
