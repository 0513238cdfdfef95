"""One build in isolation: its keeper, as the first process of namespaces of its own.

A build runs strangers' code (plugins, compilers' inputs, scripts) and may need packages. It sees the
tools and one writable place of limited size, has a network that holds nothing but one listening socket
(served outside by whoever asked, as the only way to a registry), and leaves nothing behind: what it
made is read by the keeper when everything else in there is dead, and handed out through a pipe.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import signal
import socket
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from sandbox.isolation import cgroups, hierarchy, kernel, rights, seccomp, wire, workplace
from sandbox.isolation.environment import anonymous_mb, proportional_mb
from sandbox.isolation.rights import Confinement
from sandbox.isolation.workplace import Workplace

REGISTRY_PORT = 4873
# Identities that nobody on the machine has; far from those of execution environments.
_FIRST_UID = 1_900_000_000
_UIDS = 90_000_000
_WATCH_S = 0.05
# A build whose time is over is looked at this often.
_LOOK_S = 5.0
# It has had its time when it used most of it, or did next to nothing since the last look. Otherwise it waits
# for a processor, and goes on until so many times its time have passed.
_FULL_SHARE = 0.6
_IDLE_SHARE = 0.05
_PATIENCE = 4
_MB = 1024 * 1024


@dataclass(frozen=True, slots=True)
class Job:
    """What the owner asks for; written by our own client only.

    ``shown`` are files and directories of tools, seen read-only where they are; ``seeds`` are trees of
    ours (host directory, place inside) that are copied in. ``steps`` are run one after the other until
    one fails; ``result`` is the folder whose files are handed out then. ``ports`` are where sockets listen
    inside that the owner serves, the registry's apart. Descriptors: ``control`` (SEQPACKET), ``sources``
    and ``results`` (frames), ``output``.
    """

    owner: int
    control: int
    sources: int
    results: int
    output: int
    staging: str
    shown: tuple[str, ...]
    seeds: tuple[tuple[str, str], ...]
    steps: tuple[dict[str, Any], ...]
    result: str
    registry: bool
    ports: tuple[int, ...]
    memory_mb: int
    disk_mb: int
    processes: int
    time_s: float


def main() -> NoReturn:
    """Be the keeper's parent. The job is on standard input."""
    kernel.die_with_parent()
    told = json.load(sys.stdin.buffer)
    told |= {name: tuple(told[name]) for name in ("shown", "steps", "ports")}
    told["seeds"] = tuple((source, target) for source, target in told["seeds"])
    job = Job(**told)
    if os.getppid() != job.owner:
        os._exit(0)  # The owner died before the kernel knew that we go with it.
    control = socket.socket(fileno=job.control)
    groups: cgroups.Cgroups | None = None
    slot: cgroups.Slot | None = None
    try:
        with contextlib.suppress(OSError):
            groups = hierarchy.open_cgroups()
            # What is written to the build's place is memory to the kernel.
            slot = groups.make("build", (job.memory_mb + job.disk_mb) * _MB, job.processes)
        root = os.geteuid() == 0
        if not root:
            _own_user()
        kernel.unshare(kernel.CLONE_NEWPID)
        child = os.fork()
        if child == 0:
            kernel.die_with_parent()
            Keeper(job, control, slot, root=root).run()
    except OSError as error:
        _tell(control, {"fault": str(error)})
        os._exit(70)
    for descriptor in (job.sources, job.results, job.output):
        os.close(descriptor)
    control.close()
    os.waitpid(child, 0)
    if slot is not None:
        slot.close()
    if groups is not None:
        groups.remove("build")
        hierarchy.remove_base(os.getpid())
    os._exit(0)


def _own_user() -> None:
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _become(argv: list[str], environment: dict[str, str]) -> NoReturn:
    for handled in (signal.SIGINT, signal.SIGPIPE):
        signal.signal(handled, signal.SIG_DFL)
    try:
        os.execve(argv[0], argv, environment)
    except OSError as error:
        os.write(2, f"{argv[0]}: {error.strerror}\n".encode())
        os._exit(127)


