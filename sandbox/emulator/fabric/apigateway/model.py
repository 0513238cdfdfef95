"""What a deployed API is: routes that point at integrations. Plain values, taken once per deployment."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

_FUNCTION_IN_URI = re.compile(r"/functions/(arn:[^/]+:function:[^/]+)/invocations$")


class Kind(StrEnum):
    REST = "rest"
    HTTP = "http"


@dataclass(frozen=True, slots=True)
class MockResponse:
    """What a MOCK integration answers for one status. ``pattern`` empty: the default response."""

    status: int
    pattern: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)
    body: str = ""


@dataclass(frozen=True, slots=True)
class Integration:
    """What a route does. ``kind`` is API Gateway's name in capitals: AWS_PROXY, MOCK, HTTP_PROXY …

    ``gap`` says what about it is not emulated, if anything.
    """

    kind: str
    uri: str = ""
    payload_version: str = "1.0"
    timeout_s: float = 29.0
    mock_status: int = 200
    mock_responses: tuple[MockResponse, ...] = ()
    credentials: str = ""
    gap: str = ""

    def function(self, stage_variables: Mapping[str, str]) -> str:
        """The ARN of the Lambda function it calls, or empty."""
        uri = re.sub(
            r"\$\{stageVariables\.(\w+)\}", lambda found: stage_variables.get(found[1], ""), self.uri
        )
        found = _FUNCTION_IN_URI.search(uri)
        if found:
            return found[1]
        return uri if ":lambda:" in uri and ":function:" in uri else ""


@dataclass(frozen=True, slots=True)
class Route:
    """A method (or ``ANY``) and a path such as ``/items/{id}``, ``/{proxy+}`` or ``$default``.

    ``authorization`` is NONE or what a caller would have to show. ``validator`` names a check of the
    request that the API makes before it calls the function, if there is one.
    """

    method: str
    path: str
    integration: Integration | None
    authorization: str = "NONE"
    api_key_required: bool = False
    resource_id: str = ""
    validator: str = ""

    @property
    def key(self) -> str:
        """How HTTP APIs name it: ``GET /items/{id}``."""
        return self.path if self.path == "$default" else f"{self.method} {self.path}"


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
class Snapshot:
    """An API as it was when it was deployed.

    ``disabled``: its execute-api endpoint is switched off. ``policy``: it has a resource policy.
    """

    routes: tuple[Route, ...]
    binary_media_types: tuple[str, ...] = ()
    cors: Cors | None = None
    disabled: bool = False
    policy: bool = False


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
