"""A table in two regions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

import sandbox.emulator.dynamodb.patches
import sandbox.emulator.fabric.streams.patches  # noqa: F401 (registers them)
from sandbox.emulator import patches
from sandbox.emulator.dynamodb.batches import BatchWrites
from sandbox.emulator.dynamodb.expiry import Expiry
from sandbox.emulator.dynamodb.replication import GlobalTables
from sandbox.emulator.fabric.streams import Streams
from sandbox.emulator.links import Links

HERE, THERE, ELSEWHERE = "eu-north-1", "us-east-1", "ap-southeast-2"
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


@dataclass
class World:
    """The table `carts` and its replicas. ``cuts`` holds ways that nothing gets through."""

    account: Any

    def client(self, region: str = HERE) -> Any:
        return self.account.client("dynamodb", region)

    def create(self, name: str = "carts", region: str = HERE, **more: Any) -> Any:
        settings: dict[str, Any] = {
            "KeySchema": [{"AttributeName": "id", "KeyType": "HASH"}],
            "AttributeDefinitions": [{"AttributeName": "id", "AttributeType": "S"}],
            "BillingMode": "PAY_PER_REQUEST",
            "StreamSpecification": STREAM,
        }
        return self.client(region).create_table(TableName=name, **settings | more)

    def add(self, region: str = THERE, *, settled: bool = True, name: str = "carts", **more: Any) -> Any:
        updates = [{"Create": {"RegionName": region, **more}}]
        answer = self.client().update_table(TableName=name, ReplicaUpdates=updates)
        if settled:
            self.account.advance(3)
        return answer["TableDescription"]

    def put(self, key: str, value: str, region: str = HERE, **more: Any) -> None:
        self.client(region).put_item(TableName="carts", Item={"id": {"S": key}, "v": {"S": value}, **more})

    def delete(self, key: str, region: str = HERE) -> None:
        self.client(region).delete_item(TableName="carts", Key={"id": {"S": key}})

    def get(self, key: str, region: str = HERE) -> str | None:
        """The value that a strongly consistent read finds in a region."""
        found = self.client(region).get_item(TableName="carts", Key={"id": {"S": key}}, ConsistentRead=True)
        return found["Item"]["v"]["S"] if "Item" in found else None

    def everywhere(self, key: str) -> tuple[str | None, str | None]:
        return self.get(key, HERE), self.get(key, THERE)

    def records(self, region: str) -> list[dict[str, Any]]:
        """What a region's stream holds."""
        streams = self.account.client("dynamodbstreams", region)
        [stream] = streams.list_streams(TableName="carts")["Streams"]
        [shard] = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]
        iterator = streams.get_shard_iterator(
            StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
        )["ShardIterator"]
        return list(streams.get_records(ShardIterator=iterator)["Records"])

    def cut(self, source: str = HERE, target: str = THERE, *, both: bool = True) -> None:
        """From now on nothing gets from one region to the other."""
        settings = {"source": source, "target": target, "both": both}
        self.account.faults.begin("cut_replication", settings)

    def heal(self) -> None:
        self.account.faults.clear()


@pytest.fixture
def world(account: Any) -> World:
    patches.apply_all()
    expiry = Expiry(account.core)
    account.add(expiry.handlers())
    links = Links(account.faults)
    account.add(GlobalTables(account.core, Streams(account.core), links, expiry).handlers())
    batches = BatchWrites(account.core, account.faults)
    account.gateway.wire_handlers["dynamodb", "BatchWriteItem"] = batches.answer
    return World(account)


@pytest.fixture
def carts(world: World) -> World:
    """The table exists in both regions."""
    world.create()
    world.add()
    return world
