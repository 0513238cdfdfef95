"""What REST and HTTP APIs share in reading an OpenAPI or Swagger document."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import yaml
from moto.core.exceptions import ServiceException
from werkzeug.exceptions import HTTPException

from sandbox.emulator.calls import AwsError

INTEGRATION = "x-amazon-apigateway-integration"
_METHODS = frozenset({"get", "put", "post", "delete", "options", "head", "patch"})
_ANY = "x-amazon-apigateway-any-method"


@dataclass(frozen=True, slots=True)
class Operation:
    """One method of one path: ``method`` in capitals or ``ANY``, its document, its integration."""

    path: str
    method: str
    body: Mapping[str, Any]
    integration: Mapping[str, Any] | None

    @property
    def where(self) -> str:
        """How API Gateway's messages name it."""
        return f"'{self.method}' for resource at path '{self.path}'"


@dataclass(frozen=True, slots=True)
class Security:
    """What a method demands of callers: ``kind`` is NONE, AWS_IAM, JWT, CUSTOM, COGNITO_USER_POOLS."""

    kind: str = "NONE"
    authorizer: str = ""
    scopes: tuple[str, ...] = ()
    api_key: bool = False


def read_document(body: bytes | str) -> dict[str, Any]:
    """The document in JSON or YAML.

    Raises:
        AwsError: it is neither, or not an API description.
    """
    text = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        found = json.loads(text)
    except ValueError:
        try:
            found = yaml.safe_load(text)
        except yaml.YAMLError:
            found = None
    if not isinstance(found, dict) or not ("swagger" in found or "openapi" in found):
        raise AwsError("BadRequestException", "Invalid OpenAPI input.")
    return found


def operations(document: Mapping[str, Any]) -> Iterator[Operation]:
    """Every method of every path, in the document's order."""
    for path, item in (document.get("paths") or {}).items():
        if not isinstance(item, Mapping):
            continue
        for name, body in item.items():
            method = "ANY" if name == _ANY else name.upper() if name.lower() in _METHODS else ""
            if method and isinstance(body, Mapping):
                yield Operation(path, method, body, _resolved(document, body.get(INTEGRATION)))


def schemes(document: Mapping[str, Any]) -> Mapping[str, Any]:
    """The document's security schemes by name."""
    found = (document.get("components") or {}).get("securitySchemes") or document.get("securityDefinitions")
    return found or {}


def security(document: Mapping[str, Any], body: Mapping[str, Any]) -> Security:
    """What a method demands. A scheme that is not understood still demands something."""
    known = schemes(document)
    demanded = Security()
    wanted = body["security"] if "security" in body else document.get("security") or []
    for item in wanted:
        for name, scopes in item.items():
            scheme = known.get(name) or {}
            demanded = _demand(demanded, name, scheme, tuple(scopes or ()))
    own = str((body.get("x-amazon-apigateway-auth") or {}).get("type", "")).upper()
    if own:
        demanded = Security("NONE" if own == "NONE" else own, api_key=demanded.api_key)
    return demanded


def _demand(before: Security, name: str, scheme: Mapping[str, Any], scopes: tuple[str, ...]) -> Security:
    authorizer = scheme.get("x-amazon-apigateway-authorizer") or {}
    kind = str(authorizer.get("type") or scheme.get("x-amazon-apigateway-authtype") or "").lower()
    if name == "NONE" and not scheme:
        return before
    if not kind and scheme.get("type") == "apiKey" and str(scheme.get("name", "")).lower() == "x-api-key":
        return Security(before.kind, before.authorizer, before.scopes, api_key=True)
    kinds = {
        "awssigv4": "AWS_IAM",
        "jwt": "JWT",
        "cognito_user_pools": "COGNITO_USER_POOLS",
        "oauth2": "JWT",
    }
    return Security(
        kinds.get(kind, "CUSTOM"), name if authorizer or not scheme else "", scopes, before.api_key
    )


def _resolved(document: Mapping[str, Any], found: Any) -> Mapping[str, Any] | None:
    if isinstance(found, Mapping) and "$ref" in found:
        target: Any = document
        for part in str(found["$ref"]).removeprefix("#/").split("/"):
            target = target.get(part) if isinstance(target, Mapping) else None
        found = target
    return found if isinstance(found, Mapping) else None


@contextmanager
def moto_errors(prefix: str = "") -> Iterator[None]:
    """Turn what moto's backends raise into the errors that handlers raise."""
    try:
        yield
    except ServiceException as error:
        raise AwsError(error.code, prefix + error.message) from error
    except HTTPException as error:
        code = str(getattr(error, "relative_error_type", "") or "BadRequestException")
        message = str(getattr(error, "message", error.description))
        raise AwsError(code, prefix + message, error.code or 400) from error
