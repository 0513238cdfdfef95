"""The single-threaded process that starts every execution environment. Holds no secret.

Stage one runs on the host's interpreter with an empty environment: it enters a user namespace when it
is not root, then forks the first process of a process namespace (whose death ends everything), which
builds the view and executes stage two: the warmed Python parent, answering on the listening socket.
"""

from __future__ import annotations

import contextlib
import json
import os
import selectors
import signal
import socket
import sys
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

from sandbox.isolation import environment, kernel, seccomp, view, warm, wire
from sandbox.isolation.cgroups import Cgroups, Slot
from sandbox.isolation.environment import Order
from sandbox.isolation.rights import Confinement
from sandbox.isolation.vdso import Clocks
from sandbox.isolation.watch import Watch

# Identities that nobody on the machine has; one per environment, so limits and signals never meet.
_FIRST_UID = 1_879_048_192
_UIDS = 1_000_000
_MB = 1024 * 1024
BOOTSTRAPS = ("/var/task/bootstrap", "/opt/bootstrap")
_STAGE_TWO = "import sys; sys.path.append({path!r}); from sandbox.isolation import spawner; spawner.serve()"


def main() -> NoReturn:
    """Stage one. The configuration is on standard input."""
    kernel.die_with_parent()
    config = json.load(sys.stdin.buffer)
    if os.getppid() != config["owner"]:
        os._exit(0)  # The owner died before the kernel knew that we go with it.
    listener = config["listener"]
    ready = socket.socket(fileno=config["ready"])
    if config["image"]:
        from sandbox.isolation import docker

        docker.serve({**config, "steps": []}, socket.socket(fileno=listener), ready)
    from sandbox.isolation import levels

    try:
        found = levels.choose(config["level"], config["minimum"], unsafe=config["unsafe"])
    except levels.IsolationRefused as error:
        wire.send(ready, {"refused": str(error), "steps": error.report.as_rows()})
        os._exit(3)
    config |= {"level": int(found.level), "steps": found.as_rows(), "nested_user": found.nested_user}
    if found.level < 3:
        from sandbox.isolation import fallback

        fallback.serve(config, socket.socket(fileno=listener), ready)
    _enter_namespaces(config, ready)


def _enter_namespaces(config: dict[str, Any], ready: socket.socket) -> NoReturn:
    from sandbox.isolation import hierarchy

    groups: Cgroups | None = hierarchy.open_cgroups() if config["level"] == 4 else None
    config["root"] = os.geteuid() == 0
    config["cgroups"] = [groups.version, list(groups.roots)] if groups else None
    uid, gid = os.geteuid(), os.getegid()
    if not config["root"]:
        kernel.unshare(kernel.CLONE_NEWUSER)
        Path("/proc/self/setgroups").write_text("deny")
        Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
        Path("/proc/self/gid_map").write_text(f"0 {gid} 1")
    kernel.unshare(kernel.CLONE_NEWPID)
    alive, alive_here = socket.socketpair()
    child = os.fork()
    if child == 0:
        alive.close()
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            kernel.die_with_parent()
            _execute_stage_two(config, alive_here, ready)
        except OSError as error:
            wire.send(ready, {"fault": str(error)})
            os._exit(70)
    alive_here.close()
    os.close(config["listener"])
    ready.close()
    os.closerange(3, alive.fileno())
    os.closerange(alive.fileno() + 1, 256)
    _pid, status = os.waitpid(child, 0)
    if config["cgroups"]:
        hierarchy.remove_base(os.getpid())
    os._exit(status != 0)


def _execute_stage_two(config: dict[str, Any], alive: socket.socket, ready: socket.socket) -> NoReturn:
    kernel.unshare(kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC)
    seen = view.View(
        view.Interpreter(config["prefix"], config["version"]),
        config["runtime_dir"],
        tuple(config["hidden"]),
        config["trust"],
    )
    seen.build(config["staging"])
    config |= {"alive": alive.fileno(), "ready": ready.fileno()}
    inherited = [config["listener"], config["alive"], config["ready"]]
    if config["cgroups"]:
        inherited += config["cgroups"][1]
    for descriptor in inherited:
        os.set_inheritable(descriptor, True)
    reader, writer = os.pipe()
    os.write(writer, json.dumps(config).encode())
    os.close(writer)
    os.dup2(reader, 0)
    program = _STAGE_TWO.format(path=view.HOST + config["source"])
    executable = seen.interpreter.executable
    variables = {"LD_LIBRARY_PATH": seen.interpreter.library_path, "PYTHONHASHSEED": "0"}
    arguments = [executable, "-I", "-S", "-X", "utf8", "-c", program]
    os.execve(executable, arguments, variables)


