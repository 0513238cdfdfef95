"""The supervisor: one single-threaded process that forks accounts and ends them with their owners.

A *leased* account ends with the connection that opened it, however its owner ends; a *kept* one lives until
somebody takes it down. A private supervisor ends with the process that started it; the shared one with its
last account. Everything below a supervisor ends with it, by the kernel.
"""

from __future__ import annotations

import contextlib
import os
import secrets
import selectors
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any, NoReturn

from sandbox.emulator.functions.runtimes import Runtimes
from sandbox.emulator.gateway.authority import Authority
from sandbox.emulator.process import AccountOptions
from sandbox.supervisor import account, wire

# Of a shared supervisor that nobody has asked for an account yet.
PATIENCE_S = 60.0
_BACKLOG = 64


@dataclass(slots=True, eq=False)
class Client:
    """A connection; ``lease`` is the account that ends with it."""

    socket: socket.socket
    lines: wire.Lines = field(default_factory=wire.Lines)
    lease: Child | None = None


@dataclass(slots=True, eq=False)
class Child:
    """An account's process. ``waiting`` are those who are told when it is gone."""

    pid: int
    ended: int
    report: int
    name: str
    kept: bool
    scratch: tuple[Path, Path]
    opener: Client | None
    said: bytes = b""
    document: dict[str, Any] | None = None
    waiting: list[Client] = field(default_factory=list)


