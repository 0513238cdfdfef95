"""One execution environment from the inside: its first process, and the function's.

The first process (pid 1) is ours. It makes the listening sockets in the private network, hands them
to the owner, starts the function's process without any right, then watches: it answers the owner,
reaps, guards memory, and ends everything when the owner's end of the control channel closes.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from sandbox.isolation import kernel, view, wire
from sandbox.isolation.cgroups import Slot

FUNCTION_UID = 1000
FILES_OPEN = 1024
# Python, its runtime client and the machine's libraries take about this much on Lambda, before a
# function allocates anything; pages shared with the warmed parent are counted as this constant.
RUNTIME_MB = 35
# The largest step between two looks at memory: what two cores can touch in that time stays small.
WATCH_INTERVAL_S = 0.02
CPU_LIMIT_S = 3600
STOP_TIMEOUT_S = 0.1
_PAGE = os.sysconf("SC_PAGESIZE")
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Order:
    """A validated request to start an environment."""

    environment_id: str
    code_dir: str
    layer_dir: str | None
    variables: dict[str, str]
    command: list[str] | None
    memory_mb: int
    tmp_mb: int
    gateway_port: int
    max_processes: int
    runtime_dir: str | None = None
    language_dir: str | None = None

    @classmethod
    def read(cls, message: dict[str, Any]) -> Order:
        """From the wire; only our own client writes these."""
        return cls(**{name: message[name] for name in cls.__slots__ if name in message})


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


def run(
    order: Order,
    confinement: Confinement,
    control: socket.socket,
    output: int,
    execute: Callable[[Order], NoReturn],
) -> NoReturn:
    """Be the first process of an environment. ``execute`` becomes the function's process."""
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
        sockets = listen("127.0.0.1", ports)
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
        _report(control, {"fault": str(error)})
        os._exit(70)
    Watch(order, confinement, control, function).until_the_end()


def _start_function(
    order: Order,
    confinement: Confinement,
    control: socket.socket,
    output: int,
    sockets: list[socket.socket],
    execute: Callable[[Order], NoReturn],
) -> int:
    """Fork the function's process; returns once it holds no rights any more.

    A user namespace's owner cannot map an identity other than its own, so the first process writes
    the map, between two steps of the child.
    """
    ours, theirs = socket.socketpair()
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
        execute(order)
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
        resource.setrlimit(name, (value, value))


def _report(control: socket.socket, message: dict[str, Any]) -> None:
    try:
        wire.send(control, message)
    except OSError:
        return  # The owner is gone; nobody is left to tell.


@dataclass(slots=True)
class Usage:
    """Memory of the environment's processes, sampled."""

    limit_mb: float
    shared_mb: float
    """What the function's process shared with the warmed parent when it was forked."""
    peak_mb: float = 0.0

    def sample(self, pids: list[int]) -> float:
        """Anonymous memory of all processes, in MB, with the runtime's own share as on Lambda.

        The quick figure counts what forks share once for each of them; only when it is over the limit
        is the exact one taken, which costs the kernel a walk over every page table.
        """
        used = max(sum(map(anonymous_mb, pids)) - self.shared_mb, 0.0) + RUNTIME_MB
        if used > self.limit_mb:
            used = min(used, sum(map(proportional_mb, pids)) + RUNTIME_MB)
        self.peak_mb = max(self.peak_mb, used)
        return used


class Watch:
    """The first process after its start: a loop over the owner's words and its children."""

    def __init__(self, order: Order, confinement: Confinement, control: socket.socket, function: int) -> None:
        self.order = order
        self.slot = confinement.slot
        self.control = control
        self.function = function
        self.frozen = False
        self.over_memory = False
        inherited = 0.0 if order.command else anonymous_mb(function)
        self.usage = Usage(float(order.memory_mb), shared_mb=inherited)

    def until_the_end(self) -> NoReturn:
        """Serve until the function's process ends or the owner lets go."""
        ended = os.pidfd_open(self.function)
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(ended, select.POLLIN)
        while True:
            ready = {fd for fd, _event in poll.poll(None if self.frozen else WATCH_INTERVAL_S * 1000)}
            if ended in ready:
                self._finish()
            if self.control.fileno() in ready:
                self._answer()
            elif not self.frozen:
                self._guard_memory()
            self._reap()

    def _answer(self) -> None:
        message, _descriptors = wire.receive(self.control)
        if message is None:
            self.leave()  # The owner died.
        match message["do"]:
            case "freeze":
                # kill(-1) reaches every process here but us, under one lock: a fork in progress
                # either starts over after the signal or its child gets it too.
                self.signal_all(signal.SIGSTOP)
                self.frozen = True
                await_stop(self.processes())
                _report(self.control, {"reply": True})
            case "thaw":
                self.signal_all(signal.SIGCONT)
                self.frozen = False
                _report(self.control, {"reply": True})
            case "usage":
                self.usage.sample(self.processes())
                _report(self.control, {"reply": True, **self._usage()})
            case "kill":
                _report(self.control, {"exit": {"status": None, "signal": 9}, **self._usage()})
                self.leave()

    def _usage(self) -> dict[str, Any]:
        return {
            "memory_peak_mb": min(self.usage.peak_mb, float(self.order.memory_mb)),
            "cpu_time_s": self._cpu_time_s(),
            "out_of_memory": self.over_memory,
        }

    def _cpu_time_s(self) -> float:
        reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
        total = reaped.ru_utime + reaped.ru_stime
        for pid in self.processes():
            try:
                total += kernel.cpu_clock(pid)
            except OSError:
                continue  # It ended between the listing and the look.
        return total

    def _guard_memory(self) -> None:
        if self.usage.sample(self.processes()) > self.order.memory_mb:
            self.over_memory = True
            self.signal_all(signal.SIGKILL)

    def signal_all(self, number: signal.Signals) -> None:
        """Signal every process of the environment but this one."""
        try:
            os.kill(-1, number)
        except ProcessLookupError:
            return  # Nobody is left.

    def _reap(self) -> None:
        """Bury daemons that lost their parent; the function's process is left for ``_finish``."""
        while True:
            try:
                state = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
            except ChildProcessError:
                return
            if state is None or state.si_pid == self.function:
                return
            os.waitpid(state.si_pid, 0)

    def _finish(self) -> NoReturn:
        usage = self._usage()
        _pid, status = os.waitpid(self.function, 0)
        code = os.waitstatus_to_exitcode(status)
        if code == -signal.SIGKILL and self.slot is not None and self.slot.out_of_memory():
            usage["out_of_memory"] = True
        if usage["out_of_memory"]:
            usage["memory_peak_mb"] = float(self.order.memory_mb)
        ended = {"status": code, "signal": None} if code >= 0 else {"status": None, "signal": -code}
        reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
        usage["cpu_time_s"] = max(usage["cpu_time_s"], reaped.ru_utime + reaped.ru_stime)
        _report(self.control, {"exit": ended, **usage})
        self.leave()

    def leave(self) -> NoReturn:
        """End; the kernel ends the rest of this process namespace with us."""
        os._exit(0)

    def processes(self) -> list[int]:
        """Every process of the environment but this one."""
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]


def await_stop(pids: list[int]) -> None:
    """Return when no process here runs; one that the kernel holds back stops before it next runs."""
    deadline = time.monotonic() + STOP_TIMEOUT_S
    for pid in pids:
        while _state(pid) == b"R" and time.monotonic() < deadline:
            os.sched_yield()


def _state(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1]
    except OSError:
        return b"X"


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
