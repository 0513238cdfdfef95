"""AWS::DynamoDB::GlobalTable: a table in the stack's region, and its replicas in others.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/aws-resource-dynamodb-globaltable.html
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    as_list,
    call,
    changed,
    invalid,
    not_here,
    omit,
    or_else,
    pick,
    stabilised,
    stale,
    tags,
    unless_absent,
)
from sandbox.emulator.cloudformation.resources.dynamodb import Table

Properties = Mapping[str, Any]
_ABSENT = "ResourceNotFoundException"
_SAME = (
    "AttributeDefinitions",
    "BillingMode",
    "KeySchema",
    "LocalSecondaryIndexes",
    "StreamSpecification",
    "TableName",
    "TimeToLiveSpecification",
)
# Of a replica: its table's properties, and how it is read.
_REPLICA = ("DeletionProtectionEnabled", "PointInTimeRecoverySpecification", "Tags")
_READING = ("GlobalSecondaryIndexes", "ReadProvisionedThroughputSettings", "Region", "SSESpecification")


class GlobalTable:
    """A table and its replicas. ``Ref`` is its name, attributes are those of the stack's region."""

    type = "AWS::DynamoDB::GlobalTable"
    properties = frozenset(
        {
            *_SAME,
            "GlobalSecondaryIndexes",
            "Replicas",
            "SSESpecification",
            "WriteProvisionedThroughputSettings",
        }
    )
    replaces = frozenset({"KeySchema", "LocalSecondaryIndexes"})

    def __init__(self) -> None:
        self._table = Table()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        table, others = _as_table(context, properties), _others(context, properties)
        made = self._table.create(context, table)
        with or_else(lambda: self._remove_all(context, made.physical_id)):
            for region, replica in others.items():
                self._add(context, made.physical_id, region, properties, replica)
        return made

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        before, after = _others(context, old), _others(context, new)
        moved = before.keys() ^ after.keys()
        if len(moved) > 1:
            raise invalid("#/Replicas: only one replica can be added or removed in an update")
        for region in before.keys() & moved:
            self._remove(context, physical_id, region)
        made = self._table.update(context, physical_id, _as_table(context, old), _as_table(context, new))
        for region, replica in after.items():
            if region in moved:
                self._add(context, physical_id, region, new, replica)
            elif replica != before[region]:
                self._set_up(context, physical_id, region, before[region], replica)
        return made

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(_ABSENT):
            self._remove_all(context, physical_id)

    def _add(
        self, context: ResourceContext, name: str, region: str, properties: Properties, replica: Properties
    ) -> None:
        tables = context.client("dynamodb")
        if properties.get("BillingMode") != "PAY_PER_REQUEST":
            scaling = properties.get("WriteProvisionedThroughputSettings") or {}
            limits = scaling.get("WriteCapacityAutoScalingSettings") or {}
            wanted = {"MinimumUnits": limits.get("MinCapacity"), "MaximumUnits": limits.get("MaxCapacity")}
            settings = {"ProvisionedWriteCapacityAutoScalingUpdate": omit(wanted)}
            call(tables, "UpdateTableReplicaAutoScaling", settings, TableName=name)
        create = {"RegionName": region, **_overrides(properties, replica)}
        call(tables, "UpdateTable", {"ReplicaUpdates": [{"Create": create}]}, TableName=name)
        _wait(tables, name)
        self._set_up(context, name, region, {}, replica)

    def _set_up(
        self, context: ResourceContext, name: str, region: str, old: Properties, new: Properties
    ) -> None:
        """A replica's own settings."""
        tables = context.client("dynamodb", region=region)
        if changed(old, new, "DeletionProtectionEnabled"):
            protected = {"DeletionProtectionEnabled": new.get("DeletionProtectionEnabled", False)}
            call(tables, "UpdateTable", protected, TableName=name)
        if changed(old, new, "PointInTimeRecoverySpecification"):
            recovery = new.get("PointInTimeRecoverySpecification") or {"PointInTimeRecoveryEnabled": False}
            settings = {"PointInTimeRecoverySpecification": recovery}
            call(tables, "UpdateContinuousBackups", settings, TableName=name)
        arn = tables.describe_table(TableName=name)["Table"]["TableArn"]
        listed = tables.list_tags_of_resource(ResourceArn=arn).get("Tags", [])
        current = {tag["Key"]: tag["Value"] for tag in listed}
        wanted = tags(context, new.get("Tags"), system=False)
        if gone := stale(current, wanted):
            tables.untag_resource(ResourceArn=arn, TagKeys=gone)
        if wanted and wanted != current:
            tables.tag_resource(ResourceArn=arn, Tags=as_list(wanted))

    def _remove(self, context: ResourceContext, name: str, region: str) -> None:
        tables = context.client("dynamodb")
        tables.update_table(TableName=name, ReplicaUpdates=[{"Delete": {"RegionName": region}}])
        _wait(tables, name)

    def _remove_all(self, context: ResourceContext, name: str) -> None:
        tables = context.client("dynamodb")
        _wait(tables, name)
        found = tables.describe_table(TableName=name)["Table"].get("Replicas", [])
        for replica in found:
            self._remove(context, name, replica["RegionName"])
        self._table.delete(context, name, {})


