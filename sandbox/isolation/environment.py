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
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

from sandbox.isolation import kernel, names, rights, vdso, view, wire
from sandbox.isolation.rights import Confinement

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
    copies: Sequence[str] = ()
    clock_ahead_s: float = 0.0

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
    at_exec: Callable[[int], None] | None = None,
) -> int:
    """Become the first process of an environment and start the function's, by ``execute``; its pid.

    ``at_exec`` is called with it when it has become another program that has not run yet. The owner is told
    how that went. What failed here ends the process, and with it the environment.
    """

    def prepare() -> None:
        set_limits(order, counted=confinement.slot is not None)
        if at_exec is not None:
            kernel.trace_me()

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
        function = rights.start(confinement, output, prepare, execute, name="the function's process")
        if at_exec is not None:
            vdso.await_exec(function, at_exec)
        os.close(output)
        own = os.pidfd_open(os.getpid())
        started = {"started": True, "clock_ahead_s": order.clock_ahead_s}
        wire.send(control, started, (*(each.fileno() for each in sockets), own))
        os.close(own)
        for each in sockets:
            each.close()
    except OSError as error:
        with contextlib.suppress(OSError):  # The owner may be gone as well.
            wire.send(control, {"fault": str(error)})
        os._exit(70)
    return function


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
    rights.limit(limits)


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
