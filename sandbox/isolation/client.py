"""The owner's side: start a spawner, connect to it, and hold its environments."""

from __future__ import annotations

import contextlib
import json
import math
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import weakref
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from sandbox.errors import EnvironmentFault, IsolationUnavailable
from sandbox.isolation import wire
from sandbox.isolation.spec import EnvironmentSpec, Exit, IsolationLevel, NameSockets

START_TIMEOUT_S = 60.0
SPAWN_TIMEOUT_S = 20.0
REPLY_TIMEOUT_S = 10.0
KILL_TIMEOUT_S = 10.0
_SOURCE = Path(__file__).resolve().parents[2]
_STAGE_ONE = "import sys; sys.path.append({path!r}); from sandbox.isolation import spawner; spawner.main()"


def start_spawner(
    socket_path: Path,
    runtime_dir: Path,
    *,
    level: IsolationLevel | None = None,
    minimum: IsolationLevel = IsolationLevel.NAMESPACES,
    unsafe: bool = False,
    hidden: Sequence[Path] = (),
    trust: Path | None = None,
    image: str = "",
    docker: Sequence[str] = ("docker",),
    self_test: bool = True,
) -> subprocess.Popen[bytes]:
    """Start the spawner that every account process connects to; returns when it is warm and tested.

    As :class:`StartingSpawner`, without doing anything else meanwhile.

    Raises:
        IsolationUnavailable: the level is not to be had here, or the self-test reached a canary.
        EnvironmentFault: the spawner did not start.
    """
    starting = StartingSpawner(
        socket_path,
        runtime_dir,
        level=level,
        minimum=minimum,
        unsafe=unsafe,
        hidden=hidden,
        trust=trust,
        image=image,
        docker=docker,
    )
    return starting.wait(self_test=self_test)


class StartingSpawner:
    """A spawner that warms up while its owner does something else.

    Make it in the main thread: the kernel ends the spawner when the thread that started it ends.
    ``level`` asks for exactly one level, else the best found at or above ``minimum``; level 1 needs
    ``unsafe``. ``hidden`` directories stay out of sight wherever they lie. ``trust`` is a directory whose
    files are shown below /etc: the authorities that environments trust, public parts alone. With an
    ``image`` environments are containers that the command ``docker`` starts from it.
    """

    def __init__(
        self,
        socket_path: Path,
        runtime_dir: Path,
        *,
        level: IsolationLevel | None = None,
        minimum: IsolationLevel = IsolationLevel.NAMESPACES,
        unsafe: bool = False,
        hidden: Sequence[Path] = (),
        trust: Path | None = None,
        image: str = "",
        docker: Sequence[str] = ("docker",),
    ) -> None:
        self._socket_path = socket_path
        self._staging = tempfile.mkdtemp(prefix="coldstart-")
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        with contextlib.suppress(FileNotFoundError):
            socket_path.unlink()
        listener.bind(str(socket_path))
        socket_path.chmod(0o600)
        listener.listen(64)
        self._ready, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        prefix, version = sys.base_prefix, f"{sys.version_info.major}.{sys.version_info.minor}"
        config = {
            "owner": os.getpid(),
            "listener": listener.fileno(),
            "ready": theirs.fileno(),
            "level": None if level is None else int(level),
            "minimum": int(minimum),
            "unsafe": unsafe,
            "prefix": prefix,
            "version": version,
            "source": str(_SOURCE),
            "runtime_dir": str(runtime_dir.resolve()),
            "hidden": [str(path) for path in (_SOURCE, *hidden)],
            "trust": None if trust is None else str(trust.resolve()),
            "staging": self._staging,
            "image": image,
            "docker": list(docker),
        }
        with listener, theirs:
            self.process = subprocess.Popen(
                [f"{prefix}/bin/python{version}", "-I", "-S", "-c", _STAGE_ONE.format(path=str(_SOURCE))],
                stdin=subprocess.PIPE,
                env=_variables(prefix, image),
                pass_fds=(listener.fileno(), theirs.fileno()),
                start_new_session=True,
            )
        assert self.process.stdin is not None
        # One that has died already says so by the end of its channel.
        with contextlib.suppress(BrokenPipeError), self.process.stdin as pipe:
            pipe.write(json.dumps(config).encode())

    def wait(self, *, self_test: bool = True) -> subprocess.Popen[bytes]:
        """The spawner, warm and tested.

        Raises:
            IsolationUnavailable: the level is not to be had here, or the self-test reached a canary.
            EnvironmentFault: the spawner did not start.
        """
        try:
            _await_ready(self.process, self._ready)
            if self_test:
                from sandbox.isolation import selftest

                selftest.run(self._socket_path)
        except BaseException:
            self.process.kill()
            self.process.wait()
            raise
        finally:
            self._ready.close()
            # The roots staged there have moved; the spawner no longer needs the directory.
            with contextlib.suppress(OSError):
                os.rmdir(self._staging)
        return self.process


def _variables(prefix: str, image: str) -> dict[str, str]:
    """A moved interpreter finds its own libraries; the engine's command needs to find its engine."""
    engine = {name: value for name, value in os.environ.items() if name == "PATH" or "DOCKER" in name}
    return {"LD_LIBRARY_PATH": f"{prefix}/lib", **(engine if image else {})}


