"""Experimental: environments as containers, for hosts that have a Docker engine and nothing else.

A container gives what levels 3 and 4 make themselves: namespaces, a read-only root, limits of memory and
processes. Inside, its first process is ours (``docker_init.py``): it makes the listening sockets in the
container's empty network and hands them out through one unix socket that is shown in the container. That
works with an engine on this very machine, not with one in a virtual machine of its own (Docker Desktop).

A container takes several hundred milliseconds to start, and nothing is warm in it. It has been tested
against a program that stands in for ``docker``, never against an engine, so no level is promised: an owner
has to have the self-test pass first, and a server does not use it.

Source: https://docs.docker.com/reference/cli/docker/container/run/
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import tempfile
import threading
import weakref
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from sandbox.errors import EnvironmentFault
from sandbox.isolation import wire
from sandbox.isolation.client import IsolatedEnvironment
from sandbox.isolation.spec import EnvironmentSpec, IsolationLevel

START_TIMEOUT_S = 60.0
_SOURCE = Path(__file__).resolve().parents[2]
_MEETING = "/.coldstart"
_OURS = "/.coldstart-source"
_USER = "65534:65534"
_PROGRAM = (
    "import sys; sys.path.append({path!r}); from sandbox.isolation import docker_init; docker_init.main()"
)


@dataclass(frozen=True, slots=True)
class Image:
    """A container image that holds the interpreter, and where its packages for functions lie here."""

    name: str
    python: str
    runtime_dir: Path


def run_arguments(spec: EnvironmentSpec, image: Image, name: str, meeting: Path) -> list[str]:
    """``docker run`` and what follows, for one environment. ``meeting`` holds the control socket."""
    shown = [
        (spec.code_dir, "/var/task"),
        (spec.runtime_dir or image.runtime_dir, "/var/runtime"),
        (spec.layer_dir, "/opt"),
        (spec.language_dir, "/var/lang"),
        (meeting, _MEETING),
        (_SOURCE / "sandbox", f"{_OURS}/sandbox"),
    ]
    # The pages of /tmp count as well, so its size is part of the limit.
    memory_mb = spec.memory_mb + spec.tmp_mb + 16
    arguments = ["run", "--rm", "--detach", "--name", name, "--pull", "never", "--hostname", "sandbox"]
    arguments += ["--network", "none", "--ipc", "none", "--read-only", "--user", _USER]
    arguments += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--log-driver", "none"]
    arguments += ["--memory", f"{memory_mb}m", "--memory-swap", f"{memory_mb}m"]
    arguments += ["--pids-limit", str(spec.max_processes + 1), "--ulimit", "core=0:0"]
    if spec.cpus is not None:
        arguments += ["--cpus", f"{spec.cpus:g}"]
    inodes = spec.tmp_mb * 200
    arguments += ["--tmpfs", f"/tmp:rw,exec,nosuid,nodev,size={spec.tmp_mb}m,nr_inodes={inodes},mode=1777"]
    for source, target in shown:
        if source is not None:
            arguments += ["--mount", f"type=bind,source={source.resolve()},target={target},readonly"]
    program = _PROGRAM.format(path=_OURS)
    return [*arguments, "--entrypoint", image.python, image.name, "-I", "-S", "-c", program]


class DockerSpawner:
    """Starts environments by ``docker run``. Safe across threads. Implements ``spec.Spawner``."""

    level = IsolationLevel.NONE
    """Nothing is promised: see the module."""
    has_clocks = False

    def __init__(self, image: Image, docker: Sequence[str] = ("docker",)) -> None:
        self._image = image
        self._docker = tuple(docker)
        self._lock = threading.Lock()
        self._alive: weakref.WeakSet[IsolatedEnvironment] = weakref.WeakSet()

    def spawn(self, spec: EnvironmentSpec) -> IsolatedEnvironment:
        """Start a container; returns as soon as its sockets exist.

        Raises:
            EnvironmentFault: the engine refused it, or its first process did not answer.
        """
        name = f"coldstart-{os.getpid()}-{spec.environment_id}"
        with tempfile.TemporaryDirectory(prefix="coldstart-") as directory:
            meeting = Path(directory)
            meeting.chmod(0o755)
            with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
                listener.bind(str(meeting / "control"))
                (meeting / "control").chmod(0o666)
                listener.listen(1)
                listener.settimeout(START_TIMEOUT_S)
                self._call(*run_arguments(spec, self._image, name, meeting))
                try:
                    environment = self._meet(spec, listener, name)
                except BaseException:
                    self._end(name)
                    raise
        with self._lock:
            self._alive.add(environment)
        return environment

    def _meet(self, spec: EnvironmentSpec, listener: socket.socket, name: str) -> IsolatedEnvironment:
        try:
            control, _address = listener.accept()
        except TimeoutError:
            raise EnvironmentFault(
                f"The container {name} did not answer in {START_TIMEOUT_S:.0f} s."
            ) from None
        control.settimeout(START_TIMEOUT_S)
        output, their_output = os.pipe()
        try:
            order = {"order": docker_order(spec), "variables": dict(spec.variables)}
            wire.send(control, order, (their_output,))
            message, descriptors = wire.receive(control)
        except OSError as error:
            message, descriptors = {"fault": str(error)}, []
        finally:
            os.close(their_output)
        if message is None or "fault" in message:
            control.close()
            os.close(output)
            reason = message["fault"] if message else "its first process died"
            raise EnvironmentFault(f"Environment {spec.environment_id} could not be started: {reason}.")
        control.settimeout(None)
        return _Container(self, name, spec.environment_id, control, descriptors, output)

    def _call(self, *arguments: str) -> None:
        try:
            done = subprocess.run(
                [*self._docker, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                timeout=START_TIMEOUT_S,
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EnvironmentFault(f"`{self._docker[0]} {arguments[0]}` failed: {error}.") from error
        if done.returncode != 0:
            words = done.stderr.strip().splitlines()[-1:]
            raise EnvironmentFault(f"`{self._docker[0]} {arguments[0]}` failed: {' '.join(words)}")

    def _end(self, name: str) -> None:
        with contextlib.suppress(EnvironmentFault):  # It may have ended by itself.
            self._call("kill", name)

    def close(self) -> None:
        """Kill every environment started here."""
        with self._lock:
            environments = list(self._alive)
        for environment in environments:
            environment.kill()


class _Container(IsolatedEnvironment):
    """An environment that the engine ends when its first process does not do so itself."""

    def __init__(
        self,
        spawner: DockerSpawner,
        name: str,
        environment_id: str,
        control: socket.socket,
        descriptors: list[int],
        output: int,
    ) -> None:
        super().__init__(environment_id, spawner.level, control, descriptors, output, {})
        self._spawner = spawner
        self._name = name

    def kill(self) -> None:
        """End every process in it; by the engine where we may not signal its processes. Idempotent."""
        try:
            super().kill()
        except PermissionError:
            self._spawner._end(self._name)
            super().kill()


def docker_order(spec: EnvironmentSpec) -> dict[str, object]:
    """What the container's first process has to know, besides the variables."""
    return {
        "environment_id": spec.environment_id,
        "code_dir": "/var/task",
        "layer_dir": None,
        "command": None if spec.command is None else list(spec.command),
        "memory_mb": spec.memory_mb,
        "tmp_mb": spec.tmp_mb,
        "gateway_port": spec.gateway_port,
        "max_processes": spec.max_processes,
    }
