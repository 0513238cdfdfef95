"""Answers clients of WebSocket APIs: lets them in, takes their messages, notes that they are gone.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-overview.html
"""

from __future__ import annotations

import io
import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from http.client import responses as reasons
from typing import Any
from urllib.parse import unquote

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.apigateway import answers
from sandbox.emulator.fabric.apigateway.access_logs import AccessLogs
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.authorization import Authorization, Refused
from sandbox.emulator.fabric.apigateway.deployments import Deployments, find_api
from sandbox.emulator.fabric.apigateway.identities import Asked
from sandbox.emulator.fabric.apigateway.limits import Limits
from sandbox.emulator.fabric.apigateway.model import Route, Stage
from sandbox.emulator.fabric.apigateway.requests import Request, read_as_signed, read_request
from sandbox.emulator.fabric.apigateway.websockets import events
from sandbox.emulator.fabric.apigateway.websockets.connections import GOING_AWAY, Connection, Connections
from sandbox.emulator.fabric.apigateway.websockets.integrations import Integrations, Result
from sandbox.emulator.fabric.apigateway.websockets.management import Management
from sandbox.emulator.fabric.apigateway.websockets.records import Records
from sandbox.emulator.fabric.apigateway.websockets.selection import DEFAULT, select
from sandbox.emulator.fabric.apigateway.websockets.sockets import Socket, head
from sandbox.emulator.gateway.upgrades import UPGRADE, Upgraded

_MANAGED = "/@connections/"
_PROTOCOL = "sec-websocket-protocol"


