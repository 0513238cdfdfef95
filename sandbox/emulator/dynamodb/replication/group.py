"""The replicas of one table, and what is on its way between them.

Everything here is touched with the dispatch lock held.
"""

from __future__ import annotations

import copy
import datetime as dt
import json
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType
from moto.dynamodb.models.table import Table

_NEVER = float("-inf")


class Status(StrEnum):
    """Of a replica. Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ReplicaDescription.html"""

    CREATING = "CREATING"
    ACTIVE = "ACTIVE"
    UPDATING = "UPDATING"
    DELETING = "DELETING"
    FAILED = "CREATION_FAILED"


@dataclass(frozen=True, slots=True, order=True)
class Stamp:
    """When an item was last written, and where: the later write stands, a tie is broken by the region."""

    at: float
    region: str


@dataclass(frozen=True, slots=True)
class Change:
    """An item as a write in one region left it; ``image`` is None when it was deleted."""

    key: Mapping[str, Any]
    image: Mapping[str, Any] | None
    stamp: Stamp
    due: float

    @property
    def name(self) -> str:
        """The item's key as text."""
        return json.dumps(self.key, sort_keys=True)


@dataclass(slots=True)
class Replica:
    """One region's table. ``read`` is how many records of its stream have been taken up.

    ``stamps`` holds the last write of each item, of deleted ones too, so that an older write that arrives
    late does not bring them back.
    """

    status: Status
    settings: dict[str, Any] = field(default_factory=dict)
    read: int = 0
    stamps: dict[str, Stamp] = field(default_factory=dict)
    sourced_at: float = _NEVER
    """When another replica was last made from this one, in account time."""


@dataclass(slots=True)
class Way:
    """What one replica still has to tell another."""

    waiting: deque[Change] = field(default_factory=deque)
    planned: bool = False


@dataclass(slots=True)
class Group:
    """A global table. ``replicas`` are by region, ``ways`` by (source, target)."""

    account_id: str
    name: str
    replicas: dict[str, Replica] = field(default_factory=dict)
    ways: dict[tuple[str, str], Way] = field(default_factory=dict)
    autoscaling: dict[str, Any] = field(default_factory=dict)
    watched: bool = False
    """Whether somebody looks once a minute after what is held up."""

    def table(self, region: str) -> Table | None:
        """A region's table as moto keeps it."""
        found: Table | None = dynamodb_backends[self.account_id][region].tables.get(self.name)
        return found

    def way(self, source: str, target: str) -> Way:
        """What ``source`` has to tell ``target``."""
        return self.ways.setdefault((source, target), Way())

    def settled(self) -> bool:
        """Whether no replica is being made or removed."""
        return all(each.status in (Status.ACTIVE, Status.FAILED) for each in self.replicas.values())

    def live(self) -> list[str]:
        """Regions whose replica takes part."""
        return [region for region, each in self.replicas.items() if each.status is Status.ACTIVE]

    def others(self, region: str) -> list[str]:
        """Regions that hear of what is written in one."""
        return [each for each in self.live() if each != region]

    def new_records(self, region: str) -> Iterator[dict[str, Any]]:
        """What a region's stream has that was not taken up yet; it counts as taken up from now on."""
        replica, table = self.replicas[region], self.table(region)
        if table is None or table.stream_shard is None:
            return
        records = table.stream_shard.items
        fresh, replica.read = records[replica.read :], len(records)
        for each in fresh:
            yield each.record

    def skip(self, region: str) -> None:
        """Take nothing up of what a region's stream holds now."""
        table = self.table(region)
        if table is not None and table.stream_shard is not None:
            self.replicas[region].read = len(table.stream_shard.items)


def change_of(record: Mapping[str, Any], region: str, delay_s: float) -> Change:
    """What a stream record of ``region`` tells the other replicas."""
    told = record["dynamodb"]
    made: dt.datetime = told["ApproximateCreationDateTime"]
    at = made.replace(tzinfo=made.tzinfo or dt.UTC).timestamp()
    image = told.get("NewImage") if record["eventName"] != "REMOVE" else None
    return Change(told["Keys"], image, Stamp(at, region), at + delay_s)


def write(table: Table, change: Change) -> None:
    """Make an item what it is elsewhere; the table's own stream hears of it like of any write."""
    if change.image is not None:
        table.put_item(copy.deepcopy(dict(change.image)), overwrite=True)
        return
    hash_key = DynamoType(change.key[table.hash_key_attr])
    range_key = DynamoType(change.key[table.range_key_attr]) if table.range_key_attr else None
    table.delete_item(hash_key, range_key)