def serve() -> NoReturn:
    """Stage two: warm up, then start environments until the owner is gone."""
    config = json.load(sys.stdin.buffer)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    kernel.die_with_parent()
    ready = socket.socket(fileno=config["ready"])
    try:
        imported = warm.warm_up()
    except ImportError as error:
        wire.send(ready, {"fault": f"The Python runtime can't be imported: {error}"})
        os._exit(70)
    spawner = NamespaceSpawner(config, imported)
    spawner.clocks.work()
    wire.send(ready, {"ready": True, "level": config["level"], "steps": config["steps"]})
    ready.close()
    spawner.serve()


class NamespaceSpawner:
    """Accepts owners, starts their environments, buries them."""

    def __init__(self, config: dict[str, Any], imported: frozenset[str]) -> None:
        self.config = config
        self.imported = imported
        self.listener = socket.socket(fileno=config["listener"])
        self.alive = socket.socket(fileno=config["alive"])
        self.cgroups = (
            Cgroups(config["cgroups"][0], tuple(config["cgroups"][1])) if config["cgroups"] else None
        )
        self.seccomp = seccomp.deny_list(kernel.MACHINE)
        self.namespace = os.open("/proc/self/ns/pid", os.O_RDONLY)
        self.selector = selectors.DefaultSelector()
        self.started = 0
        self.environments: dict[int, tuple[int, Slot | None]] = {}
        self.unburied: list[str] = []
        self.clocks = Clocks()

    def serve(self) -> NoReturn:
        """Until stage one's process is gone."""
        self.selector.register(self.listener, selectors.EVENT_READ, self._accept)
        self.selector.register(self.alive, selectors.EVENT_READ, self._leave)
        while True:
            for key, _events in self.selector.select(0.2 if self.unburied else None):
                key.data(key.fileobj)
            if self.cgroups is not None and self.unburied:
                groups = self.cgroups
                self.unburied = [name for name in self.unburied if not groups.remove(name)]

    def _leave(self, _alive: socket.socket) -> NoReturn:
        os._exit(0)

    def _accept(self, listener: socket.socket) -> None:
        owner, _address = listener.accept()
        hello = {
            "level": self.config["level"],
            "steps": self.config["steps"],
            "names": True,
            "clocks": self.clocks.work(),
        }
        with contextlib.suppress(OSError):
            wire.send(owner, hello)
        self.selector.register(owner, selectors.EVENT_READ, self._take_order)

    def _take_order(self, owner: socket.socket) -> None:
        message, descriptors = wire.receive(owner)
        if message is None:
            # Each environment notices by its own control channel that its owner is gone.
            self.selector.unregister(owner)
            owner.close()
            return
        control, output = socket.socket(fileno=descriptors[0]), descriptors[1]
        try:
            self._start(Order.read(message), control, output)
        except OSError as error:
            with contextlib.suppress(OSError):
                wire.send(control, {"fault": str(error)})
        finally:
            control.close()
            os.close(output)

    def _start(self, order: Order, control: socket.socket, output: int) -> None:
        self.started += 1
        if order.clock_ahead_s and not self.clocks.work():
            order = replace(order, clock_ahead_s=0.0)
        slot = self._make_slot(order)
        root = self.config["root"]
        outer_uid = _FIRST_UID + self.started % _UIDS if root else 0
        confinement = Confinement(outer_uid, self.config["nested_user"], slot, self.seccomp)
        try:
            kernel.unshare(kernel.CLONE_NEWPID)
            child = os.fork()
            if child == 0:
                self._become_environment(order, confinement, control, output)
            # Children to come are ours again until the next one is split off.
            kernel.setns(self.namespace, kernel.CLONE_NEWPID)
        except OSError:
            if slot is not None:
                self._bury(slot)
            raise
        ended = os.pidfd_open(child)
        self.environments[ended] = (child, slot)
        self.selector.register(ended, selectors.EVENT_READ, self._reap)

    def _make_slot(self, order: Order) -> Slot | None:
        if self.cgroups is None:
            return None
        # The pages of /tmp count as well, so its size is part of the limit.
        limit = (order.memory_mb + order.tmp_mb + 16) * _MB
        return self.cgroups.make(f"env-{self.started}", limit, order.max_processes, order.cpus)

    def _become_environment(
        self, order: Order, confinement: Confinement, control: socket.socket, output: int
    ) -> NoReturn:
        keep = {control.fileno(), output}
        if confinement.slot is not None:
            keep |= set(confinement.slot.descriptors)
        for name in os.listdir("/proc/self/fd"):
            descriptor = int(name)
            if descriptor > 2 and descriptor not in keep:
                with contextlib.suppress(OSError):  # The one that listed the directory.
                    os.close(descriptor)
        cold = order.command is None and self._must_start_cold(order)
        variables = environment.receive_variables(control)
        clock = self.clocks.image if order.clock_ahead_s else None
        at_exec = None
        if clock is not None and (cold or order.command is not None):
            at_exec = partial(clock.shift, ahead_s=order.clock_ahead_s)
        function = environment.start(
            order, confinement, control, output, lambda: self._execute(order, variables, cold=cold), at_exec
        )
        Watch(order, confinement, control, function, self.clocks).until_the_end()

    def _must_start_cold(self, order: Order) -> bool:
        layer = None if order.layer_dir is None else Path(view.HOST + order.layer_dir)
        places = warm.package_places(Path(view.HOST + order.code_dir), layer, self.config["version"])
        return warm.must_start_cold(places, self.imported, order.copies)

    def _execute(self, order: Order, given: dict[str, str], *, cold: bool) -> NoReturn:
        interpreter = view.Interpreter(self.config["prefix"], self.config["version"])
        variables = complete_variables(given, interpreter.library_path)
        if order.command is None and not cold:
            if self.clocks.image is not None and order.clock_ahead_s:
                self.clocks.image.shift("self", order.clock_ahead_s)
            warm.become_function(variables, warm.function_path(interpreter.version))
        if order.command is None:
            arguments = [interpreter.executable, "-S", "-s", "-c", warm.cold_start()]
            variables["COLDSTART_PATH"] = ":".join(warm.function_path(interpreter.version))
        else:
            arguments = order.command
        os.chdir(warm.TASK)
        execute_program(arguments, variables)

    def _reap(self, ended: int) -> None:
        child, slot = self.environments.pop(ended)
        self.selector.unregister(ended)
        os.close(ended)
        os.waitpid(child, 0)
        if slot is not None:
            self._bury(slot)

    def _bury(self, slot: Slot) -> None:
        slot.close()
        if self.cgroups is not None and not self.cgroups.remove(slot.name):
            self.unburied.append(slot.name)


