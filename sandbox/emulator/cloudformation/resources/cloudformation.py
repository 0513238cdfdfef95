"""AWS::CloudFormation: what stacks hold of CloudFormation itself: places to wait, and further stacks."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sandbox.emulator.cloudformation.intrinsics import as_text
from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext, ResourceFailed
from sandbox.emulator.cloudformation.resources.convert import not_here, pick, tags, text

Properties = Mapping[str, Any]
_SIGNALS_VALID_S = 86_399
_TIMEOUT_LIMIT_S = 43_200


class WaitConditionHandle:
    """Nothing but an address; stacks also use it to hold a place. ``Ref`` is the address."""

    type = "AWS::CloudFormation::WaitConditionHandle"
    properties: frozenset[str] = frozenset()
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        bucket = f"cloudformation-waitcondition-{context.region}"
        key = f"{context.stack_id}/{context.logical_id}"
        address, _ = context.behind().callbacks.open(bucket, key, context.region, _SIGNALS_VALID_S)
        return Physical(address, {"Id": address})

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        context.behind().callbacks.close(physical_id)


class WaitCondition:
    """Stands once its handle was signalled ``Count`` times. ``Ref`` is an ARN of its own."""

    type = "AWS::CloudFormation::WaitCondition"
    properties = frozenset({"Count", "Handle", "Timeout"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        if not properties.get("Handle") or properties.get("Timeout") is None:
            raise not_here("a wait condition without Handle and Timeout")
        wanted = int(properties.get("Count") or 1)
        timeout_s = int(properties["Timeout"])
        if not 1 <= timeout_s <= _TIMEOUT_LIMIT_S:
            raise ResourceFailed(
                f"Timeout must be between 1 and {_TIMEOUT_LIMIT_S} seconds.", "InvalidRequest"
            )
        mailbox = context.behind().callbacks.find_box(properties["Handle"])
        if mailbox is None:
            raise ResourceFailed("WaitCondition handle is not valid.", "InvalidRequest")
        mailbox.enough = _enough(wanted)
        context.behind().errand.wait(mailbox, timeout_s)
        signals = _signals(mailbox.letters)
        for signal in signals.values():
            if signal["Status"] == "FAILURE":
                raise ResourceFailed(
                    f"WaitCondition received failed message: '{signal.get('Reason', '')}' for uniqueId: "
                    f"{signal['UniqueId']}"
                )
        if len(signals) < wanted:
            raise ResourceFailed(
                f"WaitCondition timed out. Received {len(signals)} conditions when expecting {wanted}",
                "NotStabilized",
            )
        data = {name: text(signal.get("Data", "")) for name, signal in signals.items()}
        name = f"{context.stack_id}/{context.logical_id}"
        return Physical(name, {"Data": json.dumps(data, separators=(",", ":"))})

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        raise ResourceFailed(f"Update to resource type {self.type} is not supported.", "NotUpdatable")

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        """There is nothing to remove."""


def _enough(wanted: int) -> Callable[[list[bytes]], bool]:
    def enough(letters: list[bytes]) -> bool:
        signals = _signals(letters)
        return len(signals) >= wanted or any(each["Status"] == "FAILURE" for each in signals.values())

    return enough


def _signals(letters: Sequence[bytes]) -> dict[str, dict[str, Any]]:
    """The signals in order, by their id: one that comes again counts once, and others are no signals."""
    found: dict[str, dict[str, Any]] = {}
    for letter in letters:
        try:
            told = json.loads(letter)
        except ValueError:
            continue
        if not isinstance(told, dict) or told.get("Status") not in ("SUCCESS", "FAILURE"):
            continue
        name = as_text(told.get("UniqueId") or "")
        if name:
            found.setdefault(name, {**told, "UniqueId": name})
    return found


class NestedStack:
    """A stack that belongs to this one. ``Ref`` is its id; its outputs are ``Outputs.X``."""

    type = "AWS::CloudFormation::Stack"
    properties = frozenset({"NotificationARNs", "Parameters", "Tags", "TemplateURL", "TimeoutInMinutes"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        nested = context.behind().nested
        return _stack(*nested.create(context.unique_name(128), _request(context, properties)))

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        outputs = context.behind().nested.update(physical_id, _request(context, new))
        return _stack(physical_id, outputs)

    def settle(self, context: ResourceContext, physical_id: str) -> None:
        context.behind().nested.settle(physical_id)

    def undo(self, context: ResourceContext, physical_id: str) -> Physical:
        return _stack(physical_id, context.behind().nested.undo(physical_id))

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        context.behind().nested.delete(physical_id)


def _request(context: ResourceContext, properties: Properties) -> dict[str, Any]:
    """The members of CreateStack and UpdateStack that the template gives."""
    given = properties.get("Parameters") or {}
    labels = tags(context, properties.get("Tags"), system=False)
    return {
        **pick(properties, ("NotificationARNs", "TemplateURL", "TimeoutInMinutes")),
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": as_text(value)} for key, value in given.items()
        ],
        "Tags": [{"Key": key, "Value": value} for key, value in labels.items()],
    }


def _stack(stack_id: str, outputs: Mapping[str, str]) -> Physical:
    named = {f"Outputs.{key}": value for key, value in outputs.items()}
    return Physical(stack_id, {"StackId": stack_id, **named})


PROVIDERS = (WaitConditionHandle(), WaitCondition(), NestedStack())
