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

NAMESPACE_STEPS = (
    "process namespace",
    "mount, network, ipc and name namespaces",
    "loopback network",
    "private files and read-only binds",
    "fresh /proc",
    "new root",
)
OWN_USER = "user namespace"
NESTED_USER = "user namespace for the function"
FILTER = "system call filter"
CGROUP = "memory and process cgroup"
LANDLOCK = "Landlock files, TCP and signals"


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
    nested = _in_child(lambda note: note(NESTED_USER, lambda: _nested_user(root=root)))
    filtered = _in_child(lambda note: note(FILTER, _filter))
    grouped = _in_child(lambda note: note(CGROUP, _cgroup))
    locked = _in_child(lambda note: note(LANDLOCK, landlock.require))
    tried = (*steps, *nested, *filtered, *grouped, *locked)
    return LevelReport(level_of(tried, root=root), tried, nested[0].worked)


def level_of(tried: tuple[Step, ...], *, root: bool) -> IsolationLevel:
    """The level that follows from what worked; what was not reached did not work.

    The function's own user namespace can be done without by root alone, who has other identities to give.
    """
    worked = {step.name for step in tried if step.worked}
    needed = {*NAMESPACE_STEPS, FILTER} | (set() if root else {OWN_USER, NESTED_USER})
    if needed <= worked:
        return IsolationLevel.CGROUPS if CGROUP in worked else IsolationLevel.NAMESPACES
    return IsolationLevel.LANDLOCK if {LANDLOCK, FILTER} <= worked else IsolationLevel.NONE


Note = Callable[[str, Callable[[], None]], None]


def _namespace_steps(note: Note, *, root: bool) -> None:
    if not root:
        note(OWN_USER, _own_user)
    processes, others, loopback, files, proc, new_root = NAMESPACE_STEPS
    note(processes, lambda: kernel.unshare(kernel.CLONE_NEWPID))
    child = os.fork()
    if child:
        os.waitpid(child, 0)
        return
    everything = kernel.CLONE_NEWNS | kernel.CLONE_NEWNET | kernel.CLONE_NEWIPC | kernel.CLONE_NEWUTS
    note(others, lambda: kernel.unshare(everything))
    note(loopback, kernel.loopback_up)
    note(files, _private_files)
    note(proc, lambda: kernel.mount("proc", "/tmp/probe", "proc", 0, "hidepid=2"))
    note(new_root, lambda: kernel.pivot_root("/tmp"))


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
