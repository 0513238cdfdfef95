"""How a program of strangers loses every right before it begins: functions and steps of builds alike.

Whoever starts it is the first process of its namespaces, or stands in for one. The program is forked,
becomes somebody whom nobody on the machine is, gives up capabilities and the way back to them, closes
what it does not need, and has the kernel refuse the system calls it has no use for. Only then it runs.
"""

from __future__ import annotations

import os
import resource
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NoReturn

from sandbox.isolation import kernel
from sandbox.isolation.cgroups import Slot

# Who the program is in its own eyes.
UID = 1000
_DESCRIPTORS = 4096


@dataclass(frozen=True, slots=True)
class Confinement:
    """How a program gives up its rights.

    ``outer_uid`` is who it is outside its own user namespace: a fresh uid as root, else that of whoever
    starts it, as seen there. ``slot`` is None where no cgroup can be had.
    """

    outer_uid: int
    nested_user: bool
    slot: Slot | None
    seccomp: bytes


def start(
    confinement: Confinement,
    output: int,
    prepare: Callable[[], None],
    execute: Callable[[], NoReturn],
    *,
    name: str,
) -> int:
    """Fork, confine the child, have it ``execute``; its pid, once it holds no rights any more.

    ``prepare`` runs when the child is somebody else already, and still has what capabilities it had.
    ``name`` is what it is, for messages. A user namespace's owner cannot map an identity other than its
    own, so we write the map, between two steps of the child.

    Raises:
        OSError: it could not be confined, and is gone.
    """
    ours, theirs = socket.socketpair()
    # Ours stays closed to the child also where both are one user outside.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    child = os.fork()
    if child == 0:
        ours.close()
        _confine(confinement, output, prepare, theirs)
        execute()
    theirs.close()
    answer = ours.recv(512)
    if answer == b"u":
        _map_identity(child, confinement.outer_uid)
        ours.send(b"m")
        answer = ours.recv(512)
    ours.close()
    if answer != b"r":
        raise OSError(0, f"{name} could not be confined: {answer.decode() or 'it died'}")
    return child


def _confine(
    confinement: Confinement, output: int, prepare: Callable[[], None], starter: socket.socket
) -> None:
    try:
        kernel.die_with_parent()
        os.setsid()
        connect_output(output)
        if confinement.slot is not None:
            confinement.slot.enter()
        if confinement.nested_user:
            kernel.unshare(kernel.CLONE_NEWUSER)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # Else only root may write the map.
            starter.send(b"u")
            starter.recv(1)
            uid = UID
        else:
            os.setgroups([])
            uid = confinement.outer_uid
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
        prepare()
        kernel.drop_capabilities()
        kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
        kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # Else /proc/self belongs to root.
        kernel.die_with_parent()  # Changing identity clears it.
        os.closerange(3, starter.fileno())
        os.closerange(starter.fileno() + 1, _DESCRIPTORS)
        kernel.install_filter(confinement.seccomp)
        starter.send(b"r")
        starter.close()
    except OSError as error:
        starter.send(str(error).encode())
        os._exit(70)


def _map_identity(child: int, outer_uid: int) -> None:
    with open(f"/proc/{child}/setgroups", "w") as file:
        file.write("deny")
    for name in ("uid_map", "gid_map"):
        with open(f"/proc/{child}/{name}", "w") as file:
            file.write(f"{UID} {outer_uid} 1\n")


def connect_output(output: int) -> None:
    """Standard output and error go to the owner; standard input is empty."""
    nothing = os.open("/dev/null", os.O_RDONLY)
    os.dup2(nothing, 0)
    os.dup2(output, 1)
    os.dup2(output, 2)


def limit(wanted: Mapping[int, int]) -> None:
    """Limits of the calling process and all it starts, by ``resource.RLIMIT_*``; never raised again."""
    for name, value in wanted.items():
        _soft, hard = resource.getrlimit(name)  # Ours may be lower already, and only root may raise it.
        allowed = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(name, (allowed, allowed))
