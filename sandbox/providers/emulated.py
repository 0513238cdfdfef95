"""Emulated accounts, as their owner holds them."""

from __future__ import annotations

import contextlib
import datetime as dt
import importlib
import os
import select
import socket
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any

from sandbox.account import AccessKeys, Quiet
from sandbox.errors import AccountUnavailable, EnvironmentFault
from sandbox.supervisor import places, wire
from sandbox.supervisor.client import Say, Starting, Supervisor, Wanted, find_shared, get_shared
from sandbox.supervisor.wire import NameTaken, NoSuchSandbox

_GRACE_S = 15.0
_END_TIMEOUT_S = 10.0
# A fault may have to wait for a mapping to stop, or for a stream to be split.
_FAULT_TIMEOUT_S = 180.0


def _clients() -> Any:
    """The module that needs boto3; imported while a supervisor starts, and not before one does."""
    return importlib.import_module("sandbox.providers.clients")


def _to_stderr(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


class EmulatedProvider:
    """Opens emulated accounts; everything opened without ``kept`` ends with it, or with this process.

    Uses the shared supervisor when one runs that serves this very source at the wanted isolation;
    otherwise starts a private one, which begins to warm up at once and is waited for by the first
    :meth:`open`. ``home`` is the installation's home. Safe across threads.
    """

    def __init__(self, home: Path, wanted: Wanted | None = None, say: Say = _to_stderr) -> None:
        self.home = home
        self.wanted = wanted or Wanted()
        self.say = say
        self._lock = threading.Lock()
        self._supervisor: Supervisor | None = None
        self._starting: Starting | None = None
        self._private: Starting | None = None
        self._open: set[EmulatedAccount] = set()

    def __enter__(self) -> EmulatedProvider:
        with self._lock:
            self._begin()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def open(self, *, name: str = "", region: str = "us-east-1") -> EmulatedAccount:
        """A new, empty account, leased until it is closed or this process ends.

        Raises:
            EnvironmentFault: none is to be had.
        """
        for again in (True, False):
            supervisor = self._get_supervisor()
            try:
                document, line = supervisor.open(kept=False, name=name, region=region)
            except (ConnectionError, TimeoutError) as error:
                self._forget(supervisor)
                if not again:
                    raise AccountUnavailable(f"The supervisor is gone: {error}.") from error
            else:
                account = EmulatedAccount(document, line)
                self._open.add(account)
                account.on_close = self._open.discard
                return account
        raise AssertionError("unreachable")

    def close(self) -> None:
        """End every leased account, and the private supervisor if there is one."""
        for account in list(self._open):
            account.close()
        with self._lock:
            private, self._private = self._private or self._starting, None
            self._starting = self._supervisor = None
        if private is not None:
            private.stop()

    def _begin(self) -> None:
        """Find a supervisor or begin to start one; call with the lock held."""
        if self._supervisor is None and self._starting is None:
            shared = find_shared(self.home)
            if (
                shared
                and self.wanted.served_by(shared.about)
                and shared.about["stamp"] == places.source_stamp()
            ):
                self._supervisor = shared
            else:
                self._starting = Starting(self.home, self.wanted, self.say, private=True)
                _clients()

    def _get_supervisor(self) -> Supervisor:
        with self._lock:
            self._begin()
            if self._supervisor is None:
                assert self._starting is not None
                starting, self._starting = self._starting, None
                self._supervisor = starting.wait()
                self._private = starting
            return self._supervisor

    def _forget(self, supervisor: Supervisor) -> None:
        with self._lock:
            if self._supervisor is supervisor:
                self._supervisor = None
                private, self._private = self._private, None
                if private is not None:
                    private.stop()


class KeptSandboxes:
    """The accounts that stay until they are taken down: those of ``coldstart sandbox``."""

    def __init__(self, home: Path, wanted: Wanted | None = None, say: Say = _to_stderr) -> None:
        self.home = home
        self.wanted = wanted or Wanted()
        self.say = say

    def up(self, name: str = "", region: str = "us-east-1") -> EmulatedAccount:
        """Start one; without a name it gets ``default``, ``default-2`` and so on.

        Raises:
            NameTaken: one of this name is running.
            EnvironmentFault: it can't be started.
        """
        for again in (True, False):
            supervisor = get_shared(self.home, self.wanted, self.say)
            try:
                document, line = supervisor.open(
                    kept=True, name=name or self._free_name(supervisor), region=region
                )
            except ConnectionError as error:
                if not again:
                    raise AccountUnavailable(f"The supervisor is gone: {error}.") from error
                continue  # The one found was on its way out.
            except NameTaken:
                if name or not again:
                    raise
                continue  # Somebody was quicker with the free name.
            line.close()
            return EmulatedAccount(document)
        raise AssertionError("unreachable")

    def hold(self) -> wire.Line:
        """Keep the supervisor from ending, started now if need be, until the connection is closed.

        Raises:
            EnvironmentFault: it can't be started.
        """
        try:
            return wire.Line(str(get_shared(self.home, self.wanted, self.say).path), _GRACE_S)
        except OSError as error:
            raise AccountUnavailable(f"The supervisor is gone: {error}.") from error

    @staticmethod
    def _free_name(supervisor: Supervisor) -> str:
        taken = {document["name"] for document in supervisor.running()}
        if "default" not in taken:
            return "default"
        return next(name for name in (f"default-{n}" for n in range(2, 10_000)) if name not in taken)

    def running(self) -> list[EmulatedAccount]:
        """Those that run, by name."""
        supervisor = find_shared(self.home)
        if supervisor is None:
            return []
        try:
            return [EmulatedAccount(document) for document in supervisor.running()]
        except ConnectionError:
            return []

    def get(self, name: str = "") -> EmulatedAccount:
        """The one of this name; without a name the only one.

        Raises:
            NoSuchSandbox: there is none, or more than one to choose from.
        """
        running = self.running()
        named = [account for account in running if account.name == name] if name else running
        if len(named) == 1:
            return named[0]
        if not running:
            raise NoSuchSandbox("No sandbox is running. Start one: coldstart sandbox up")
        known = ", ".join(account.name for account in running)
        if name:
            raise NoSuchSandbox(f"No sandbox named {name} is running. Running: {known}.")
        raise NoSuchSandbox(f"Several sandboxes are running. Choose one with --name: {known}.")

    def down(self, name: str) -> None:
        """End one; returns when it is gone.

        Raises:
            NoSuchSandbox: none of this name is running.
        """
        supervisor = find_shared(self.home)
        if supervisor is None:
            raise NoSuchSandbox(f"No sandbox named {name} is running.")
        try:
            supervisor.down(name)
        except ConnectionError:
            return  # It went with its supervisor.


class EmulatedAccount:
    """An account in a process of its own; implements ``sandbox.account.Account``.

    ``line`` is the lease: the account ends when it closes. Without one the account is kept, and
    :meth:`close` only lets go of it.
    """

    backend = "emulated"

    def __init__(self, document: Mapping[str, Any], line: wire.Line | None = None) -> None:
        self.account_id: str = document["account_id"]
        self.fixture_account_id: str = document["fixture_account_id"]
        self.name: str = document["name"]
        self.region: str = document["region"]
        self.pid: int = document["pid"]
        self.endpoint_url: str = document["endpoint_url"]
        self.keys = AccessKeys(**document["keys"])
        self.capabilities = frozenset(document["capabilities"])
        self.isolation: Mapping[str, Any] = document["isolation"]
        self.runtimes: Mapping[str, str] = document["runtimes"]
        self.on_close: Any = None
        self._grader_keys = AccessKeys(**document["grader_keys"])
        self._fixture_keys = AccessKeys(**document["fixture_keys"])
        self._control: str = document["control"]
        self._line = line
        self._closed = False
        self._lock = threading.Lock()
        self._clients = _clients().ClientFactory(self.endpoint_url, self.require_alive)

    def client(self, service: str, *, region: str = "", fixture: bool = False) -> Any:
        """A boto3 client acting as the grader, in the learner's account or in the fixture account."""
        keys = self._fixture_keys if fixture else self._grader_keys
        return self._clients.client(service, region or self.region, keys)

    def learner_client(self, service: str, *, region: str = "") -> Any:
        """A boto3 client acting with the learner's own keys."""
        return self._clients.client(service, region or self.region, self.keys)

    def settle(self, timeout_s: float = 30.0) -> Quiet:
        """Wait until nothing runs and nothing is due."""
        return _quiet(self._ask("settle", timeout_s, timeout_s=timeout_s))

    def advance(self, seconds: float, timeout_s: float = 60.0) -> Quiet:
        """Let ``seconds`` of account time pass without waiting for them."""
        return _quiet(self._ask("advance", timeout_s, seconds=seconds, timeout_s=timeout_s))

    def now(self) -> dt.datetime:
        """The account's time."""
        return dt.datetime.fromisoformat(self._ask("now"))

    def functions_now(self) -> dt.datetime:
        """The time that functions see."""
        return dt.datetime.fromisoformat(self._ask("functions_now"))

    def timeline(self, since: int = 0) -> list[dict[str, Any]]:
        """What happened after ``since``, oldest first."""
        found: list[dict[str, Any]] = self._ask("timeline", since=since)
        return found

    def decisions(self, since: int = 0) -> list[dict[str, Any]]:
        """Every call and delivery with what was authorised for it, oldest first."""
        found: list[dict[str, Any]] = self._ask("decisions", since=since)
        return found

    def iam(self) -> list[dict[str, Any]]:
        """What each role and user is granted, used and was refused."""
        found: list[dict[str, Any]] = self._ask("iam")
        return found

    def begin_fault(self, name: str, settings: Mapping[str, Any], for_s: float = 0.0) -> str:
        """Switch a fault on; its id. ``for_s`` ends it by the account's clock."""
        given = {"name": name, "settings": dict(settings), "for_s": for_s}
        return str(self._ask("begin_fault", _FAULT_TIMEOUT_S, **given))

    def end_fault(self, fault_id: str) -> None:
        """Undo one fault."""
        self._ask("end_fault", _FAULT_TIMEOUT_S, fault_id=fault_id)

    def clear_faults(self) -> list[str]:
        """Undo every fault; the ids of those that were on."""
        return list(self._ask("clear_faults", _FAULT_TIMEOUT_S))

    def active_faults(self) -> list[dict[str, Any]]:
        """The faults that are on, the earliest first."""
        return list(self._ask("active_faults"))

    def url(self, address: str, client: str = "") -> str:
        """An AWS address, or one of the account's own names, as one that answers on this machine."""
        return str(self._ask("url", address=address, client=client))

    def inject(self, event: Mapping[str, Any]) -> Any:
        """Place an event of an AWS service on the account's default bus."""
        return self._ask("inject", event=dict(event))

    def messages(self, queue_arn: str, limit: int = 100) -> list[dict[str, Any]]:
        """The messages in a queue, oldest first, without receiving them."""
        return list(self._ask("messages", queue_arn=queue_arn, limit=limit))

    def issue_keys(self) -> AccessKeys:
        """Another access key for the learner; the one that was issued so before ends."""
        return AccessKeys(**self._ask("issue_keys"))

    def is_grader_key(self, access_key_id: str) -> bool:
        """Whether a call was made by the owner's own clients."""
        return access_key_id in (self._grader_keys.access_key_id, self._fixture_keys.access_key_id)

    def require_alive(self) -> None:
        """Raise AccountUnavailable when the account is closed or has died."""
        if self._closed:
            raise AccountUnavailable(f"Account {self.account_id} is closed.")
        if self._line is not None and _ended(self._line.socket):
            raise AccountUnavailable(f"Account {self.account_id} died.")

    def close(self) -> None:
        """End a leased account and everything in it; returns when it is gone. Idempotent."""
        with self._lock:
            if self._closed:
                return
            self._closed = True
        if self._line is not None:
            with contextlib.suppress(OSError, EnvironmentFault):
                self._line.socket.settimeout(_END_TIMEOUT_S)
                self._line.socket.sendall(wire.encode({"do": "close"}))
                self._line.wait_for_end(_END_TIMEOUT_S)
            self._line.close()
        self._clients.close()
        if self.on_close is not None:
            self.on_close(self)

    def _ask(self, do: str, waits_s: float = 0.0, **arguments: Any) -> Any:
        self.require_alive()
        try:
            with contextlib.closing(wire.Line(self._control, _GRACE_S)) as line:
                return line.ask(do, waits_s + _GRACE_S, **arguments)
        except TimeoutError:
            raise AccountUnavailable(f"Account {self.account_id} does not answer.") from None
        except OSError as error:
            raise AccountUnavailable(
                f"Account {self.account_id} died ({os.strerror(error.errno or 0)})."
            ) from error


def _quiet(said: Mapping[str, Any]) -> Quiet:
    return Quiet(
        settled=said["settled"],
        now=dt.datetime.fromisoformat(said["now"]),
        running=tuple(said["running"]),
        next_due_s=said["next_due_s"],
    )


def _ended(connection: socket.socket) -> bool:
    poll = select.poll()
    poll.register(connection, select.POLLIN | select.POLLRDHUP)
    return bool(poll.poll(0))
