"""A table in two regions."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

import sandbox.emulator.dynamodb.patches
import sandbox.emulator.fabric.streams.patches  # noqa: F401 (registers them)
from sandbox.emulator import patches
from sandbox.emulator.dynamodb.batches import BatchWrites
from sandbox.emulator.dynamodb.expiry import Expiry
from sandbox.emulator.dynamodb.replication import GlobalTables
from sandbox.emulator.fabric.streams import Streams
from sandbox.emulator.faults import Faults
from sandbox.emulator.links import Links

HERE, THERE, ELSEWHERE = "eu-north-1", "us-east-1", "ap-southeast-2"
STREAM = {"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}


@dataclass
class World:
    """The table `carts` and its replicas. ``cuts`` holds ways that nothing gets through."""

    account: Any
    faults: Faults
    links: Links
    cuts: set[tuple[str, str]] = field(default_factory=set)

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

    def cut(self) -> None:
        self.cuts |= {(HERE, THERE), (THERE, HERE)}

    def heal(self) -> None:
        self.cuts.clear()
        self.links.changed()


@pytest.fixture
def world(account: Any) -> World:
    patches.apply_all()
    faults = Faults()
    links = Links(faults)
    expiry = Expiry(account.core)
    account.add(expiry.handlers())
    account.add(GlobalTables(account.core, Streams(account.core), links, expiry).handlers())
    account.gateway.wire_handlers["dynamodb", "BatchWriteItem"] = BatchWrites(account.core, faults).answer
    made = World(account, faults, links)
    links.is_cut = lambda source, target: (source, target) in made.cuts
    return made


@pytest.fixture
def carts(world: World) -> World:
    """The table exists in both regions."""
    world.create()
    world.add()
    return world
