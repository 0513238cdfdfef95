"""A clock of its own for a process: what the kernel's vDSO answers, ahead of the wall by a given time.

Every program asks for the time through the vDSO, a page of code that the kernel maps into each process;
C libraries do, and so does what is linked statically, like Go. The mapping is private to the process, so
the first bytes of three of its functions can be led to code of ours in the page's unused end, which asks
the kernel and adds the offset that lies beside it. Clocks that don't tell of the wall are not changed.

Nothing that is read from another process is trusted: where to write comes from the kernel's own record
of it (auxv), what to write from our own copy of the page, and what is found there is only compared.

Source: https://man7.org/linux/man-pages/man7/vdso.7.html
"""

from __future__ import annotations

import contextlib
import os
import signal
import struct
import sys
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from sandbox.isolation import kernel

_AT_SYSINFO_EHDR = 33
_PT_LOAD, _PT_DYNAMIC = 1, 2
_DT_STRTAB, _DT_SYMTAB = 5, 6
_SYMBOL_BYTES = 24
_PAGE = os.sysconf("SC_PAGESIZE")
_NS = 1_000_000_000

# Seconds, nanoseconds, the latter as microseconds, nothing; the code follows.
_DATA = struct.Struct("<qqqq")
# x86-64. Each asks the kernel by its number, gives up when that refused, and adds the words above:
# with the nanoseconds (or microseconds) first, carrying into the seconds.
_CODE = bytes.fromhex(
    # clock_gettime(edi: clock, rsi: timespec): CLOCK_REALTIME 0, its coarse twin 5 and CLOCK_TAI 11.
    "b8e4000000 0f05 85c0 753a 85ff 740a 83ff05 7405 83ff0b 752c"
    "488b0dc8ffffff 488b15b9ffffff 48034e08 4881f900ca9a3b 7c0a 4881e900ca9a3b 48ffc2 480116 48894e08 c3"
    # gettimeofday(rdi: timeval or nothing, rsi: zone)
    "b860000000 0f05 85c0 7531 4885ff 742c"
    "488b0d93ffffff 488b157cffffff 48034f08 4881f940420f00 7c0a 4881e940420f00 48ffc2 480117 48894f08 c3"
    # time(rdi: where to, or nothing), by the first with clock 5 and a timespec on the stack.
    "57 4883ec10 bf05000000 4889e6 e86bffffff 488b0424 4883c410 5f 4885ff 7403 488907 c3"
)
_ENTRIES = {"__vdso_clock_gettime": 0x20, "__vdso_gettimeofday": 0x66, "__vdso_time": 0xA3}
_JUMP_BYTES = 5
# How far a try shifts a clock, and how long it may take.
_TRIED_S = 400 * 86400.0
_PATIENCE_S = 10


class ClockUnavailable(OSError):
    """A process can't be given a clock of its own; says why."""


@dataclass(frozen=True, slots=True)
class Image:
    """The vDSO of this kernel: the same in every process, at an address of each one's own.

    ``jumps`` are, for each function that tells the time, where it begins, what it begins with, and what
    it begins with once it is led to ``room``.
    """

    room: int
    jumps: tuple[tuple[int, bytes, bytes], ...]

    def shift(self, pid: int | str, ahead_s: float) -> None:
        """Have a process that doesn't run, or the calling one, see the time ``ahead_s`` after the wall's.

        Raises:
            ClockUnavailable: its pages are not as the kernel made them, or may not be written.
        """
        try:
            base = _base(f"/proc/{pid}/auxv")
            with open(f"/proc/{pid}/mem", "r+b", buffering=0) as memory:
                self._shift(pid, memory.fileno(), base, ahead_s)
        except (FileNotFoundError, ProcessLookupError):
            return  # It is gone.

    def _shift(self, pid: int | str, memory: int, base: int, ahead_s: float) -> None:
        starts = [os.pread(memory, _JUMP_BYTES, base + at) for at, _before, _after in self.jumps]
        if starts == [after for _at, _before, after in self.jumps]:
            os.pwrite(memory, _data(ahead_s), base + self.room)
            return
        if starts != [before for _at, before, _after in self.jumps]:
            raise ClockUnavailable(0, f"the vDSO of process {pid} is not this kernel's")
        if ahead_s == 0:
            return
        if any(
            base + at < place < base + at + _JUMP_BYTES for at, _b, _a in self.jumps for place in _at(pid)
        ):
            raise ClockUnavailable(0, f"process {pid} was stopped while it asked for the time")
        os.pwrite(memory, _data(ahead_s) + _CODE, base + self.room)
        for at, _before, after in self.jumps:
            os.pwrite(memory, after, base + at)


