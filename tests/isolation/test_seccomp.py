"""The filter, run instruction by instruction for both machines; its numbers against the kernel's headers."""

from __future__ import annotations

import errno
import re
import struct
from pathlib import Path

import pytest

from sandbox.isolation import seccomp
from sandbox.isolation.syscalls import DENIED, JUDGED, MACHINES, Machine

HEADERS = {
    # linux-libc-dev of the machine itself, or its cross package (linux-libc-dev-arm64-cross).
    "x86_64": (
        "/usr/include/x86_64-linux-gnu/asm/unistd_64.h",
        "/usr/x86_64-linux-gnu/include/asm/unistd_64.h",
    ),
    "aarch64": ("/usr/include/asm-generic/unistd.h", "/usr/aarch64-linux-gnu/include/asm-generic/unistd.h"),
}
ALLOWED = "allowed"
KILLED = "killed"

both = pytest.mark.parametrize("machine", MACHINES.values(), ids=list(MACHINES))


def judge(machine: Machine, number: int, *arguments: int, audit_arch: int | None = None) -> str:
    """What the filter says to a call: a small machine of the seven instructions that filters use here."""
    program = seccomp.deny_list(machine.name)
    instructions = [struct.unpack_from("=HBBI", program, at) for at in range(0, len(program), 8)]
    padded = [value & (2**64 - 1) for value in (*arguments, 0, 0, 0, 0, 0, 0)[:6]]
    data = struct.pack("<IIQ6Q", number, audit_arch or machine.audit_arch, 0, *padded)
    accumulator, at = 0, 0
    while True:
        code, if_true, if_false, value = instructions[at]
        at += 1
        match code:
            case 0x20:
                (accumulator,) = struct.unpack_from("<I", data, value)
            case 0x15:
                at += if_true if accumulator == value else if_false
            case 0x35:
                at += if_true if accumulator >= value else if_false
            case 0x45:
                at += if_true if accumulator & value else if_false
            case 0x06:
                break
            case _:
                raise AssertionError(f"instruction {code:#x} is none of the five")
    if value == 0x7FFF0000:
        return ALLOWED
    if value == 0x80000000:
        return KILLED
    assert value & 0xFFFF0000 == 0x00050000
    return errno.errorcode[value & 0xFFFF]


def from_header(machine: str) -> dict[str, int]:
    for place in HEADERS[machine]:
        if Path(place).exists():
            text = Path(place).read_text()
            found = re.findall(r"#define __NR(?:3264)?_(\w+)\s+(\d+)", text)
            return {name: int(number) for name, number in found}
    pytest.skip(f"no kernel headers for {machine}: Debian has them in linux-libc-dev")


@both
def test_every_number_is_the_kernels(machine: Machine) -> None:
    numbers = from_header(machine.name)
    newest = max(numbers.values())
    for name, row in {**DENIED, **JUDGED}.items():
        number = row[machine.column]
        if number is None:
            assert name not in numbers, name
        elif name not in numbers:
            assert number > newest or name == "lookup_dcookie", f"{name} is not in these headers"
        else:
            assert number == numbers[name], name


def test_the_names_of_the_machines_are_the_kernels() -> None:
    elf = {"x86_64": 62, "aarch64": 183}  # EM_X86_64, EM_AARCH64 of linux/elf-em.h
    is_64_bit, is_little_endian = 0x80000000, 0x40000000  # linux/audit.h
    for name, machine in MACHINES.items():
        assert machine.audit_arch == elf[name] | is_64_bit | is_little_endian


@both
def test_denied_calls_are_refused_and_others_pass(machine: Machine) -> None:
    denied = {row[machine.column] for row in DENIED.values()} - {None}
    judged = {row[machine.column] for row in JUDGED.values()}
    for number in range(470):
        if number in denied:
            assert judge(machine, number) == "EPERM", number
        elif number not in judged:
            assert judge(machine, number) == ALLOWED, number


@both
def test_calls_of_another_convention_kill(machine: Machine) -> None:
    i386, arm = 0x40000003, 0x40000028
    for foreign in (i386, arm, *(other.audit_arch for other in MACHINES.values() if other is not machine)):
        assert judge(machine, 0, audit_arch=foreign) == KILLED


def test_the_x32_convention_has_no_calls() -> None:
    for number in (0, 59, 520, 101):
        assert judge(MACHINES["x86_64"], 0x40000000 | number) == "ENOSYS"


@both
@pytest.mark.parametrize("kind", ["NS", "CGROUP", "UTS", "IPC", "USER", "PID", "NET"])
def test_clone_makes_no_namespace(machine: Machine, kind: str) -> None:
    from sandbox.isolation import kernel

    flag = getattr(kernel, f"CLONE_NEW{kind}")
    clone = JUDGED["clone"][machine.column]
    assert judge(machine, clone, flag | 17) == "EPERM"
    # The second argument is a stack, whatever bits it has.
    assert judge(machine, clone, 17, flag) == ALLOWED


@both
def test_clone_makes_processes_and_threads_and_clone3_falls_back_to_it(machine: Machine) -> None:
    clone = JUDGED["clone"][machine.column]
    assert judge(machine, clone, 0x01200011) == ALLOWED, "glibc's fork"
    assert judge(machine, clone, 0x003D0F00) == ALLOWED, "glibc's pthread_create"
    assert judge(machine, clone, 0x00050F00) == ALLOWED, "Go's threads"
    assert judge(machine, JUDGED["clone3"][machine.column], 0, 88) == "ENOSYS"


@both
@pytest.mark.parametrize("call", ["socket", "socketpair"])
def test_sockets_are_unix_tcp_and_udp(machine: Machine, call: str) -> None:
    def opened(family: int, kind: int, protocol: int = 0) -> str:
        return judge(machine, JUDGED[call][machine.column], family, kind, protocol)

    cloexec = 0o2000000
    assert opened(1, 1 | cloexec) == ALLOWED
    assert opened(2, 1) == opened(2, 1, 6) == opened(10, 2, 17) == ALLOWED
    assert opened(16, 3, 0) == ALLOWED, "interfaces are listed by netlink"
    assert opened(16, 3, 12) == "EAFNOSUPPORT", "netfilter is not"
    for protocol in (1, 33, 132, 262):
        assert opened(2, 1, protocol) == "EPROTONOSUPPORT", "ICMP, DCCP, SCTP, MPTCP"
    for family in (17, 29, 30, 38, 40, 44):
        assert opened(family, 1) == "EAFNOSUPPORT", "packet, CAN, TIPC, ALG, vsock, XDP"
    # The kernel takes 32 bits of the family; so does the filter.
    assert opened(40 | 1 << 32, 1) == "EAFNOSUPPORT"


@both
def test_terminals_take_no_injected_keys(machine: Machine) -> None:
    ioctl = JUDGED["ioctl"][machine.column]
    assert judge(machine, ioctl, 0, 0x5412) == "EPERM"
    assert judge(machine, ioctl, 0, 0x541C) == "EPERM"
    assert judge(machine, ioctl, 0, 0x5412 | 1 << 32) == "EPERM", "the kernel takes 32 bits"
    assert judge(machine, ioctl, 0, 0x5401) == ALLOWED, "isatty"


@both
def test_the_program_fits_what_the_kernel_takes(machine: Machine) -> None:
    program = seccomp.deny_list(machine.name)
    assert len(program) % 8 == 0
    assert len(program) // 8 <= 4096


def test_a_machine_without_a_table_is_said() -> None:
    with pytest.raises(ValueError, match="no system call table for riscv64; known: x86_64, aarch64"):
        seccomp.deny_list("riscv64")
