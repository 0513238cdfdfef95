"""How a caller shows who it is, and what an authorizer's function is told of it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.fabric.apigateway.model import Authorizer, AuthorizerKind, Kind, Route, Stage
from sandbox.emulator.fabric.apigateway.requests import Request, payload_1, payload_2
from sandbox.emulator.gateway.requests import HttpRequest


@dataclass(frozen=True, slots=True)
class Asked:
    """One request for a route, before anybody is let in. ``raw`` is what a signature was made over."""

    request: Request
    raw: HttpRequest
    stage: Stage
    route: Route
    values: Mapping[str, str]
    started: Any
    message: Mapping[str, Any] | None = None
    """What a WebSocket API's integration is told of the same."""


def event(asked: Asked, authorizer: Authorizer, values: list[str]) -> dict[str, Any]:
    """What an authorizer's function is asked."""
    stage, request, route = asked.stage, asked.request, asked.route
    arn = stage.arn(request.method, request.path)
    if authorizer.kind is AuthorizerKind.TOKEN:
        return {"type": "TOKEN", "authorizationToken": values[0] if values else "", "methodArn": arn}
    if asked.message is not None:
        told = {name: value for name, value in asked.message.items() if name != "isBase64Encoded"}
        return {"type": "REQUEST", "methodArn": arn, **told}
    if stage.kind is Kind.HTTP and authorizer.payload_version == "2.0":
        event = payload_2(request, stage, route, asked.values, asked.started)
        event = {name: value for name, value in event.items() if name not in ("body", "isBase64Encoded")}
        return event | {"type": "REQUEST", "routeArn": arn, "identitySource": values or None}
    event = payload_1(request, stage, route, asked.values, asked.started)
    event = {name: value for name, value in event.items() if name not in ("body", "isBase64Encoded")}
    event |= {"type": "REQUEST", "methodArn": arn}
    if stage.kind is Kind.HTTP:
        event |= {"identitySource": ",".join(values), "authorizationToken": ",".join(values)}
    return event


def identity(asked: Asked, source: str) -> str:
    """The value at an identity source, of either API's spelling; empty if there is none."""
    request = asked.request
    match = re.fullmatch(
        r"(?:method\.request\.|route\.request\.|\$request\.|\$)?(header|querystring|path|multivalueheader|context|stageVariables)\.(.+)",
        source.strip(),
    )
    if match is None:
        return ""
    where, name = match.groups()
    found: Callable[[], str] = {
        "header": lambda: request.header(name.lower()),
        "multivalueheader": lambda: request.header(name.lower()),
        "querystring": lambda: next((value for key, value in request.parameters if key == name), ""),
        "path": lambda: asked.values.get(name, ""),
        "stageVariables": lambda: asked.stage.variables.get(name, ""),
        "context": lambda: {
            "routeKey": asked.route.key,
            "httpMethod": request.method,
            "path": request.path,
            "stage": asked.stage.name,
            "identity.sourceIp": request.source_ip,
        }.get(name, ""),
    }[where]
    return found()


def function_of(uri: str, variables: Mapping[str, str]) -> str:
    """The ARN of the function that an authorizer's URI names, or empty."""
    uri = re.sub(r"\$\{stageVariables\.(\w+)\}", lambda found: variables.get(found[1], ""), uri)
    match = re.search(r"/functions/(arn:[^/]+:function:[^/]+)/invocations$", uri)
    return match[1] if match else (uri if ":function:" in uri else "")
