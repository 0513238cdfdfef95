"""A replica's table: made like its source, filled with what the source holds."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.table import Table
from moto.iam.models import iam_backends

from sandbox.emulator.calls import AwsError
from sandbox.emulator.dynamodb.replication.group import Group

STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
SERVICE = "replication.dynamodb.amazonaws.com"
ROLE = "AWSServiceRoleForDynamoDBReplication"


def make_table(group: Group, source: Table, region: str, settings: Mapping[str, Any]) -> Table:
    """The table of a new replica in ``region``, with the items that ``source`` holds."""
    encryption = copy.deepcopy(source.sse_specification)
    if encryption:
        encryption.pop("KMSMasterKeyId", None)
        if key := settings.get("KMSMasterKeyId"):
            encryption["KMSMasterKeyId"] = key
    table: Table = dynamodb_backends[group.account_id][region].create_table(
        name=group.name,
        schema=copy.deepcopy(source.schema),
        throughput=_throughput(source.throughput, settings) if source.billing_mode == "PROVISIONED" else None,
        attr=copy.deepcopy(source.attr),
        global_indexes=[_index(index, source, settings) for index in source.global_indexes],
        indexes=[_index(index, None, {}) for index in source.indexes],
        streams=dict(STREAM),
        billing_mode=str(source.billing_mode),
        sse_specification=encryption,
        tags=[],
        deletion_protection_enabled=False,
        warm_throughput=None,
    )
    table.items = copy.deepcopy(source.items)
    table.ttl = dict(source.ttl)
    return table


def _throughput(writing: Mapping[str, Any], settings: Mapping[str, Any]) -> dict[str, Any]:
    reading = settings.get("ProvisionedThroughputOverride") or {}
    return {
        "ReadCapacityUnits": int(reading.get("ReadCapacityUnits", writing["ReadCapacityUnits"])),
        "WriteCapacityUnits": int(writing["WriteCapacityUnits"]),
    }


def _index(index: Any, source: Table | None, settings: Mapping[str, Any]) -> dict[str, Any]:
    made = {
        "IndexName": index.name,
        "KeySchema": copy.deepcopy(index.schema),
        "Projection": copy.deepcopy(index.projection),
    }
    if source is not None and source.billing_mode == "PROVISIONED":
        own: Mapping[str, Any] = next(
            (e for e in settings.get("GlobalSecondaryIndexes") or () if e["IndexName"] == index.name), {}
        )
        made["ProvisionedThroughput"] = _throughput(index.throughput, own)
    return made


def link_role(account_id: str) -> None:
    """The service-linked role that AWS makes for an account's first global table."""
    iam = iam_backends[account_id]["aws"]
    if any(role.name == ROLE for role in iam.roles.values()):
        return
    path = f"/aws-service-role/{SERVICE}/"
    trust = (
        '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "sts:AssumeRole", '
        f'"Principal": {{"Service": "{SERVICE}"}}}}]}}'
    )
    iam.create_role(
        ROLE,
        trust,
        path,
        permissions_boundary=None,
        description="",
        tags=[],
        max_session_duration="3600",
        linked_service=SERVICE,
    )


def check_source(table: Table, *, autoscaled: bool) -> None:
    """Refuse a table that can't have replicas.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/V2globaltables_reqs_bestpractices.html

    Raises:
        AwsError: it can't.
    """
    if table.billing_mode != "PAY_PER_REQUEST" and not autoscaled:
        raise invalid("Table write capacity should either be Pay-Per-Request or AutoScaled.")
    stream = table.stream_specification or {}
    if not stream.get("StreamEnabled") or stream.get("StreamViewType") != STREAM["StreamViewType"]:
        raise invalid(
            "One or more parameter values were invalid: Table must have a stream with the view type "
            "NEW_AND_OLD_IMAGES before a replica can be added."
        )


def invalid(message: str) -> AwsError:
    return AwsError("ValidationException", message)


def missing(name: str) -> AwsError:
    return AwsError("ResourceNotFoundException", f"Requested resource not found: Table: {name} not found")
