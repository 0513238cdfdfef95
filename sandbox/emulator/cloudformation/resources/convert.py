"""From a template's properties to an API's parameters, and what most providers share."""

from __future__ import annotations

import functools
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from botocore import xform_name
from botocore.exceptions import ClientError

from sandbox.emulator.cloudformation.resources.base import ResourceContext, ResourceFailed

SYSTEM_TAG = "aws:"
_STABLE_WITHIN_S, _LOOK_EVERY_S = 20.0, 0.002


def call(client: Any, operation: str, given: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Call ``operation`` (``CreateFunction``) with properties spelled as a template spells them.

    Members are found whatever their case, and values become what the API's model wants: templates
    give numbers and booleans as text, and documents as mappings.
    """
    shape = client.meta.service_model.operation_model(operation).input_shape
    made = _convert(shape, {**given, **more}, "") if shape is not None else {}
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
        raise invalid(f"#{path}: expected type: {kind.title()}, found: {found}") from None


def _structure(shape: Any, value: Mapping[str, Any], path: str) -> dict[str, Any]:
    if getattr(shape, "is_document_type", False):
        return dict(value)
    made = {}
    members = _members(shape)
    for key, item in value.items():
        name = members.get(key.lower())
        if name is None:
            raise invalid(f"#{path}: extraneous key [{key}] is not permitted")
        if item is not None:
            made[name] = _convert(shape.members[name], item, f"{path}/{key}")
    return made


@functools.lru_cache(maxsize=4096)
def _members(shape: Any) -> dict[str, str]:
    return {name.lower(): name for name in shape.members}


def _mapping(value: Any, path: str) -> Mapping[str, Any]:
    if not isinstance(value, Mapping):
        raise invalid(f"#{path}: expected type: JSONObject, found: {type(value).__name__}")
    return value


def boolean(value: Any) -> bool:
    """A template's boolean, which may be text."""
    if isinstance(value, str):
        return {"true": True, "false": False}[value.lower()]
    return bool(value)


def _boolean(value: Any) -> bool:
    try:
        return boolean(value)
    except KeyError:
        raise ValueError(value) from None


def whole(value: Any) -> int:
    """A template's whole number, which may be text.

    Raises:
        ValueError: it is not a whole number.
    """
    if isinstance(value, bool) or (isinstance(value, float) and not value.is_integer()):
        raise ValueError(value)
    return int(value)


def text(value: Any) -> str:
    """A template's value as text: documents as JSON, booleans in lower case."""
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
    "boolean": _boolean,
    "integer": whole,
    "long": whole,
    "float": float,
    "double": float,
    "blob": _blob,
}


def invalid(message: str) -> ResourceFailed:
    """A property that the resource type's model refuses."""
    return ResourceFailed(f"Model validation failed ({message})", "InvalidRequest")


def exists_already(type_name: str, identifier: str) -> ResourceFailed:
    """A resource of this name was there before."""
    return ResourceFailed(
        f"Resource of type '{type_name}' with identifier '{identifier}' already exists.", "AlreadyExists"
    )


def not_here(what: str) -> ResourceFailed:
    """A setting that AWS has and this sandbox lacks."""
    return ResourceFailed(f"NotEmulated: {what} is not emulated by this sandbox.", "NotEmulated")


def pick(properties: Mapping[str, Any], names: Sequence[str] | frozenset[str]) -> dict[str, Any]:
    """Those of ``names`` that the template gives."""
    return {name: properties[name] for name in names if properties.get(name) is not None}


def omit(properties: Mapping[str, Any], *names: str) -> dict[str, Any]:
    """Everything that the template gives but ``names``."""
    return {name: value for name, value in properties.items() if name not in names and value is not None}


def changed(old: Mapping[str, Any], new: Mapping[str, Any], *names: str) -> bool:
    """Whether any of ``names`` differs."""
    return any(old.get(name) != new.get(name) for name in names)


@contextmanager
def or_else(undo: Callable[[], Any]) -> Iterator[None]:
    """Set up what was just made, and ``undo`` the making when that fails.

    The engine only knows of a resource once its provider has returned it.
    """
    try:
        yield
    except Exception:
        with suppress(ClientError, ResourceFailed):
            undo()
        raise


@contextmanager
def unless_absent(*codes: str) -> Iterator[None]:
    """Take it that what should be removed is already gone, when AWS answers one of ``codes``."""
    try:
        yield
    except ClientError as error:
        if error.response["Error"].get("Code") not in codes:
            raise


def found(call_: Callable[[], Any], *codes: str) -> Any:
    """What ``call_`` answers, or None when AWS answers one of ``codes``."""
    try:
        return call_()
    except ClientError as error:
        if error.response["Error"].get("Code") not in codes:
            raise
        return None


def stabilised(done: Callable[[], bool], what: str) -> None:
    """Wait until the service says that its own work is done, as CloudFormation does.

    Raises:
        ResourceFailed: it did not get there.
    """
    until = time.monotonic() + _STABLE_WITHIN_S
    while not done():
        if time.monotonic() > until:
            raise ResourceFailed(f"{what} did not stabilize.", "NotStabilized")
        time.sleep(_LOOK_EVERY_S)


def tags(context: ResourceContext, given: Any, *, system: bool = True) -> dict[str, str]:
    """The resource's tags: the stack's, those CloudFormation adds (``system``), the template's own.

    ``given`` is the ``Tags`` property, as a list or as a mapping.
    """
    own = given or {}
    if not isinstance(own, Mapping):
        own = {tag["Key"]: tag.get("Value", "") for tag in own}
    stack = {key: value for key, value in context.tags.items() if system or not key.startswith(SYSTEM_TAG)}
    return {**stack, **{str(key): text(value) for key, value in own.items()}}


def as_list(given: Mapping[str, str], key: str = "Key", value: str = "Value") -> list[dict[str, str]]:
    """Tags as most APIs take them."""
    return [{key: name, value: content} for name, content in given.items()]


def stale(current: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Keys of tags to take off."""
    return [key for key in current if key not in wanted]
