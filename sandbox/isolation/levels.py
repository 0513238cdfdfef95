"""How well this machine can keep strangers' code in: found by doing each step in a child process."""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

from sandbox.errors import IsolationUnavailable
from sandbox.isolation import hierarchy, kernel, landlock, seccomp
from sandbox.isolation.cgroups import Slot
from sandbox.isolation.spec import IsolationLevel


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that was tried. ``reason`` is empty when it worked."""

    name: str
    worked: bool
    reason: str = ""


@dataclass(frozen=True, slots=True)
class LevelReport:
    """What was tried here, and the level that follows from it."""

    level: IsolationLevel
    steps: tuple[Step, ...]
    nested_user: bool

    def as_rows(self) -> list[dict[str, str]]:
        """For tables: step, result, reason."""
        return [
            {"step": step.name, "result": "works" if step.worked else "fails", "reason": step.reason}
            for step in self.steps
        ]


class IsolationRefused(IsolationUnavailable):
    """The wanted level is not to be had here. Carries the report."""

    def __init__(self, message: str, report: LevelReport) -> None:
        super().__init__(message)
        self.report = report


def choose(level: int | None, minimum: int, *, unsafe: bool) -> LevelReport:
    """The level to run at: the best found, or exactly the one asked for.

    Raises:
        IsolationRefused: it is not to be had here, or is below ``minimum``, or is level 1 without
            ``unsafe``.
    """
    report = probe()
    wanted = report.level if level is None else IsolationLevel(level)
    if wanted > report.level:
        failed = "; ".join(f"{step.name}: {step.reason}" for step in report.steps if not step.worked)
        raise IsolationRefused(
            f"Isolation level {wanted} is not to be had here, only level {report.level} ({failed}).", report
        )
    if wanted == IsolationLevel.NONE and not unsafe:
        raise IsolationRefused(
            "Isolation level 1 keeps nothing in. For code you trust only: ask for it with the word `unsafe`.",
            report,
        )
    if level is None and wanted < minimum and not (wanted == IsolationLevel.NONE and unsafe):
        raise IsolationRefused(
            f"Only isolation level {wanted} is to be had here, and level {minimum} is the least allowed. "
            "`coldstart doctor` says what is missing; a lower level must be asked for explicitly.",
            report,
        )
    return LevelReport(wanted, report.steps, report.nested_user)


def probe() -> LevelReport:
    """Try every step and say what worked."""
    root = os.geteuid() == 0
    steps = _in_child(lambda note: _namespace_steps(note, root=root))
    nested = _in_child(lambda note: note("user namespace for the function", lambda: _nested_user(root=root)))
    filtered = _in_child(lambda note: note("system call filter", _filter))
    grouped = _in_child(lambda note: note("memory and process cgroup", _cgroup))
    locked = _in_child(lambda note: note("Landlock files, TCP and signals", landlock.require))
    full = all(step.worked for step in (*steps, *filtered)) and len(steps) == (6 if root else 7)
    full = full and (root or nested[0].worked)
    if full:
        level = IsolationLevel.CGROUPS if grouped[0].worked else IsolationLevel.NAMESPACES
    elif locked[0].worked and filtered[0].worked:
        level = IsolationLevel.LANDLOCK
    else:
        level = IsolationLevel.NONE
    return LevelReport(level, (*steps, *nested, *filtered, *grouped, *locked), nested[0].worked)


Note = Callable[[str, Callable[[], None]], None]


def _namespace_steps(note: Note, *, root: bool) -> None:
    if not root:
        note("user namespace", _own_user)
    note("process namespace", lambda: kernel.unshare(kernel.CLONE_NEWPID))
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    everything = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    note("mount, network, ipc and name namespaces", lambda: kernel.unshare(everything))
    note("loopback network", kernel.loopback_up)
    note("private files and read-only binds", _private_files)
    note("fresh /proc", lambda: kernel.mount("proc", "/tmp/probe", "proc"))
    note("new root", lambda: kernel.pivot_root("/tmp"))


def _own_user() -> None:
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(kernel.CLONE_NEWUSER)
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/uid_map").write_text(f"0 {uid} 1")
    Path("/proc/self/gid_map").write_text(f"0 {gid} 1")


def _private_files() -> None:
    kernel.mount("none", "/", flags=kernel.MS_REC | kernel.MS_PRIVATE)
    kernel.mount("probe", "/tmp", "tmpfs", 0, "size=1m")
    os.mkdir("/tmp/probe")
    os.mkdir("/tmp/usr")
    kernel.bind_read_only("/usr", "/tmp/usr")


def _nested_user(*, root: bool) -> None:
    if not root:
        _own_user()
    _own_user()


def _filter() -> None:
    kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
    kernel.install_filter(seccomp.deny_list(kernel.MACHINE))


def _cgroup() -> None:
    groups = hierarchy.open_cgroups()
    try:
        slot = groups.make("probe", 64 * 1024 * 1024, 8)
        child = os.fork()
        if child == 0:
            _join(slot)
        joined = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        slot.close()
        groups.remove("probe")
        if joined:
            raise OSError(joined, f"joining a group: {os.strerror(joined)}")
    finally:
        hierarchy.remove_base(os.getpid())


def _join(slot: Slot) -> NoReturn:
    """In a child: being allowed to make a group is not being allowed to move into it."""
    try:
        slot.enter()
    except OSError as error:
        os._exit(error.errno or 1)
    os._exit(0)


def _in_child(attempt: Callable[[Note], None]) -> tuple[Step, ...]:
    """Run steps in a child, which stops at the first that fails; what it noted comes back."""
    with tempfile.TemporaryFile() as shared:
        child = os.fork()
        if child == 0:
            _attempt(attempt, shared.fileno())
        os.waitpid(child, 0)
        shared.seek(0)
        lines = shared.read().decode().splitlines()
    return tuple(Step(**json.loads(line)) for line in lines)


def _attempt(attempt: Callable[[Note], None], shared: int) -> NoReturn:
    def note(name: str, step: Callable[[], None]) -> None:
        reason = ""
        try:
            step()
        except (OSError, ValueError) as error:
            reason = str(error)
        row = {"name": name, "worked": not reason, "reason": reason}
        os.write(shared, json.dumps(row).encode() + b"\n")
        if reason:
            os._exit(1)

    try:
        attempt(note)
    finally:
        os._exit(0)


def table() -> str:
    """The probe's result as text, for ``doctor``."""
    report = probe()
    lines = [f"isolation level {int(report.level)} ({report.level.name.lower()})"]
    lines += [
        f"  {'works' if step.worked else 'fails'}  {step.name}{': ' + step.reason if step.reason else ''}"
        for step in report.steps
    ]
    return "\n".join(lines)
