"""How an attack is run, what is planted for it outside, and what is seen of it there."""

from __future__ import annotations

import json
import os
import secrets
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.isolation.attacks.runners import Runner
from tests.isolation.conftest import Isolated

ROOT = Path(__file__).resolve().parents[3]
# Lives until its standard input closes, so it ends with us whatever happens.
_WAIT = "import sys; sys.stdin.read()"


@dataclass(frozen=True, slots=True)
class Seen:
    """What an attack said, and what was seen from outside."""

    answers: dict[str, Any]
    status: int | None
    signal: int | None
    out_of_memory: bool
    output_bytes: int
    gone: bool
    """No process holds the output any more."""
    kill_s: float
    memory_mb: int
    memory_peak_mb: int
    tail: str

    @property
    def ended_itself_badly(self) -> bool:
        """It was killed for memory, or failed by what it could not have."""
        return self.out_of_memory or bool(self.status)


class Planted:
    """Everything that must not be reached: a file, listeners, a process."""

    def __init__(self, directory: Path, stack: ExitStack) -> None:
        self.token = f"canary-{secrets.token_hex(8)}"
        self.file = directory / "canary"
        self.file.write_text(self.token)
        listen = stack.enter_context
        self.listeners = [listen(socket.create_server(("0.0.0.0", 0)))]
        if socket.has_dualstack_ipv6():
            self.listeners.append(listen(socket.create_server(("::", 0), family=socket.AF_INET6)))
        self.listeners += [listen(socket.socket(socket.AF_UNIX)) for _ in range(2)]
        self.path = directory / "socket"
        self.listeners[-2].bind("\0" + self.token)
        self.listeners[-1].bind(str(self.path))
        self.path.chmod(0o777)
        self.datagrams = listen(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        self.datagrams.bind(("0.0.0.0", 0))
        self.datagrams.setblocking(False)
        for each in self.listeners:
            each.listen()
            each.setblocking(False)
        self.process = stack.enter_context(
            subprocess.Popen(
                [sys.executable, "-I", "-S", "-c", _WAIT], stdin=subprocess.PIPE, start_new_session=True
            )
        )

    def targets(self, isolated: Isolated) -> dict[str, Any]:
        """Where it all is, for the attacker."""
        version_6 = self.listeners[1] if len(self.listeners) > 3 else self.listeners[0]
        return {
            "files": [str(self.file), str(ROOT / "pyproject.toml"), str(isolated.temporary / "spawner")],
            "pids": [self.process.pid, os.getpid(), isolated.pid, isolated.spawner_pid],
            "port": self.listeners[0].getsockname()[1],
            "port6": version_6.getsockname()[1],
            "udp": self.datagrams.getsockname()[1],
            "address": _own_address(),
            "token": self.token,
            "sockets": [str(self.path), str(isolated.temporary / "spawner")],
        }

    def assert_unreached(self) -> None:
        """Nothing has come in."""
        for listener in self.listeners:
            with pytest.raises(BlockingIOError):
                listener.accept()
        with pytest.raises(BlockingIOError):
            self.datagrams.recv(1)

    def assert_alive(self) -> None:
        """The process has not been ended."""
        assert self.process.poll() is None


def _own_address() -> str:
    """An address of this machine other than loopback; nothing is sent to find it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect(("192.0.2.1", 9))
        except OSError:
            return "127.0.0.1"
        return str(probe.getsockname()[0])


@contextmanager
def planted(directory: Path) -> Iterator[Planted]:
    """Plant it all; readable by everybody, so that only isolation is in the way."""
    with ExitStack() as stack:
        found = Planted(directory, stack)
        yield found
        found.process.kill()


@dataclass(frozen=True, slots=True)
class Attempt:
    """One cell of the table: an attack in a runtime, by an identity."""

    program: str
    isolated: Isolated
    runner: Runner
    planted: Planted
    wanted: dict[str, Any]

    def start(self, program: str = "", also: dict[str, str] | None = None, **more: Any) -> str:
        """Start an environment that attacks; ``also`` are variables, ``more`` is told with the targets."""
        targets = self.planted.targets(self.isolated) | more
        variables = {"ATTACK": program or self.program, "TARGETS": json.dumps(targets)}
        variables |= {
            "TARGET_FILE": targets["files"][0],
            "TARGET_PIDS": ",".join(map(str, targets["pids"])),
            "TARGET_PORT": str(targets["port"]),
            "TARGET_PORT6": str(targets["port6"]),
            "TARGET_UDP": str(targets["udp"]),
            "TARGET_ADDRESS": targets["address"],
            "TARGET_SOCKET": targets["sockets"][0],
            "TARGET_TOKEN": targets["token"],
        }
        variables |= also or {}
        wanted = {"memory_mb": 256, "tmp_mb": 512, **self.runner.settings, **self.wanted}
        return self.isolated.start_in(self.runner.code, variables=variables, **wanted)

    def end(self, name: str) -> Seen:
        """End it and say what was seen."""
        result = self.isolated.ask("kill", name=name)
        lines = [line for line in result["output"].splitlines() if line.startswith("{")]
        return Seen(
            answers=json.loads(lines[-1]) if lines else {},
            status=result["status"],
            signal=result["signal"],
            out_of_memory=result["out_of_memory"],
            output_bytes=result["output_bytes"],
            gone=result["output_ended"],
            kill_s=result["kill_s"],
            memory_mb=self.wanted.get("memory_mb", 256),
            memory_peak_mb=result["memory_peak_mb"],
            tail=result["output"][-1500:],
        )


Flow = Callable[[Attempt], Seen]


def run(attempt: Attempt) -> Seen:
    """Until it ends by itself."""
    name = attempt.start()
    attempt.isolated.ask("wait_end", name=name, timeout_s=100)
    return attempt.end(name)


def run_and_look_at_canary(attempt: Attempt) -> Seen:
    """As ``run``; the planted process lives on, and the spawner starts the next environment."""
    seen = run(attempt)
    attempt.planted.assert_alive()
    attempt.end(attempt.start())
    return seen


def run_and_look_at_listeners(attempt: Attempt) -> Seen:
    """As ``run``; nothing came in."""
    seen = run(attempt)
    attempt.planted.assert_unreached()
    return seen


def kill_once_connected(attempt: Attempt) -> Seen:
    """As at the time limit: it is killed while it works."""
    name = attempt.start()
    assert attempt.isolated.ask("accepted", name=name, timeout_s=20)["value"] > 0, "it never came to work"
    return attempt.end(name)


def freeze_once_connected(attempt: Attempt) -> Seen:
    """As between invocations: frozen while it computes, then thawed, then killed frozen."""
    name = attempt.start()
    ask = attempt.isolated.ask
    assert ask("accepted", name=name, timeout_s=20)["value"] > 0, "it never came to work"
    ask("freeze", name=name)
    first = ask("processor_time", name=name)["value"]
    ask("accepted", name=name, timeout_s=0.1)
    assert ask("processor_time", name=name)["value"] == pytest.approx(first, abs=0.002)
    ask("thaw", name=name)
    while ask("processor_time", name=name)["value"] < first + 0.02:
        ask("accepted", name=name, timeout_s=0.01)
    ask("freeze", name=name)
    return attempt.end(name)


def after_a_marking_neighbour(attempt: Attempt) -> Seen:
    """One environment leaves all it can and lives on while the next one looks for it."""
    secret = f"leaked-{secrets.token_hex(8)}"
    # As much as Lambda allows: what is left of a long message is not overwritten by the next, shorter one.
    keys = {f"KEY_{number}": f"{secret} " * 20 for number in range(7)}
    neighbour = attempt.start("mark", also=keys, token=secret)
    assert attempt.isolated.ask("printed", name=neighbour, timeout_s=20)["value"], "it left nothing"
    seen = run(attempt)
    attempt.end(neighbour)
    return seen
