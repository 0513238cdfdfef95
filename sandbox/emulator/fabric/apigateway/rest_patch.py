"""PATCH operations on REST APIs, stages, methods and integrations."""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Mapping
from typing import Any

from moto.apigateway.models import Integration, Method, RestAPI, Stage

from sandbox.emulator.calls import AwsError
from sandbox.emulator.fabric.apigateway import canaries
from sandbox.emulator.fabric.apigateway.snapshots import is_true

__all__ = ["bad_path", "is_true", "patch_api", "patch_integration", "patch_method", "patch_stage"]

Operations = Iterable[Mapping[str, Any]]

_SETTINGS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "metrics/enabled": ("metricsEnabled", is_true),
    "logging/loglevel": ("loggingLevel", str),
    "logging/dataTrace": ("dataTraceEnabled", is_true),
    "logging/datatrace": ("dataTraceEnabled", is_true),
    "throttling/burstLimit": ("throttlingBurstLimit", int),
    "throttling/rateLimit": ("throttlingRateLimit", float),
    "caching/enabled": ("cachingEnabled", is_true),
    "caching/ttlInSeconds": ("cacheTtlInSeconds", int),
    "caching/dataEncrypted": ("cacheDataEncrypted", is_true),
    "caching/requireAuthorizationForCacheControl": ("requireAuthorizationForCacheControl", is_true),
    "caching/unauthorizedCacheControlHeaderStrategy": ("unauthorizedCacheControlHeaderStrategy", str),
}


def bad_path(operation: Mapping[str, Any]) -> AwsError:
    """The answer to an operation on something that can't be patched."""
    return AwsError("BadRequestException", f"Invalid patch path {operation.get('path')}")


def unescaped(part: str) -> str:
    """A part of a JSON pointer as what it stands for."""
    return part.replace("~1", "/").replace("~0", "~")


def patch_api(api: RestAPI, operations: Operations) -> None:
    """Change a REST API."""
    texts = {"/name": "name", "/description": "description", "/apiKeySource": "api_key_source"}
    for operation in operations:
        kind, path, value = _parts(operation)
        if path in texts and kind in ("replace", "add", "remove"):
            setattr(api, texts[path], value)
        elif path == "/policy":
            api.policy = value or None
        elif path == "/version":
            api.version = value
        elif path == "/minimumCompressionSize":
            api.minimum_compression_size = int(value) if value else None
        elif path == "/disableExecuteApiEndpoint" and kind == "replace":
            api.disableExecuteApiEndpoint = is_true(value)
        elif path.startswith("/binaryMediaTypes"):
            _patch_binary_types(api, kind, path, value)
        elif path.startswith("/endpointConfiguration/types/") and kind == "replace":
            api.endpoint_configuration = {**api.endpoint_configuration, "types": [value]}
        else:
            raise bad_path(operation)


def _patch_binary_types(api: RestAPI, kind: str, path: str, value: str) -> None:
    named = unescaped(path.removeprefix("/binaryMediaTypes").removeprefix("/"))
    types = [item for item in api.binaryMediaTypes if item != named]
    if kind == "add":
        types.append(named or value)
    elif kind == "replace":
        types = [*types, value]
    api.binaryMediaTypes = types


def patch_stage(stage: Stage, operations: Operations, deployments: Container[str]) -> None:
    """Change a stage; ``deployments`` are the ids it may point to."""
    for operation in operations:
        if operation.get("op") == "copy" and canaries.promote(stage, operation):
            continue
        kind, path, value = _parts(operation)
        if canaries.patch(stage, operation, deployments):
            continue
        if path == "/deploymentId" and kind == "replace":
            if value not in deployments:
                raise AwsError("BadRequestException", "Deployment id does not exist")
            stage.deployment_id = value
        elif path == "/description":
            stage.description = value
        elif path == "/documentationVersion":
            stage.documentation_version = value
        elif path == "/tracingEnabled":
            stage.tracing_enabled = is_true(value)
        elif path == "/cacheClusterEnabled":
            stage.cache_cluster_enabled = is_true(value)
            stage.cache_cluster_status = "AVAILABLE" if is_true(value) else "NOT_AVAILABLE"
        elif path == "/cacheClusterSize":
            stage.cache_cluster_size = value
        elif path.startswith("/variables/"):
            name = unescaped(path.removeprefix("/variables/"))
            if kind == "remove":
                stage.variables.pop(name, None)
            else:
                stage.variables[name] = value
        elif path == "/variables" and kind == "remove":
            stage.variables.clear()
        elif path.startswith("/accessLogSettings"):
            _patch_access_log(stage, operation, kind, path, value)
        else:
            _patch_method_setting(stage, operation, kind, path, value)


