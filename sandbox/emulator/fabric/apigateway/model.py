"""What a deployed API is: routes that point at integrations. Plain values, taken once per deployment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

_FUNCTION_IN_URI = re.compile(r"/functions/(arn:[^/]+:function:[^/]+)/invocations$")


class Kind(StrEnum):
    REST = "rest"
    HTTP = "http"
    WEBSOCKET = "websocket"


@dataclass(frozen=True, slots=True)
class IntegrationResponse:
    """One way to answer with what an integration gave. ``pattern`` empty: the default response.

    ``parameters`` are response headers as they are written, ``templates`` bodies by content type; a WebSocket
    API's have a name instead, of which ``selection`` chooses.
    """

    status: int
    pattern: str = ""
    parameters: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    selection: str = ""


@dataclass(frozen=True, slots=True)
class Integration:
    """What a route does. ``kind`` is API Gateway's name in capitals: AWS_PROXY, AWS, MOCK, HTTP_PROXY …

    ``subtype`` is what an HTTP API calls of AWS (``SQS-SendMessage``); ``status_parameters`` are its changes
    to answers, by their status.

    ``parameters`` and ``templates`` make the integration's request, ``responses`` the answer, of what is
    not a proxy; ``selection`` chooses among a WebSocket API's templates. ``gap`` says what about it is not
    emulated, if anything.
    """

    kind: str
    uri: str = ""
    method: str = "POST"
    payload_version: str = "1.0"
    timeout_s: float = 29.0
    parameters: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    passthrough: str = "WHEN_NO_MATCH"
    responses: tuple[IntegrationResponse, ...] = ()
    credentials: str = ""
    subtype: str = ""
    status_parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    cache_keys: tuple[str, ...] = ()
    cache_namespace: str = ""
    selection: str = ""
    gap: str = ""

    def address(self, stage_variables: Mapping[str, str]) -> str:
        """Its URI with the stage's variables filled in."""
        return re.sub(
            r"\$\{stageVariables\.(\w+)\}", lambda found: stage_variables.get(found[1], ""), self.uri
        )

    def function(self, stage_variables: Mapping[str, str]) -> str:
        """The ARN of the Lambda function it calls, or empty."""
        uri = self.address(stage_variables)
        found = _FUNCTION_IN_URI.search(uri)
        if found:
            return found[1]
        return uri if ":lambda:" in uri and ":function:" in uri else ""


class AuthorizerKind(StrEnum):
    TOKEN = "TOKEN"
    REQUEST = "REQUEST"
    JWT = "JWT"
    COGNITO = "COGNITO_USER_POOLS"


@dataclass(frozen=True, slots=True)
class Authorizer:
    """What decides about callers before a route's integration is called.

    ``sources`` are where the caller's identity is (``method.request.header.X``, ``$request.header.X``);
    ``pattern`` is what a token has to look like. ``issuer`` and ``audience`` are of tokens; of a user pool
    the issuers are those of ``pools``.
    """

    id: str
    kind: AuthorizerKind
    uri: str = ""
    credentials: str = ""
    sources: tuple[str, ...] = ()
    pattern: str = ""
    ttl_s: int = 300
    payload_version: str = "1.0"
    simple: bool = False
    issuer: str = ""
    audience: tuple[str, ...] = ()
    pools: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Validation:
    """What a REST API checks of a request by itself; ``models`` are JSON Schemas by content type."""

    parameters: tuple[str, ...] = ()
    models: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Route:
    """A method (or ``ANY``) and a path such as ``/items/{id}``, ``/{proxy+}`` or ``$default``.

    ``authorization`` is NONE or what a caller has to show; ``authorizer`` decides about CUSTOM, JWT and
    COGNITO_USER_POOLS, for which a token needs one of ``scopes``, if there are any.

    A WebSocket API's route has no method; ``replies``: what its integration gives goes back to the client.
    """

    method: str
    path: str
    integration: Integration | None
    authorization: str = "NONE"
    api_key_required: bool = False
    resource_id: str = ""
    authorizer: Authorizer | None = None
    scopes: tuple[str, ...] = ()
    validation: Validation = field(default_factory=Validation)
    replies: bool = False

    @property
    def key(self) -> str:
        """How HTTP and WebSocket APIs name it: ``GET /items/{id}``, ``sendmessage``."""
        return self.path if self.path == "$default" or not self.method else f"{self.method} {self.path}"


