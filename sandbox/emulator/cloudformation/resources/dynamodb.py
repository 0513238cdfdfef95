"""AWS::DynamoDB: tables."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    as_list,
    boolean,
    call,
    changed,
    not_here,
    omit,
    or_else,
    pick,
    stale,
    tags,
    unless_absent,
)

_ABSENT = "ResourceNotFoundException"
_AFTERWARDS = ("PointInTimeRecoverySpecification", "TimeToLiveSpecification")
_RESTATED = ("SSESpecification", "StreamSpecification", "TableName", "Tags")


class Table:
    """A table with its indexes. ``Ref`` is its name."""

    type = "AWS::DynamoDB::Table"
    properties = frozenset(
        {
            *_AFTERWARDS,
            *_RESTATED,
            "AttributeDefinitions",
            "BillingMode",
            "DeletionProtectionEnabled",
            "GlobalSecondaryIndexes",
            "KeySchema",
            "LocalSecondaryIndexes",
            "ProvisionedThroughput",
        }
    )
    replaces = frozenset({"KeySchema", "LocalSecondaryIndexes"})

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        tables = context.client("dynamodb")
        name = properties.get("TableName") or context.unique_name(255)
        settings = omit(properties, *_AFTERWARDS, *_RESTATED)
        if stream := properties.get("StreamSpecification"):
            settings["StreamSpecification"] = _stream(stream)
        if encryption := properties.get("SSESpecification"):
            settings["SSESpecification"] = _encryption(encryption)
        labels = as_list(tags(context, properties.get("Tags"), system=False))
        more = {"Tags": labels} if labels else {}
        call(tables, "CreateTable", settings, TableName=name, **more)
        with or_else(lambda: tables.delete_table(TableName=name)):
            _set_afterwards(tables, name, {}, properties)
        return _table(tables, name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        tables = context.client("dynamodb")
        if changed(old, new, "SSESpecification"):
            raise not_here("another SSESpecification for a table that exists")
        if new.get("StreamSpecification") and changed(old, new, "StreamSpecification"):
            _refuse_second_stream(tables, physical_id)
        for settings in _steps(old, new):
            call(tables, "UpdateTable", settings, TableName=physical_id)
        _set_afterwards(tables, physical_id, old, new)
        made = _table(tables, physical_id)
        arn = made.attributes["Arn"]
        listed = tables.list_tags_of_resource(ResourceArn=arn).get("Tags", [])
        current = {tag["Key"]: tag["Value"] for tag in listed}
        wanted = tags(context, new.get("Tags"), system=False)
        if gone := stale(current, wanted):
            tables.untag_resource(ResourceArn=arn, TagKeys=gone)
        if wanted and wanted != current:
            tables.tag_resource(ResourceArn=arn, Tags=as_list(wanted))
        return made

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("dynamodb").delete_table(TableName=physical_id)


def _table(tables: Any, name: str) -> Physical:
    found = tables.describe_table(TableName=name)["Table"]
    streams = (found.get("StreamSpecification") or {}).get("StreamEnabled")
    stream = {"StreamArn": found["LatestStreamArn"]} if streams else {}
    return Physical(name, {"Arn": found["TableArn"], **stream})


def _refuse_second_stream(tables: Any, name: str) -> None:
    """moto gives a table one stream in its life."""
    if tables.describe_table(TableName=name)["Table"].get("LatestStreamArn"):
        raise not_here("another stream of a table that has or had one")


def _stream(given: Mapping[str, Any] | None) -> dict[str, Any]:
    if given is None:
        return {"StreamEnabled": False}
    if "ResourcePolicy" in given:
        raise not_here("the resource policy of a stream")
    return {**given, "StreamEnabled": True}


def _encryption(given: Mapping[str, Any]) -> dict[str, Any]:
    return {**omit(given, "SSEEnabled"), "Enabled": given["SSEEnabled"]}


def _set_afterwards(tables: Any, name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> None:
    """What can only be set on a table that exists."""
    if changed(old, new, "TimeToLiveSpecification"):
        before, after = _time_to_live(old), _time_to_live(new)
        for attribute in before - after:
            _expire_by(tables, name, attribute, False)
        for attribute in after - before:
            _expire_by(tables, name, attribute, True)
    if changed(old, new, "PointInTimeRecoverySpecification"):
        recovery = new.get("PointInTimeRecoverySpecification") or {"PointInTimeRecoveryEnabled": False}
        call(
            tables,
            "UpdateContinuousBackups",
            {},
            TableName=name,
            PointInTimeRecoverySpecification=recovery,
        )


def _time_to_live(properties: Mapping[str, Any]) -> set[str]:
    """The attribute that expires items, if any does."""
    given = properties.get("TimeToLiveSpecification") or {}
    return {given["AttributeName"]} if boolean(given.get("Enabled", False)) else set()


def _expire_by(tables: Any, name: str, attribute: str, enabled: bool) -> None:
    wanted = {"AttributeName": attribute, "Enabled": enabled}
    tables.update_time_to_live(TableName=name, TimeToLiveSpecification=wanted)


def _steps(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The calls of UpdateTable that lead from old to new: one kind of change in each, as DynamoDB asks."""
    steps: list[dict[str, Any]] = []
    if changed(old, new, "BillingMode", "ProvisionedThroughput"):
        step = {"BillingMode": new.get("BillingMode", "PROVISIONED")}
        steps.append(step | pick(new, ("ProvisionedThroughput",)))
    if changed(old, new, "DeletionProtectionEnabled"):
        steps.append({"DeletionProtectionEnabled": new.get("DeletionProtectionEnabled", False)})
    if changed(old, new, "StreamSpecification"):
        steps.append({"StreamSpecification": _stream(new.get("StreamSpecification"))})
    return steps + _index_steps(old, new)


def _index_steps(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, Any]]:
    """DynamoDB makes or drops one index in a call; a different key or projection is another index."""
    before = {index["IndexName"]: index for index in old.get("GlobalSecondaryIndexes") or []}
    after = {index["IndexName"]: index for index in new.get("GlobalSecondaryIndexes") or []}
    attributes = pick(new, ("AttributeDefinitions",))
    steps = []
    for name, index in before.items():
        if name not in after or changed(index, after[name], "KeySchema", "Projection"):
            steps.append({"GlobalSecondaryIndexUpdates": [{"Delete": {"IndexName": name}}]})
    for name, index in after.items():
        if name not in before or changed(index, before[name], "KeySchema", "Projection"):
            steps.append({**attributes, "GlobalSecondaryIndexUpdates": [{"Create": index}]})
        elif changed(index, before[name], "ProvisionedThroughput") and index.get("ProvisionedThroughput"):
            update = pick(index, ("IndexName", "ProvisionedThroughput"))
            steps.append({"GlobalSecondaryIndexUpdates": [{"Update": update}]})
    return steps


PROVIDERS = (Table(),)
