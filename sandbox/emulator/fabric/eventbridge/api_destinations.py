"""API destinations: a rule's target that is an HTTP end point, with the authorization of its connection.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-api-destinations.html
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, urlencode

from moto.events.models import events_backends

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import roles
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.eventbridge.connections import Connections, NotAuthorized
from sandbox.emulator.fabric.eventbridge.inputs import find
from sandbox.emulator.fabric.web import OutOfReach, Web

_ACTION = "events:InvokeApiDestination"
# Answers after which a connection's token is renewed.
_RENEWING = frozenset({401, 407})
# Answers that are asked again, beside those of the 500s.
_RETRIED = frozenset({401, 407, 409, 429})


class NotTaken(Exception):
    """The end point did not take the event. ``code`` is what a dead-letter queue is told."""

    def __init__(self, code: str, message: str, *, retry: bool = False, gap: bool = False) -> None:
        super().__init__(message)
        self.code, self.message, self.retry, self.gap = code, message, retry, gap


@dataclass(frozen=True, slots=True)
class _Request:
    """What an API destination is asked with."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    connection: Any


class ApiDestinations:
    """Calls end points in a target's role."""

    def __init__(self, core: AccountCore, web: Web | None, service: str, connections: Connections) -> None:
        self._core = core
        self._connections = connections
        self._web = web
        self._service = service

    def send(
        self, arn: Arn, target: Mapping[str, Any], event: Mapping[str, Any], text: str, rule_arn: str
    ) -> None:
        """Hand an event to the end point.

        Raises:
            NotTaken: it did not take it, or may not be called.
        """
        self._check_role(arn, str(target.get("RoleArn") or ""), rule_arn)
        request = self._request(arn, target, event)
        if self._web is None:
            raise NotTaken("NOT_EMULATED", "API destinations are not emulated here; our gap.", gap=True)
        try:
            reply = self._web.send(request.method, request.url, request.headers, text.encode())
        except OutOfReach as error:
            raise NotTaken("NOT_EMULATED", f"{error}; this is our gap.", gap=True) from None
        if reply.status in _RENEWING:
            self._connections.forget(request.connection)
        if reply.status >= 300:
            retry = reply.status in _RETRIED or reply.status >= 500
            kind = "THROTTLING" if reply.status == 429 else "SDK_CLIENT_ERROR"
            raise NotTaken(kind, f"{request.method} {request.url} answered {reply.status}", retry=retry)

    def _check_role(self, arn: Arn, role_arn: str, rule_arn: str) -> None:
        try:
            principal = roles.assume(self._core, role_arn, self._service, source_arn=rule_arn)
        except roles.RoleRefused as error:
            raise NotTaken("NO_PERMISSIONS", str(error)) from None
        if refusal := self._core.guard.refusal(principal, _ACTION, str(arn), region=arn.region):
            raise NotTaken("NO_PERMISSIONS", refusal)

    def _request(self, arn: Arn, target: Mapping[str, Any], event: Mapping[str, Any]) -> _Request:
        with self._core.dispatch_lock:
            backend = events_backends[arn.account_id][arn.region]
            destination = backend.destinations.get(arn.resource.split("/")[1])
            if destination is None or destination.arn != str(arn):
                raise NotTaken("NO_RESOURCE", f"{arn} does not exist")
            connection = backend.connections.get(destination.connection_arn.split("/")[1])
            if connection is None:
                raise NotTaken("NO_RESOURCE", f"{destination.connection_arn} does not exist")
            url, method = str(destination.invocation_endpoint), str(destination.http_method)
            common = dict(connection.auth_parameters).get("InvocationHttpParameters") or {}
        try:
            shown = self._connections.headers(connection)
        except NotAuthorized as error:
            code = "NOT_EMULATED" if error.gap else "CONNECTION_FAILURE"
            raise NotTaken(code, str(error), retry=not error.gap, gap=error.gap) from None
        given = target.get("HttpParameters") or {}
        for value in given.get("PathParameterValues") or ():
            url = url.replace("*", quote(_value(value, event), safe=""), 1)
        asked = [
            *_pairs(common.get("QueryStringParameters"), event),
            *_pairs(given.get("QueryStringParameters"), event),
        ]
        if asked:
            url += ("&" if "?" in url else "?") + urlencode(asked)
        headers = {
            "User-Agent": "Amazon/EventBridge/ApiDestinations",
            "Content-Type": "application/json; charset=utf-8",
            **dict(_pairs(given.get("HeaderParameters"), event)),
            **dict(_pairs(common.get("HeaderParameters"), event)),
            **shown,
        }
        return _Request(method, url, tuple(headers.items()), connection)


def _pairs(given: Any, event: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Parameters of a target (a map) or of a connection (a list of keys and values)."""
    pairs: Iterable[tuple[Any, Any]] = (
        given.items()
        if isinstance(given, Mapping)
        else ((each.get("Key"), each.get("Value", "")) for each in given or ())
    )
    for name, value in pairs:
        yield str(name), _value(value, event)


def _value(value: Any, event: Mapping[str, Any]) -> str:
    """A parameter as it stands, or what its JSONPath finds in the event."""
    text = str(value)
    return str(find(event, text)) if text.startswith("$.") else text
