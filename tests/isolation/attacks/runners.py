"""The runtimes that attacks are run in, at the level of the spawner: no AWS, no runtime client."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

FORK, EXEC = "Python, forked", "Python, started"
NODE, JAVA, GO = "Node.js", "Java", "Go"
PYTHON = (FORK, EXEC)
ALL = (*PYTHON, NODE, JAVA, GO)
PROGRAMS = Path(__file__).with_name("programs")
_BUILD_TIMEOUT_S = 300


@dataclass(frozen=True, slots=True)
class Runner:
    """A folder with the attacks, and how it is started in an environment."""

    code: Path
    settings: dict[str, Any] = field(default_factory=dict)


def make(name: str, place: Path, python: str) -> Runner:
    """Put a language's program into ``place``; skips the test where the language is not installed."""
    place.mkdir()
    runner = _MAKERS[name](place, python)
    place.chmod(0o755)
    return runner


def _forked(place: Path, _python: str) -> Runner:
    shutil.copy(PROGRAMS / "attack.py", place / "app.py")
    return Runner(place)


def _started(place: Path, python: str) -> Runner:
    shutil.copy(PROGRAMS / "attack.py", place)
    return Runner(place, {"command": [python, "-s", "/var/task/attack.py"]})


def _node(place: Path, _python: str) -> Runner:
    node = _installed("node")
    if not node.is_relative_to("/usr") or node.is_relative_to("/usr/local"):
        pytest.skip("Node.js lies where environments do not see it")
    shutil.copy(PROGRAMS / "attack.cjs", place)
    # Its WebAssembly reserves far more address space than memory: no limit may be on that.
    return Runner(place, {"command": [str(node), "/var/task/attack.cjs"]})


def _java(place: Path, _python: str) -> Runner:
    compiler = _installed("javac")
    _build([str(compiler), "-d", str(place), str(PROGRAMS / "Attack.java")], place)
    command = ["/var/lang/bin/java", "-Xmx128m", "-XX:+UseSerialGC", "-cp", "/var/task", "Attack"]
    return Runner(place, {"command": command, "language_dir": str(compiler.parents[1])})


def _go(place: Path, _python: str) -> Runner:
    go = shutil.which("go") or shutil.which("go", path="/usr/local/go/bin")
    if go is None:
        pytest.skip("Go is not installed")
    _build([go, "build", "-o", str(place / "bootstrap"), str(PROGRAMS / "attack.go")], place)
    return Runner(place, {"command": ["/var/task/bootstrap"]})


def _installed(program: str) -> Path:
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"{program} is not installed")
    return Path(found).resolve()


def _build(command: list[str], place: Path) -> None:
    environment = os.environ | {"CGO_ENABLED": "0", "GOFLAGS": "-mod=mod", "GOTOOLCHAIN": "local"}
    done = subprocess.run(
        command, cwd=place, env=environment, capture_output=True, text=True, timeout=_BUILD_TIMEOUT_S
    )
    assert done.returncode == 0, done.stderr


_MAKERS: dict[str, Callable[[Path, str], Runner]] = {
    FORK: _forked,
    EXEC: _started,
    NODE: _node,
    JAVA: _java,
    GO: _go,
}
MACHINE = platform.machine()
