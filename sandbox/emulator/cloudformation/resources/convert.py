"""From a template's properties to an API's parameters, and what most providers share."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any

from botocore.exceptions import ClientError

from sandbox.emulator import sdk
from sandbox.emulator.cloudformation.resources.base import ResourceContext, ResourceFailed

# How templates write values, for providers that read them.
boolean, text, whole = sdk.boolean, sdk.text, sdk.whole

SYSTEM_TAG = "aws:"
_STABLE_WITHIN_S, _LOOK_EVERY_S = 20.0, 0.002


def call(client: Any, operation: str, given: Mapping[str, Any], **more: Any) -> dict[str, Any]:
    """Call ``operation`` (``CreateFunction``) with properties spelled as a template spells them."""
    try:
        return sdk.perform(client, operation, {**given, **more})
    except sdk.Misshapen as error:
        raise invalid(str(error)) from None


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


def stabilised(done: Callable[[], bool], what: str, *, every_s: float = _LOOK_EVERY_S) -> None:
    """Wait until the service says that its own work is done, as CloudFormation does.

    Raises:
        ResourceFailed: it did not get there.
    """
    until = time.monotonic() + _STABLE_WITHIN_S
    while not done():
        if time.monotonic() > until:
            raise ResourceFailed(f"{what} did not stabilize.", "NotStabilized")
        time.sleep(every_s)


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


def retag(client: Any, arn: str, old: Mapping[str, str], new: Mapping[str, str]) -> None:
    """Bring the tags of something that exists up to date, in API Gateway's words."""
    if gone := stale(old, new):
        call(client, "UntagResource", {"ResourceArn": arn, "TagKeys": gone})
    if fresh := {key: value for key, value in new.items() if old.get(key) != value}:
        call(client, "TagResource", {"ResourceArn": arn, "Tags": fresh})


def stale(current: Mapping[str, str], wanted: Mapping[str, str]) -> list[str]:
    """Keys of tags to take off."""
    return [key for key in current if key not in wanted]
