"""One build in isolation: its keeper, as the first process of namespaces of its own.

A build runs strangers' code (plugins, compilers' inputs, scripts) and may need packages. It sees the
tools and one writable place of limited size, has a network that holds nothing but one listening socket
(served outside by whoever asked, as the only way to a registry), and leaves nothing behind: what it
made is read by the keeper when everything else in there is dead, and handed out through a pipe.

No file of the machine is shared for writing: sources come in and results go out as frames.
"""

from __future__ import annotations

import contextlib
import json
import os
import resource
import select
import shutil
import signal
import socket
import stat
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from sandbox.isolation import cgroups, hierarchy, kernel, seccomp, wire
from sandbox.isolation.environment import anonymous_mb, connect_output, proportional_mb
from sandbox.isolation.frames import read_frames, write_end, write_frame

BUILD = "/build"
SOURCE = f"{BUILD}/src"
RESULT = f"{BUILD}/out"
HOME = f"{BUILD}/home"
REGISTRY_PORT = 4873
BUILD_UID = 1000

# Identities that nobody on the machine has; far from those of execution environments.
_FIRST_UID = 1_900_000_000
_UIDS = 90_000_000
_WATCH_S = 0.05
_MB = 1024 * 1024
_DEVICES = ("null", "zero", "full", "random", "urandom")
_SYSTEM_LINKS = ("bin", "sbin", "lib", "lib32", "lib64", "libx32")
# Of /etc, what tools read and what is the same on every machine.
_ETC_SHOWN = ("alternatives", "ssl/certs", "ssl/openssl.cnf", "ld.so.cache", "ld.so.conf", "ld.so.conf.d")
_ETC_WRITTEN = {
    "passwd": f"root:x:0:0::/:/sbin/nologin\nbuild:x:{BUILD_UID}:{BUILD_UID}::{HOME}:/sbin/nologin\n",
    "group": f"root:x:0:\nbuild:x:{BUILD_UID}:\n",
    "hosts": "127.0.0.1 localhost\n",
    "resolv.conf": "",
    "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files\n",
}
_HIDDEN = ("/usr/local", "/usr/lib/python3/dist-packages", "/usr/src")


@dataclass(frozen=True, slots=True)
class Job:
    """What the owner asks for; written by our own client only.

    ``shown`` are files and directories of tools, seen read-only where they are; ``seeds`` are trees of
    ours (host directory, place inside) that are copied in. ``steps`` are run one after the other until
    one fails; ``result`` is the folder whose files are handed out then. Descriptors: ``control``
    (SEQPACKET), ``sources`` and ``results`` (frames), ``output``.
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
    memory_mb: int
    disk_mb: int
    processes: int
    time_s: float


def main() -> NoReturn:
    """Be the keeper's parent. The job is on standard input."""
    kernel.die_with_parent()
    told = json.load(sys.stdin.buffer)
    told |= {name: tuple(told[name]) for name in ("shown", "steps")}
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


def _tell(control: socket.socket, message: dict[str, Any], descriptors: tuple[int, ...] = ()) -> None:
    with contextlib.suppress(OSError):  # The owner is gone; nobody is left to tell.
        wire.send(control, message, descriptors)


