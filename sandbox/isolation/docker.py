"""Environments as containers, for hosts that have a Docker engine and nothing else.

A container gives what level 3 makes itself: namespaces, a read-only root, limits of memory and processes.
Inside, its first process is ours (``docker_init.py``): it is handed the order and the owner's channels
through one unix socket that is shown in the container, makes the listening sockets in the container's empty
network, and does the rest as at level 3, with the same system call filter. That works with an engine on this
very machine, not with one in a virtual machine of its own (Docker Desktop).

A container takes about a second to start, and nothing is warm in it. Its image holds the interpreter and the
system's libraries; everything else is shown from outside, read-only.

Source: https://docs.docker.com/reference/cli/docker/container/run/
"""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NoReturn

from sandbox.isolation import wire
from sandbox.isolation.environment import Order

START_TIMEOUT_S = 60.0
_LOOK_S = 0.5
_MEETING = "/.coldstart"
_OURS = "/.coldstart-source"
_USER = "65534:65534"
_PROGRAM = (
    "import sys; sys.path.append({path!r}); from sandbox.isolation import docker_init; docker_init.main()"
)


def run_arguments(order: Order, config: dict[str, Any], name: str, meeting: Path) -> list[str]:
    """``docker run`` and what follows, for one environment. ``meeting`` holds the socket to meet at."""
    shown = [
        (order.code_dir, "/var/task"),
        (order.runtime_dir or config["runtime_dir"], "/var/runtime"),
        (order.layer_dir, "/opt"),
        (order.language_dir, "/var/lang"),
        (str(meeting), _MEETING),
        (f"{config['source']}/sandbox", f"{_OURS}/sandbox"),
    ]
    # The pages of /tmp count as well, so its size is part of the limit.
    memory_mb = order.memory_mb + order.tmp_mb + 16
    arguments = ["run", "--rm", "--detach", "--name", name, "--pull", "never", "--hostname", "sandbox"]
    arguments += ["--network", "none", "--ipc", "none", "--read-only", "--user", _USER]
    arguments += ["--cap-drop", "ALL", "--security-opt", "no-new-privileges", "--log-driver", "none"]
    arguments += ["--memory", f"{memory_mb}m", "--memory-swap", f"{memory_mb}m"]
    arguments += ["--pids-limit", str(order.max_processes + 1), "--ulimit", "core=0:0"]
    if order.cpus is not None:
        arguments += ["--cpus", f"{order.cpus:g}"]
    inodes = order.tmp_mb * 200
    arguments += ["--tmpfs", f"/tmp:rw,exec,nosuid,nodev,size={order.tmp_mb}m,nr_inodes={inodes},mode=1777"]
    arguments += ["--tmpfs", "/sys:ro,size=4k"]
    for source, target in shown:
        if source is not None:
            arguments += ["--mount", f"type=bind,source={source},target={target},readonly"]
    program = _PROGRAM.format(path=_OURS)
    return [*arguments, "--entrypoint", "python3", config["image"], "-I", "-S", "-c", program]


def probe(image: str, docker: Sequence[str] = ("docker",)) -> str:
    """What keeps an engine from starting environments from this image; empty when nothing does."""
    try:
        _call(docker, "image", "inspect", "--format", "{{.Id}}", image)
    except OSError as error:
        return error.strerror or str(error)
    return ""


def serve(config: dict[str, Any], listener: socket.socket, ready: socket.socket) -> NoReturn:
    """Be the spawner, in stage one's process, by the engine's command."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if reason := probe(config["image"], config["docker"]):
        wire.send(ready, {"refused": f"Docker can't be used: {reason}", "steps": []})
        os._exit(3)
    wire.send(ready, {"ready": True})
    ready.close()
    ContainerSpawner(config, listener).serve()


class ContainerSpawner:
    """Accepts owners and starts a container for each environment, several at a time."""

    def __init__(self, config: dict[str, Any], listener: socket.socket) -> None:
        self.config = config
        self.listener = listener
        self.started = 0

    def serve(self) -> NoReturn:
        """For as long as the owner lives: the kernel ends us with it."""
        poll = select.poll()
        owners: dict[int, socket.socket] = {}
        poll.register(self.listener, select.POLLIN)
        while True:
            for descriptor, _event in poll.poll():
                if descriptor == self.listener.fileno():
                    owner, _address = self.listener.accept()
                    with contextlib.suppress(OSError):
                        wire.send(owner, {"level": 3, "name": "docker", "steps": self.config["steps"]})
                    owners[owner.fileno()] = owner
                    poll.register(owner, select.POLLIN)
                elif not self._take_order(owners[descriptor]):
                    poll.unregister(descriptor)
                    owners.pop(descriptor).close()

    def _take_order(self, owner: socket.socket) -> bool:
        message, descriptors = wire.receive(owner)
        if message is None:
            return False
        self.started += 1
        name = f"coldstart-{os.getpid()}-{self.started}"
        arguments = (Order.read(message), message, descriptors, name)
        threading.Thread(target=self._start, args=arguments, daemon=True).start()
        return True

    def _start(self, order: Order, message: dict[str, Any], descriptors: list[int], name: str) -> None:
        control = socket.socket(fileno=descriptors[0])
        try:
            with tempfile.TemporaryDirectory(prefix="coldstart-") as directory:
                self._meet(order, message, (descriptors[0], descriptors[1]), name, Path(directory))
        except OSError as error:
            with contextlib.suppress(OSError):
                _call(self.config["docker"], "kill", name)
            with contextlib.suppress(OSError):
                wire.send(control, {"fault": error.strerror or str(error)})
        finally:
            control.close()
            os.close(descriptors[1])

    def _meet(
        self, order: Order, message: dict[str, Any], channels: tuple[int, int], name: str, meeting: Path
    ) -> None:
        meeting.chmod(0o755)
        with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as listener:
            listener.bind(str(meeting / "control"))
            (meeting / "control").chmod(0o666)
            listener.listen(1)
            listener.settimeout(_LOOK_S)
            _call(self.config["docker"], *run_arguments(order, self.config, name, meeting))
            for _ in range(int(START_TIMEOUT_S / _LOOK_S)):
                with contextlib.suppress(TimeoutError):
                    inside, _address = listener.accept()
                    break
                # It says nothing, so whether it is still there is asked.
                _call(self.config["docker"], "inspect", "--format", "{{.State.Running}}", name)
            else:
                raise OSError(0, f"The container {name} did not answer in {START_TIMEOUT_S:.0f} s.")
        with inside:
            # Paths are what they are inside; the owner's channels go with it, and we are out of it.
            layer, places = order.layer_dir and "/opt", {"code_dir": "/var/task"}
            wire.send(inside, {**message, **places, "layer_dir": layer}, channels)
            inside.settimeout(START_TIMEOUT_S)
            wire.receive(inside)


def _call(docker: Sequence[str], *arguments: str) -> None:
    """Run the engine's command.

    Raises:
        OSError: it is not there, takes too long or refuses; in its words.
    """
    try:
        done = subprocess.run(
            [*docker, *arguments],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=START_TIMEOUT_S,
        )
    except subprocess.TimeoutExpired:
        raise OSError(0, f"`docker {arguments[0]}` took longer than {START_TIMEOUT_S:.0f} s.") from None
    except OSError as error:
        raise OSError(0, f"{docker[0]} can't be run: {error.strerror}.") from None
    if done.returncode != 0:
        words = done.stderr.strip().splitlines()[-1:]
        raise OSError(0, f"`docker {arguments[0]}` failed: {' '.join(words)}")
