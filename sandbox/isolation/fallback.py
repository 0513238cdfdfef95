"""Levels 2 and 1, for machines without namespaces.

Level 2 denies files, foreign TCP ports and signals by Landlock and the rest of the kernel surface by the
same system call filter; UDP still leaves and ports are shared with the machine. Level 1 only limits
resources: for trusted code. Both see the machine's own paths, so the addresses and places that Lambda
promises are replaced in the function's variables by the real ones.

A keeper process, the subreaper of everything below it, stands where level 3 has a first process.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import selectors
import shutil
import signal
import socket
import tempfile
from pathlib import Path
from typing import Any, NoReturn

from sandbox.isolation import environment, kernel, landlock, rights, seccomp, spawner, view, warm, wire
from sandbox.isolation.environment import Order
from sandbox.isolation.rights import Confinement
from sandbox.isolation.watch import Watch

_READABLE = (
    *("/usr", "/bin", "/lib", "/lib64", "/sbin", "/etc/ld.so.cache", "/etc/localtime"),
    # What is missing from a root of our own is skipped by OpenSSL; what is denied ends Node.js.
    *("/etc/ssl/openssl.cnf", "/etc/ssl/certs"),
)
_DEVICES = ("/dev/null", "/dev/zero", "/dev/full", "/dev/random", "/dev/urandom")


def serve(config: dict[str, Any], listener: socket.socket, ready: socket.socket) -> NoReturn:
    """Be the spawner of level 2 or 1, in stage one's process."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    warm.RUNTIME = config["runtime_dir"]
    try:
        imported = warm.warm_up(one_address=False)
    except ImportError as error:
        wire.send(ready, {"fault": f"The Python runtime can't be imported: {error}"})
        os._exit(70)
    wire.send(ready, {"ready": True})
    ready.close()
    PlainSpawner(config, listener, imported).serve()


class PlainSpawner:
    """Accepts owners and starts a keeper for each environment."""

    def __init__(self, config: dict[str, Any], listener: socket.socket, imported: frozenset[str]) -> None:
        self.config = config
        self.listener = listener
        self.imported = imported
        self.seccomp = seccomp.deny_list(kernel.MACHINE) if config["level"] == 2 else b""
        self.selector = selectors.DefaultSelector()
        self.pid = os.getpid()
        self.keepers: dict[int, int] = {}

    def serve(self) -> NoReturn:
        """For as long as the owner lives."""
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # Nobody asks how a keeper ended.
        # Should a keeper be killed, what it kept comes to us.
        kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        while True:
            for key, _events in self.selector.select():
                key.data(key.fileobj)

    def _accept(self, listener: socket.socket) -> None:
        owner, _address = listener.accept()
        with contextlib.suppress(OSError):
            wire.send(owner, {"level": self.config["level"], "steps": self.config["steps"]})
        self.selector.register(owner, selectors.EVENT_READ, self._take_order)

    def _take_order(self, owner: socket.socket) -> None:
        message, descriptors = wire.receive(owner)
        if message is None:
            self.selector.unregister(owner)
            owner.close()
            return
        control, output = socket.socket(fileno=descriptors[0]), descriptors[1]
        order = Order.read(message)
        child = os.fork()
        if child == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            _close_others({control.fileno(), output})
            Keeper(self, order, control, output).run()
        control.close()
        os.close(output)
        ended = os.pidfd_open(child)
        self.keepers[ended] = child
        self.selector.register(ended, selectors.EVENT_READ, self._bury)

    def _bury(self, ended: int) -> None:
        self.selector.unregister(ended)
        os.close(ended)
        del self.keepers[ended]
        end_everything_below(keep=frozenset(self.keepers.values()))

    def starts_cold(self, order: Order) -> bool:
        """Whether the code brings its own copy of something already imported."""
        layer = None if order.layer_dir is None else Path(order.layer_dir)
        places = warm.package_places(Path(order.code_dir), layer, self.config["version"])
        return warm.must_start_cold(places, self.imported, order.copies)