class Keeper:
    """The first process: makes the view, runs the steps, ends them, hands out what they made."""

    def __init__(self, job: Job, control: socket.socket, slot: cgroups.Slot | None, *, root: bool) -> None:
        self.job = job
        self.control = control
        self.slot = slot
        self.root = root
        self.uid = _FIRST_UID + int.from_bytes(os.urandom(4), "big") % _UIDS if root else 0
        self.filter = seccomp.deny_list(kernel.MACHINE)
        self.deadline = time.monotonic() + job.time_s

    def run(self) -> NoReturn:
        """All of it. Whatever ends this process ends everything in its namespaces."""
        signal.signal(signal.SIGINT, signal.SIG_DFL)
        try:
            everything = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC
            kernel.unshare(everything | kernel.CLONE_NEWUTS | kernel.CLONE_NEWCGROUP)
            kernel.sethostname("build")
            kernel.loopback_up()
            self._open_registry()
            self._build_view()
            self._take_sources()
        except (OSError, EOFError) as error:
            _tell(self.control, {"fault": str(error)})
            os._exit(70)
        for number, step in enumerate(self.job.steps):
            _tell(self.control, {"begun": number})
            ended = self._step(step)
            self._end_all()
            if ended["status"] != 0:
                _tell(self.control, {"step": number, **ended})
                os._exit(0)
        _tell(self.control, {"step": len(self.job.steps) - 1, "status": 0, "reason": ""})
        self._hand_out()
        os._exit(0)

    def _open_registry(self) -> None:
        if not self.job.registry:
            _tell(self.control, {"ready": True})
            return
        with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as listener:
            listener.bind(("127.0.0.1", REGISTRY_PORT))
            listener.listen(128)
            _tell(self.control, {"ready": True}, (listener.fileno(),))

    # --- what is seen inside

    def _build_view(self) -> None:
        root = self.job.staging
        kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_SLAVE)
        plain = kernel.MS_NOSUID | kernel.MS_NODEV
        kernel.mount("view", root, "tmpfs", plain, "size=4m,mode=755")
        os.mkdir(f"{root}/usr", 0o755)
        kernel.bind_read_only("/usr", f"{root}/usr")
        for name in _SYSTEM_LINKS:
            if os.path.islink(f"/{name}"):
                os.symlink(os.readlink(f"/{name}"), f"{root}/{name}")
            elif os.path.isdir(f"/{name}"):
                os.mkdir(f"{root}/{name}", 0o755)
                kernel.bind_read_only(f"/{name}", f"{root}/{name}")
        for hidden in _HIDDEN:
            if os.path.isdir(root + hidden):
                kernel.mount("hidden", root + hidden, "tmpfs", plain, "size=64k,mode=755")
        self._show_devices(root)
        os.makedirs(f"{root}/etc")
        for name, text in _ETC_WRITTEN.items():
            Path(root, "etc", name).write_text(text)
        for path in (*(f"/etc/{name}" for name in _ETC_SHOWN), *self.job.shown):
            _show(path, root)
        for name in ("build", "proc", "tmp"):
            os.mkdir(f"{root}/{name}")
        size = f"size={self.job.disk_mb}m,nr_inodes={self.job.disk_mb * 400},mode=755"
        kernel.mount("build", root + BUILD, "tmpfs", plain, size)
        for place in (BUILD, f"{BUILD}/tmp", HOME, SOURCE, RESULT):
            os.makedirs(root + place, exist_ok=True)
            self._give(root + place)
        kernel.bind(f"{root}{BUILD}/tmp", f"{root}/tmp", kernel.MOUNT_ATTR_NOSUID | kernel.MOUNT_ATTR_NODEV)
        for source, target in self.job.seeds:
            self._plant(source, root + target)
        kernel.mount("proc", f"{root}/proc", "proc", plain | kernel.MS_NOEXEC)
        for path in (root, *(root + hidden for hidden in _HIDDEN if os.path.isdir(root + hidden))):
            kernel.set_mount_attributes(path, kernel.MOUNT_ATTR_RDONLY, recursive=False)
        kernel.pivot_root(root)

    def _show_devices(self, root: str) -> None:
        os.mkdir(f"{root}/dev", 0o755)
        for device in _DEVICES:
            Path(root, "dev", device).touch()
            # Without MS_NODEV: these five are the devices a program may open.
            kernel.bind(f"/dev/{device}", f"{root}/dev/{device}", kernel.MOUNT_ATTR_NOSUID)
        for link, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
            os.symlink(f"/proc/self/{target}", f"{root}/dev/{link}")

    def _plant(self, source: str, target: str) -> None:
        shutil.copytree(source, target, copy_function=shutil.copyfile, dirs_exist_ok=True)
        for here, _folders, names in os.walk(target):
            self._give(here)
            for name in names:
                self._give(f"{here}/{name}")

    def _give(self, path: str) -> None:
        if self.root:
            os.chown(path, self.uid, self.uid)

    def _take_sources(self) -> None:
        with os.fdopen(self.job.sources, "rb") as stream:
            for name, runs, size in read_frames(stream):
                path = Path(BUILD, name)
                if ".." in path.parts or not path.is_relative_to(BUILD):
                    raise OSError(0, f"the source {name!r} leads out of the build's place")
                for parent in reversed(path.parents[: -len(Path(BUILD).parts)]):
                    if not parent.is_dir():
                        parent.mkdir()
                        self._give(str(parent))
                path.write_bytes(stream.read(size))
                path.chmod(0o755 if runs else 0o644)
                self._give(str(path))

    # --- the steps

    def _step(self, step: dict[str, Any]) -> dict[str, Any]:
        child = self._start(step)
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
            reason = self._full() or ("memory" if self.slot and self.slot.out_of_memory() else "")
        return {"status": code if code or not reason else 1, "reason": reason}

    def _excess(self) -> str:
        if time.monotonic() > self.deadline:
            return "time"
        if self.slot is None:
            pids = self._processes()
            used = sum(map(anonymous_mb, pids))
            if used > self.job.memory_mb and sum(map(proportional_mb, pids)) > self.job.memory_mb:
                return "memory"
        return ""

    def _full(self) -> str:
        place = os.statvfs(BUILD)
        return "disk" if place.f_bavail * place.f_frsize < 64 * 1024 or place.f_favail < 8 else ""

    def _start(self, step: dict[str, Any]) -> int:
        ours, theirs = socket.socketpair()
        child = os.fork()
        if child == 0:
            ours.close()
            self._become(step, theirs)
        theirs.close()
        answer = ours.recv(512)
        if answer == b"u":
            _map_identity(child)
            ours.send(b"m")
            answer = ours.recv(512)
        ours.close()
        if answer != b"r":
            _tell(self.control, {"fault": f"the build could not be confined: {answer.decode() or 'it died'}"})
            os._exit(70)
        return child

    def _become(self, step: dict[str, Any], starter: socket.socket) -> NoReturn:
        try:
            kernel.die_with_parent()
            os.setsid()
            connect_output(self.job.output)
            if self.slot is not None:
                self.slot.enter()
            if self.root:
                os.setgroups([])
                os.setresgid(*[self.uid] * 3)
                os.setresuid(*[self.uid] * 3)
            else:
                kernel.unshare(kernel.CLONE_NEWUSER)
                starter.send(b"u")
                starter.recv(1)
                os.setresgid(*[BUILD_UID] * 3)
                os.setresuid(*[BUILD_UID] * 3)
            self._set_limits()
            kernel.drop_capabilities()
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)
            kernel.die_with_parent()  # Changing identity clears it.
            os.nice(5)
            os.closerange(3, starter.fileno())
            os.closerange(starter.fileno() + 1, 4096)
            os.chdir(step["cwd"])
            os.umask(0o022)
            kernel.install_filter(self.filter)
            starter.send(b"r")
            starter.close()
        except OSError as error:
            starter.send(str(error).encode())
            os._exit(70)
        for handled in (signal.SIGINT, signal.SIGPIPE):
            signal.signal(handled, signal.SIG_DFL)
        try:
            os.execve(step["argv"][0], step["argv"], step["environment"])
        except OSError as error:
            os.write(2, f"{step['argv'][0]}: {error.strerror}\n".encode())
            os._exit(127)

    def _set_limits(self) -> None:
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
        for name, value in limits.items():
            hard = resource.getrlimit(name)[1]
            value = value if hard == resource.RLIM_INFINITY else min(value, hard)
            resource.setrlimit(name, (value, value))

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

    # --- what came of it

    def _hand_out(self) -> None:
        """Regular files, and links to such inside the result; everything in there is dead by now."""
        # An owner that has enough closes its end.
        with contextlib.suppress(BrokenPipeError), os.fdopen(self.job.results, "wb") as stream:
            for name, path, status in _regular(self.job.result):
                with open(path, "rb") as file:
                    write_frame(stream, name, file.read(), runs=bool(status.st_mode & stat.S_IXUSR))
            write_end(stream)