@dataclass(frozen=True, slots=True)
class Cors:
    """An HTTP API's own CORS answers; header names in lower case."""

    origins: tuple[str, ...] = ()
    methods: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    expose: tuple[str, ...] = ()
    max_age_s: int | None = None
    credentials: bool = False

    def allowed_origin(self, origin: str) -> str:
        """What to answer to this origin, or empty if it is not allowed."""
        if "*" in self.origins:
            return origin if self.credentials else "*"
        for allowed in self.origins:
            pattern = re.escape(allowed).replace(r"\*", ".*")
            if origin and re.fullmatch(pattern, origin, re.IGNORECASE):
                return origin
        return ""


@dataclass(frozen=True, slots=True)
class GatewayResponse:
    """What a REST API answers by itself; header values as written, bodies by content type."""

    status: int | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Throttle:
    """At most ``burst`` requests at once and ``rate`` a second on average."""

    rate: float
    burst: float


@dataclass(frozen=True, slots=True)
class CachePolicy:
    """How long a method's answers are kept, and what becomes of callers who want a new one.

    ``authorized``: only those who may invalidate; ``strategy`` is for the others. ``shared``: a canary's
    requests use the stage's cache.
    """

    ttl_s: float
    authorized: bool = True
    strategy: str = ""
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Snapshot:
    """An API as it was when it was deployed.

    ``disabled``: its execute-api endpoint is switched off. ``policy`` is its resource policy, or empty.
    ``responses`` are a REST API's gateway responses by their type.
    """

    routes: tuple[Route, ...]
    binary_media_types: tuple[str, ...] = ()
    cors: Cors | None = None
    disabled: bool = False
    policy: str = ""
    responses: Mapping[str, GatewayResponse] = field(default_factory=dict)
    selection: str = ""
    """How a WebSocket API chooses a message's route: ``$request.body.action``."""

    def find_route(self, key: str) -> Route | None:
        """A WebSocket API's route."""
        return next((route for route in self.routes if route.key == key), None)


@dataclass(frozen=True, slots=True)
class Stage:
    """A deployed stage of an API, found for one request."""

    kind: Kind
    api_id: str
    account_id: str
    region: str
    name: str
    deployment_id: str
    variables: Mapping[str, str]
    snapshot: Snapshot
    log_destination: str = ""
    log_format: str = ""
    api_name: str = ""
    """The API's name, by which the metrics of REST APIs are told apart; empty for HTTP APIs."""
    canary: bool | None = None
    """Whether this request is the canary's; None for a stage that has none."""
    traced: bool = False
    throttles: Mapping[str, Throttle] = field(default_factory=dict)
    """By ``METHOD /path`` of REST APIs, route key of HTTP APIs, or ``*`` for all the others."""
    caches: Mapping[str, CachePolicy | None] = field(default_factory=dict)
    """The same for a REST API's cache; None where it is switched off."""

    def cache(self, route: Route, method: str) -> CachePolicy | None:
        """How answers to a request are cached; for all methods together only those to GET are."""
        own = f"{route.method} {route.path}"
        if own in self.caches:
            return self.caches[own]
        return self.caches.get("*") if method == "GET" else None

    def arn(self, method: str, path: str) -> str:
        """What ``execute-api:Invoke`` is asked for."""
        where = f"arn:aws:execute-api:{self.region}:{self.account_id}:{self.api_id}"
        if self.kind is Kind.WEBSOCKET and not method:
            return f"{where}/{self.name}/{path}"
        return f"{where}/{self.name}/{method}/{path.lstrip('/')}"
