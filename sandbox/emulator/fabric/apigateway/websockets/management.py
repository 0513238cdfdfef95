"""``@connections``: what back ends send to clients, and how they look at them and end them.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-how-to-call-websocket-api-connections.html
"""

from __future__ import annotations

import json

from sandbox.emulator.calls import AwsError
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.apigateway import answers
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.authorization import Authorization
from sandbox.emulator.fabric.apigateway.model import Stage
from sandbox.emulator.fabric.apigateway.websockets.connections import Connection, Connections
from sandbox.emulator.fabric.apigateway.websockets.records import Records
from sandbox.emulator.fabric.apigateway.websockets.sockets import MESSAGE_LIMIT_BYTES
from sandbox.emulator.gateway.requests import HttpRequest

_MANAGE = "execute-api:ManageConnections"
_OPERATIONS = {"POST": "PostToConnection", "GET": "GetConnection", "DELETE": "DeleteConnection"}
_NORMAL = 1000


class Management:
    """Answers signed requests about connections."""

    def __init__(
        self, core: AccountCore, authorization: Authorization, connections: Connections, records: Records
    ) -> None:
        self._core = core
        self._authorization = authorization
        self._connections = connections
        self._records = records

    def answer(self, request: HttpRequest, stage: Stage, connection_id: str) -> Answer:
        """Answer one."""
        operation = _OPERATIONS.get(request.method)
        if operation is None:
            return answers.message(403, "Forbidden", kind="ForbiddenException")
        arn = stage.arn("", f"{request.method}/@connections/{connection_id}")
        try:
            caller = self._authorization.signer(request)
        except AwsError as error:
            kind = error.code if error.code.endswith("Exception") else f"{error.code}Exception"
            return answers.message(403, error.message, error=error.message, kind=kind)
        refusal = self._core.guard.refusal(caller, _MANAGE, arn, region=stage.region, operation=operation)
        if refusal:
            answer = answers.message(403, refusal, error=refusal, kind="AccessDeniedException", key="Message")
        else:
            found = self._connections.find(stage.api_id, stage.name, connection_id)
            answer = _gone() if found is None else self._managed(request, found)
        self._records.note_managed(stage, operation, connection_id, caller.arn, answer, len(request.body))
        return answer

    def _managed(self, request: HttpRequest, connection: Connection) -> Answer:
        assert connection.socket is not None
        if request.method == "GET":
            return _json(_described(connection))
        if request.method == "DELETE":
            connection.socket.close(_NORMAL, "")
            return Answer(204, (), b"")
        if len(request.body) > MESSAGE_LIMIT_BYTES:
            return answers.message(413, "Payload Too Large", kind="PayloadTooLargeException")
        if not connection.socket.send(request.body):
            return _gone()
        self._connections.note(connection)
        return _json({})


def _described(connection: Connection) -> dict[str, object]:
    request = connection.request
    return {
        "connectedAt": connection.connected_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "identity": {"sourceIp": request.source_ip, "userAgent": request.header("user-agent")},
        "lastActiveAt": connection.last_active_at.isoformat(timespec="seconds").replace("+00:00", "Z"),
    }


def _json(document: dict[str, object]) -> Answer:
    return Answer(200, (("content-type", "application/json"),), json.dumps(document).encode())


def _gone() -> Answer:
    """Nobody is connected by that id, or not any more."""
    headers = (("content-type", "application/json"), ("x-amzn-errortype", "GoneException"))
    return Answer(410, headers, b"{}", error="there is no such connection (any more)")
