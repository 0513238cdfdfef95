"""A forked account process: makes the account, says how to reach it, then answers on its control socket."""

from __future__ import annotations

import datetime as dt
import os
import signal
import socket
import threading
import traceback
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NoReturn

from sandbox.account import Quiet
from sandbox.emulator.process import AccountOptions, EmulatedAccount
from sandbox.errors import SandboxError
from sandbox.isolation import kernel
from sandbox.supervisor import wire

# A check asks from many threads at once, and a full queue refuses instead of letting wait.
_BACKLOG = 1024
_LONGEST_JUMP_S = 10 * 366 * 86_400


def run(options: AccountOptions, control: Path, report: int, supervisor: int) -> NoReturn:
    """Be the account until killed. Call in the forked child; ``report`` takes its one answer."""
    try:
        kernel.die_with_parent()
        if os.getppid() != supervisor:
            os._exit(0)  # It died before the kernel knew that we go with it.
        signal.set_wakeup_fd(-1)
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, signal.SIG_DFL)
        account = EmulatedAccount(options)
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        listener.bind(str(control))
        control.chmod(0o600)
        document = account.start()
        listener.listen(_BACKLOG)
        _say(report, {"ok": {**document, "control": str(control)}})
        Control(account).serve(listener)
    except BaseException as error:  # The edge of this process: nothing above would see it.
        traceback.print_exc()
        _say(report, wire.failure(error))
        os._exit(70)


def _say(report: int, answer: Mapping[str, Any]) -> None:
    try:
        with open(report, "wb") as pipe:
            pipe.write(wire.encode(answer))
    except OSError:  # Said already, or nobody listens.
        return


class Control:
    """Answers an owner's requests; each connection in a thread, so that a wait holds up nobody else."""

    def __init__(self, account: EmulatedAccount) -> None:
        self._account = account
        self._verbs: Mapping[str, Callable[..., Any]] = {
            "settle": lambda timeout_s=30.0: _plain_quiet(account.settle(float(timeout_s))),
            "advance": self._advance,
            "now": lambda: _plain_time(account.now()),
            "functions_now": lambda: _plain_time(account.functions_now()),
            "timeline": lambda since=0: account.timeline(int(since)),
            "iam": account.iam,
            "decisions": lambda since=0: account.decisions(int(since)),
            "begin_fault": lambda name, settings, for_s=0.0: account.faults.begin(
                name, settings, for_s=float(for_s)
            ),
            "end_fault": lambda fault_id: account.faults.end(fault_id),
            "clear_faults": account.faults.clear,
            "active_faults": lambda: [active.as_json() for active in account.faults.active()],
            "url": lambda address, client="": account.url(address, client),
            "inject": lambda event: account.inject(event),
            "messages": lambda queue_arn, limit=100: account.messages(queue_arn, int(limit)),
            "issue_keys": account.issue_keys,
        }

    def serve(self, listener: socket.socket) -> NoReturn:
        """Until this process is killed."""
        while True:
            connection, _address = listener.accept()
            if not wire.peer_is_us(connection):
                connection.close()
                continue
            threading.Thread(target=self._converse, args=(connection,), name="control", daemon=True).start()

    def _advance(self, seconds: float, timeout_s: float = 60.0) -> dict[str, Any]:
        if not 0 <= seconds <= _LONGEST_JUMP_S:
            raise wire.BadRequest("The clock moves forward only, and at most ten years at a time.")
        return _plain_quiet(self._account.advance(float(seconds), float(timeout_s)))

    def _converse(self, connection: socket.socket) -> None:
        lines = wire.Lines()
        with connection:
            try:
                while data := connection.recv(1 << 18):
                    for request in lines.feed(data):
                        connection.sendall(wire.encode(self._answer(request)))
            except (OSError, wire.BadRequest):
                return  # The owner is gone, or speaks something else.

    def _answer(self, request: dict[str, Any]) -> Mapping[str, Any]:
        verb = self._verbs.get(str(request.pop("do", "")))
        if verb is None:
            return wire.failure(wire.BadRequest("An account has no such request."))
        try:
            return {"ok": verb(**request)}
        except ValueError as error:
            return wire.failure(wire.BadRequest(str(error)))
        except SandboxError as error:
            return wire.failure(error)
        except Exception as error:  # The edge of this thread: the owner has to be told.
            traceback.print_exc()
            return wire.failure(error)


def _plain_time(when: dt.datetime) -> str:
    return when.isoformat()


def _plain_quiet(quiet: Quiet) -> dict[str, Any]:
    return {**asdict(quiet), "now": _plain_time(quiet.now)}