class Keeper:
    """Owns one environment's processes: starts the function, answers its owner, ends everything."""

    def __init__(self, parent: PlainSpawner, order: Order, control: socket.socket, output: int) -> None:
        self.parent = parent
        self.config = parent.config
        self.order = order
        self.control = control
        self.output = output
        self.places: dict[str, str] = {}
        self.promised = re.compile("$^")
        self.cold = parent.starts_cold(order)
        self.spawner = parent.pid
        self.temporary: str | None = None
        self.variables: dict[str, str] = {}

    def run(self) -> NoReturn:
        """Until the function's process ends or the owner lets go."""
        try:
            # Not by SIGKILL: there is no namespace to end what is below.
            signal.signal(signal.SIGTERM, lambda *_: self._end_all())
            kernel.prctl(kernel.PR_SET_PDEATHSIG, signal.SIGTERM)
            if os.getppid() != self.spawner:
                os._exit(0)
            kernel.prctl(kernel.PR_SET_CHILD_SUBREAPER, 1)
            self.variables = environment.receive_variables(self.control)
            sockets = environment.listen("127.0.0.1", (0, 0, 0, 0))
            temporary = self.temporary = tempfile.mkdtemp(prefix="coldstart-tmp-")
            self._find_places(sockets, temporary)
            confinement = Confinement(os.geteuid(), False, None, self.parent.seccomp)
            ports = [each.getsockname()[1] for each in sockets]
            function = self._start(temporary, ports)
            os.close(self.output)
            own = os.pidfd_open(os.getpid())
            # Their functions keep the wall's time: what they may open is not enough to change it.
            wire.send(self.control, {"started": True}, (*(each.fileno() for each in sockets), own))
        except OSError as error:
            with contextlib.suppress(OSError):
                wire.send(self.control, {"fault": str(error)})
            os._exit(70)
        os.close(own)
        for each in sockets:
            each.close()
        TreeWatch(self.order, confinement, self.control, function, temporary).until_the_end()

    def _end_all(self) -> NoReturn:
        end_everything_below()
        if self.temporary is not None:
            shutil.rmtree(self.temporary, ignore_errors=True)
        os._exit(0)

    def _find_places(self, sockets: list[socket.socket], temporary: str) -> None:
        promised = (wire.RUNTIME_API_PORT, self.order.gateway_port, wire.OTLP_PORT, wire.XRAY_PORT)
        for port, each in zip(promised, sockets, strict=True):
            for host in ("127.0.0.1", "localhost"):
                self.places[f"{host}:{port}"] = f"127.0.0.1:{each.getsockname()[1]}"
        self.places |= {
            warm.TASK: self.order.code_dir,
            "/var/runtime": self.order.runtime_dir or self.config["runtime_dir"],
            "/var/lang": self.order.language_dir or self.config["prefix"],
            "/opt": self.order.layer_dir or "/nonexistent",
            "/tmp": temporary,
        }
        # At once: where a place really is may begin as another promised one does.
        self.promised = re.compile(
            "|".join(
                rf"(?<![\w.-]){re.escape(name)}(?!\w)"
                if ":" in name
                else rf"(?:^|(?<=[\s:=,;])){re.escape(name)}(?![\w.-])"
                for name in self.places
            )
        )

    def _really(self, text: str) -> str:
        """``text`` with promised addresses and places as they are on this machine, wherever they stand.

        They begin a word, an element of a search path or what follows ``=``; places that happen to end
        alike are left alone.
        """
        return self.promised.sub(lambda match: self.places[match[0]], text)

    def _start(self, temporary: str, ports: list[int]) -> int:
        ours, theirs = socket.socketpair()
        child = os.fork()
        if child == 0:
            self._become_function(theirs, temporary, ports)
        theirs.close()
        answer = ours.recv(512)
        ours.close()
        if answer != b"r":
            raise OSError(0, f"the function's process could not be confined: {answer.decode()}")
        return child

    def _become_function(self, starter: socket.socket, temporary: str, ports: list[int]) -> NoReturn:
        try:
            kernel.die_with_parent()
            os.setsid()
            rights.connect_output(self.output)
            os.chdir(self.order.code_dir)
            environment.set_limits(self.order, counted=False, others=_tasks_of_user(os.geteuid()))
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            if os.geteuid() == 0:
                kernel.drop_capabilities()
            if self.config["level"] == 2:
                landlock.restrict(self._allowed(temporary), ports[:3])
                kernel.install_filter(self.parent.seccomp)
            _close_others({starter.fileno()}, at_most=4096)
            starter.send(b"r")
            starter.close()
        except OSError as error:
            starter.send(str(error).encode())
            os._exit(70)
        self._execute(temporary)

    def _allowed(self, temporary: str) -> list[tuple[str, int]]:
        readable = [
            *_READABLE,
            *glob.glob(view.CONFIGURATION),
            self.config["prefix"],
            self.config["runtime_dir"],
            self.order.code_dir,
        ]
        more = (self.order.layer_dir, self.order.runtime_dir, self.order.language_dir)
        readable += [directory for directory in more if directory is not None]
        return [
            *((path, landlock.READ) for path in readable),
            *((path, landlock.DEVICE) for path in _DEVICES),
            (temporary, landlock.WRITE),
        ]

    def _execute(self, temporary: str) -> NoReturn:
        interpreter = view.Interpreter(self.config["prefix"], self.config["version"])
        library_path = f"{interpreter.prefix}/lib:{self.config['runtime_dir']}"
        given = spawner.complete_variables(self.variables, library_path)
        variables = {name: self._really(value) for name, value in given.items()}
        # These are real already; the runtime may itself lie below a place that is replaced.
        variables |= {"TMPDIR": temporary, "HOME": temporary, "LD_LIBRARY_PATH": library_path}
        variables["LAMBDA_RUNTIME_DIR"] = self.places["/var/runtime"]
        promised = warm.function_path(interpreter.version)
        path = [place if place == warm.RUNTIME else self._really(place) for place in promised]
        if self.order.command is not None:
            spawner.execute_program([self._really(word) for word in self.order.command], variables)
        if not self.cold:
            warm.become_function(variables, path)
        variables["COLDSTART_PATH"] = ":".join(path)
        executable = f"{interpreter.prefix}/bin/python{interpreter.version}"
        spawner.execute_program([executable, "-S", "-s", "-c", warm.cold_start()], variables)