def _await_ready(process: subprocess.Popen[bytes], ready: socket.socket) -> None:
    ready.settimeout(START_TIMEOUT_S)
    try:
        message, _descriptors = wire.receive(ready)
    except TimeoutError:
        raise EnvironmentFault(f"The spawner was not ready within {START_TIMEOUT_S:.0f} s.") from None
    if message is None:
        raise EnvironmentFault(f"The spawner ended before it was ready (status {process.wait()}).")
    if "refused" in message:
        raise IsolationUnavailable(message["refused"])
    if "fault" in message:
        raise EnvironmentFault(f"The spawner could not start: {message['fault']}")


class IsolatedEnvironment:
    """A started environment, as its owner sees it. Implements ``spec.Environment``."""

    def __init__(
        self,
        environment_id: str,
        level: IsolationLevel,
        control: socket.socket,
        descriptors: list[int],
        output: int,
        started: dict[str, Any],
    ) -> None:
        self.environment_id = environment_id
        self.level = level
        self.runtime_api, self.gateway, self.otlp, self.xray = (
            socket.socket(fileno=descriptor) for descriptor in descriptors[:4]
        )
        own = [socket.socket(fileno=descriptor) for descriptor in descriptors[4:-1]]
        self.names = NameSockets(*own) if own else None
        self.ports: dict[str, int] = started.get("ports", {})
        self.clock_ahead_s: float = started.get("clock_ahead_s", 0.0)
        self.output = output
        self._ended = descriptors[-1]
        self._control = control
        self._lock = threading.Lock()
        self._exit: Exit | None = None
        self._usage: dict[str, float] = {}
        self._frozen = False
        self._unanswered = 0

    def fileno(self) -> int:
        """A descriptor that becomes readable when the environment has ended."""
        return self._ended

    def exited(self) -> Exit | None:
        """How it ended, or None while it lives."""
        with self._lock:
            return self._exited()

    def _exited(self) -> Exit | None:
        if self._exit is None and _readable(self._ended, 0):
            while self._exit is None and _readable(self._control.fileno(), 0):
                message, _descriptors = wire.receive(self._control)
                if message is None:
                    break
                self._note(message)
            if self._exit is None:
                self._exit = Exit(None, int(signal.SIGKILL))
        return self._exit

    def _note(self, message: dict[str, Any]) -> None:
        for name in ("memory_peak_mb", "cpu_time_s", "run_delay_s"):
            if name in message:
                self._usage[name] = max(self._usage.get(name, 0.0), message[name])
        if "exit" in message:
            how = message["exit"]
            self._exit = Exit(how["status"], how["signal"], out_of_memory=message["out_of_memory"])

    def _ask(self, what: str, **more: float) -> dict[str, Any]:
        """Have the first process do something; its answer, and silently nothing once it has ended."""
        told: dict[str, Any] = {}
        with self._lock:
            if not self._send(what, **more):
                return told
            try:
                while self._unanswered:
                    if not _readable(self._control.fileno(), REPLY_TIMEOUT_S):
                        raise EnvironmentFault(
                            f"Environment {self.environment_id} did not {what} in {REPLY_TIMEOUT_S:.0f} s."
                        )
                    message, _descriptors = wire.receive(self._control)
                    if message is None:
                        return told
                    told = message
                    self._note(message)
                    if "reply" in message:
                        self._unanswered -= 1
                    if "exit" in message:
                        return told
            except (BrokenPipeError, ConnectionResetError):
                return told
        return told

    def _send(self, what: str, **more: float) -> bool:
        """Whether the first process was there to be told. The caller holds the lock."""
        if self._exit is not None:
            return False
        try:
            wire.send(self._control, {"do": what, **more})
        except (BrokenPipeError, ConnectionResetError):
            return False
        self._unanswered += 1
        return True

    def freeze(self) -> None:
        """Stop every process in it, as Lambda does between invocations."""
        self._ask("freeze")
        self._frozen = True

    def thaw(self) -> None:
        """Let it run again; nothing waits for it, what it is given meanwhile lies ready."""
        self._frozen = False
        with self._lock:
            self._send("thaw")

    def set_clock(self, ahead_s: float) -> bool:
        """Have its frozen processes see the time ``ahead_s`` after the wall's; whether all of them do."""
        if self._ask("clock", ahead_s=ahead_s).get("clock", False):
            self.clock_ahead_s = ahead_s
            return True
        return False

    def memory_peak_mb(self) -> int:
        """The most memory its processes have held together, in MB, rounded up."""
        self._update_usage()
        return math.ceil(self._usage.get("memory_peak_mb", 0.0))

    def cpu_time_s(self) -> float:
        """CPU seconds used by the whole environment so far."""
        self._update_usage()
        return self._usage.get("cpu_time_s", 0.0)

    def run_delay_s(self) -> float:
        """Seconds its threads were ready to run and had no processor, so far."""
        self._update_usage()
        return self._usage.get("run_delay_s", 0.0)

    def _update_usage(self) -> None:
        """Ask, unless nothing can have changed: the reply to a freeze told it all."""
        if not self._frozen:
            self._ask("usage")

    def kill(self) -> None:
        """End every process in it, daemons included, and wait until they are gone. Idempotent."""
        with self._lock:
            if not _readable(self._ended, 0):
                with contextlib.suppress(OSError):
                    wire.send(self._control, {"do": "kill"})
                if not _readable(self._ended, 1.0):
                    # The first process is starved or stuck; the kernel is not.
                    with contextlib.suppress(ProcessLookupError):
                        signal.pidfd_send_signal(self._ended, signal.SIGKILL)
                if not _readable(self._ended, KILL_TIMEOUT_S):
                    raise EnvironmentFault(f"Environment {self.environment_id} outlived its kill.")
            self._exited()

    def close(self) -> None:
        """Kill it and give back every descriptor. The owner's servers must be stopped first."""
        self.kill()
        with self._lock:
            if self._ended < 0:
                return
            for each in (self.runtime_api, self.gateway, self.otlp, self.xray, self._control):
                each.close()
            if self.names is not None:
                self.names.close()
            os.close(self._ended)
            os.close(self.output)
            self._ended = self.output = -1


