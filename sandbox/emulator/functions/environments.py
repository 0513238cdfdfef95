"""One execution environment: started, initialised, invoked, frozen, ended."""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from sandbox.emulator.functions.credentials import RoleSession
from sandbox.emulator.functions.loop import Connection, HttpServer, Loop, Request
from sandbox.emulator.functions.output import Output
from sandbox.emulator.functions.resolver import Resolver
from sandbox.emulator.functions.runtime_api import Answer, Event, RuntimeApi, TakeChunk
from sandbox.emulator.functions.store import FunctionVersion
from sandbox.emulator.telemetry.otlp.receiver import LIMIT_BYTES as OTLP_LIMIT_BYTES
from sandbox.emulator.telemetry.otlp.receiver import Export, Reply
from sandbox.isolation.names import LookUp
from sandbox.isolation.spec import Environment, Exit

# How long a runtime may take to ask for its next event after it answered one.
_NEXT_GRACE_S = 1.0
# How often what a running function printed is handed on.
_HAND_ON_S = 0.1
_DATAGRAM_BYTES = 64 * 1024


class Closable(Protocol):
    """A server that can be stopped."""

    def close(self) -> None:
        """Stop it."""


class How(StrEnum):
    """How an init or an invocation ended."""

    READY = "ready"
    ANSWERED = "answered"
    FAILED = "failed"
    TIMED_OUT = "timed-out"
    EXITED = "exited"


@dataclass(frozen=True, slots=True)
class Ended:
    """What came of an init or an invocation. ``exit`` is set when the process ended."""

    how: How
    duration_ms: float
    answer: Answer | None = None
    exit: Exit | None = None


