"""Landlock: files, TCP ports, signals and abstract sockets denied without any privilege."""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from collections.abc import Sequence

from sandbox.isolation import kernel

_CREATE, _ADD, _RESTRICT = 444, 445, 446
_VERSION = 1
_RULE_PATH, _RULE_PORT = 1, 2
NEEDED_ABI = 6  # TCP rules came with 4 (Linux 6.7), signal and abstract socket scopes with 6 (6.12).

_EXECUTE, _WRITE_FILE, _READ_FILE, _READ_DIR = 1, 2, 4, 8
_TRUNCATE = 1 << 14
_EVERY_FILE_RIGHT = (1 << 16) - 1
_FILE_RIGHTS = _EXECUTE | _WRITE_FILE | _READ_FILE | _TRUNCATE
READ = _EXECUTE | _READ_FILE | _READ_DIR
# Everything but making device nodes.
WRITE = _EVERY_FILE_RIGHT & ~((1 << 6) | (1 << 11))
DEVICE = _WRITE_FILE | _READ_FILE
_BIND_TCP, _CONNECT_TCP = 1, 2
_SCOPES = 1 | 2


def abi() -> int:
    """The Landlock version this kernel speaks; 0 when it has none."""
    try:
        return kernel.syscall(_CREATE, None, ctypes.c_size_t(0), ctypes.c_uint(_VERSION))
    except OSError:
        return 0


def require() -> None:
    """Restrict this process to nothing, to see that it works.

    Raises:
        OSError: it does not, with the reason.
    """
    version = abi()
    if version < NEEDED_ABI:
        raise OSError(errno.ENOSYS, f"the kernel speaks Landlock version {version}, {NEEDED_ABI} is needed")
    restrict([], [])
    try:
        os.listdir("/")
    except PermissionError:
        return
    raise OSError(errno.EINVAL, "the restriction had no effect")


def restrict(paths: Sequence[tuple[str, int]], ports: Sequence[int]) -> None:
    """Leave this process, for good, these paths with these rights and these TCP ports to connect to."""
    attributes = struct.pack("=QQQ", _EVERY_FILE_RIGHT, _BIND_TCP | _CONNECT_TCP, _SCOPES)
    ruleset = kernel.syscall(
        _CREATE, ctypes.create_string_buffer(attributes), ctypes.c_size_t(24), ctypes.c_uint(0)
    )
    try:
        for path, rights in paths:
            _allow_path(ruleset, path, rights)
        for port in ports:
            _add(ruleset, _RULE_PORT, struct.pack("=QQ", _CONNECT_TCP, port))
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.syscall(_RESTRICT, ctypes.c_int(ruleset), ctypes.c_uint(0))
    finally:
        os.close(ruleset)


def _allow_path(ruleset: int, path: str, rights: int) -> None:
    try:
        descriptor = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    try:
        if not os.path.isdir(path):
            rights &= _FILE_RIGHTS
        _add(ruleset, _RULE_PATH, struct.pack("=Qi", rights, descriptor))
    finally:
        os.close(descriptor)


def _add(ruleset: int, kind: int, rule: bytes) -> None:
    kernel.syscall(
        _ADD, ctypes.c_int(ruleset), ctypes.c_int(kind), ctypes.create_string_buffer(rule), ctypes.c_uint(0)
    )