def _regular(root: str) -> Iterator[tuple[str, str, os.stat_result]]:
    """Files below ``root`` by relative name; a link counts as what it names, once, inside ``root``."""
    inside = os.path.realpath(root) + "/"
    todo: list[tuple[str, frozenset[str]]] = [("", frozenset({os.path.realpath(root)}))]
    while todo:
        folder, above = todo.pop()
        with os.scandir(os.path.join(root, folder)) as entries:
            found = sorted(entries, key=lambda entry: entry.name)
        for entry in found:
            name = os.path.join(folder, entry.name)
            real = os.path.realpath(entry.path)
            if not real.startswith(inside):
                continue
            with contextlib.suppress(OSError):
                status = os.stat(real)
                if stat.S_ISDIR(status.st_mode) and real not in above:
                    todo.append((name, above | {real}))
                elif stat.S_ISREG(status.st_mode):
                    yield name, real, status


def _show(path: str, root: str) -> None:
    """Show a file or directory of the machine read-only where it is; what is not there is left out."""
    target = root + path
    if not os.path.exists(path):
        return
    if os.path.isdir(path):
        os.makedirs(target, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(target), exist_ok=True)
        if not os.path.lexists(target):
            Path(target).touch()
    kernel.bind_read_only(path, target)


def _map_identity(child: int) -> None:
    Path(f"/proc/{child}/setgroups").write_text("deny")
    for name in ("uid_map", "gid_map"):
        Path(f"/proc/{child}/{name}").write_text(f"{BUILD_UID} 0 1\n")