class ExecutionEnvironment:
    """Driven by one thread at a time: the one whose invocation it serves.

    ``serve_gateway`` starts the AWS endpoint when the function first connects to it, so that a function
    that calls nothing pays nothing; so does ``serve_tls`` on port 443, where AWS's names lead.
    ``take_datagram`` is given what the function sends to the X-Ray daemon, ``take_export`` what by OTLP.
    ``look_up`` knows names that are not AWS's.
    """

    def __init__(
        self,
        environment: Environment,
        version: FunctionVersion,
        session: RoleSession,
        log_stream: str,
        serve_gateway: Callable[[socket.socket], Closable],
        serve_tls: Callable[[socket.socket], Closable] | None,
        now_ms: Callable[[], int],
        take_datagram: Callable[[bytes], None],
        take_export: Callable[[Export], Reply],
        look_up: LookUp,
    ) -> None:
        self.environment = environment
        self.environment_id = environment.environment_id
        self.version = version
        self.session = session
        self.log_stream = log_stream
        self.idle_since = 0.0
        self.outdated = False
        self.provisioned = False
        self.invocations = 0
        self.output = Output(environment.output, now_ms)
        self._servers: list[Closable] = []
        self._loop = Loop()
        self._api = RuntimeApi(self._loop, environment.runtime_api)
        self._take_export = take_export
        self._otlp = HttpServer(self._loop, environment.otlp, self._export, body_limit=OTLP_LIMIT_BYTES)
        self._frozen = False
        self._used = (0.0, 0.0)
        self._exited = False
        self._closed = False
        self.output.watch(self._loop)
        environment.xray.setblocking(False)
        self._take_datagram = take_datagram
        self._loop.add(environment.xray.fileno(), self._receive_datagram)
        self._open_when_called(environment.gateway, serve_gateway)
        self._resolver: Resolver | None = None
        if environment.names is not None:
            sockets = environment.names
            self._resolver = Resolver(self._loop, sockets.dns, sockets.dns_stream, look_up)
            if serve_tls is not None:
                self._open_when_called(environment.names.tls, serve_tls)
        self._loop.add(environment.fileno(), self._note_exit)

    def _open_when_called(self, listener: socket.socket, serve: Callable[[socket.socket], Closable]) -> None:
        def open_now(_events: int) -> None:
            self._loop.remove(listener.fileno())
            self._servers.append(serve(listener))

        self._loop.add(listener.fileno(), open_now)

    def _note_exit(self, _events: int) -> None:
        self._exited = True
        self._loop.remove(self.environment.fileno())

    def _receive_datagram(self, _events: int) -> None:
        try:
            data = self.environment.xray.recv(_DATAGRAM_BYTES)
        except OSError:
            return
        self._take_datagram(data)

    @property
    def clock_ahead_s(self) -> float:
        """How far its function sees the time ahead of the wall's."""
        return self.environment.clock_ahead_s

    def follow_clock(self, ahead_s: float) -> bool:
        """While it rests: have its function see the account's time; whether it does."""
        return ahead_s == self.clock_ahead_s or self.environment.set_clock(ahead_s)

    def _export(self, request: Request, connection: Connection) -> None:
        said = self._take_export(
            Export(request.method, request.path, request.headers, request.body, request.oversized)
        )
        connection.answer(said.status, said.body, content_type=said.content_type)

    def initialise(self, limit_s: float) -> Ended:
        """Wait until the function's code is loaded and the runtime asks for an event."""
        began = time.monotonic()
        while True:
            if self._api.ready:
                self.output.drain()
                return Ended(How.READY, _since(began))
            if self._exited:
                return self._end(
                    How.FAILED if self._api.init_error else How.EXITED, began, self._api.init_error
                )
            left = began + limit_s - time.monotonic()
            if left <= 0:
                return self._end(How.TIMED_OUT, began)
            self._loop.turn(left)

    def invoke(
        self,
        event: Event,
        limit_s: float,
        *,
        take_chunk: TakeChunk | None = None,
        on_output: Callable[[], None] = lambda: None,
    ) -> Ended:
        """Run one event to its end. Unless it was answered, everything in the environment is dead after.

        ``on_output`` is called now and then while the function runs and has printed something. Time in
        which the function was ready to run and this machine had no processor for it does not count.
        """
        until_s = limit_s
        began = handed_on = time.monotonic()
        if self._frozen:
            self.environment.thaw()
            self._frozen = False
        self.invocations += 1
        self._api.dispatch(event, take_chunk)
        while self._api.answer is None:
            if self._exited:
                return self._end(How.EXITED, began)
            now = time.monotonic()
            left = began + until_s - now
            if left <= 0:
                hindered_s = self.environment.run_delay_s() - self._used[1] / 1000
                until_s = limit_s + min(hindered_s, limit_s)
                left = began + until_s - time.monotonic()
                if left <= 0:
                    return self._end(How.TIMED_OUT, began)
            if self.output.waiting:
                if now - handed_on >= _HAND_ON_S:
                    on_output()
                    handed_on = now
                left = min(left, _HAND_ON_S)
            self._loop.turn(left)
        return Ended(How.ANSWERED, _since(began), self._api.answer)

    def rest(self, limit_s: float) -> bool:
        """After an answer: let the runtime ask for the next event, then freeze; whether it can be reused.

        ``limit_s`` is what is left of the invocation's time.
        """
        until = time.monotonic() + max(limit_s, _NEXT_GRACE_S)
        while not self._api.ready and not self._exited:
            left = until - time.monotonic()
            if left <= 0:
                break
            self._loop.turn(left)
        reusable = self._api.ready and not self._exited
        if reusable:
            self.environment.freeze()
            self._frozen = True
        else:
            self.environment.kill()
        # Nothing runs any more: what was written belongs to this invocation.
        self.output.drain()
        while self._loop.turn(0):
            continue
        return reusable and not self._exited

    def usable(self) -> bool:
        """Whether it still lives."""
        return self.environment.exited() is None

    def used(self) -> tuple[float, float]:
        """Processor time used, and waited for, since the last time it was asked; in milliseconds.

        Asking is free while it is frozen.
        """
        before = self._used
        self._used = (self.environment.cpu_time_s() * 1000, self.environment.run_delay_s() * 1000)
        return max(0.0, self._used[0] - before[0]), max(0.0, self._used[1] - before[1])

    def memory_peak_mb(self) -> int:
        """The most memory it has held."""
        return self.environment.memory_peak_mb()

    def _end(self, how: How, began: float, answer: Answer | None = None) -> Ended:
        duration_ms = _since(began)
        self._api.abandon()
        self.environment.kill()
        self.output.drain()
        # An answer may lie unread in the socket of a process that is gone.
        while self._loop.turn(0):
            continue
        return Ended(how, duration_ms, answer, self.environment.exited())

    def close(self) -> None:
        """End every process in it and give everything back. Idempotent."""
        if self._closed:
            return
        self._closed = True
        self.environment.kill()
        for server in self._servers:
            server.close()
        if self._resolver is not None:
            self._resolver.close()
        self._api.close()
        self._otlp.close()
        self._loop.close()
        self.environment.close()


def _since(began: float) -> float:
    return (time.monotonic() - began) * 1000