def _readable(descriptor: int, timeout_s: float) -> bool:
    if descriptor < 0:
        return True  # Closed: what it stood for is gone.
    poll = select.poll()
    poll.register(descriptor, select.POLLIN)
    return bool(poll.poll(timeout_s * 1000))


class SpawnerClient:
    """One account process's connection to the spawner. Implements ``spec.Spawner``.

    Raises:
        EnvironmentFault: no spawner answers at ``socket_path``.
    """

    def __init__(self, socket_path: Path) -> None:
        self._connection = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._connection.settimeout(SPAWN_TIMEOUT_S)
        try:
            self._connection.connect(str(socket_path))
            hello, _descriptors = wire.receive(self._connection)
        except OSError as error:
            self._connection.close()
            raise EnvironmentFault(f"No spawner answers at {socket_path}: {error.strerror}.") from error
        if hello is None:
            self._connection.close()
            raise EnvironmentFault(f"The spawner at {socket_path} hung up.")
        self.level = IsolationLevel(hello["level"])
        self.steps: list[dict[str, str]] = hello["steps"]
        self.name: str = hello.get("name", self.level.name.lower())
        self.has_clocks: bool = hello.get("clocks", False)
        self.has_names: bool = hello.get("names", False)
        self._lock = threading.Lock()
        self._alive: weakref.WeakSet[IsolatedEnvironment] = weakref.WeakSet()

    def spawn(self, spec: EnvironmentSpec) -> IsolatedEnvironment:
        """Start an environment; returns as soon as its sockets exist, before the function's init.

        Raises:
            EnvironmentFault: the environment could not be started.
        """
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        output, their_output = os.pipe()
        try:
            # What may hold keys goes past the spawner, straight to the environment's first process: a
            # later environment, perhaps of another account, is a copy of the spawner's memory.
            wire.send(control, {"variables": dict(spec.variables)})
            with self._lock:
                wire.send(self._connection, _order(spec), (theirs.fileno(), their_output))
        except OSError as error:
            control.close()
            os.close(output)
            raise EnvironmentFault(f"The spawner is gone: {error.strerror}.") from error
        finally:
            theirs.close()
            os.close(their_output)
        control.settimeout(SPAWN_TIMEOUT_S)
        try:
            message, descriptors = wire.receive(control)
        except TimeoutError:
            message, descriptors = {"fault": f"it did not start within {SPAWN_TIMEOUT_S:.0f} s"}, []
        if message is None or "fault" in message:
            control.close()
            os.close(output)
            reason = message["fault"] if message else "its first process died"
            raise EnvironmentFault(f"Environment {spec.environment_id} could not be started: {reason}.")
        control.settimeout(None)
        environment = IsolatedEnvironment(
            spec.environment_id, self.level, control, descriptors, output, message
        )
        with self._lock:
            self._alive.add(environment)
        return environment

    def close(self) -> None:
        """Kill every environment started here."""
        with self._lock:
            environments = list(self._alive)
            self._connection.close()
        for environment in environments:
            environment.kill()


def _order(spec: EnvironmentSpec) -> dict[str, Any]:
    return {
        "environment_id": spec.environment_id,
        "code_dir": str(spec.code_dir.resolve()),
        "layer_dir": None if spec.layer_dir is None else str(spec.layer_dir.resolve()),
        "command": None if spec.command is None else list(spec.command),
        "runtime_dir": None if spec.runtime_dir is None else str(spec.runtime_dir.resolve()),
        "language_dir": None if spec.language_dir is None else str(spec.language_dir.resolve()),
        "memory_mb": spec.memory_mb,
        "tmp_mb": spec.tmp_mb,
        "gateway_port": spec.gateway_port,
        "max_processes": spec.max_processes,
        "cpus": spec.cpus,
        "copies": sorted(spec.copies),
        "clock_ahead_s": spec.clock_ahead_s,
    }