def execute_program(arguments: list[str], variables: dict[str, str]) -> NoReturn:
    """Become another program; when it can't be run, tell the Runtime API why, in Lambda's words."""
    for handled in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(handled, signal.SIG_DFL)
    try:
        os.execvpe(arguments[0], arguments, variables)
    except OSError as error:
        _refuse(variables["AWS_LAMBDA_RUNTIME_API"], _entrypoint_error(arguments[0], error))
        os._exit(127)


def _entrypoint_error(program: str, error: OSError) -> str:
    if program.endswith("/bootstrap") and not os.path.exists(program):
        return f"Couldn't find valid bootstrap(s): [{' '.join(BOOTSTRAPS)}]"
    return f"fork/exec {program}: {(error.strerror or 'it failed').lower()}"


def _refuse(runtime_api: str, message: str) -> None:
    """Report a failed init for a program that never ran."""
    host, _, port = runtime_api.partition(":")
    body = json.dumps({"errorType": "Runtime.InvalidEntrypoint", "errorMessage": message}).encode()
    head = (
        f"POST /2018-06-01/runtime/init/error HTTP/1.1\r\nHost: {runtime_api}\r\nConnection: close\r\n"
        f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    with contextlib.suppress(OSError), socket.create_connection((host, int(port)), timeout=1) as stream:
        stream.sendall(head.encode() + body)
        stream.recv(1)


def complete_variables(variables: dict[str, str], library_path: str) -> dict[str, str]:
    """The function's variables, with what every Lambda environment has unless it was given."""
    return {
        "AWS_LAMBDA_RUNTIME_API": f"127.0.0.1:{wire.RUNTIME_API_PORT}",
        "LAMBDA_TASK_ROOT": warm.TASK,
        "LAMBDA_RUNTIME_DIR": warm.RUNTIME,
        "LD_LIBRARY_PATH": library_path,
        "PATH": "/var/lang/bin:/usr/local/bin:/usr/bin/:/bin:/opt/bin",
        "LANG": "en_US.UTF-8",
        "TZ": ":UTC",
        **variables,
    }
