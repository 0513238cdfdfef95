"""Where in the machine's cgroup hierarchies a spawner may make its groups, found by doing it."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sandbox.isolation.cgroups import Cgroups, remove_tree

_PREFIX = "coldstart-"
# Where a group's own processes go so that it can have limited children.
_LEAF = "coldstart.owner"
_NEEDED = ("memory", "pids")
_UNIFIED = ""


@dataclass(frozen=True, slots=True)
class Hierarchies:
    """The mounted hierarchies and our own place in each; v2 goes by the empty name.

    ``own`` maps a controller to our group's path, ``mounts`` to the path that is the mount's root and
    the directory it is mounted on.
    """

    own: dict[str, str]
    mounts: dict[str, tuple[str, str]]

    @classmethod
    def read(cls, process: Path = Path("/proc/self")) -> Hierarchies:
        """From a process's directory in /proc."""
        own: dict[str, str] = {}
        mounts: dict[str, tuple[str, str]] = {}
        for line in (process / "cgroup").read_text().splitlines():
            _number, controllers, path = line.split(":", 2)
            own |= dict.fromkeys(controllers.removeprefix("name=").split(","), path)
        for line in (process / "mountinfo").read_text().splitlines():
            before, _, after = line.partition(" - ")
            kind, _source, options = after.split(" ", 2)
            root, point = before.split(" ")[3:5]
            if kind == "cgroup2":
                mounts[_UNIFIED] = (root, point)
            elif kind == "cgroup":
                mounts |= dict.fromkeys(options.split(","), (root, point))
        return cls(own, mounts)

    def group(self, name: str) -> Path:
        """Our own group's directory in one hierarchy."""
        root, point = self.mounts[name]
        path = self.own.get(name, "/")
        if path != root and path.startswith(root.rstrip("/") + "/"):
            return Path(point, path.removeprefix(root).lstrip("/"))
        return Path(point)

    def upwards(self, name: str) -> Iterator[Path]:
        """Our own group, then those above it, up to the mount."""
        point, group = Path(self.mounts[name][1]), self.group(name)
        while group != point:
            yield group
            group = group.parent
        yield point


def open_cgroups(found: Hierarchies | None = None) -> Cgroups:
    """Make this process's base group, or groups.

    Raises:
        OSError: no hierarchy takes the step; the message names what was tried.
    """
    found = found or Hierarchies.read()
    if all(name in found.mounts for name in _NEEDED):
        names = [*_NEEDED, *(["cpu"] if "cpu" in found.mounts else [])]
        opened = Cgroups(1, tuple(_open_base(found.group(name)) for name in names))
    elif _UNIFIED in found.mounts:
        opened = Cgroups(2, (_open_unified(found),))
    else:
        raise FileNotFoundError(errno.ENOENT, "no cgroup hierarchy is mounted")
    opened.set_weight()
    return opened


def _open_unified(found: Hierarchies) -> int:
    """A base in the first group at or above ours that may give its children limits.

    A group with processes of its own may not, unless it is the machine's root (the kernel says EBUSY).
    Only when nothing above is to be had either, as in a delegated scope or a container, are our group's
    processes moved to a leaf beside the base.
    """
    problems = []
    for parent in found.upwards(_UNIFIED):
        try:
            _enable(parent)
            return _open_base(parent, delegate=True)
        except OSError as error:
            problems.append(f"{parent}: {error.strerror}")
    own = found.group(_UNIFIED)
    try:
        _move_to_leaf(own)
        _enable(own)
        return _open_base(own, delegate=True)
    except OSError as error:
        problems.append(f"{own} with its processes in {_LEAF}: {error.strerror}")
    raise PermissionError(errno.EACCES, "; ".join(problems))


def _enable(group: Path) -> None:
    """Let children of a v2 group have memory and process limits, and processor time if possible."""
    control = group / "cgroup.subtree_control"
    offered = (group / "cgroup.controllers").read_text().split()
    missing = [name for name in _NEEDED if name not in offered]
    if missing:
        raise FileNotFoundError(errno.ENOENT, f"it has no controller for {' and '.join(missing)}")
    wanted = [name for name in (*_NEEDED, "cpu") if name in offered]
    given = control.read_text().split()
    if not set(wanted) <= set(given):
        control.write_text(" ".join(f"+{name}" for name in wanted))


def _move_to_leaf(group: Path) -> None:
    leaf = group / _LEAF
    leaf.mkdir(exist_ok=True)
    for pid in (group / "cgroup.procs").read_text().split():
        with contextlib.suppress(ProcessLookupError):  # It has ended.
            (leaf / "cgroup.procs").write_text(pid)


def _open_base(parent: Path, *, delegate: bool = False) -> int:
    _remove_stale(parent)
    base = parent / f"{_PREFIX}{os.getpid()}"
    base.mkdir(exist_ok=True)
    if delegate:
        _enable(base)
    return os.open(base, os.O_RDONLY | os.O_DIRECTORY)


def _remove_stale(parent: Path) -> None:
    """Remove what spawners that were killed left behind."""
    for base in parent.glob(f"{_PREFIX}*"):
        if not Path("/proc", base.name.removeprefix(_PREFIX)).exists():
            remove_tree(base)


def remove_base(pid: int, found: Hierarchies | None = None) -> None:
    """Remove the groups of the spawner that had ``pid``, once its environments are gone."""
    found = found or Hierarchies.read()
    for name in found.mounts:
        for parent in found.upwards(name):
            base = parent / f"{_PREFIX}{pid}"
            if base.is_dir():
                remove_tree(base)
