"""What an execution environment is asked to be, and what its owner can do with it."""

from __future__ import annotations

import socket
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from pathlib import Path
from typing import Protocol

# Where an environment finds the authorities it trusts, at level 3 and above.
AUTHORITIES = "/etc/ssl/certs/ca-certificates.crt"
JAVA_AUTHORITIES = "/etc/ssl/certs/java/cacerts"


class IsolationLevel(IntEnum):
    """How well strangers' code is kept in. Found by doing each step, never by reading settings."""

    NONE = 1
    """Resource limits only: trusted code only."""
    LANDLOCK = 2
    """Files, foreign TCP ports and signals denied; UDP still leaves."""
    NAMESPACES = 3
    """Own user, mount, process and network namespaces; memory by limit and watchdog."""
    CGROUPS = 4
    """As NAMESPACES, with memory and processes accounted by the kernel."""


@dataclass(frozen=True, slots=True)
class EnvironmentSpec:
    """One execution environment.

    ``code_dir`` becomes /var/task and ``layer_dir`` (layers already merged) /opt, both read-only.
    ``variables`` is the whole environment the function sees. ``command`` is None for Python, which
    forks from the warmed parent and runs the runtime interface client in place; the other runtimes
    give the argv to exec inside. ``runtime_dir`` becomes /var/runtime and ``language_dir`` /var/lang,
    both read-only; None leaves Python's. ``memory_mb`` is the function's memory, ``tmp_mb`` the size of /tmp.
    ``cpus`` limits the processors' time it gets where cgroups are to be had; None: no limit.
    ``max_processes`` counts threads as well; 1,024 is what Lambda allows.
    ``gateway_port`` is where the AWS endpoint listens inside. ``clock_ahead_s`` is how far its
    processes' clock is to be ahead of the wall's. ``copies`` names what the code brings along and Python's
    runtime has byte for byte: it does not keep a function from being forked.
    """

    environment_id: str
    code_dir: Path
    variables: Mapping[str, str]
    memory_mb: int
    gateway_port: int
    tmp_mb: int = 512
    layer_dir: Path | None = None
    command: tuple[str, ...] | None = None
    runtime_dir: Path | None = None
    language_dir: Path | None = None
    clock_ahead_s: float = 0.0
    max_processes: int = 1024
    cpus: float | None = None
    copies: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Exit:
    """How an environment ended. ``out_of_memory`` when the kernel or the watchdog killed it for memory."""

    status: int | None
    signal: int | None
    out_of_memory: bool = False


@dataclass(frozen=True, slots=True)
class NameSockets:
    """For code that goes where AWS's names lead: DNS (UDP and TCP 53 inside) and HTTPS (TCP 443)."""

    dns: socket.socket
    dns_stream: socket.socket
    tls: socket.socket

    def close(self) -> None:
        """Give them back."""
        for each in (self.dns, self.dns_stream, self.tls):
            each.close()


class Environment(Protocol):
    """A started environment. Its listening sockets live in its own private network.

    The owner serves ``runtime_api`` (TCP 9001 inside), ``gateway`` (TCP ``gateway_port`` inside) and
    ``otlp`` (TCP 4318), and reads ``xray`` (UDP 2000). ``output`` is the read end of the pipe that
    both stdout and stderr go to. ``names`` are None below level 3, where ports are shared with the machine.
    ``clock_ahead_s`` is how far its processes see the time ahead of the wall; 0 where they can't.
    """

    environment_id: str
    level: IsolationLevel
    runtime_api: socket.socket
    gateway: socket.socket
    otlp: socket.socket
    xray: socket.socket
    names: NameSockets | None
    output: int
    clock_ahead_s: float

    def fileno(self) -> int:
        """A descriptor that becomes readable when the environment has ended."""

    def exited(self) -> Exit | None:
        """How it ended, or None while it lives."""

    def freeze(self) -> None:
        """Stop every process in it, as Lambda does between invocations."""

    def thaw(self) -> None:
        """Let it run again."""

    def set_clock(self, ahead_s: float) -> bool:
        """Have its frozen processes see the time ``ahead_s`` after the wall's; whether all of them do."""

    def memory_peak_mb(self) -> int:
        """The most memory its processes have held together, in MB, rounded up."""

    def cpu_time_s(self) -> float:
        """CPU seconds used by the whole environment so far."""

    def run_delay_s(self) -> float:
        """Seconds its threads were ready to run and had no processor, so far."""

    def kill(self) -> None:
        """End every process in it, daemons included, and wait until they are gone. Idempotent."""

    def close(self) -> None:
        """Kill it and give back every descriptor. The owner's servers must be stopped first."""


class Spawner(Protocol):
    """Starts environments. Safe across threads.

    ``has_clocks``: they may be given clocks of their own. ``has_names``: AWS's names lead to sockets of
    their own.
    """

    level: IsolationLevel
    has_clocks: bool
    has_names: bool

    def spawn(self, spec: EnvironmentSpec) -> Environment:
        """Start an environment; returns as soon as its sockets exist, before the function's init.

        Raises:
            EnvironmentFault: the environment could not be started.
        """

    def close(self) -> None:
        """Kill every environment started here."""
