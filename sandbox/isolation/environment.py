"""One execution environment from the inside: its first process, and the function's.

The first process (pid 1) is ours. It makes the listening sockets in the private network, hands them
to the owner, starts the function's process without any right, then watches over it (``watch.py``).
"""

from __future__ import annotations

import contextlib
import os
import resource
import signal
import socket
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from sandbox.isolation import kernel, names, view, wire
from sandbox.isolation.cgroups import Slot

FUNCTION_UID = 1000
FILES_OPEN = 1024
CPU_LIMIT_S = 3600
_PAGE = os.sysconf("SC_PAGESIZE")
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Order:
    """A request to start an environment, as the spawner sees it: without the function's variables."""

    environment_id: str
    code_dir: str
    layer_dir: str | None
    command: list[str] | None
    memory_mb: int
    tmp_mb: int
    gateway_port: int
    max_processes: int
    cpus: float | None = None
    runtime_dir: str | None = None
    language_dir: str | None = None

    @classmethod
    def read(cls, message: dict[str, Any]) -> Order:
        """From the wire; only our own client writes these."""
        return cls(**{name: message[name] for name in cls.__slots__ if name in message})


def receive_variables(control: socket.socket) -> dict[str, str]:
    """The function's variables, read in the environment's own first process."""
    message, _descriptors = wire.receive(control)
    if message is None:
        os._exit(0)  # The owner died.
    variables: dict[str, str] = message["variables"]
    return variables


@dataclass(frozen=True, slots=True)
class Confinement:
    """How the function's process gives up its rights.

    ``outer_uid`` is who it is outside its own user namespace: a fresh uid as root, else the spawner's
    own. ``slot`` is None where no cgroup can be had.
    """

    outer_uid: int
    nested_user: bool
    slot: Slot | None
    seccomp: bytes


def listen(address: str, ports: tuple[int, int, int, int]) -> list[socket.socket]:
    """The Runtime API, the AWS endpoint, OTLP and X-Ray, in this network namespace."""
    sockets = []
    for port in ports[:3]:
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((address, port))
        listener.listen(128)
        sockets.append(listener)
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((address, ports[3]))
    return [*sockets, datagrams]


def listen_for_names(address: str) -> list[socket.socket]:
    """DNS by UDP and TCP, and HTTPS, in this network namespace."""
    datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    datagrams.bind((address, wire.DNS_PORT))
    sockets = [datagrams]
    for port in (wire.DNS_PORT, wire.TLS_PORT):
        listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
        listener.bind((address, port))
        listener.listen(128)
        sockets.append(listener)
    return sockets


