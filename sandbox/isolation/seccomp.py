"""The system calls a function may not make, as a classic BPF program.

A deny list: a namespace, an empty capability set and a read-only root already take the power from
most calls; this takes away the kernel surface behind them (facts of past escapes) and the memory
that no limit counts (memfd, System V shared memory).
"""

from __future__ import annotations

import errno
import struct

# name: (x86_64, aarch64); None where the machine has no such call.
DENIED: dict[str, tuple[int | None, int | None]] = {
    "ptrace": (101, 117),
    "process_vm_readv": (310, 270),
    "process_vm_writev": (311, 271),
    "process_madvise": (440, 440),
    "process_mrelease": (448, 448),
    "pidfd_getfd": (438, 438),
    "kcmp": (312, 272),
    "mount": (165, 40),
    "umount2": (166, 39),
    "pivot_root": (155, 41),
    "chroot": (161, 51),
    "open_tree": (428, 428),
    "move_mount": (429, 429),
    "fsopen": (430, 430),
    "fsconfig": (431, 431),
    "fsmount": (432, 432),
    "fspick": (433, 433),
    "mount_setattr": (442, 442),
    "setns": (308, 268),
    "unshare": (272, 97),
    "bpf": (321, 280),
    "keyctl": (250, 219),
    "add_key": (248, 217),
    "request_key": (249, 218),
    "io_uring_setup": (425, 425),
    "io_uring_enter": (426, 426),
    "io_uring_register": (427, 427),
    "perf_event_open": (298, 241),
    "userfaultfd": (323, 282),
    "open_by_handle_at": (304, 265),
    "name_to_handle_at": (303, 264),
    "memfd_create": (319, 279),
    "memfd_secret": (447, 447),
    "shmget": (29, 194),
    "shmat": (30, 196),
    "shmctl": (31, 195),
    "shmdt": (67, 197),
    "semget": (64, 190),
    "semop": (65, 193),
    "semctl": (66, 191),
    "semtimedop": (220, 192),
    "msgget": (68, 186),
    "msgsnd": (69, 189),
    "msgrcv": (70, 188),
    "msgctl": (71, 187),
    "mq_open": (240, 180),
    "mq_unlink": (241, 181),
    "reboot": (169, 142),
    "swapon": (167, 224),
    "swapoff": (168, 225),
    "init_module": (175, 105),
    "delete_module": (176, 106),
    "finit_module": (313, 273),
    "kexec_load": (246, 104),
    "kexec_file_load": (320, 294),
    "acct": (163, 89),
    "quotactl": (179, 60),
    "quotactl_fd": (443, 443),
    "syslog": (103, 116),
    "settimeofday": (164, 170),
    "clock_settime": (227, 112),
    "clock_adjtime": (305, 266),
    "adjtimex": (159, 171),
    "sethostname": (170, 161),
    "setdomainname": (171, 162),
    "iopl": (172, None),
    "ioperm": (173, None),
    "modify_ldt": (154, None),
    "uselib": (134, None),
    "personality": (135, 92),
    "mbind": (237, 235),
    "get_mempolicy": (239, 236),
    "set_mempolicy": (238, 237),
    "migrate_pages": (256, 238),
    "move_pages": (279, 239),
    "lookup_dcookie": (212, 18),
    "fanotify_init": (300, 262),
    "fanotify_mark": (301, 263),
    "vhangup": (153, 58),
    "mknod": (133, None),
    "mknodat": (259, 33),
}
# Calls that are judged by an argument: clone, clone3, socket, socketpair, ioctl.
JUDGED: dict[str, tuple[int, int]] = {
    "clone": (56, 220),
    "clone3": (435, 435),
    "socket": (41, 198),
    "socketpair": (53, 199),
    "ioctl": (16, 29),
}
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}

_NEW_NAMESPACE = 0x7E020000
_FAMILIES = (1, 2, 10)  # unix, inet, inet6; netlink is judged by its protocol.
_NETLINK = 16
_TERMINAL_INJECTION = (0x5412, 0x541C)  # TIOCSTI, TIOCLINUX
_X32_BIT = 0x40000000

_LOAD, _EQUAL, _AT_LEAST, _ANY_BIT, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCH, _ARGUMENT_0, _ARGUMENT_1, _ARGUMENT_2 = 0, 4, 16, 24, 32


def _instruction(code: int, value: int, if_true: int = 0, if_false: int = 0) -> bytes:
    return struct.pack("=HBBI", code, if_true, if_false, value)


def _refuse(code: int) -> bytes:
    return _instruction(_RETURN, _ERRNO | code)


def _when_called(number: int, body: list[bytes]) -> list[bytes]:
    """``body`` runs only for this call; it must end in a return."""
    return [_instruction(_EQUAL, number, 0, len(body)), *body]


def deny_list(machine: str) -> bytes:
    """The program for ``machine`` (``x86_64`` or ``aarch64``), in the kernel's own layout.

    Raises:
        ValueError: there is no table for this machine.
    """
    if machine not in ARCHITECTURES:
        raise ValueError(f"There is no system call table for {machine}; known: {', '.join(ARCHITECTURES)}.")
    column, audit_arch = ARCHITECTURES[machine]
    allow = _instruction(_RETURN, _ALLOW)
    program = [
        _instruction(_LOAD, _ARCH),
        _instruction(_EQUAL, audit_arch, 1, 0),
        _instruction(_RETURN, _KILL),
        _instruction(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        program += [_instruction(_AT_LEAST, _X32_BIT, 0, 1), _refuse(errno.ENOSYS)]
    for numbers in DENIED.values():
        number = numbers[column]
        if number is not None:
            program += _when_called(number, [_refuse(errno.EPERM)])
    # glibc falls back to clone, whose flags can be read here, when clone3 is missing.
    program += _when_called(JUDGED["clone3"][column], [_refuse(errno.ENOSYS)])
    program += _when_called(
        JUDGED["clone"][column],
        [
            _instruction(_LOAD, _ARGUMENT_0),
            _instruction(_ANY_BIT, _NEW_NAMESPACE, 0, 1),
            _refuse(errno.EPERM),
            allow,
        ],
    )
    families: list[bytes] = [_instruction(_LOAD, _ARGUMENT_0)]
    for family in _FAMILIES:
        families += [_instruction(_EQUAL, family, 0, 1), allow]
    families += [
        _instruction(_EQUAL, _NETLINK, 0, 3),
        _instruction(_LOAD, _ARGUMENT_2),
        _instruction(_EQUAL, 0, 0, 1),
        allow,
        # A vsock reaches the hypervisor: no network namespace confines it.
        _refuse(errno.EAFNOSUPPORT),
    ]
    for call in ("socket", "socketpair"):
        program += _when_called(JUDGED[call][column], families)
    requests: list[bytes] = [_instruction(_LOAD, _ARGUMENT_1)]
    for request in _TERMINAL_INJECTION:
        requests += [_instruction(_EQUAL, request, 0, 1), _refuse(errno.EPERM)]
    program += _when_called(JUDGED["ioctl"][column], [*requests, allow])
    return b"".join([*program, allow])
