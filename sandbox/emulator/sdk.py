"""API calls whose parameters were written by hand: in templates, state machines and schedules."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from typing import Any

from botocore import xform_name

# Names that AWS's other SDKs, and so aws-sdk integrations, have for a service.
# Source: https://docs.aws.amazon.com/step-functions/latest/dg/supported-services-awssdk.html
_SERVICES = {
    "cloudwatchlogs": "logs",
    "eventbridge": "events",
    "cloudwatchevents": "events",
    "sfn": "stepfunctions",
    "cognitoidentityprovider": "cognito-idp",
    "apigatewayv2": "apigatewayv2",
}


class Misshapen(ValueError):
    """Parameters that the API's model does not have; ``path`` says where (``/Policy/0``)."""

    def __init__(self, path: str, message: str) -> None:
        super().__init__(f"#{path}: {message}")
        self.path = path


def service_name(sdk_name: str) -> str:
    """botocore's name of a service that an integration names (``sfn`` → ``stepfunctions``)."""
    return _SERVICES.get(sdk_name.lower(), sdk_name.lower())


def operation_name(client: Any, action: str) -> str:
    """The API's name of an action in any case (``sendMessage`` → ``SendMessage``).

    Raises:
        Misshapen: the service has no such action.
    """
    names: dict[str, str] = {name.lower(): name for name in client.meta.service_model.operation_names}
    found = names.get(action.lower())
    if found is None:
        raise Misshapen("", f"{client.meta.service_model.service_name} has no action {action}")
    return found


def perform(client: Any, operation: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Call ``operation`` (``CreateFunction``) with ``given`` parameters.

    Members are found whatever their case, and values become what the API's model wants: templates
    give numbers and booleans as text, and documents as mappings.

    Raises:
        Misshapen: the API's model has no such parameters.
        ClientError: the service refused.
    """
    shape = client.meta.service_model.operation_model(operation).input_shape
    made = _convert(shape, given, "") if shape is not None else {}
    answer: dict[str, Any] = getattr(client, xform_name(operation))(**made)
    return answer


def _convert(shape: Any, value: Any, path: str) -> Any:
    kind = shape.type_name
    if kind == "structure":
        return _structure(shape, _mapping(value, path), path)
    if kind == "list":
        items = value if isinstance(value, list | tuple) else [value]
        return [_convert(shape.member, item, f"{path}/{index}") for index, item in enumerate(items)]
    if kind == "map":
        entries = _mapping(value, path).items()
        return {str(key): _convert(shape.value, item, f"{path}/{key}") for key, item in entries}
    scalar = _SCALARS.get(kind)
    try:
        return scalar(value) if scalar else value
    except (TypeError, ValueError):
        found = json.dumps(value, default=str)
        raise Misshapen(path, f"expected type: {kind.title()}, found: {found}") from None


def _structure(shape: Any, value: Mapping[str, Any], path: str) -> dict[str, Any]:
    if getattr(shape, "is_document_type", False):
        return dict(value)
    made = {}
    members = _members(shape)
    for key, item in value.items():
        name = members.get(key.lower())
        if name is None:
            raise Misshapen(path, f"extraneous key [{key}] is not permitted")
        if item is not None:
            made[name] = _convert(shape.members[name], item, f"{path}/{key}")
    return made


@functools.lru_cache(maxsize=4096)
def _members(shape: Any) -> dict[str, str]:
    return {name.lower(): name for name in shape.members}


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise Misshapen(path, f"expected type: JSONObject, found: {type(value).__name__}")
    return value


def boolean(value: Any) -> bool:
    """A hand-written boolean, which may be text.

    Raises:
        ValueError: it is neither true nor false.
    """
    if isinstance(value, str):
        if value.lower() not in ("true", "false"):
            raise ValueError(value)
        return value.lower() == "true"
    return bool(value)


def whole(value: Any) -> int:
    """A hand-written whole number, which may be text.

    Raises:
        ValueError: it is not a whole number.
    """
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def text(value: Any) -> str:
    """A hand-written value as text: documents as JSON, booleans in lower case."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping | list | tuple):
        return json.dumps(value, default=str)
    return str(value)


def _blob(value: Any) -> bytes:
    return value if isinstance(value, bytes) else text(value).encode()


_SCALARS: dict[str, Callable[[Any], Any]] = {
    "string": text,
    "boolean": boolean,
    "integer": whole,
    "long": whole,
    "float": float,
    "double": float,
    "blob": _blob,
}
