"""Replicas are added, described, changed and removed."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.dynamodb.replication.conftest import ELSEWHERE, HERE, THERE, World


def replicas(world: World, region: str = HERE) -> dict[str, str]:
    told = world.client(region).describe_table(TableName="carts")["Table"]
    return {each["RegionName"]: each["ReplicaStatus"] for each in told.get("Replicas", [])}


def test_a_replica_is_made_like_its_source_with_what_it_holds(world: World) -> None:
    world.create(
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "owner", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-owner",
                "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
    )
    world.put("old", "1", owner={"S": "ada"})
    told = world.add(settled=False)
    assert (told["TableStatus"], told["GlobalTableVersion"]) == ("UPDATING", "2019.11.21")
    assert replicas(world) == {THERE: "CREATING"}
    there = world.client(THERE).describe_table(TableName="carts")["Table"]
    assert there["TableStatus"] == "CREATING"
    with pytest.raises(ClientError, match="being updated"):
        world.add(ELSEWHERE, settled=False)

    world.put("meanwhile", "2")
    world.account.settle()
    assert replicas(world) == {THERE: "ACTIVE"}
    assert replicas(world, THERE) == {HERE: "ACTIVE"}
    there = world.client(THERE).describe_table(TableName="carts")["Table"]
    assert there["TableStatus"] == "ACTIVE"
    assert there["TableArn"].split(":")[3] == THERE
    assert there["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    found = world.client(THERE).query(
        TableName="carts",
        IndexName="by-owner",
        KeyConditionExpression="#o = :o",
        ExpressionAttributeNames={"#o": "owner"},
        ExpressionAttributeValues={":o": {"S": "ada"}},
    )
    assert [item["id"]["S"] for item in found["Items"]] == ["old"]
    assert world.get("meanwhile", THERE) == "2"


def test_a_third_replica_also_gets_what_was_still_under_way(carts: World) -> None:
    carts.account.faults.begin("replication.delay", {"seconds": 60})
    carts.put("late", "1", THERE)
    carts.add(ELSEWHERE)
    assert carts.get("late", ELSEWHERE) is None
    carts.account.advance(61)
    assert [carts.get("late", region) for region in (HERE, THERE, ELSEWHERE)] == ["1", "1", "1"]


def test_a_replica_is_not_made_while_nothing_gets_there(world: World) -> None:
    world.create()
    world.cut()
    world.add()
    world.put("a", "1")
    assert replicas(world) == {THERE: "CREATING"}
    world.heal()
    world.account.advance(15)
    assert replicas(world) == {THERE: "ACTIVE"}
    assert world.get("a", THERE) == "1"


def test_the_service_linked_role_is_made_once(carts: World) -> None:
    carts.add(ELSEWHERE)
    role = carts.account.client("iam").get_role(RoleName="AWSServiceRoleForDynamoDBReplication")["Role"]
    assert role["Path"] == "/aws-service-role/replication.dynamodb.amazonaws.com/"


@pytest.mark.parametrize(
    ("settings", "update", "message"),
    [
        ({"StreamSpecification": {"StreamEnabled": False}}, THERE, "NEW_AND_OLD_IMAGES"),
        (
            {"StreamSpecification": {"StreamEnabled": True, "StreamViewType": "KEYS_ONLY"}},
            THERE,
            "NEW_AND_OLD_IMAGES",
        ),
        (
            {
                "BillingMode": "PROVISIONED",
                "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
            },
            THERE,
            "Pay-Per-Request or AutoScaled",
        ),
        ({}, HERE, "local region through ReplicaUpdates"),
        ({}, "mars-1", "not a valid region"),
    ],
)
def test_what_dynamodb_refuses_is_refused(world: World, settings: Any, update: str, message: str) -> None:
    world.create(**settings)
    with pytest.raises(ClientError, match=message) as error:
        world.add(update)
    assert error.value.response["Error"]["Code"] == "ValidationException"
    assert replicas(world) == {}


def test_a_table_of_that_name_may_not_be_there_already(world: World) -> None:
    world.create()
    world.create(region=THERE)
    with pytest.raises(ClientError, match="already existed as tables"):
        world.add()


def test_a_provisioned_table_needs_autoscaling(world: World) -> None:
    world.create(
        BillingMode="PROVISIONED", ProvisionedThroughput={"ReadCapacityUnits": 2, "WriteCapacityUnits": 3}
    )
    world.client().update_table_replica_auto_scaling(
        TableName="carts",
        ProvisionedWriteCapacityAutoScalingUpdate={"MinimumUnits": 3, "MaximumUnits": 10},
    )
    world.add(ProvisionedThroughputOverride={"ReadCapacityUnits": 9})
    there = world.client(THERE).describe_table(TableName="carts")["Table"]["ProvisionedThroughput"]
    assert (there["ReadCapacityUnits"], there["WriteCapacityUnits"]) == (9, 3)


def test_indexes_and_billing_are_shared_and_the_stream_stays(carts: World) -> None:
    carts.client(THERE).update_table(
        TableName="carts",
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "v", "AttributeType": "S"},
        ],
        GlobalSecondaryIndexUpdates=[
            {
                "Create": {
                    "IndexName": "by-v",
                    "KeySchema": [{"AttributeName": "v", "KeyType": "HASH"}],
                    "Projection": {"ProjectionType": "KEYS_ONLY"},
                }
            }
        ],
    )
    here = carts.client().describe_table(TableName="carts")["Table"]
    assert [index["IndexName"] for index in here["GlobalSecondaryIndexes"]] == ["by-v"]
    with pytest.raises(ClientError, match="stream"):
        carts.client().update_table(TableName="carts", StreamSpecification={"StreamEnabled": False})


def test_removing_a_replica_deletes_its_table_and_leaves_the_rest(carts: World) -> None:
    carts.put("a", "1")
    carts.account.advance(2)
    update = [{"Delete": {"RegionName": THERE}}]
    told = carts.client().update_table(TableName="carts", ReplicaUpdates=update)["TableDescription"]
    assert [each["ReplicaStatus"] for each in told["Replicas"]] == ["DELETING"]
    carts.account.settle()
    assert replicas(carts) == {}
    with pytest.raises(ClientError, match="not found"):
        carts.get("a", THERE)
    assert carts.get("a") == "1"
    with pytest.raises(ClientError, match="does not exist"):
        carts.client().update_table(TableName="carts", ReplicaUpdates=update)
    carts.client().delete_table(TableName="carts")


def test_a_source_region_stays_for_a_day(carts: World) -> None:
    with pytest.raises(ClientError, match="in the last 24 hours"):
        carts.client().delete_table(TableName="carts")
    with pytest.raises(ClientError, match="in the last 24 hours"):
        carts.client(THERE).update_table(TableName="carts", ReplicaUpdates=[{"Delete": {"RegionName": HERE}}])
    carts.account.advance(25 * 3600)
    carts.client().delete_table(TableName="carts")
    assert replicas(carts, THERE) == {}
    carts.put("a", "alone", THERE)
    carts.account.advance(5)
    assert carts.get("a", THERE) == "alone"


def test_strong_consistency_between_regions_is_a_gap(world: World) -> None:
    world.create()
    with pytest.raises(ClientError, match="multi-Region strong consistency") as error:
        world.client().update_table(
            TableName="carts",
            MultiRegionConsistency="STRONG",
            ReplicaUpdates=[{"Create": {"RegionName": THERE}}],
        )
    assert error.value.response["Error"]["Code"] == "NotEmulated"
