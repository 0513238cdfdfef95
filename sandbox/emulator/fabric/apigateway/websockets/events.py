"""What integrations and authorizers are told of a WebSocket's connections and messages.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
and https://docs.aws.amazon.com/apigateway/latest/developerguide/websocket-api-develop-integrations-lambda.html
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.fabric.apigateway.model import Stage
from sandbox.emulator.fabric.apigateway.requests import Request, common_log_time
from sandbox.emulator.fabric.apigateway.websockets.connections import Connection, new_id

CONNECT, DISCONNECT, MESSAGE = "CONNECT", "DISCONNECT", "MESSAGE"
# What the handshake itself consists of goes no further.
_HANDSHAKE = frozenset({"upgrade", "connection", "content-length"})


def connect(connection: Connection, stage: Stage, now: dt.datetime) -> dict[str, Any]:
    """A client wants to connect."""
    request = connection.request
    made = _with_headers(request, [each for each in request.headers if each[0] not in _HANDSHAKE])
    query: dict[str, list[str]] = {}
    for name, value in request.parameters:
        query.setdefault(name, []).append(value)
    if query:
        made["queryStringParameters"] = {name: values[-1] for name, values in query.items()}
        made["multiValueQueryStringParameters"] = query
    return made | _common(connection, stage, "$connect", CONNECT, now)


def disconnect(
    connection: Connection, stage: Stage, now: dt.datetime, code: int, reason: str
) -> dict[str, Any]:
    """A client is gone."""
    headers = [
        ("host", connection.request.host),
        ("x-api-key", ""),
        ("x-forwarded-for", ""),
        ("x-restapi", ""),
    ]
    made = _with_headers(connection.request, headers)
    made |= _common(connection, stage, "$disconnect", DISCONNECT, now)
    made["requestContext"] |= {"disconnectStatusCode": code, "disconnectReason": reason}
    return made


def message(connection: Connection, stage: Stage, now: dt.datetime, route: str, text: str) -> dict[str, Any]:
    """A client sent something."""
    made = _common(connection, stage, route, MESSAGE, now)
    made["requestContext"]["messageId"] = new_id()
    return made | {"body": text}


def _with_headers(request: Request, headers: list[tuple[str, str]]) -> dict[str, Any]:
    held: dict[str, list[str]] = {}
    for name, value in headers:
        held.setdefault(_written(name), []).append(value)
    return {
        "headers": {name: values[-1] for name, values in held.items()},
        "multiValueHeaders": held,
    }


def _written(name: str) -> str:
    if name.startswith("x-api") or name == "x-restapi":
        return name
    words = {"websocket": "WebSocket"}
    return "-".join(words.get(part, part.capitalize()) for part in name.split("-"))


def _common(connection: Connection, stage: Stage, route: str, kind: str, now: dt.datetime) -> dict[str, Any]:
    request = connection.request
    agent = request.header("user-agent")
    identity: dict[str, Any] = {**({"userAgent": agent} if agent else {}), "sourceIp": request.source_ip}
    context: dict[str, Any] = {
        "routeKey": route,
        "eventType": kind,
        "extendedRequestId": new_id(),
        "requestTime": common_log_time(now),
        "messageDirection": "IN",
        "stage": stage.name,
        "connectedAt": milliseconds(connection.connected_at),
        "requestTimeEpoch": milliseconds(now),
        "identity": identity | dict(connection.identity),
        "requestId": new_id(),
        "domainName": request.host,
        "connectionId": connection.id,
        "apiId": stage.api_id,
    }
    if connection.authorizer is not None:
        context["authorizer"] = dict(connection.authorizer)
    variables: Mapping[str, Any] = {"stageVariables": dict(stage.variables)} if stage.variables else {}
    return {"requestContext": context, **variables, "isBase64Encoded": False}


def milliseconds(moment: dt.datetime) -> int:
    """A moment as events tell it."""
    return round(moment.timestamp() * 1000)