class Supervisor:
    """Serves ``listener``. Everything it made lies in ``place``, which goes when it ends."""

    def __init__(
        self,
        place: Path,
        lock: IO[str],
        listener: socket.socket,
        listening_at: Path,
        spawner: subprocess.Popen[bytes],
        about: Mapping[str, Any],
        owner: int | None,
        runtimes: Runtimes,
        authority: Authority,
    ) -> None:
        self.place = place
        self.runtimes = runtimes
        self.authority = authority
        self.lock = lock
        self.listener = listener
        self.listening_at = listening_at
        self.spawner = spawner
        self.about = about
        self.shared = owner is None
        self.clients: set[Client] = set()
        self.children: dict[str, Child] = {}
        self.removers: list[subprocess.Popen[bytes]] = []
        self.served = False
        self.selector = selectors.DefaultSelector()
        self.watched: list[int] = []
        self.signalled, self.signals = os.pipe()
        os.set_blocking(self.signals, False)
        self._watch(self.listener, self._accept)
        self._watch(self.signalled, self._stop)
        self._watch_process(spawner.pid, self._spawner_ended)
        if owner is not None:
            self._watch_process(owner, self._stop)
        signal.set_wakeup_fd(self.signals, warn_on_full_buffer=False)
        for number in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number, lambda *_: None)

    def serve(self) -> NoReturn:
        """Until there is nobody left to serve."""
        patience_ends = time.monotonic() + PATIENCE_S
        while True:
            wait_s = None if self.served or not self.shared else max(0.0, patience_ends - time.monotonic())
            if self.removers:
                wait_s = 0.2
            for key, _events in self.selector.select(wait_s):
                key.data()
            self.removers = [each for each in self.removers if each.poll() is None]
            over = self.served or time.monotonic() >= patience_ends
            if self.shared and over and not self.children and not self.clients:
                self._stop()

    def _watch(self, file: socket.socket | int, then: Callable[[], None]) -> None:
        self.selector.register(file, selectors.EVENT_READ, then)

    def _watch_process(self, pid: int, then: Callable[[], None]) -> None:
        try:
            ended = os.pidfd_open(pid)
        except ProcessLookupError:
            self._stop()
        self.watched.append(ended)
        self._watch(ended, then)

    # Clients

    def _accept(self) -> None:
        connection, _address = self.listener.accept()
        if not wire.peer_is_us(connection):
            connection.close()
            return
        connection.setblocking(False)
        client = Client(connection)
        self.clients.add(client)
        self._watch(connection, lambda: self._hear(client))

    def _hear(self, client: Client) -> None:
        try:
            data = client.socket.recv(1 << 16)
            requests = client.lines.feed(data)
        except BlockingIOError:
            return
        except (OSError, wire.BadRequest):
            data, requests = b"", []
        if not data:
            self._drop(client)
            return
        for request in requests:
            try:
                self._answer(client, request)
            except (wire.NoSuchSandbox, wire.NameTaken, wire.BadRequest, OSError) as error:
                self._tell(client, wire.failure(error))

    def _answer(self, client: Client, request: dict[str, Any]) -> None:
        match request.get("do"):
            case "hello":
                self._tell(client, {"ok": dict(self.about)})
            case "open":
                self._open(client, request)
            case "list":
                kept = [child.document for child in self.children.values() if child.kept and child.document]
                self._tell(client, {"ok": kept})
            case "down":
                child = self.children.get(str(request.get("name")))
                if child is None or not child.kept:
                    raise wire.NoSuchSandbox(f"No sandbox named {request.get('name')} is running.")
                self._kill(child, client)
            case "close" if client.lease is not None:
                self._kill(client.lease, client)
            case _:
                raise wire.BadRequest("The supervisor has no such request.")

    def _tell(self, client: Client, answer: Mapping[str, Any]) -> None:
        try:
            client.socket.sendall(wire.encode(answer))
        except OSError:  # Gone, or it does not read what it asked for.
            self._drop(client)

    def _drop(self, client: Client) -> None:
        if client not in self.clients:
            return
        self.clients.remove(client)
        self.selector.unregister(client.socket)
        client.socket.close()
        for child in self.children.values():
            if client in child.waiting:
                child.waiting.remove(client)
        if client.lease is not None:
            self._kill(client.lease, None)

    # Accounts

    def _open(self, client: Client, request: Mapping[str, Any]) -> None:
        kept = bool(request.get("kept"))
        name = str(request.get("name") or f"lease-{secrets.token_hex(4)}")
        if name in self.children:
            raise wire.NameTaken(f"A sandbox named {name} is running already.")
        if client.lease is not None:
            raise wire.BadRequest("This connection holds an account already.")
        named = secrets.token_hex(4)
        scratch, control = self.place / named, self.place / f"{named}.c"
        options = AccountOptions(
            account_id=str(request.get("account_id") or _draw_account_id()),
            fixture_account_id=str(request.get("fixture_account_id") or _draw_account_id()),
            name=name,
            region=str(request.get("region") or "us-east-1"),
            home=scratch,
            spawner_socket=self.place / "spawner",
            runtimes=self.runtimes,
            authority=self.authority,
        )
        reader, writer = os.pipe()
        supervisor = os.getpid()
        pid = os.fork()
        if pid == 0:
            self._forget()
            os.close(reader)
            account.run(options, control, writer, supervisor)
        os.close(writer)
        os.set_blocking(reader, False)
        child = Child(pid, os.pidfd_open(pid), reader, name, kept, (scratch, control), client)
        self.children[name] = child
        self.served = True
        if not kept:
            client.lease = child
        self._watch(child.report, lambda: self._reported(child))
        self._watch(child.ended, lambda: self._ended(child))

    def _forget(self) -> None:
        """Give up, in a forked child, every descriptor that is the supervisor's."""
        self.selector.close()
        self.listener.close()
        self.lock.close()
        for client in self.clients:
            client.socket.close()
        for child in self.children.values():
            os.close(child.ended)
            if child.report >= 0:
                os.close(child.report)
        signal.set_wakeup_fd(-1)
        for descriptor in (*self.watched, self.signalled, self.signals):
            os.close(descriptor)

    def _reported(self, child: Child) -> None:
        try:
            data = os.read(child.report, 1 << 16)
        except BlockingIOError:
            return
        child.said += data
        if data and b"\n" not in child.said:
            return
        self.selector.unregister(child.report)
        os.close(child.report)
        child.report = -1
        if not child.said:
            return  # It died; what that means is said when it is buried.
        (answer,) = wire.Lines().feed(child.said)
        if "ok" in answer:
            document = answer["ok"]
            if not document.get("isolation"):
                document["isolation"] = self.about["isolation"]
            child.document = {**document, "kept": child.kept}
            answer = {"ok": child.document}
        self._tell_opener(child, answer)

    def _tell_opener(self, child: Child, answer: Mapping[str, Any]) -> None:
        opener, child.opener = child.opener, None
        if opener is not None and opener in self.clients:
            self._tell(opener, answer)
        elif child.kept:
            self._kill(child, None)  # Nobody knows of it.

    def _kill(self, child: Child, told: Client | None) -> None:
        if told is not None:
            child.waiting.append(told)
        signal.pidfd_send_signal(child.ended, signal.SIGKILL)

    def _ended(self, child: Child) -> None:
        """Bury an account that was killed or died by itself."""
        if child.report >= 0:
            self._reported(child)
        if child.report >= 0:
            self.selector.unregister(child.report)
            os.close(child.report)
        self.selector.unregister(child.ended)
        os.close(child.ended)
        _pid, status = os.waitpid(child.pid, 0)
        del self.children[child.name]
        self._remove(child.scratch)
        if child.opener is not None:
            how = os.waitstatus_to_exitcode(status)
            gone = {
                "error": f"The account died while it started (status {how}).",
                "kind": "AccountUnavailable",
            }
            self._tell_opener(child, gone)
        for client in child.waiting:
            self._tell(client, {"ok": True})
        for client in list(self.clients):
            if client.lease is child:
                client.lease = None
                self._drop(client)

    def _remove(self, paths: tuple[Path, ...]) -> None:
        there = [str(path) for path in paths if path.exists()]
        if there:
            # A process of its own: a learner's files may be many, and nobody should wait for them.
            self.removers.append(subprocess.Popen(["rm", "-rf", "--", *there]))

    # The end

    def _spawner_ended(self) -> None:
        print("The spawner ended; so does the supervisor.", file=sys.stderr, flush=True)
        self._stop()

    def _stop(self) -> NoReturn:
        """Take everything down and go."""
        with contextlib.suppress(FileNotFoundError):
            self.listening_at.unlink()
        self.listener.close()
        for child in self.children.values():
            os.kill(child.pid, signal.SIGKILL)
        for child in self.children.values():
            os.waitpid(child.pid, 0)
        self.spawner.kill()
        self.spawner.wait()
        for remover in self.removers:
            remover.wait()
        subprocess.run(["rm", "-rf", "--", str(self.place)], check=False)
        for client in self.clients:
            client.socket.close()
        os._exit(0)


def _draw_account_id() -> str:
    return str(secrets.choice(range(100_000_000_000, 1_000_000_000_000)))


def listen(path: Path) -> socket.socket:
    """A listening socket that this user alone can connect to."""
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    listener.bind(str(path))
    path.chmod(0o600)
    listener.listen(_BACKLOG)
    return listener
