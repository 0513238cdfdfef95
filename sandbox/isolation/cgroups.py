"""Memory and process limits that the kernel keeps for a whole environment, where we may write them."""

from __future__ import annotations

import contextlib
import errno
import os
from dataclasses import dataclass
from pathlib import Path

_PREFIX = "coldstart-"


@dataclass(frozen=True, slots=True)
class Slot:
    """One environment's groups: descriptors to join by, and to read memory events from."""

    name: str
    join: tuple[int, ...]
    events: int

    def enter(self) -> None:
        """Put the calling process in."""
        for descriptor in self.join:
            os.write(descriptor, b"0")

    def out_of_memory(self) -> bool:
        """The kernel has killed something in here for memory."""
        for line in os.pread(self.events, 4096, 0).splitlines():
            name, _, count = line.partition(b" ")
            if name == b"oom_kill":
                return int(count) > 0
        return False

    def close(self) -> None:
        """Close the descriptors; the groups stay until they are removed."""
        for descriptor in (*self.join, self.events):
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The groups below which environments get theirs. One root (v2) or two (v1)."""

    version: int
    roots: tuple[int, ...]

    def make(self, name: str, memory_bytes: int, max_processes: int) -> Slot:
        """Groups for one environment, with its limits set."""
        for root in self.roots:
            os.mkdir(name, dir_fd=root)
        if self.version == 1:
            memory, pids = self.roots
            limits = [
                (memory, "memory.limit_in_bytes", memory_bytes),
                (memory, "memory.swappiness", 0),
                (pids, "pids.max", max_processes),
            ]
            events = (memory, "memory.oom_control")
        else:
            (root,) = self.roots
            limits = [(root, "memory.max", memory_bytes), (root, "pids.max", max_processes)]
            events = (root, "memory.events")
            with contextlib.suppress(FileNotFoundError):  # No swap, no such file.
                _write_at(root, f"{name}/memory.swap.max", 0)
        for root, file, value in limits:
            _write_at(root, f"{name}/{file}", value)
        join = tuple(os.open(f"{name}/cgroup.procs", os.O_WRONLY, dir_fd=root) for root in self.roots)
        return Slot(name, join, os.open(f"{name}/{events[1]}", os.O_RDONLY, dir_fd=events[0]))

    def remove(self, name: str) -> bool:
        """Remove an environment's groups; False while the kernel still holds one of its processes."""
        gone = True
        for root in self.roots:
            try:
                os.rmdir(name, dir_fd=root)
            except FileNotFoundError:
                continue
            except OSError as error:
                if error.errno != errno.EBUSY:
                    raise
                gone = False
        return gone


def open_cgroups() -> Cgroups:
    """Make this spawner's groups below our own.

    Raises:
        OSError: no hierarchy takes the step; the message names it.
    """
    own = _own_groups()
    mounts = _mounted()
    if "memory" in mounts and "pids" in mounts:
        return Cgroups(
            1, tuple(_open_base(_below(mounts[name], own.get(name, "/"))) for name in ("memory", "pids"))
        )
    if "" not in mounts:
        raise FileNotFoundError(errno.ENOENT, "no cgroup hierarchy is mounted")
    problems = []
    for parent in (_below(mounts[""], own.get("", "/")), Path(mounts[""][1])):
        try:
            _enable(parent)
            return Cgroups(2, (_open_base(parent, delegate=True),))
        except OSError as error:
            problems.append(f"{parent}: {error.strerror}")
    raise PermissionError(errno.EACCES, "; ".join(problems))


def _open_base(parent: Path, *, delegate: bool = False) -> int:
    _remove_stale(parent)
    base = parent / f"{_PREFIX}{os.getpid()}"
    base.mkdir(exist_ok=True)
    if delegate:
        _enable(base)
    return os.open(base, os.O_RDONLY | os.O_DIRECTORY)


def _enable(group: Path) -> None:
    """Let children of a v2 group have memory and process limits."""
    control = group / "cgroup.subtree_control"
    if not {"memory", "pids"} <= set(control.read_text().split()):
        control.write_text("+memory +pids")


def _remove_stale(parent: Path) -> None:
    """Remove what spawners that were killed left behind."""
    for base in parent.glob(f"{_PREFIX}*"):
        if Path("/proc", base.name.removeprefix(_PREFIX)).exists():
            continue
        for group in [*base.glob("*/"), base]:
            with contextlib.suppress(OSError):
                group.rmdir()


def remove_base(pid: int) -> None:
    """Remove the groups of the spawner that had ``pid``, once its environments are gone."""
    own = _own_groups()
    for name, mount in _mounted().items():
        for parent in (_below(mount, own.get(name, "/")), Path(mount[1])):
            base = parent / f"{_PREFIX}{pid}"
            if not base.is_dir():
                continue
            for group in [*base.glob("*/"), base]:
                with contextlib.suppress(OSError):
                    group.rmdir()


def _own_groups() -> dict[str, str]:
    """Our own path in each hierarchy; v2 under the empty name."""
    groups = {}
    for line in Path("/proc/self/cgroup").read_text().splitlines():
        _number, controllers, path = line.split(":", 2)
        for name in controllers.split(","):
            groups[name] = path
    return groups


def _mounted() -> dict[str, tuple[str, str]]:
    """Controller (v2: the empty name) → (root of the mount in the hierarchy, where it is mounted)."""
    mounts = {}
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        before, _, after = line.partition(" - ")
        kind, _source, options = after.split(" ", 2)
        fields = before.split(" ")
        if kind == "cgroup2":
            mounts[""] = (fields[3], fields[4])
        elif kind == "cgroup":
            for name in options.split(","):
                mounts[name] = (fields[3], fields[4])
    return mounts


def _below(mount: tuple[str, str], path: str) -> Path:
    root, point = mount
    if path == root or not path.startswith(root):
        return Path(point)
    return Path(point, path.removeprefix(root).lstrip("/"))


def _write_at(root: int, path: str, value: int) -> None:
    descriptor = os.open(path, os.O_WRONLY, dir_fd=root)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)
