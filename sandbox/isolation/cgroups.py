"""Limits that the kernel keeps for a whole environment, where we may write them: cgroup v1 and v2.

A spawner makes one group of its own, its *base*, and below it one per environment: a :class:`Slot`.
Both versions hold memory and processes; processor time as well where its controller is to be had. On
version 2 an environment is also frozen by its group, and whatever a group still holds can be killed.

Source: https://docs.kernel.org/admin-guide/cgroup-v2.html and
https://docs.kernel.org/admin-guide/cgroup-v1/index.html
"""

from __future__ import annotations

import contextlib
import errno
import os
import select
import time
from dataclasses import dataclass
from pathlib import Path

# All environments together, for each processor: twice what one process has (v2: 100, v1: 1024). Honest
# functions are as quick as without a group, and a thousand that spin leave a fifth to who has to end them.
_WEIGHT = {2: ("cpu.weight", 200), 1: ("cpu.shares", 2048)}
_PERIOD_US = 100_000
_FREEZE_TIMEOUT_S = 1.0


@dataclass(frozen=True, slots=True)
class Slot:
    """One environment's groups: descriptors to join by, to read memory events from, to freeze by.

    ``freezer`` and ``frozen`` (v2: ``cgroup.freeze`` and ``cgroup.events``) are -1 on v1, whose freezer
    keeps a SIGKILL waiting; there, environments are stopped by signals.
    """

    name: str
    join: tuple[int, ...]
    events: int
    freezer: int = -1
    frozen: int = -1

    @property
    def descriptors(self) -> tuple[int, ...]:
        """All of them, for whoever closes the others."""
        return tuple(each for each in (*self.join, self.events, self.freezer, self.frozen) if each >= 0)

    def enter(self) -> None:
        """Put the calling process in."""
        for descriptor in self.join:
            os.write(descriptor, b"0")

    def out_of_memory(self) -> bool:
        """The kernel has killed something in here for memory."""
        return int(_flat_keyed(self.events).get("oom_kill", "0")) > 0

    def freeze(self) -> bool:
        """Stop every process in here; False where that is not to be had, and they run on."""
        if self.freezer < 0:
            return False
        os.write(self.freezer, b"1")
        changed = select.poll()
        changed.register(self.frozen, select.POLLPRI)
        deadline = time.monotonic() + _FREEZE_TIMEOUT_S
        while _flat_keyed(self.frozen).get("frozen") != "1":
            if time.monotonic() > deadline:
                self.thaw()
                return False
            changed.poll(_FREEZE_TIMEOUT_S * 1000)
        return True

    def thaw(self) -> None:
        """Let them run again."""
        if self.freezer >= 0:
            os.write(self.freezer, b"0")

    def close(self) -> None:
        """Close the descriptors; the groups stay until they are removed."""
        for descriptor in self.descriptors:
            os.close(descriptor)


@dataclass(frozen=True, slots=True)
class Cgroups:
    """The base groups, as open directories: one (v2), or memory, pids and perhaps cpu (v1)."""

    version: int
    roots: tuple[int, ...]

    def make(self, name: str, memory_bytes: int, max_processes: int, cpus: float | None = None) -> Slot:
        """Groups for one environment, with its limits set.

        ``cpus`` is how many processors' time it gets at most; None, or no cpu controller: no limit.

        Raises:
            OSError: the kernel refused one of them; none is left behind.
        """
        try:
            for root in self.roots:
                os.mkdir(name, dir_fd=root)
            if self.version == 1:
                return self._make_v1(name, memory_bytes, max_processes, cpus)
            return self._make_v2(name, memory_bytes, max_processes, cpus)
        except OSError:
            self.remove(name)
            raise

    def _make_v1(self, name: str, memory_bytes: int, max_processes: int, cpus: float | None) -> Slot:
        memory, pids, *cpu = self.roots
        _write(memory, f"{name}/memory.limit_in_bytes", memory_bytes)
        _write(memory, f"{name}/memory.swappiness", 0)
        # Memory and swap together, where swap is counted: then none can be used.
        _write_if_there(memory, f"{name}/memory.memsw.limit_in_bytes", memory_bytes)
        _write(pids, f"{name}/pids.max", max_processes)
        if cpu and cpus is not None:
            _write(cpu[0], f"{name}/cpu.cfs_period_us", _PERIOD_US)
            _write(cpu[0], f"{name}/cpu.cfs_quota_us", round(cpus * _PERIOD_US))
        events = os.open(f"{name}/memory.oom_control", os.O_RDONLY, dir_fd=memory)
        return Slot(name, self._join(name), events)

    def _make_v2(self, name: str, memory_bytes: int, max_processes: int, cpus: float | None) -> Slot:
        (root,) = self.roots
        _write(root, f"{name}/memory.max", memory_bytes)
        _write_if_there(root, f"{name}/memory.swap.max", 0)
        # All of it or nothing: half a function that lost one of its processes says nothing useful.
        _write(root, f"{name}/memory.oom.group", 1)
        _write(root, f"{name}/pids.max", max_processes)
        if cpus is not None:
            _write_if_there(root, f"{name}/cpu.max", f"{round(cpus * _PERIOD_US)} {_PERIOD_US}")
        events = os.open(f"{name}/memory.events", os.O_RDONLY, dir_fd=root)
        return Slot(name, self._join(name), events, *self._freezer(name))

    def _freezer(self, name: str) -> tuple[int, int]:
        """Descriptors to freeze by (Linux 5.2 and newer)."""
        (root,) = self.roots
        try:
            freezer = os.open(f"{name}/cgroup.freeze", os.O_WRONLY, dir_fd=root)
        except FileNotFoundError:
            return -1, -1
        return freezer, os.open(f"{name}/cgroup.events", os.O_RDONLY, dir_fd=root)

    def _join(self, name: str) -> tuple[int, ...]:
        return tuple(os.open(f"{name}/cgroup.procs", os.O_WRONLY, dir_fd=root) for root in self.roots)

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
                # Whoever outlived the first process of its namespace ends here (v2, Linux 5.14).
                _write_if_there(root, f"{name}/cgroup.kill", 1)
                gone = False
        return gone

    def set_weight(self) -> None:
        """Give all environments together a share of the processors that no number of processes exceeds."""
        file, weight = _WEIGHT[self.version]
        _write_if_there(self.roots[-1], file, weight * (os.cpu_count() or 1))


def remove_tree(base: Path) -> None:
    """Remove a base and what is below it, killing who is left in there where the kernel offers that."""
    for group in [*base.glob("*/"), base]:
        with contextlib.suppress(OSError):
            if (group / "cgroup.kill").exists():
                (group / "cgroup.kill").write_text("1")
            group.rmdir()


def _flat_keyed(descriptor: int) -> dict[str, str]:
    """A control file of lines ``name value``."""
    lines = os.pread(descriptor, 4096, 0).decode().splitlines()
    return {name: value for name, _, value in (line.partition(" ") for line in lines)}


def _write(root: int, path: str, value: int | str) -> None:
    descriptor = os.open(path, os.O_WRONLY, dir_fd=root)
    try:
        os.write(descriptor, str(value).encode())
    finally:
        os.close(descriptor)


def _write_if_there(root: int, path: str, value: int | str) -> None:
    with contextlib.suppress(FileNotFoundError):  # This kernel, or this group, has no such control.
        _write(root, path, value)
