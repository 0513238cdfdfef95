"""Connections: how end points of API destinations are shown who calls, OAuth tokens included.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-target-connection-auth.html
"""

from __future__ import annotations

import base64
import contextlib
import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

from moto.events.models import events_backends
from moto.secretsmanager.models import secretsmanager_backends

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.web import OutOfReach, Web

# What the parameters of each kind are called, and which of their members are secret.
_PARAMETERS = {
    "API_KEY": "ApiKeyAuthParameters",
    "BASIC": "BasicAuthParameters",
    "OAUTH_CLIENT_CREDENTIALS": "OAuthParameters",
}
_OAUTH = "OAUTH_CLIENT_CREDENTIALS"
_SECRET = frozenset({"ApiKeyValue", "Password", "ClientSecret"})
# A token that is about to expire is renewed before it is used.
_RENEWED_BEFORE_S = 60.0
_LASTING_S = 3600.0


class NotAuthorized(Exception):
    """There is no token to be had; says why. ``gap``: because of what we do not emulate."""

    def __init__(self, message: str, *, gap: bool = False) -> None:
        super().__init__(message)
        self.gap = gap


@dataclass(frozen=True, slots=True)
class _Token:
    value: str
    until: float


class Connections:
    """Keeps the tokens of an account's connections, and what moto lacks of their operations."""

    def __init__(self, core: AccountCore, web: Web | None) -> None:
        self._core = core
        self._web = web
        self._lock = threading.Lock()
        self._tokens: dict[str, _Token] = {}

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "CreateConnection": self._create,
            "DescribeConnection": self._describe,
            "UpdateConnection": self._update,
            "DeauthorizeConnection": self._deauthorize,
        }
        return {("events", name): handler for name, handler in found.items()}

    def headers(self, connection: Any) -> dict[str, str]:
        """What authorizes a request of a connection of moto's.

        Raises:
            NotAuthorized: its authorization end point gives no token.
        """
        kind = str(connection.authorization_type)
        given = connection.auth_parameters.get(_PARAMETERS.get(kind, ""))
        if not given:
            raise NotAuthorized(f"connection {connection.name} is deauthorized")
        if kind == "API_KEY":
            return {str(given["ApiKeyName"]): str(given["ApiKeyValue"])}
        if kind == "BASIC":
            return {"Authorization": _basic(given["Username"], given["Password"])}
        return {"Authorization": f"Bearer {self._token(connection)}"}

    def forget(self, connection: Any) -> None:
        """The end point did not take the token: the next request gets a new one."""
        with self._lock:
            self._tokens.pop(str(connection.arn), None)

    def _token(self, connection: Any) -> str:
        arn, now = str(connection.arn), self._core.clock.time()
        with self._lock:
            held = self._tokens.get(arn)
        if held is None or held.until - _RENEWED_BEFORE_S <= now:
            try:
                held = self._exchange(connection, now)
            except NotAuthorized as error:
                self._tell(connection, "DEAUTHORIZED", str(error))
                raise
            with self._lock:
                self._tokens[arn] = held
            self._tell(connection, "AUTHORIZED", "")
        return held.value

    def _exchange(self, connection: Any, now: float) -> _Token:
        """A client's id and secret for a token."""
        given = connection.auth_parameters["OAuthParameters"]
        client, more = given["ClientParameters"], given.get("OAuthHttpParameters") or {}
        url, method = str(given["AuthorizationEndpoint"]), str(given["HttpMethod"])
        if self._web is None:
            raise NotAuthorized("requests of services are not emulated here; our gap", gap=True)
        query, body = (dict(_pairs(more.get(f"{place}Parameters"))) for place in ("QueryString", "Body"))
        body = {
            "grant_type": "client_credentials",
            "client_id": str(client["ClientID"]),
            "client_secret": str(client["ClientSecret"]),
            **body,
        }
        headers = {
            "Content-Type": "application/x-www-form-urlencoded",
            "Authorization": _basic(client["ClientID"], client["ClientSecret"]),
            **dict(_pairs(more.get("HeaderParameters"))),
        }
        if method == "GET":
            query, body = {**body, **query}, {}
        if query:
            url += ("&" if "?" in url else "?") + urlencode(query)
        try:
            reply = self._web.send(method, url, headers.items(), urlencode(body).encode())
        except OutOfReach as error:
            raise NotAuthorized(f"{error}; this is our gap", gap=True) from None
        try:
            told = json.loads(reply.body) if reply.status < 300 else {}
            value = str(told["access_token"])
        except (ValueError, TypeError, KeyError):
            raise NotAuthorized(
                f"the authorization end point {url} answered {reply.status} without an access_token"
            ) from None
        try:
            lasts_s = float(told.get("expires_in") or _LASTING_S)
        except (TypeError, ValueError):
            lasts_s = _LASTING_S
        return _Token(value, now + lasts_s)

    def _create(self, call: Call) -> dict[str, Any]:
        params = call.params
        _check(str(params.get("AuthorizationType") or ""), params.get("AuthParameters") or {})
        with self._core.dispatch_lock:
            backend = events_backends[call.account_id][call.region]
            if params["Name"] in backend.connections:
                raise AwsError(
                    "ResourceAlreadyExistsException", f"Connection {params['Name']} already exists."
                )
            made = self._core.moto(call)
            connection = backend.connections[params["Name"]]
            self._keep_secret(connection)
        return {**made, "ConnectionState": self._authorize(connection)}

    def _update(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            connection = _find(call)
            kind = str(call.params.get("AuthorizationType") or connection.authorization_type)
            given = call.params.get("AuthParameters")
            if given is not None or kind != connection.authorization_type:
                kept = connection.auth_parameters if kind == connection.authorization_type else {}
                merged = _merged(kept, given or {})
                _check(kind, merged)
                connection.authorization_type, connection.auth_parameters = kind, merged
                self._keep_secret(connection)
            if "Description" in call.params:
                connection.description = call.params["Description"]
        self.forget(connection)
        state = self._authorize(connection)
        return {**connection.describe_short(), "ConnectionState": state, "LastModifiedTime": self._now()}

    def _describe(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            connection = _find(call)
            found = {**connection.describe(), "AuthParameters": _shown(connection.auth_parameters)}
            reason = getattr(connection, "state_reason", "")
        return found | ({"StateReason": reason} if reason else {})

    def _deauthorize(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            connection = _find(call)
            connection.auth_parameters, connection.state = {}, "DEAUTHORIZED"
            self._keep_secret(connection)
        self.forget(connection)
        return {**connection.describe_short(), "LastModifiedTime": self._now()}

    def _authorize(self, connection: Any) -> str:
        """Fetch a connection's first token; what its state is meanwhile."""
        if connection.authorization_type != _OAUTH:
            connection.state = "AUTHORIZED"
            return "AUTHORIZED"
        connection.state = "AUTHORIZING"

        def fetch() -> None:
            with contextlib.suppress(NotAuthorized):  # its state tells
                self._token(connection)

        self._core.work.submit(fetch, label=f"events: authorize {connection.name}")
        return "AUTHORIZING"

    def _tell(self, connection: Any, state: str, why: str) -> None:
        with self._core.dispatch_lock:
            connection.state, connection.state_reason = state, why
        where = Arn.parse(str(connection.arn))
        self._core.timeline.add(
            "delivery",
            f"events:connection/{connection.name}",
            account_id=where.account_id,
            region=where.region,
            outcome="ok" if state == "AUTHORIZED" else "failed",
            state=state,
            target=connection.auth_parameters["OAuthParameters"]["AuthorizationEndpoint"],
            **({"reason": why} if why else {}),
        )

    def _keep_secret(self, connection: Any) -> None:
        """What Secrets Manager holds for the connection; hold the dispatch lock."""
        where = Arn.parse(str(connection.arn))
        secrets = secretsmanager_backends[where.account_id][where.region]
        value = json.dumps(_secret(connection.auth_parameters))
        secret = secrets.secrets.get(str(connection.secret_arn))
        if secret is not None and secret.default_version_id in secret.versions:
            secret.versions[secret.default_version_id]["secret_string"] = value

    def _now(self) -> float:
        return self._core.clock.time()


def _find(call: Call) -> Any:
    name = call.params["Name"]
    connection = events_backends[call.account_id][call.region].connections.get(name)
    if connection is None:
        raise AwsError("ResourceNotFoundException", f"Connection '{name}' does not exist.")
    return connection


def _check(kind: str, parameters: Mapping[str, Any]) -> None:
    wanted = _PARAMETERS.get(kind)
    if wanted is not None and wanted not in parameters:
        raise AwsError(
            "ValidationException",
            f"Parameter AuthParameters is not valid. Reason: {wanted} is required for {kind}.",
        )


def _merged(old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    """An update names what it changes; lists are replaced."""
    made = dict(old)
    for name, value in new.items():
        held = made.get(name)
        both = isinstance(value, Mapping) and isinstance(held, Mapping)
        made[name] = _merged(held, value) if both else value  # type: ignore[arg-type]
    return made


def _shown(parameters: Any) -> Any:
    """Parameters without what is secret."""
    if isinstance(parameters, Mapping):
        hidden = parameters.get("IsValueSecret") is True
        return {
            name: _shown(value)
            for name, value in parameters.items()
            if name not in _SECRET and not (hidden and name == "Value")
        }
    return [_shown(each) for each in parameters] if isinstance(parameters, list) else parameters


def _secret(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Parameters as the connection's secret has them."""
    key, basic = parameters.get("ApiKeyAuthParameters"), parameters.get("BasicAuthParameters")
    oauth = parameters.get("OAuthParameters")
    found: dict[str, Any] = {}
    if key:
        found = {"api_key_name": key["ApiKeyName"], "api_key_value": key["ApiKeyValue"]}
    elif basic:
        found = {"username": basic["Username"], "password": basic["Password"]}
    elif oauth:
        client = oauth["ClientParameters"]
        found = {
            "client_id": client["ClientID"],
            "client_secret": client["ClientSecret"],
            "authorization_endpoint": oauth["AuthorizationEndpoint"],
            "http_method": oauth["HttpMethod"],
            **({"oauth_http_parameters": more} if (more := oauth.get("OAuthHttpParameters")) else {}),
        }
    if more := parameters.get("InvocationHttpParameters"):
        found["invocation_http_parameters"] = more
    return found


def _pairs(given: Any) -> list[tuple[str, str]]:
    return [(str(each.get("Key")), str(each.get("Value", ""))) for each in given or ()]


def _basic(name: Any, word: Any) -> str:
    return f"Basic {base64.b64encode(f'{name}:{word}'.encode()).decode()}"