def find() -> Image:
    """The vDSO of this kernel, read from this process.

    Raises:
        ClockUnavailable: it is none that we know.
    """
    if kernel.MACHINE != "x86_64":
        raise ClockUnavailable(0, f"not written for {kernel.MACHINE} yet")
    base = _base("/proc/self/auxv")
    if base == 0:
        raise ClockUnavailable(0, "this kernel has no vDSO")
    with open("/proc/self/mem", "rb", buffering=0) as memory:
        head = os.pread(memory.fileno(), _PAGE, base)
        size = _size(head)
        image = head + os.pread(memory.fileno(), size - len(head), base + len(head))
    if len(image) < size:
        raise ClockUnavailable(0, "the vDSO can't be read whole")
    room = -(-len(image.rstrip(b"\0")) // 16) * 16
    if room + _DATA.size + len(_CODE) > size:
        raise ClockUnavailable(0, "the vDSO has no room left")
    functions = _functions(image)
    jumps = []
    for name, entry in _ENTRIES.items():
        at = functions.get(name)
        if at is None or at + _JUMP_BYTES > room:
            raise ClockUnavailable(0, f"the vDSO has no {name}")
        jump = b"\xe9" + struct.pack("<i", room + entry - (at + _JUMP_BYTES))
        jumps.append((at, image[at : at + _JUMP_BYTES], jump))
    return Image(room, tuple(jumps))


def await_exec(pid: int, at_exec: Callable[[int], None]) -> None:
    """Wait until a child that asked for it has become another program, and do ``at_exec`` before it runs.

    A child that ends instead is left for whoever waits for it.
    """
    state = os.waitid(os.P_PID, pid, os.WSTOPPED | os.WEXITED | os.WNOWAIT)
    if state is None or state.si_code != os.CLD_TRAPPED:
        return
    os.waitid(os.P_PID, pid, os.WSTOPPED)
    try:
        if state.si_status != signal.SIGTRAP:
            raise ClockUnavailable(0, f"process {pid} was stopped by signal {state.si_status}")
        at_exec(pid)
    finally:
        kernel.let_go(pid)


def _data(ahead_s: float) -> bytes:
    seconds, rest = divmod(round(ahead_s * _NS), _NS)
    return _DATA.pack(seconds, rest, rest // 1000, 0)


def _base(auxv: str) -> int:
    """Where the kernel put the vDSO; 0 for a process that has none."""
    with open(auxv, "rb") as file:
        words = file.read()
    entries: dict[int, int] = dict(struct.iter_unpack("<QQ", words[: len(words) // 16 * 16]))
    return entries.get(_AT_SYSINFO_EHDR, 0)


def _at(pid: int | str) -> Iterable[int]:
    """Where the threads of a process that is not us stand, as far as they are not in the kernel."""
    if pid == "self":
        return
    for thread in os.listdir(f"/proc/{pid}/task"):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):  # It ended.
            with open(f"/proc/{pid}/task/{thread}/syscall", "rb") as file:
                words = file.read().split()
            if words[:1] == [b"running"]:
                raise ClockUnavailable(0, f"process {pid} could not be held")
            yield int(words[-1], 16)


def _headers(image: bytes) -> Iterable[tuple[int, int, int]]:
    """The ELF program headers: kind, address, size in memory."""
    (offset,) = struct.unpack_from("<Q", image, 32)
    each, count = struct.unpack_from("<HH", image, 54)
    for index in range(count):
        kind, _flags, _at, address, _physical, _file, size, _align = struct.unpack_from(
            "<IIQQQQQQ", image, offset + index * each
        )
        yield kind, address, size


def _size(image: bytes) -> int:
    """The size in memory, in whole pages."""
    ends = [address + size for kind, address, size in _headers(image) if kind == _PT_LOAD]
    # Section headers, which are not loaded, may follow; they lie in the same mapping.
    offset, each, count = *struct.unpack_from("<Q", image, 40), *struct.unpack_from("<HH", image, 58)
    end: int = max(*ends, offset + each * count)
    return -(-end // _PAGE) * _PAGE


def _functions(image: bytes) -> dict[str, int]:
    """The names that the vDSO offers, and where they begin. Its names follow its symbols."""
    (dynamic,) = (address for kind, address, _size in _headers(image) if kind == _PT_DYNAMIC)
    entries: dict[int, int] = {}
    for tag, value in struct.iter_unpack("<QQ", image[dynamic : dynamic + (len(image) - dynamic) // 16 * 16]):
        if tag == 0:
            break
        entries[tag] = value
    symbols, names = entries[_DT_SYMTAB], entries[_DT_STRTAB]
    found: dict[str, int] = {}
    for at in range(symbols, names - _SYMBOL_BYTES + 1, _SYMBOL_BYTES):
        name, _info, _other, _section, value, _size = struct.unpack_from("<IBBHQQ", image, at)
        text = image[names + name : image.index(b"\0", names + name)].decode("latin-1")
        found.setdefault(text, value)
    return found


class Clocks:
    """Whether processes can be given a clock of their own here; found out when it is first asked."""

    def __init__(self) -> None:
        self.image: Image | None = None
        self.reason = ""
        """Why not; empty while that is not known."""

    def work(self) -> bool:
        """Whether they can, by doing it to two children: a fork, and one that becomes another program."""
        if self.image is None and not self.reason:
            try:
                image = find()
                _try_fork(image)
                _try_program(image)
            except OSError as error:
                self.reason = error.strerror or str(error)
            else:
                self.image = image
        return self.image is not None

    def shift_all(self, pids: Iterable[int], ahead_s: float) -> bool:
        """As :meth:`Image.shift` for each of them; whether all were."""
        assert self.image is not None, "ask whether it works first"
        done = True
        for pid in pids:
            try:
                self.image.shift(pid, ahead_s)
            except OSError:
                done = False
        return done


def _try_fork(image: Image) -> None:
    """A fork is told another time at once, and does not wait for it to come."""

    def look() -> bytes:
        image.shift("self", _TRIED_S)
        began = time.monotonic()
        lock = threading.Lock()
        lock.acquire()
        lock.acquire(timeout=0.002)
        # An interpreter that waits by the wall's clock would wait for as long as it was shifted.
        waited_s = time.monotonic() - began
        return str(int(time.time()) if waited_s < 1 else 0).encode()

    _try(look)


def _try_program(image: Image) -> None:
    """So is a program."""

    def become() -> bytes:
        kernel.trace_me()
        program = "import time; print(int(time.time()))"
        os.execv(sys.executable, [sys.executable, "-I", "-S", "-c", program])

    _try(become, lambda pid: await_exec(pid, lambda stopped: image.shift(stopped, _TRIED_S)))


def _try(child: Callable[[], bytes], meanwhile: Callable[[int], None] = lambda _pid: None) -> None:
    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.dup2(writer, 1)
            signal.alarm(_PATIENCE_S)
            os.write(1, child())
        finally:
            os._exit(0)
    os.close(writer)
    try:
        meanwhile(pid)
        with os.fdopen(reader, "rb") as answer:
            told = answer.read().strip()
    finally:
        os.waitpid(pid, 0)
    if not told.isdigit() or abs(int(told) - time.time() - _TRIED_S) > _PATIENCE_S:
        raise ClockUnavailable(
            0, f"a process was told {told.decode(errors='replace') or 'nothing'} as its time"
        )
