"""A cgroup hierarchy on disk that behaves as the kernel's does where our code can tell the difference.

For what a machine does not offer: making a directory fills it with control files, removing it takes
them along and is refused while a process is in it, ``cgroup.subtree_control`` takes only what is offered
and nothing at all from a group with processes of its own.
"""

from __future__ import annotations

import errno
import os
from pathlib import Path
from typing import Any

import pytest

V1_FILES = {
    "memory": ("memory.limit_in_bytes", "memory.swappiness", "memory.oom_control"),
    "pids": ("pids.max",),
    "cpu": ("cpu.shares", "cpu.cfs_period_us", "cpu.cfs_quota_us"),
}
V2_FILES = {
    "memory": ("memory.max", "memory.swap.max", "memory.oom.group", "memory.events"),
    "pids": ("pids.max",),
    "cpu": ("cpu.max", "cpu.weight"),
}
V2_CORE = ("cgroup.freeze", "cgroup.events", "cgroup.kill")


class FakeCgroups:
    """``controllers`` is what the v2 root offers, or the one controller of a v1 hierarchy."""

    def __init__(self, root: Path, version: int, controllers: tuple[str, ...]) -> None:
        self.root = root
        self.version = version
        self.controllers = controllers
        self.read_only: set[Path] = set()
        root.mkdir()
        self.fill(root)

    def fill(self, group: Path) -> None:
        """Give a new group its control files."""
        names = ["cgroup.procs"]
        if self.version == 1:
            names += V1_FILES[self.controllers[0]]
        else:
            given = self.offered(group)
            names += ["cgroup.controllers", "cgroup.subtree_control"]
            names += [] if group == self.root else V2_CORE
            names += [] if group == self.root else [file for name in given for file in V2_FILES[name]]
        for name in names:
            (group / name).touch()
        if self.version == 2:
            Path(group, "cgroup.controllers").write_bytes(" ".join(given).encode())

    def offered(self, group: Path) -> tuple[str, ...]:
        """Controllers of a v2 group: what its parent hands down."""
        if group == self.root:
            return self.controllers
        return tuple((group.parent / "cgroup.subtree_control").read_bytes().decode().split())

    def holds(self, path: Path) -> bool:
        """Whether a path lies in here."""
        return path == self.root or self.root in path.parents

    def add(self, name: str, *, processes: str = "", delegate: bool = False) -> Path:
        """A group that was here before us."""
        group = self.root
        for part in name.split("/"):
            group /= part
            if not group.exists():
                os.mkdir(group)
        (group / "cgroup.procs").write_bytes(processes.encode())
        if delegate:
            (group / "cgroup.subtree_control").write_bytes(b"memory pids cpu")
        return group

    def install(self, patch: pytest.MonkeyPatch) -> FakeCgroups:
        """Have the system calls on directories, and writes to two files, go through here."""
        make, remove, write = os.mkdir, os.rmdir, Path.write_text

        def resolve(path: Any, dir_fd: int | None) -> Path:
            below = "" if dir_fd is None else os.readlink(f"/proc/self/fd/{dir_fd}")
            return Path(below, path)

        def mkdir(path: Any, mode: int = 0o777, *, dir_fd: int | None = None) -> None:
            place = resolve(path, dir_fd)
            if place.parent in self.read_only:
                raise PermissionError(errno.EACCES, "Permission denied", str(place))
            make(place, mode)
            if self.holds(place):
                self.fill(place)

        def rmdir(path: Any, *, dir_fd: int | None = None) -> None:
            place = resolve(path, dir_fd)
            if self.holds(place) and place.exists():
                held = (place / "cgroup.procs").read_bytes()
                if held or any(each.is_dir() for each in place.iterdir()):
                    raise OSError(errno.EBUSY, "Device or resource busy", str(place))
                for each in place.iterdir():
                    each.unlink()
            remove(place)

        def write_text(path: Path, text: str, *others: Any, **more: Any) -> int:
            if self.holds(path):
                self.check_write(path, text)
            if path.name == "cgroup.subtree_control" and self.holds(path):
                text = " ".join(word.removeprefix("+") for word in text.split())
            return write(path, text, *others, **more)

        patch.setattr(os, "mkdir", mkdir)
        patch.setattr(os, "rmdir", rmdir)
        patch.setattr(Path, "write_text", write_text)
        return self

    def check_write(self, path: Path, text: str) -> None:
        """Refuse as the kernel would; a process that moves leaves where it was."""
        group = path.parent
        if group in self.read_only:
            raise PermissionError(errno.EACCES, "Permission denied", str(path))
        if path.name == "cgroup.subtree_control":
            if group != self.root and (group / "cgroup.procs").read_bytes():
                raise OSError(errno.EBUSY, "Device or resource busy", str(path))
            if not {word.removeprefix("+") for word in text.split()} <= set(self.offered(group)):
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        if path.name == "cgroup.procs":
            for other in self.root.rglob("cgroup.procs"):
                left = [pid for pid in other.read_bytes().decode().split() if pid != text]
                other.write_bytes("\n".join(left).encode())
