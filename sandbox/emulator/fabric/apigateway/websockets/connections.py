"""The clients that are connected at the moment, and how long they may be.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-execution-service-websocket-limits-table.html
"""

from __future__ import annotations

import base64
import datetime as dt
import secrets
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.apigateway.requests import Request
from sandbox.emulator.fabric.apigateway.websockets.sockets import Socket
from sandbox.emulator.work import WorkItem

IDLE_S = 10 * 60.0
LONGEST_S = 2 * 3600.0
GOING_AWAY = 1001, "Going away"


@dataclass(slots=True)
class Connection:
    """One client. ``request`` is the one that it connected with, ``authorizer`` what was told of it then."""

    api_id: str
    stage: str
    account_id: str
    region: str
    request: Request
    connected_at: dt.datetime
    last_active_at: dt.datetime
    id: str = field(default_factory=lambda: new_id())
    authorizer: Mapping[str, Any] | None = None
    identity: Mapping[str, Any] = field(default_factory=dict)
    socket: Socket | None = None
    timers: dict[str, WorkItem] = field(default_factory=dict)


def new_id() -> str:
    """An id as API Gateway gives connections, messages and requests."""
    return base64.urlsafe_b64encode(secrets.token_bytes(11)).decode()


class Connections:
    """Who is connected; whoever says nothing for ten minutes, or stays for two hours, is not any longer."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._open: dict[str, Connection] = {}

    def add(self, connection: Connection) -> None:
        """A client that is let in."""
        with self._lock:
            self._open[connection.id] = connection
        label = f"websocket {connection.api_id}: idle limit"
        self._watch(connection, IDLE_S)
        connection.timers["end"] = self._core.work.submit(
            lambda: self._end(connection), label=label, delay_s=LONGEST_S
        )

    def find(self, api_id: str, stage: str, connection_id: str) -> Connection | None:
        """A client of this stage that is connected."""
        with self._lock:
            found = self._open.get(connection_id)
        return found if found is not None and (found.api_id, found.stage) == (api_id, stage) else None

    def drop(self, connection: Connection) -> None:
        """A client that is gone."""
        with self._lock:
            self._open.pop(connection.id, None)
        for timer in connection.timers.values():
            self._core.work.cancel(timer)

    def note(self, connection: Connection) -> None:
        """A sign of life."""
        connection.last_active_at = self._core.clock.now()

    def _watch(self, connection: Connection, seconds: float) -> None:
        connection.timers["idle"] = self._core.work.submit(
            lambda: self._look(connection),
            label=f"websocket {connection.api_id}: idle limit",
            delay_s=seconds,
        )

    def _look(self, connection: Connection) -> None:
        idle_s = (self._core.clock.now() - connection.last_active_at).total_seconds()
        if idle_s >= IDLE_S:
            self._end(connection)
        else:
            self._watch(connection, IDLE_S - idle_s)

    def _end(self, connection: Connection) -> None:
        if connection.socket is not None:
            connection.socket.close(*GOING_AWAY)