class TreeWatch(Watch):
    """A watch over descendants, found by their parents, where there is no process namespace."""

    def __init__(
        self, order: Order, confinement: Confinement, control: socket.socket, function: int, temporary: str
    ) -> None:
        self.temporary = temporary
        super().__init__(order, confinement, control, function)

    def processes(self) -> list[int]:
        """Everything below the keeper; orphans come back to it, as it is their subreaper."""
        return _below(os.getpid())

    def signal_all(self, number: signal.Signals) -> None:
        """Signal every process of the environment but this one."""
        _signal_below(number)

    def leave(self) -> NoReturn:
        """End everything below, which no namespace does for us, then go."""
        end_everything_below()
        shutil.rmtree(self.temporary, ignore_errors=True)
        os._exit(0)


def end_everything_below(keep: frozenset[int] = frozenset()) -> None:
    """Kill and reap every descendant that is not in ``keep`` or below it; this process is a subreaper."""
    while set(_children(os.getpid())) - keep:
        _signal_below(signal.SIGKILL, keep)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                continue


def _signal_below(number: signal.Signals, keep: frozenset[int] = frozenset()) -> None:
    """Repeat until no new process has appeared: a fork may be under way."""
    reached: set[int] = set()
    while fresh := set(_below(os.getpid(), keep)) - reached:
        for pid in fresh:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        reached |= fresh


def _below(pid: int, keep: frozenset[int] = frozenset()) -> list[int]:
    found: list[int] = []
    waiting = [pid]
    while waiting:
        children = [child for child in _children(waiting.pop()) if child not in keep]
        found += children
        waiting += children
    return found


def _children(pid: int) -> list[int]:
    try:
        found: list[int] = []
        for task in os.listdir(f"/proc/{pid}/task"):
            found += map(int, Path(f"/proc/{pid}/task/{task}/children").read_text().split())
    except OSError:
        return []
    return found


def _close_others(keep: set[int], at_most: int = 4096) -> None:
    low = 3
    for descriptor in sorted(keep):
        os.closerange(low, descriptor)
        low = max(low, descriptor + 1)
    os.closerange(low, at_most)


def _tasks_of_user(uid: int) -> int:
    """How many processes and threads a user has on the machine."""
    count = 0
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                if os.stat(f"/proc/{name}").st_uid == uid:
                    count += len(os.listdir(f"/proc/{name}/task"))
    return count