def _cpu_time_s(pid: int) -> float:
    """What a process and its buried children have used; 0 when it is gone."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b") ")[2].split()
    except OSError:
        return 0.0
    return sum(map(int, fields[11:15])) / os.sysconf("SC_CLK_TCK")


def _tell(control: socket.socket, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
    with contextlib.suppress(OSError):  # The owner is gone; nobody is left to tell.
        wire.send(control, message, descriptors)


class Patience:
    """Ends a build that has had its time, and tells one that idled from one that got no processor.

    ``time``: it ran that long, or went on longer and did nothing. ``starved``: other processes of this
    machine kept it from running, for longer than anybody waits.
    """

    def __init__(self, time_s: float, now: float, cpu_time_s: Callable[[], float]) -> None:
        self._time_s = time_s
        self._cpu_time_s = cpu_time_s
        self._began = now
        self._looks_again = now + time_s
        self._looked: tuple[float, float] | None = None

    def ended(self, now: float) -> str:
        """Why the build has to end now; empty when it may go on."""
        if now < self._looks_again:
            return ""
        used, before = self._cpu_time_s(), self._looked
        self._looked = (now, used)
        self._looks_again = now + min(_LOOK_S, self._time_s / 4)
        if used >= self._time_s * _FULL_SHARE:
            return "time"
        if before is not None and used - before[1] < _IDLE_SHARE * (now - before[0]):
            return "time"
        return "starved" if now - self._began > self._time_s * _PATIENCE else ""


class Keeper:
    """The first process: makes the view, runs the steps, ends them, hands out what they made."""

    def __init__(self, job: Job, control: socket.socket, slot: cgroups.Slot | None, *, root: bool) -> None:
        self.job = job
        self.control = control
        self.slot = slot
        uid = _FIRST_UID + int.from_bytes(os.urandom(4), "big") % _UIDS if root else 0
        self.confinement = Confinement(uid, not root, slot, seccomp.deny_list(kernel.MACHINE))
        self.place = Workplace(job.shown, job.seeds, job.disk_mb, uid if root else None)
        self.patience = Patience(job.time_s, time.monotonic(), self._cpu_time_s)

    def run(self) -> NoReturn:
        """All of it. Whatever ends this process ends everything in its namespaces."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            everything = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC
            kernel.unshare(everything | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP)
            kernel.sethostname("build")
            kernel.loopback_up()
            self._open_doors()
            self.place.enter(self.job.staging)
            with os.fdopen(self.job.sources, "rb") as stream:
                self.place.take(stream)
        except (OSError, EOFError) as error:
            _tell(self.control, {"fault": str(error)})
            os._exit(70)
        for number, step in enumerate(self.job.steps):
            _tell(self.control, {"begun": number})
            try:
                child = self._start(step)
            except OSError as error:
                _tell(self.control, {"fault": str(error)})
                os._exit(70)
            ended = self._watch(child)
            self._end_all()
            if ended["status"] != 0:
                _tell(self.control, {"step": number, **ended})
                os._exit(0)
        _tell(self.control, {"step": len(self.job.steps) - 1, "status": 0, "reason": ""})
        # An owner that has enough closes its end.
        with contextlib.suppress(BrokenPipeError), os.fdopen(self.job.results, "wb") as stream:
            workplace.hand_out(self.job.result, stream)
        os._exit(0)

    def _open_doors(self) -> None:
        """All that this network holds: sockets that listen, given to the owner to serve."""
        with contextlib.ExitStack() as stack:
            listeners = []
            for port in (*((REGISTRY_PORT,) if self.job.registry else ()), *self.job.ports):
                listener = stack.enter_context(socket.socket(socket.AF_INET, socket.SOCK_STREAM))
                listener.bind(("127.0.0.1", port))
                listener.listen(128)
                listeners.append(listener.fileno())
            _tell(self.control, {"ready": True}, tuple(listeners))

    def _start(self, step: dict[str, Any]) -> int:
        def prepare() -> None:
            rights.limit(self._limits())
            os.nice(5)
            os.chdir(step["cwd"])
            os.umask(0o022)

        def execute() -> NoReturn:
            _become(step["argv"], step["environment"])

        return rights.start(self.confinement, self.job.output, prepare, execute, name="the build")

    def _watch(self, child: int) -> dict[str, Any]:
        ended = os.pidfd_open(child)
        poll = select.poll()
        poll.register(self.control, select.POLLIN)
        poll.register(ended, select.POLLIN)
        reason = ""
        try:
            while True:
                ready = {fd for fd, _event in poll.poll(_WATCH_S * 1000)}
                if ended in ready:
                    break
                if self.control.fileno() in ready:
                    os._exit(0)  # The owner died, or has had enough.
                if not reason and (reason := self._excess()):
                    self._signal_all()
                self._reap(child)
        finally:
            os.close(ended)
        _pid, status = os.waitpid(child, 0)
        code = os.waitstatus_to_exitcode(status)
        if code != 0 and not reason:
            memory = self.slot is not None and self.slot.out_of_memory()
            reason = "disk" if workplace.is_full() else "memory" if memory else ""
        return {"status": code if code or not reason else 1, "reason": reason}

    def _excess(self) -> str:
        if reason := self.patience.ended(time.monotonic()):
            return reason
        if self.slot is None:
            pids = self._processes()
            used = sum(map(anonymous_mb, pids))
            if used > self.job.memory_mb and sum(map(proportional_mb, pids)) > self.job.memory_mb:
                return "memory"
        return ""

    def _limits(self) -> dict[int, int]:
        limits = {
            resource.RLIMIT_NOFILE: 4096,
            resource.RLIMIT_CORE: 0,
            resource.RLIMIT_FSIZE: self.job.disk_mb * _MB,
            resource.RLIMIT_NPROC: self.job.processes,
            resource.RLIMIT_CPU: int(self.job.time_s) * 4,
            resource.RLIMIT_MEMLOCK: 64 * 1024,
            resource.RLIMIT_MSGQUEUE: 0,
        }
        if self.slot is None:
            limits[resource.RLIMIT_DATA] = (2 * self.job.memory_mb + 1024) * _MB
        return limits

    def _cpu_time_s(self) -> float:
        """What the build's processes have used, those that are over included."""
        reaped = resource.getrusage(resource.RUSAGE_CHILDREN)
        return reaped.ru_utime + reaped.ru_stime + sum(map(_cpu_time_s, self._processes()))

    def _processes(self) -> list[int]:
        return [int(name) for name in os.listdir("/proc") if name.isdigit() and name != "1"]

    def _signal_all(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            os.kill(-1, signal.SIGKILL)

    def _reap(self, child: int) -> None:
        """Bury daemons that lost their parent; the step's own process is left for its waiter."""
        with contextlib.suppress(ChildProcessError):
            while True:
                state = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
                if state is None or state.si_pid == child:
                    return
                os.waitpid(state.si_pid, 0)

    def _end_all(self) -> None:
        """Kill what the step left running, until nothing is."""
        with contextlib.suppress(ChildProcessError):
            while True:
                self._signal_all()
                os.waitpid(-1, 0)
