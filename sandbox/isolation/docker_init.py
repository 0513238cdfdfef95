"""The first process of a container: sockets, the function's process, and the watch over it."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import sys
from typing import Any, NoReturn

from sandbox.isolation import environment, kernel, rights, seccomp, spawner, warm, wire
from sandbox.isolation.environment import Order
from sandbox.isolation.rights import Confinement
from sandbox.isolation.watch import Watch

CONTROL = "/.coldstart/control"


def main() -> NoReturn:
    """Take the order and the owner's channels, start the function, watch until the end."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # As pid 1 we are deaf to what has no handler.
    # Else the function, who is the same user, could look into us.
    kernel.prctl(kernel.PR_SET_DUMPABLE, 0)
    meeting = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    meeting.connect(CONTROL)
    message, descriptors = wire.receive(meeting)
    if message is None:
        os._exit(0)  # The spawner died.
    meeting.close()
    control, output = socket.socket(fileno=descriptors[0]), descriptors[1]
    order = Order.read(message)
    confinement = Confinement(os.geteuid(), False, None, seccomp.deny_list(kernel.MACHINE))
    try:
        variables = environment.receive_variables(control)
        ports = (wire.RUNTIME_API_PORT, order.gateway_port, wire.OTLP_PORT, wire.XRAY_PORT)
        sockets = environment.listen("127.0.0.1", ports)
        function = _start(order, variables, output, confinement)
        os.close(output)
        own = os.pidfd_open(os.getpid())
        wire.send(control, {"started": True}, (*(each.fileno() for each in sockets), own))
    except OSError as error:
        with contextlib.suppress(OSError):  # The owner may be gone as well.
            wire.send(control, {"fault": str(error)})
        os._exit(70)
    os.close(own)
    for each in sockets:
        each.close()
    Watch(order, confinement, control, function).until_the_end()


def _start(order: Order, variables: dict[str, str], output: int, confinement: Confinement) -> int:
    """Fork the function's process; the engine has taken its capabilities, we take the rest."""
    ours, theirs = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(ours)
            kernel.die_with_parent()
            os.setsid()
            rights.connect_output(output)
            # RLIMIT_NPROC counts all containers of one user together; the engine counts each.
            environment.set_limits(order, counted=True, others=1 << 20)
            kernel.prctl(kernel.PR_SET_NO_NEW_PRIVS, 1)
            kernel.prctl(kernel.PR_SET_DUMPABLE, 1)  # Else /proc/self belongs to root.
            os.closerange(3, theirs)
            os.closerange(theirs + 1, 4096)
            kernel.install_filter(confinement.seccomp)
            os.close(theirs)
        except OSError as error:
            os.write(theirs, str(error).encode())
            os._exit(70)
        _execute(order, variables)
    os.close(theirs)
    refused = os.read(ours, 512)
    os.close(ours)
    if refused:
        raise OSError(0, f"the function's process could not be confined: {refused.decode()}")
    return child


def _execute(order: Order, given: dict[str, str]) -> NoReturn:
    variables: dict[str, Any] = spawner.complete_variables(given, f"{sys.base_prefix}/lib:/var/runtime")
    arguments = order.command
    if arguments is None:
        version = f"{sys.version_info.major}.{sys.version_info.minor}"
        arguments = [sys.executable, "-S", "-s", "-c", warm.cold_start()]
        variables["COLDSTART_PATH"] = ":".join(warm.function_path(version))
    os.chdir(warm.TASK)
    spawner.execute_program(arguments, variables)