def _patch_access_log(stage: Stage, operation: Mapping[str, Any], kind: str, path: str, value: str) -> None:
    name = path.removeprefix("/accessLogSettings").removeprefix("/")
    if kind == "remove" and not name:
        stage.access_log_settings = None
    elif name in ("destinationArn", "format"):
        kept = dict(stage.access_log_settings or {})
        if kind == "remove":
            kept.pop(name, None)
        else:
            kept[name] = value.removesuffix(":*") if name == "destinationArn" else value
        stage.access_log_settings = kept or None
    else:
        raise bad_path(operation)


def _patch_method_setting(
    stage: Stage, operation: Mapping[str, Any], kind: str, path: str, value: str
) -> None:
    """``/{resource}/{method}/{group}/{name}``, the resource being escaped or ``*``."""
    parts = path.split("/")
    if len(parts) == 3 and kind == "remove":
        stage.method_settings.pop(f"{unescaped(parts[1]).lstrip('/')}/{parts[2]}", None)
        return
    name = "/".join(parts[3:])
    if len(parts) != 5 or name not in _SETTINGS:
        raise bad_path(operation)
    key = f"{unescaped(parts[1]).lstrip('/')}/{parts[2]}"
    setting, read = _SETTINGS[name]
    if kind == "remove":
        stage.method_settings.get(key, {}).pop(setting, None)
        return
    general = stage.method_settings.get("*/*") or stage._get_default_method_settings()
    kept = stage.method_settings.setdefault(key, dict(general))
    try:
        kept[setting] = read(value)
    except ValueError:
        raise AwsError("BadRequestException", f"Invalid value {value!r} for {path}") from None


def patch_method(method: Method, operations: Operations) -> None:
    """Change a method."""
    plain = {
        "/authorizationType": "authorization_type",
        "/authorizerId": "authorizer_id",
        "/operationName": "operation_name",
        "/requestValidatorId": "request_validator_id",
    }
    held = {"/requestParameters/": "request_parameters", "/requestModels/": "request_models"}
    for operation in operations:
        kind, path, value = _parts(operation)
        prefix = next((known for known in held if path.startswith(known)), "")
        if path in plain:
            setattr(method, plain[path], value or None)
        elif path == "/apiKeyRequired":
            method.api_key_required = is_true(value)
        elif prefix:
            known = dict(getattr(method, held[prefix]) or {})
            _patch_mapping(
                known, kind, path.removeprefix(prefix), is_true(value) if "Parameters" in prefix else value
            )
            setattr(method, held[prefix], known)
        else:
            raise bad_path(operation)


def patch_integration(integration: Integration, operations: Operations) -> None:
    """Change an integration."""
    plain = {
        "/uri": "uri",
        "/httpMethod": "http_method",
        "/credentials": "credentials",
        "/passthroughBehavior": "passthrough_behaviour",
        "/contentHandling": "content_handling",
        "/cacheNamespace": "cache_namespace",
        "/connectionType": "connection_type",
    }
    held = {"/requestParameters/": "request_parameters", "/requestTemplates/": "request_templates"}
    for operation in operations:
        kind, path, value = _parts(operation)
        prefix = next((known for known in held if path.startswith(known)), "")
        if path in plain:
            setattr(integration, plain[path], value)
        elif path.startswith("/cacheKeyParameters/") and kind in ("add", "remove"):
            named = unescaped(path.removeprefix("/cacheKeyParameters/"))
            keys = [key for key in integration.cache_key_parameters if key != named]
            integration.cache_key_parameters = [*keys, named] if kind == "add" else keys
        elif path == "/timeoutInMillis":
            integration.timeout_in_millis = int(value)
        elif prefix:
            known = dict(getattr(integration, held[prefix]) or {})
            _patch_mapping(known, kind, path.removeprefix(prefix), value)
            setattr(integration, held[prefix], known)
        else:
            raise bad_path(operation)


def _patch_mapping(known: dict[str, Any], kind: str, name: str, value: Any) -> None:
    if kind == "remove":
        known.pop(unescaped(name), None)
    else:
        known[unescaped(name)] = value


def _parts(operation: Mapping[str, Any]) -> tuple[str, str, str]:
    kind = str(operation.get("op") or "")
    if kind not in ("add", "remove", "replace", "move", "copy", "test"):
        raise AwsError(
            "BadRequestException",
            "Member must satisfy enum value set: [add, remove, move, test, replace, copy]",
        )
    if kind in ("move", "copy", "test"):
        raise AwsError("NotEmulated", f"The patch operation {kind!r} is not emulated. This is our gap.", 501)
    return kind, str(operation.get("path") or ""), str(operation.get("value") or "")
