"""AWS::KMS: keys and their aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    as_list,
    boolean,
    call,
    changed,
    invalid,
    or_else,
    pick,
    stabilised,
    stale,
    tags,
    text,
    unless_absent,
    whole,
)

_ABSENT = "NotFoundException"
_GOING = "KMSInvalidStateException"
_FIXED = frozenset({"KeySpec", "KeyUsage", "MultiRegion", "Origin"})
_WAIT_DAYS = 30


class Key:
    """A customer managed key. ``Ref`` is its id; deleting it takes the days of ``PendingWindowInDays``."""

    type = "AWS::KMS::Key"
    properties = _FIXED | {
        "BypassPolicyLockoutSafetyCheck",
        "Description",
        "EnableKeyRotation",
        "Enabled",
        "KeyPolicy",
        "PendingWindowInDays",
        "Tags",
    }
    replaces = _FIXED

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        keys = context.client("kms")
        settings = pick(properties, (*_FIXED, "Description", "BypassPolicyLockoutSafetyCheck"))
        if policy := properties.get("KeyPolicy"):
            settings["Policy"] = policy
        labels = as_list(tags(context, properties.get("Tags"), system=False), "TagKey", "TagValue")
        more = {"Tags": labels} if labels else {}
        made = call(keys, "CreateKey", settings, **more)["KeyMetadata"]
        with or_else(lambda: keys.schedule_key_deletion(KeyId=made["KeyId"], PendingWindowInDays=7)):
            _switch(keys, made["KeyId"], {}, properties)
        return _key(context, made["KeyId"])

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        keys = context.client("kms")
        if changed(old, new, "KeyPolicy") and new.get("KeyPolicy"):
            keys.put_key_policy(KeyId=physical_id, PolicyName="default", Policy=text(new["KeyPolicy"]))
        if changed(old, new, "Description"):
            keys.update_key_description(KeyId=physical_id, Description=new.get("Description", ""))
        _switch(keys, physical_id, old, new)
        listed = keys.list_resource_tags(KeyId=physical_id).get("Tags", [])
        current = {tag["TagKey"]: tag["TagValue"] for tag in listed}
        wanted = tags(context, new.get("Tags"), system=False)
        if gone := stale(current, wanted):
            keys.untag_resource(KeyId=physical_id, TagKeys=gone)
        if wanted and wanted != current:
            keys.tag_resource(KeyId=physical_id, Tags=as_list(wanted, "TagKey", "TagValue"))
        return _key(context, physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        days = whole(properties.get("PendingWindowInDays") or _WAIT_DAYS)
        with unless_absent(_ABSENT, _GOING):
            context.client("kms").schedule_key_deletion(KeyId=physical_id, PendingWindowInDays=days)


def _key(context: ResourceContext, key_id: str) -> Physical:
    where = f"arn:{context.partition}:kms:{context.region}:{context.account_id}"
    return Physical(key_id, {"Arn": f"{where}:key/{key_id}", "KeyId": key_id})


def _switch(keys: Any, key_id: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """Rotation and use, on or off."""
    before, after = (boolean(given.get("EnableKeyRotation", False)) for given in (old, new))
    if after != before:
        (keys.enable_key_rotation if after else keys.disable_key_rotation)(KeyId=key_id)
    before, after = (boolean(given.get("Enabled", True)) for given in (old, new))
    if after != before:
        (keys.enable_key if after else keys.disable_key)(KeyId=key_id)


class ReplicaKey:
    """A multi-Region key's replica in the stack's region. ``Ref`` is its id, which is the primary's too."""

    type = "AWS::KMS::ReplicaKey"
    properties = frozenset(
        {"Description", "Enabled", "KeyPolicy", "PendingWindowInDays", "PrimaryKeyArn", "Tags"}
    )
    replaces = frozenset({"PrimaryKeyArn"})

    def __init__(self) -> None:
        self._key = Key()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        keys = context.client("kms")
        primary = properties["PrimaryKeyArn"]
        parts = primary.split(":")
        if len(parts) != 6 or not parts[5].startswith("key/"):
            raise invalid("#/PrimaryKeyArn: is not the ARN of a key")
        settings = pick(properties, ("Description",))
        if policy := properties.get("KeyPolicy"):
            settings["Policy"] = policy
        labels = as_list(tags(context, properties.get("Tags"), system=False), "TagKey", "TagValue")
        more = {"Tags": labels} if labels else {}
        there = context.client("kms", region=parts[3])
        made = call(there, "ReplicateKey", settings, KeyId=primary, ReplicaRegion=context.region, **more)
        key_id = made["ReplicaKeyMetadata"]["KeyId"]

        def ready() -> bool:
            return bool(keys.describe_key(KeyId=key_id)["KeyMetadata"]["KeyState"] == "Enabled")

        with or_else(lambda: keys.schedule_key_deletion(KeyId=key_id, PendingWindowInDays=7)):
            stabilised(ready, f"Key {key_id}", every_s=0.05)
            if not boolean(properties.get("Enabled", True)):
                keys.disable_key(KeyId=key_id)
        return _key(context, key_id)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return self._key.update(context, physical_id, old, new)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        self._key.delete(context, physical_id, properties)


class Alias:
    """Another name of a key. ``Ref`` is that name."""

    type = "AWS::KMS::Alias"
    properties = frozenset({"AliasName", "TargetKeyId"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        call(context.client("kms"), "CreateAlias", properties)
        return Physical(properties["AliasName"])

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        call(context.client("kms"), "UpdateAlias", new)
        return Physical(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("kms").delete_alias(AliasName=physical_id)


PROVIDERS = (Key(), ReplicaKey(), Alias())