class WebSockets:
    """Every WebSocket API of an account."""

    def __init__(
        self,
        core: AccountCore,
        deployments: Deployments,
        authorization: Authorization,
        limits: Limits,
        logs: AccessLogs,
        integrations: Integrations,
    ) -> None:
        self._core = core
        self._deployments = deployments
        self._authorization = authorization
        self._limits = limits
        self._integrations = integrations
        self._connections = Connections(core)
        self._records = Records(core, logs)
        self._management = Management(core, authorization, self._connections, self._records)

    def answer(self, environ: dict[str, Any], stage: Stage, rest: str, host: str) -> Answer:
        """Answer a request at a WebSocket API's stage; ``rest`` is what its path has after the stage.

        Raises:
            Upgraded: it is a WebSocket from now on.
        """
        managed = unquote(rest)
        if managed.startswith(_MANAGED):
            return self._management.answer(read_as_signed(environ), stage, managed.removeprefix(_MANAGED))
        if str(environ.get("HTTP_UPGRADE", "")).lower() != "websocket" or rest.strip("/"):
            return answers.message(403, "Forbidden", kind="ForbiddenException")
        if not environ.get("HTTP_SEC_WEBSOCKET_KEY") or environ.get("HTTP_SEC_WEBSOCKET_VERSION") != "13":
            return answers.message(400, "Bad Request", kind="BadRequestException")
        if stage.snapshot.disabled:
            return answers.message(403, "Forbidden", kind="ForbiddenException")
        return self._connect(environ, stage, host)

    def _connect(self, environ: dict[str, Any], stage: Stage, host: str) -> Answer:
        raw, now = read_as_signed(environ), self._core.clock.now()
        request = read_request({**environ, "wsgi.input": io.BytesIO(raw.body)}, "$connect", host)
        connection = Connection(stage.api_id, stage.name, stage.account_id, stage.region, request, now, now)
        route = stage.snapshot.find_route("$connect")
        event = events.connect(connection, stage, now)
        if route is None:
            self._records.note(connection, stage, event, Result(200))
            raise self._accept(environ, connection, None)
        if self._limits.throttled(stage, route) is not None:
            return self._refuse(connection, stage, event, answers.message(429, "Too Many Requests"))
        asked = Asked(_as_route(request), raw, stage, route, {}, now, event)
        try:
            let_in = self._authorization.let_in(asked)
        except Refused as refused:
            return self._refuse(connection, stage, event, refused.answer)
        connection.authorizer, connection.identity = let_in.authorizer, let_in.identity
        event = events.connect(connection, stage, now)
        result = self._integrations.perform(stage, route, request, event)
        self._records.note(connection, stage, event, result)
        if result.gap:
            return self._records.gap(stage, result)
        if not 200 <= result.status < 300:
            text = "Internal server error" if result.status >= 500 else reasons.get(result.status, "")
            return answers.message(result.status, text, error=result.error)
        raise self._accept(environ, connection, (result.headers or {}).get(_PROTOCOL))

    def _refuse(
        self, connection: Connection, stage: Stage, event: Mapping[str, Any], answer: Answer
    ) -> Answer:
        self._records.note(connection, stage, event, Result(answer.status, error=answer.error), asked=False)
        return answer

    def _accept(self, environ: Mapping[str, Any], connection: Connection, protocol: str | None) -> Upgraded:
        """Let a client in; what is left to do is to tell the server that it has no part in it any more."""
        socket = Socket(
            lambda text: self._later(connection, lambda: self._take(connection, text)),
            lambda: self._connections.note(connection),
            lambda code, reason: self._gone(connection, code, reason),
        )
        connection.socket = socket
        extra = ((_PROTOCOL.title(), protocol),) if protocol else ()
        socket.line = environ[UPGRADE](socket)
        self._connections.add(connection)
        socket.line.send(head(str(environ["HTTP_SEC_WEBSOCKET_KEY"]), *extra))
        return Upgraded()

    def _later(self, connection: Connection, action: Callable[[], None]) -> None:
        """Off the server's loop, and so that whoever waits for the account to settle waits for it."""
        self._core.work.submit(action, label=f"websocket {connection.api_id}")

    def _stage(self, connection: Connection) -> Stage | None:
        """The connection's stage as it is now."""
        with self._core.dispatch_lock:
            found = find_api(connection.api_id)
            return self._deployments.stage(found, connection.stage) if found is not None else None

    def _take(self, connection: Connection, text: str) -> None:
        """A client's message; one of a stage that is gone ends the connection."""
        stage, now = self._stage(connection), self._core.clock.now()
        if stage is None:
            if connection.socket is not None:
                connection.socket.close(*GOING_AWAY)
            return
        route = self._chosen(stage, text)
        event = events.message(connection, stage, now, route.key if route is not None else DEFAULT, text)
        if route is None:
            told = Result(403, error="no route fits the message, and there is no $default")
            self._records.note(connection, stage, event, told, asked=False)
            self._tell(connection, event, "Forbidden")
            return
        if self._limits.throttled(stage, route) is not None:
            self._records.note(connection, stage, event, Result(429, error="throttled"), asked=False)
            self._tell(connection, event, "Too Many Requests")
            return
        result = self._integrations.perform(stage, route, connection.request, event)
        self._records.note(connection, stage, event, result)
        if result.gap:
            self._records.gap(stage, result)
        if result.error:
            self._tell(connection, event, "Internal server error")
        elif route.replies and result.body and connection.socket is not None:
            connection.socket.send(result.body.encode())

    @staticmethod
    def _chosen(stage: Stage, text: str) -> Route | None:
        key = select(stage.snapshot.selection, text)
        own = stage.snapshot.find_route(key) if key and not key.startswith("$") else None
        return own or stage.snapshot.find_route(DEFAULT)

    @staticmethod
    def _tell(connection: Connection, event: Mapping[str, Any], text: str) -> None:
        """An error of API Gateway's own."""
        told = {
            "message": text,
            "connectionId": connection.id,
            "requestId": event["requestContext"]["requestId"],
        }
        if connection.socket is not None:
            connection.socket.send(json.dumps(told).encode())

    def _gone(self, connection: Connection, code: int, reason: str) -> None:
        self._connections.drop(connection)
        self._later(connection, lambda: self._disconnect(connection, code, reason))

    def _disconnect(self, connection: Connection, code: int, reason: str) -> None:
        stage, now = self._stage(connection), self._core.clock.now()
        if stage is None:
            return
        event = events.disconnect(connection, stage, now, code, reason)
        route = stage.snapshot.find_route("$disconnect")
        if route is None:
            self._records.note(connection, stage, event, Result(200))
            return
        result = self._integrations.perform(stage, route, connection.request, event)
        self._records.note(connection, stage, event, result)
        if result.gap:
            self._records.gap(stage, result)


def _as_route(request: Request) -> Request:
    """The request as authorizers' resources name it: by its route, without a method."""
    return replace(request, method="", path="$connect")
