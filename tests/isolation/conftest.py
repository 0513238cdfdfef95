"""A spawner as root and one as an ordinary user, each behind a driver process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from sandbox.runtimes.prepared import prepare_python_runtime

# What an environment started by an ordinary user is tried with at every change; everything in `make verify`.
_AS_USER = (
    "other-processes",
    "planted-listeners",
    "memory",
    "tampering",
    "clock",
    "from_inside",
    "first_invocation",
)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Leave most of what is tried as a user, and at level 1, to the exhaustive run."""
    for item in items:
        if not item.path.is_relative_to(Path(__file__).parent) or not hasattr(item, "callspec"):
            continue
        parameters = item.callspec.params
        as_user = parameters.get("isolated") == "user" and not any(each in item.name for each in _AS_USER)
        if (as_user and os.geteuid() == 0) or parameters.get("lower") == 1:
            item.add_marker(pytest.mark.slow)


ROOT = Path(__file__).resolve().parents[2]
HOME = Path(os.environ.get("COLDSTART_HOME", ROOT / "var"))
_numbers = count(1)


class Isolated:
    """Asks a driver to run code in isolation."""

    def __init__(self, temporary: str, *, as_nobody: bool, level: int | None = None) -> None:
        driver = str(Path(__file__).with_name("driver.py"))
        runtime = prepare_python_runtime(HOME)
        arguments = [str(ROOT), str(runtime), temporary, *([str(level)] if level else [])]
        flags = ["--as-nobody"] if as_nobody else []
        self.process = subprocess.Popen(
            [sys.executable, driver, *flags, *arguments],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        self.temporary = Path(temporary)
        self.identity = "user" if as_nobody or os.geteuid() else "root"
        hello = self._read()
        self.level = hello["level"]
        self.pid = hello["pid"]
        self.spawner_pid = hello["spawner"]
        self.python = hello["python"]

    def _read(self) -> dict[str, Any]:
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line, "the driver ended"
        answer: dict[str, Any] = json.loads(line) if line.startswith("{") else {"value": json.loads(line)}
        assert "error" not in answer, answer["error"]
        return answer

    def ask(self, do: str, **arguments: Any) -> dict[str, Any]:
        """One request to the driver."""
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps({"do": do, **arguments}) + "\n")
        self.process.stdin.flush()
        return self._read()

    def start(self, code: str, **wanted: Any) -> str:
        """Start an environment whose handler module is ``code``; returns its name."""
        name = f"environment-{next(_numbers)}"
        files = {"app.py": code, **wanted.pop("files", {})}
        self.ask("start", name=name, files=files, **wanted)
        return name

    def start_in(self, folder: Path, **wanted: Any) -> str:
        """Start an environment on the code in ``folder``; returns its name."""
        name = f"environment-{next(_numbers)}"
        self.ask("start", name=name, files={}, code=str(folder), **wanted)
        return name

    def run(self, code: str, *, timeout_s: float = 20.0, **wanted: Any) -> dict[str, Any]:
        """Run ``code`` at the function's init until it is done, kill the rest, and say what happened."""
        name = self.start(code, **wanted)
        waited = self.ask("wait", name=name, timeout_s=timeout_s)
        return waited | self.ask("kill", name=name)

    def observe(self, code: str, **wanted: Any) -> dict[str, Any]:
        """What ``code`` printed last, as JSON."""
        result = self.run(code, **wanted)
        lines = [line for line in result["output"].splitlines() if line.startswith("{")]
        assert lines, result
        observed: dict[str, Any] = json.loads(lines[-1])
        return observed

    def close(self) -> None:
        """End the driver, and with it everything it started."""
        assert self.process.stdin is not None
        assert self.process.stdout is not None
        self.process.stdin.close()
        self.process.wait(20)
        self.process.stdout.close()


def open_isolated(*, as_nobody: bool, level: int | None = None) -> Iterator[Isolated]:
    with tempfile.TemporaryDirectory(prefix="isolation-test-") as temporary:
        os.chmod(temporary, 0o755)
        isolated = Isolated(temporary, as_nobody=as_nobody, level=level)
        try:
            yield isolated
        finally:
            isolated.close()


def needs_linux() -> None:
    if sys.platform != "linux":
        pytest.skip("isolation by namespaces is Linux's")


@pytest.fixture(scope="session", params=["root", "user"])
def isolated(request: pytest.FixtureRequest) -> Iterator[Isolated]:
    """A warm spawner with full isolation, as root and as an ordinary user."""
    needs_linux()
    if request.param == "root" and os.geteuid() != 0:
        pytest.skip("needs root")
    yield from open_isolated(as_nobody=request.param == "user" and os.geteuid() == 0)


@pytest.fixture
def fresh(request: pytest.FixtureRequest) -> Iterator[Isolated]:
    """A spawner of the test's own, which it may kill."""
    needs_linux()
    yield from open_isolated(as_nobody=os.geteuid() == 0)
