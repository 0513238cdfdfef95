"""The system calls a function may not make, as a classic BPF program.

A deny list: a namespace, an empty capability set and a read-only root already take the power from
most calls; this takes away the kernel surface behind them (facts of past escapes) and the memory
that no limit counts (memfd, System V shared memory). The calls themselves are in ``syscalls.py``.

Source: https://www.kernel.org/doc/html/latest/userspace-api/seccomp_filter.html
"""

from __future__ import annotations

import errno
import socket
import struct

from sandbox.isolation.syscalls import DENIED, JUDGED, MACHINES, Machine

# Any CLONE_NEW* flag, in the low half of clone's first argument.
_NEW_NAMESPACE = 0x7E020000
_INTERNET = (socket.AF_INET, socket.AF_INET6)
# 0 is the family's own choice; others (SCTP, DCCP, MPTCP ...) load kernel modules nobody needs.
_INTERNET_PROTOCOLS = (0, socket.IPPROTO_TCP, socket.IPPROTO_UDP)
_NETLINK, _NETLINK_ROUTE = 16, 0  # What lists network interfaces.
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
# Offsets in struct seccomp_data; of an argument, the low half (both machines are little-endian).
_NUMBER, _ARCH, _ARGUMENT_0, _ARGUMENT_1, _ARGUMENT_2 = 0, 4, 16, 24, 32

Instructions = list[bytes]


def deny_list(machine: str) -> bytes:
    """The program for ``machine`` (``x86_64`` or ``aarch64``), in the kernel's own layout.

    Raises:
        ValueError: there is no table for this machine.
    """
    if machine not in MACHINES:
        raise ValueError(f"There is no system call table for {machine}; known: {', '.join(MACHINES)}.")
    found = MACHINES[machine]
    return b"".join(
        [
            *_only_native_calls(found),
            *_denied_calls(found),
            *_clone(found),
            *_sockets(found),
            *_terminals(found),
            _allow(),
        ]
    )


def _only_native_calls(machine: Machine) -> Instructions:
    """Numbers mean something else in every other calling convention, so those are closed."""
    program = [
        _instruction(_LOAD, _ARCH),
        _instruction(_EQUAL, machine.audit_arch, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
    ]
    if machine.x32_bit is not None:
        program += [_instruction(_AT_LEAST, machine.x32_bit, 0, 1), _refuse(errno.ENOSYS)]
    return program


def _denied_calls(machine: Machine) -> Instructions:
    program: Instructions = []
    for numbers in DENIED.values():
        number = numbers[machine.column]
        if number is not None:
            program += _when_called(number, [_refuse(errno.EPERM)])
    return program


def _clone(machine: Machine) -> Instructions:
    """Processes and threads, but no namespaces."""
    judge_flags = [
        _instruction(_LOAD, _ARGUMENT_0),
        _instruction(_ANY_BIT, _NEW_NAMESPACE, 0, 1),
        _refuse(errno.EPERM),
        _allow(),
    ]
    return [
        # Its flags lie in memory, where a filter cannot look; C libraries fall back to clone.
        *_when_called(JUDGED["clone3"][machine.column], [_refuse(errno.ENOSYS)]),
        *_when_called(JUDGED["clone"][machine.column], judge_flags),
    ]


def _sockets(machine: Machine) -> Instructions:
    """Unix, TCP, UDP, and the list of interfaces.

    A vsock reaches the hypervisor, since no network namespace confines it.
    """
    internet = [_instruction(_LOAD, _ARGUMENT_2)]
    for protocol in _INTERNET_PROTOCOLS:
        internet += [_instruction(_EQUAL, protocol, 0, 1), _allow()]
    internet.append(_refuse(errno.EPROTONOSUPPORT))
    netlink = [
        _instruction(_LOAD, _ARGUMENT_2),
        _instruction(_EQUAL, _NETLINK_ROUTE, 0, 1),
        _allow(),
        _refuse(errno.EAFNOSUPPORT),
    ]
    body = [_instruction(_LOAD, _ARGUMENT_0), *_when_called(socket.AF_UNIX, [_allow()])]
    for family in _INTERNET:
        body += _when_called(family, internet)
    body += _when_called(_NETLINK, netlink)
    body.append(_refuse(errno.EAFNOSUPPORT))
    calls = (JUDGED["socket"], JUDGED["socketpair"])
    return [each for numbers in calls for each in _when_called(numbers[machine.column], body)]


def _terminals(machine: Machine) -> Instructions:
    """No typing into somebody's terminal."""
    body = [_instruction(_LOAD, _ARGUMENT_1)]
    for request in _TERMINAL_INJECTION:
        body += _when_called(request, [_refuse(errno.EPERM)])
    return _when_called(JUDGED["ioctl"][machine.column], [*body, _allow()])


def _when_called(value: int, body: Instructions) -> Instructions:
    """``body`` runs only when the accumulator holds ``value``; it must end in a return."""
    return [_instruction(_EQUAL, value, 0, len(body)), *body]


def _allow() -> bytes:
    return _instruction(_RETURN, _ALLOW)


def _refuse(code: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | code)


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)