def start(
    order: Order,
    confinement: Confinement,
    control: socket.socket,
    output: int,
    execute: Callable[[], NoReturn],
) -> int:
    """Become the first process of an environment and start the function's, by ``execute``; its pid.

    The owner is told how that went. What failed here ends the process, and with it the environment.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # As pid 1 we are deaf to what has no handler.
    try:
        kernel.die_with_parent()
        kernel.unshare(
            kernel.CLONE_NEWNS
            | kernel.CLONE_NEWNET
            | kernel.CLONE_NEWIPC
            | kernel.CLONE_NEWUTS
            | kernel.CLONE_NEWCGROUP
        )
        kernel.sethostname("sandbox")
        kernel.loopback_up()
        ports = (wire.RUNTIME_API_PORT, order.gateway_port, wire.OTLP_PORT, wire.XRAY_PORT)
        sockets = [*listen("127.0.0.1", ports), *listen_for_names(names.ADDRESS)]
        laid = {
            "/var/task": order.code_dir,
            "/opt": order.layer_dir,
            "/var/runtime": order.runtime_dir,
            "/var/lang": order.language_dir,
        }
        view.enter(laid, order.tmp_mb)
        function = _start_function(order, confinement, control, output, sockets, execute)
        os.close(output)
        own = os.pidfd_open(os.getpid())
        wire.send(control, {"started": True}, (*(each.fileno() for each in sockets), own))
        os.close(own)
        for each in sockets:
            each.close()
    except OSError as error:
        with contextlib.suppress(OSError):  # The owner may be gone as well.
            wire.send(control, {"fault": str(error)})
        os._exit(70)
    return function


def _start_function(
    order: Order,
    confinement: Confinement,
    control: socket.socket,
    output: int,
    sockets: list[socket.socket],
    execute: Callable[[], NoReturn],
) -> int:
    """Fork the function's process; returns once it holds no rights any more.

    A user namespace's owner cannot map an identity other than its own, so the first process writes
    the map, between two steps of the child.
    """
    ours, theirs = socket.socketpair()
    # Ours stays closed to the function's process also where both are one user outside.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    child = os.fork()
    if child == 0:
        try:
            ours.close()
            kernel.die_with_parent()
            os.setsid()
            connect_output(output)
            if confinement.slot is not None:
                confinement.slot.enter()
            if confinement.nested_user:
                kernel.unshare(kernel.CLONE_NEWUSER)
                kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # Else only root may write the map.
                theirs.send(b"u")
                theirs.recv(1)
                os.setresgid(FUNCTION_UID, FUNCTION_UID, FUNCTION_UID)
                os.setresuid(FUNCTION_UID, FUNCTION_UID, FUNCTION_UID)
            else:
                os.setgroups([])
                os.setresgid(*[confinement.outer_uid] * 3)
                os.setresuid(*[confinement.outer_uid] * 3)
            set_limits(order, counted=confinement.slot is not None)
            kernel.drop_capabilities()
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # Else /proc/self belongs to root.
            kernel.die_with_parent()  # Changing identity clears it.
            keep = theirs.fileno()
            os.closerange(3, keep)
            os.closerange(keep + 1, 4096)
            kernel.install_filter(confinement.seccomp)
            theirs.send(b"r")
            theirs.close()
        except OSError as error:
            theirs.send(str(error).encode())
            os._exit(70)
        execute()
    theirs.close()
    answer = ours.recv(512)
    if answer == b"u":
        _map_identity(child, confinement.outer_uid)
        ours.send(b"m")
        answer = ours.recv(512)
    ours.close()
    if answer != b"r":
        raise OSError(0, f"the function's process could not be confined: {answer.decode() or 'it died'}")
    return child


def _map_identity(child: int, outer_uid: int) -> None:
    with open(f"/proc/{child}/setgroups", "w") as file:
        file.write("deny")
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{child}/{name}", "w") as file:
            file.write(f"{FUNCTION_UID} {outer_uid} 1\n")


def connect_output(output: int) -> None:
    """Standard output and error go to the owner; standard input is empty."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


def set_limits(order: Order, *, counted: bool, others: int = 0) -> None:
    """Limits of the process, beside what the kernel counts for the whole environment.

    ``others`` is how many tasks the same user has outside: they count against the same limit.
    """
    limits = {
        resource.RLIMIT_NOFILE: FILES_OPEN,
        resource.RLIMIT_CORE: 0,
        resource.RLIMIT_FSIZE: order.tmp_mb * _MB,
        resource.RLIMIT_NPROC: order.max_processes + others,
        resource.RLIMIT_CPU: CPU_LIMIT_S,
        resource.RLIMIT_MEMLOCK: 64 * 1024,
        resource.RLIMIT_MSGQUEUE: 0,
    }
    if not counted:
        # Never RLIMIT_AS: runtimes reserve far more than they use. The watchdog holds the exact
        # figure for the tree; this keeps one process from outrunning it between two looks.
        limits[resource.RLIMIT_DATA] = (2 * order.memory_mb + 1024) * _MB
    for name, value in limits.items():
        _soft, hard = resource.getrlimit(name)  # Ours may be lower already, and only root may raise it.
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (allowed, allowed))


def anonymous_mb(pid: int) -> float:
    """Memory of a process that no file backs, in MB; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/statm", "rb") as file:
            fields = file.read().split()
    except OSError:
        return 0.0
    return (int(fields[1]) - int(fields[2])) * _PAGE / _MB


def proportional_mb(pid: int) -> float:
    """As ``anonymous_mb``, with each shared page divided among those who share it."""
    try:
        with open(f"/proc/{pid}/smaps_rollup", "rb") as file:
            for line in file:
                if line.startswith(b"Pss_Anon:"):
                    return int(line.split()[1]) / 1024
    except OSError:
        return 0.0
    return 0.0
