"""What an environment's first process does once the function runs.

It answers the owner, reaps, samples memory and ends what has too much of it, and ends everything when
the function's process ends or the owner's end of the control channel closes.
"""

from __future__ import annotations

import os
import resource
import select
import signal
import socket
import time
from dataclasses import dataclass
from typing import Any, NoReturn

from sandbox.isolation import kernel, wire
from sandbox.isolation.environment import Order, anonymous_mb, proportional_mb
from sandbox.isolation.rights import Confinement
from sandbox.isolation.vdso import Clocks

# Python, its runtime client and the machine's libraries take about this much on Lambda, before a
# function allocates anything; pages shared with the warmed parent are counted as this constant.
RUNTIME_MB = 35
# The largest step between two looks at memory: what two cores can touch in that time stays small.
WATCH_INTERVAL_S = 0.02
STOP_TIMEOUT_S = 0.1


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

    def __init__(
        self,
        order: Order,
        confinement: Confinement,
        control: socket.socket,
        function: int,
        clocks: Clocks | None = None,
    ) -> None:
        self.order = order
        self.clocks = clocks
        self.slot = confinement.slot
        self.control = control
        self.function = function
        self.frozen = False
        self.by_group = False
        """Whether the group froze them, or signals."""
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
                held = self._stop()
                # What is stopped changes nothing more: the owner need not ask until it is thawed.
                self.usage.sample(held)
                _report(self.control, {"reply": True, **self._usage()})
            case "thaw":
                self._continue()
                _report(self.control, {"reply": True})
            case "usage":
                self.usage.sample(self.processes())
                _report(self.control, {"reply": True, **self._usage()})
            case "clock":
                _report(self.control, {"reply": True, "clock": self._set_clock(message["ahead_s"])})
            case "kill":
                _report(self.control, {"exit": {"status": None, "signal": 9}, **self._usage()})
                self.leave()

    def _set_clock(self, ahead_s: float) -> bool:
        if self.clocks is None or not self.frozen or not self.clocks.work():
            return False
        return self.clocks.shift_all(self.processes(), ahead_s)

    def _stop(self) -> list[int]:
        """Let nothing here run; who was stopped."""
        self.frozen = True
        self.by_group = self.slot is not None and self.slot.freeze()
        if not self.by_group:
            # kill(-1) reaches every process here but us, under one lock: a fork in progress either
            # starts over after the signal or its child gets it too.
            self.signal_all(signal.SIGSTOP)
        held = self.processes()
        if not self.by_group:
            await_stop(held)
        return held

    def _continue(self) -> None:
        if self.slot is not None and self.by_group:
            self.slot.thaw()
        else:
            self.signal_all(signal.SIGCONT)
        self.frozen = False

    def _usage(self) -> dict[str, Any]:
        return {
            "memory_peak_mb": min(self.usage.peak_mb, float(self.order.memory_mb)),
            "cpu_time_s": self._cpu_time_s(),
            "run_delay_s": sum(map(run_delay_s, self.processes())),
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


def run_delay_s(pid: int) -> float:
    """How long the threads of a process have waited for a processor, in seconds; 0 when it is gone."""
    total = 0
    try:
        for thread in os.listdir(f"/proc/{pid}/task"):
            with open(f"/proc/{pid}/task/{thread}/schedstat", "rb") as file:
                total += int(file.read().split()[1])
    except (OSError, IndexError):  # Gone meanwhile, or a kernel that does not count.
        return total / 1e9
    return total / 1e9


def _state(pid: int) -> bytes:
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            return file.read().rpartition(b") ")[2][:1]
    except OSError:
        return b"X"
