"""AWS::DynamoDB::GlobalTable with its one replica in the stack's own region."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import invalid, not_here, omit, pick
from sandbox.emulator.cloudformation.resources.dynamodb import Table

Properties = Mapping[str, Any]
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
    """A table that could have replicas elsewhere; those are not emulated. ``Ref`` is its name."""

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
        return self._table.create(context, _as_table(context, properties))

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        before, after = _as_table(context, old), _as_table(context, new)
        return self._table.update(context, physical_id, before, after)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        self._table.delete(context, physical_id, properties)


def _as_table(context: ResourceContext, properties: Properties) -> dict[str, Any]:
    """The properties of an AWS::DynamoDB::Table that is the same."""
    replicas = properties["Replicas"]
    own = [replica for replica in replicas if replica["Region"] == context.region]
    if not own:
        raise invalid("#/Replicas: a replica must be in the region of the stack")
    if len(replicas) > 1:
        raise not_here("a replica of a table in another region")
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