def _wait(tables: Any, name: str) -> None:
    """Wait until every replica is made or gone."""

    def done() -> bool:
        table = tables.describe_table(TableName=name)["Table"]
        states = {replica["ReplicaStatus"] for replica in table.get("Replicas", [])}
        return table["TableStatus"] == "ACTIVE" and states <= {"ACTIVE"}

    stabilised(done, f"Table {name}", every_s=0.05)


def _others(context: ResourceContext, properties: Properties) -> dict[str, Properties]:
    """The replicas outside the stack's region, by theirs."""
    found = {each["Region"]: each for each in properties["Replicas"] if each["Region"] != context.region}
    if found and not properties.get("StreamSpecification"):
        raise invalid("#: StreamSpecification is needed for a table that has more than one replica")
    for replica in found.values():
        if unknown := set(replica) - {*_REPLICA, *_READING}:
            raise not_here(f"{sorted(unknown)[0]} of a table's replica")
    return found


def _overrides(properties: Properties, replica: Properties) -> dict[str, Any]:
    """What a replica has in other amounts than the table it is made from."""
    found: dict[str, Any] = {}
    if key := (replica.get("SSESpecification") or {}).get("KMSMasterKeyId"):
        found["KMSMasterKeyId"] = key
    if properties.get("BillingMode") == "PAY_PER_REQUEST":
        return found
    if reading := replica.get("ReadProvisionedThroughputSettings"):
        found["ProvisionedThroughputOverride"] = {"ReadCapacityUnits": _units(reading, "Read")}
    if indexes := replica.get("GlobalSecondaryIndexes"):
        found["GlobalSecondaryIndexes"] = [
            {
                "IndexName": index["IndexName"],
                "ProvisionedThroughputOverride": {
                    "ReadCapacityUnits": _units(index["ReadProvisionedThroughputSettings"], "Read")
                },
            }
            for index in indexes
            if index.get("ReadProvisionedThroughputSettings")
        ]
    return found


def _as_table(context: ResourceContext, properties: Properties) -> dict[str, Any]:
    """The properties of an AWS::DynamoDB::Table that is the same."""
    replicas = properties["Replicas"]
    own = [replica for replica in replicas if replica["Region"] == context.region]
    if not own:
        raise invalid("#/Replicas: a replica must be in the region of the stack")
    if unknown := set(own[0]) - {*_REPLICA, *_READING}:
        raise not_here(f"{sorted(unknown)[0]} of a table's replica")
    table = {**pick(properties, _SAME), **pick(own[0], _REPLICA)}
    provisioned = properties.get("BillingMode") != "PAY_PER_REQUEST"
    if provisioned:
        table["ProvisionedThroughput"] = _throughput(properties, own[0])
    reading = {index["IndexName"]: index for index in own[0].get("GlobalSecondaryIndexes") or []}
    if indexes := properties.get("GlobalSecondaryIndexes"):
        table["GlobalSecondaryIndexes"] = [
            {
                **omit(index, "WriteProvisionedThroughputSettings"),
                **(
                    {"ProvisionedThroughput": _throughput(index, reading.get(index["IndexName"], {}))}
                    if provisioned
                    else {}
                ),
            }
            for index in indexes
        ]
    if encryption := properties.get("SSESpecification"):
        key = (own[0].get("SSESpecification") or {}).get("KMSMasterKeyId")
        table["SSESpecification"] = {**encryption, **({"KMSMasterKeyId": key} if key else {})}
    return table


def _throughput(writing: Properties, reading: Properties) -> dict[str, int]:
    """What capacity there is to begin with; nothing scales it afterwards."""
    return {
        "ReadCapacityUnits": _units(reading.get("ReadProvisionedThroughputSettings") or {}, "Read"),
        "WriteCapacityUnits": _units(writing.get("WriteProvisionedThroughputSettings") or {}, "Write"),
    }


def _units(given: Properties, kind: str) -> int:
    scaling = given.get(f"{kind}CapacityAutoScalingSettings") or {}
    units = given.get(f"{kind}CapacityUnits") or scaling.get("SeedCapacity") or scaling.get("MinCapacity")
    if units is None:
        raise invalid(f"#: {kind}ProvisionedThroughputSettings are needed for a table that is PROVISIONED")
    return int(units)


PROVIDERS = (GlobalTable(),)
