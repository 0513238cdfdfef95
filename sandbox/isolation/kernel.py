"""The Linux calls Python 3.11 has no words for, through ctypes. Standard library only.

Every call raises ``OSError`` with the step's name, so a failure says what was attempted.
"""

from __future__ import annotations

import ctypes
import fcntl
import os
import platform
import socket
import struct
import time

CLONE_NEWNS = 0x00020000
CLONE_NEWCGROUP = 0x02000000
CLONE_NEWUTS = 0x04000000
CLONE_NEWIPC = 0x08000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_BIND = 0x1000
MS_REC = 0x4000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MNT_DETACH = 0x2

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
AT_RECURSIVE = 0x8000
AT_FDCWD = -100

PR_SET_PDEATHSIG = 1
PR_SET_DUMPABLE = 4
PR_SET_SECCOMP = 22
PR_CAPBSET_DROP = 24
PR_SET_CHILD_SUBREAPER = 36
PR_SET_NO_NEW_PRIVS = 38
PR_CAP_AMBIENT = 47
PR_CAP_AMBIENT_CLEAR_ALL = 4

PTRACE_TRACEME = 0
PTRACE_DETACH = 17

_SIOCGIFFLAGS = 0x8913
_SIOCSIFFLAGS = 0x8914
_IFF_UP = 0x1

MACHINE = platform.machine()
# Calls added since 5.0 have one number everywhere; pivot_root is older.
_PIVOT_ROOT = {"x86_64": 155, "aarch64": 41}.get(MACHINE, -1)
_MOUNT_SETATTR = 442

_libc = ctypes.CDLL(None, use_errno=True)
_libc.syscall.restype = ctypes.c_long
_libc.ptrace.restype = ctypes.c_long


def _check(result: int, step: str) -> int:
    if result < 0:
        code = ctypes.get_errno()
        raise OSError(code, f"{step}: {os.strerror(code)}")
    return result


def unshare(flags: int) -> None:
    """Leave the namespaces named by ``flags``."""
    _check(_libc.unshare(flags), f"unshare {flags:#x}")


def setns(fd: int, kind: int) -> None:
    """Enter the namespace behind ``fd``."""
    _check(_libc.setns(fd, kind), "setns")


def prctl(option: int, *arguments: int) -> int:
    """Control this process; missing arguments are 0."""
    padded = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    return _check(_libc.prctl(option, *padded), f"prctl {option}")


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """mount(2)."""
    result = _libc.mount(
        source.encode() or None,
        target.encode(),
        kind.encode() or None,
        ctypes.c_ulong(flags),
        options.encode() or None,
    )
    _check(result, f"mount {kind or 'bind'} on {target}")


def unmount(target: str) -> None:
    """Detach ``target`` and everything below it."""
    _check(_libc.umount2(target.encode(), MNT_DETACH), f"unmount {target}")


def set_mount_attributes(target: str, attributes: int, *, recursive: bool) -> None:
    """Add mount attributes (Linux 5.12 and newer)."""
    packed = ctypes.create_string_buffer(struct.pack("=QQQQ", attributes, 0, 0, 0))
    flags = AT_RECURSIVE if recursive else 0
    result = _libc.syscall(
        ctypes.c_long(_MOUNT_SETATTR),
        ctypes.c_int(AT_FDCWD),
        target.encode(),
        ctypes.c_uint(flags),
        packed,
        ctypes.c_size_t(32),
    )
    _check(result, f"mount_setattr {target}")


def bind(source: str, target: str, attributes: int) -> None:
    """Show ``source`` at ``target``, submounts included, with these attributes."""
    mount(source, target, flags=MS_BIND | MS_REC)
    set_mount_attributes(target, attributes, recursive=True)


def bind_read_only(source: str, target: str) -> None:
    """Show ``source`` at ``target`` without the right to write, set-id bits or devices."""
    bind(source, target, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV)


def pivot_root(new_root: str) -> None:
    """Make ``new_root`` (a mount point) the root and drop the old one."""
    os.chdir(new_root)
    _check(_libc.syscall(ctypes.c_long(_PIVOT_ROOT), b".", b"."), "pivot_root")
    unmount(".")
    os.chdir("/")


def die_with_parent() -> None:
    """Have the kernel kill this process when the thread that made it ends."""
    prctl(PR_SET_PDEATHSIG, 9)


def drop_capabilities() -> None:
    """Empty every capability set, the bounding set included."""
    for capability in range(64):
        if _libc.prctl(PR_CAPBSET_DROP, ctypes.c_ulong(capability), 0, 0, 0) < 0:
            break  # Past the last capability this kernel knows.
    _libc.prctl(PR_CAP_AMBIENT, ctypes.c_ulong(PR_CAP_AMBIENT_CLEAR_ALL), 0, 0, 0)
    header = ctypes.create_string_buffer(struct.pack("=Ii", 0x20080522, 0))
    _check(_libc.capset(header, ctypes.create_string_buffer(24)), "capset")


def install_filter(program: bytes) -> None:
    """Install a seccomp filter; no_new_privs must be set."""
    buffer = ctypes.create_string_buffer(program, len(program))
    header = ctypes.create_string_buffer(struct.pack("@HP", len(program) // 8, ctypes.addressof(buffer)))
    _check(
        _libc.prctl(PR_SET_SECCOMP, ctypes.c_ulong(2), ctypes.byref(header), 0, 0),
        "seccomp",
    )


def loopback_up() -> None:
    """Raise ``lo`` in this network namespace."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        request = struct.pack("16sH14s", b"lo", 0, b"")
        (flags,) = struct.unpack_from("H", fcntl.ioctl(probe, _SIOCGIFFLAGS, request), 16)
        fcntl.ioctl(probe, _SIOCSIFFLAGS, struct.pack("16sH14s", b"lo", flags | _IFF_UP, b""))


def sethostname(name: str) -> None:
    """Name this UTS namespace."""
    _check(_libc.sethostname(name.encode(), len(name)), "sethostname")


def cpu_clock(pid: int) -> float:
    """CPU seconds used by every thread of ``pid``."""
    return time.clock_gettime((~pid << 3) | 2)


def syscall(number: int, *arguments: object) -> int:
    """A call by number, for calls that libc has no name for."""
    return _check(_libc.syscall(ctypes.c_long(number), *arguments), f"syscall {number}")


def trace_me() -> None:
    """Have the parent trace this process: it is stopped once it has become another program."""
    nothing = ctypes.c_void_p(0)
    _check(_libc.ptrace(ctypes.c_long(PTRACE_TRACEME), ctypes.c_long(0), nothing, nothing), "ptrace")


def let_go(pid: int) -> None:
    """Trace a stopped child no longer, and let it run."""
    nothing = ctypes.c_void_p(0)
    _check(_libc.ptrace(ctypes.c_long(PTRACE_DETACH), ctypes.c_long(pid), nothing, nothing), "ptrace detach")
