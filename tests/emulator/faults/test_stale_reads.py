"""DynamoDB's eventually consistent reads tell of a while ago, and nothing else does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import boto3
import pytest

from tests.triggers.world import World

S = {"S": "k"}
READS = """
import boto3
table = boto3.resource("dynamodb").Table("basket")
def handler(event, context):
    loose = table.get_item(Key={"pk": "k", "sk": "a"})
    strict = table.get_item(Key={"pk": "k", "sk": "a"}, ConsistentRead=True)
    return [int(each["Item"]["n"]) if "Item" in each else None for each in (loose, strict)]
"""


@pytest.fixture
def learner(world: World) -> Iterator[Any]:
    """A client with the learner's keys, and the table `basket` with an index over `owner`."""
    made = world.account.learner_client("dynamodb")
    made.create_table(
        TableName="basket",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sk", "owner")
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "by-owner",
                "KeySchema": [{"AttributeName": "owner", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    yield made
    made.delete_table(TableName="basket")


def put(client: Any, sk: str, n: int) -> None:
    item = {
        "pk": S,
        "sk": {"S": sk},
        "n": {"N": str(n)},
        "owner": {"S": "ada"},
        "tags": {"L": [{"N": str(n)}]},
    }
    client.put_item(TableName="basket", Item=item)


def key(sk: str) -> dict[str, Any]:
    return {"pk": S, "sk": {"S": sk}}


def numbers(items: list[Any]) -> list[int]:
    return [int(item["n"]["N"]) for item in items]


def all_reads(client: Any, *, consistent: bool = False) -> dict[str, list[int]]:
    """What each way of reading the whole basket finds."""
    more = {"ConsistentRead": True} if consistent else {}
    gets = [client.get_item(TableName="basket", Key=key(sk), **more).get("Item") for sk in "abc"]
    batch = client.batch_get_item(RequestItems={"basket": {"Keys": [key(sk) for sk in "abc"], **more}})
    asked = {"KeyConditionExpression": "pk = :k", "ExpressionAttributeValues": {":k": S}}
    return {
        "get": numbers([item for item in gets if item]),
        "batch": sorted(numbers(batch["Responses"]["basket"])),
        "query": numbers(client.query(TableName="basket", **asked, **more)["Items"]),
        "scan": sorted(numbers(client.scan(TableName="basket", **more)["Items"])),
    }


def by_owner(client: Any) -> list[int]:
    found = client.query(
        TableName="basket",
        IndexName="by-owner",
        KeyConditionExpression="#o = :o",
        ExpressionAttributeNames={"#o": "owner"},
        ExpressionAttributeValues={":o": {"S": "ada"}},
    )
    return sorted(numbers(found["Items"]))


def test_every_loose_read_is_behind_and_every_strict_one_is_not(
    world: World, learner: Any, broken: Any
) -> None:
    put(learner, "a", 1)
    put(learner, "b", 2)
    with broken("stale_reads", lag_s=10, table="basket"):
        learner.update_item(
            TableName="basket",
            Key=key("a"),
            UpdateExpression="SET n = :n, tags[0] = :n",
            ExpressionAttributeValues={":n": {"N": "10"}},
        )
        learner.delete_item(TableName="basket", Key=key("b"))
        learner.batch_write_item(
            RequestItems={
                "basket": [{"PutRequest": {"Item": {**key("c"), "n": {"N": "3"}, "owner": {"S": "ada"}}}}]
            }
        )

        assert all_reads(learner) == {each: [1, 2] for each in ("get", "batch", "query", "scan")}
        assert by_owner(learner) == [1, 2]
        old = learner.get_item(TableName="basket", Key=key("a"))["Item"]
        assert old["tags"] == {"L": [{"N": "1"}]}, "what lies within an item is of that time, too"
        assert all_reads(learner, consistent=True) == {
            "get": [10, 3],
            "batch": [3, 10],
            "query": [10, 3],
            "scan": [3, 10],
        }
        got = learner.transact_get_items(TransactItems=[{"Get": {"TableName": "basket", "Key": key("a")}}])
        assert numbers([got["Responses"][0]["Item"]]) == [10]
        grader = world.client("dynamodb")
        assert all_reads(grader)["scan"] == [3, 10]
        with pytest.raises(learner.exceptions.ConditionalCheckFailedException):
            learner.put_item(
                TableName="basket", Item=key("c"), ConditionExpression="attribute_not_exists(pk)"
            )

        world.advance(11)
        assert all_reads(learner)["scan"] == [3, 10], "by then it has spread"


def test_readers_see_the_table_as_it_was_so_long_ago(world: World, learner: Any, broken: Any) -> None:
    with broken("stale_reads", lag_s=60):
        for n in range(3):
            put(learner, "a", n)
            world.advance(30)
        seen = all_reads(learner)["get"]
        assert seen == [0] or seen == [1]
        world.advance(40)
        assert all_reads(learner)["get"] == [2]


def test_a_transaction_that_fails_leaves_nothing_to_be_seen(world: World, learner: Any, broken: Any) -> None:
    put(learner, "a", 1)
    with broken("stale_reads", lag_s=10):
        with pytest.raises(learner.exceptions.TransactionCanceledException):
            learner.transact_write_items(
                TransactItems=[
                    {"Put": {"TableName": "basket", "Item": {**key("a"), "n": {"N": "9"}}}},
                    {
                        "ConditionCheck": {
                            "TableName": "basket",
                            "Key": key("b"),
                            "ConditionExpression": "attribute_exists(pk)",
                        }
                    },
                ]
            )
        learner.transact_write_items(
            TransactItems=[{"Put": {"TableName": "basket", "Item": {**key("b"), "n": {"N": "2"}}}}]
        )
        assert all_reads(learner)["get"] == [1]
        assert all_reads(learner, consistent=True)["get"] == [1, 2]


def test_a_real_function_reads_behind_until_the_fault_ends(world: World, learner: Any, broken: Any) -> None:
    world.function("reads", {}, code=READS)

    def asked() -> Any:
        return json.loads(world.client("lambda").invoke(FunctionName="reads")["Payload"].read())

    with broken("stale_reads", lag_s=600):
        put(learner, "a", 1)
        assert asked() == [None, 1]
    assert asked() == [1, 1]
    world.client("lambda").delete_function(FunctionName="reads")


def test_the_grader_reads_behind_when_it_asks_to(world: World, learner: Any, broken: Any) -> None:
    with broken("stale_reads", lag_s=600, grader=True):
        put(learner, "a", 1)
        assert all_reads(world.client("dynamodb"))["get"] == []


def test_other_tables_and_buckets_are_not_behind(world: World, learner: Any, broken: Any) -> None:
    bucket = world.bucket()
    keys = world.account.keys
    s3 = boto3.client(
        "s3",
        endpoint_url=world.account.endpoint_url,
        region_name=world.account.region,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
    )
    with broken("stale_reads", lag_s=600, table="orders*"):
        put(learner, "a", 1)
        assert all_reads(learner)["get"] == [1]
    with broken("stale_reads", lag_s=600):
        s3.put_object(Bucket=bucket, Key="k", Body=b"1")
        assert s3.get_object(Bucket=bucket, Key="k")["Body"].read() == b"1"
        assert s3.list_objects_v2(Bucket=bucket)["KeyCount"] == 1
