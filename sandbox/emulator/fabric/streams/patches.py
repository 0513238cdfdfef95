"""Where moto would run functions within the writer's call, it only keeps the record and tells of it."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from moto.dynamodb.models.table import StreamRecord
from moto.kinesis.models import Record, Shard, Stream
from moto.kinesis.utils import decompose_shard_iterator

from sandbox.emulator.patches import replaces

Sink = Callable[[str], None]  # (the stream's ARN); must only enqueue
_sink: Sink | None = None
Scale = Callable[[str, int], None]  # (the stream's ARN, the record's bytes); must only note them
_scale: Scale | None = None

# Sequence numbers grow over a whole stream, as on AWS, so that no two records of it share one.
FIRST_SEQUENCE = 49_668_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000_000


_acting: ContextVar[str] = ContextVar("acting_service", default="")


@contextmanager
def by_service(principal: str) -> Iterator[None]:
    """What is changed within is the doing of an AWS service, such as ``dynamodb.amazonaws.com``."""
    acting = _acting.set(principal)
    try:
        yield
    finally:
        _acting.reset(acting)


def tell(sink: Sink) -> None:
    """From now on ``sink`` learns of each new record; there is one in an account's process."""
    global _sink
    _sink = sink


def weigh(scale: Scale) -> None:
    """From now on ``scale`` learns of each record put into a Kinesis stream; there is one in a process."""
    global _scale
    _scale = scale


def _announce(arn: str) -> None:
    if _sink is not None:
        _sink(arn)


@replaces(
    "moto.dynamodb.models.table",
    "StreamShard.add",
    source_sha256="357dc6da267e5dd7d46e18ee25d14b232a98679677906a2f02e4d454d1f11e03",
)
def _keep_change(_original: Callable[..., None]) -> Callable[..., None]:
    def add(shard: Any, old: Any, new: Any) -> None:
        table = shard.table
        if old is not None and new is not None and old.to_json() == new.to_json():
            return  # A write that changes nothing leaves no record.
        event = "INSERT" if old is None else "REMOVE" if new is None else "MODIFY"
        sequence = shard.starting_sequence_number + len(shard.items)
        made = StreamRecord(table, table.stream_specification["StreamViewType"], event, old, new, sequence)
        # Images share nested values with the item, which later updates change in place.
        made.record = copy.deepcopy(made.record) | {"awsRegion": table.region_name, "eventVersion": "1.1"}
        if _acting.get():
            made.record["userIdentity"] = {"Type": "Service", "PrincipalId": _acting.get()}
        if event == "INSERT" and shard.items and _same_insert(shard.items[-1].record, made.record):
            # moto's UpdateItem first puts the bare key of an item that is not there yet, then the item.
            made.record["dynamodb"]["SequenceNumber"] = str(sequence - 1)
            shard.items[-1] = made
        else:
            shard.items.append(made)
        _announce(f"{table.table_arn}/stream/{table.latest_stream_label}")

    return add


def _same_insert(last: dict[str, Any], made: dict[str, Any]) -> bool:
    """Whether two records say that one item appeared; without a removal between them it appeared once."""
    return bool(last["eventName"] == "INSERT" and last["dynamodb"]["Keys"] == made["dynamodb"]["Keys"])


@replaces(
    "moto.kinesis.models",
    "Stream.put_record",
    source_sha256="cafda0597b231b646bdce503bbf4bae8946c67a702f95c20bbdbb2bd0701586d",
)
def _keep_record(_original: Callable[..., Any]) -> Callable[..., Any]:
    def put_record(stream: Any, partition_key: str, explicit_hash_key: str, data: str) -> tuple[str, str]:
        shard = stream.get_shard_for_key(partition_key, explicit_hash_key)
        sequence = getattr(stream, "last_sequence", FIRST_SEQUENCE) + 1
        stream.last_sequence = sequence
        shard.records[sequence] = Record(partition_key, data, sequence, explicit_hash_key)
        _announce(stream.arn)
        if _scale is not None:
            _scale(stream.arn, len(data) * 3 // 4 - data[-2:].count("=") + len(partition_key.encode()))
        return str(sequence), shard.shard_id

    return put_record


@replaces(
    "moto.kinesis.models",
    "Stream.get_shard_for_key",
    source_sha256="4ef3be70391e2a8c67b0ad1902a50e755e2d86d49b3c56409215d391672521ec",
)
def _open_shards_only(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_shard_for_key(stream: Any, partition_key: str, explicit_hash_key: str) -> Any:
        """moto also finds shards that were split, and misses the last hash key of each."""
        kept = stream.shards
        stream.shards = {name: _Range(shard) for name, shard in kept.items() if shard.is_open}
        try:
            found = original(stream, partition_key, explicit_hash_key)
        finally:
            stream.shards = kept
        return found.shard if found is not None else None

    return get_shard_for_key


class _Range:
    """A shard whose range of hash keys includes its end."""

    def __init__(self, shard: Any) -> None:
        self.shard = shard
        self.starting_hash = shard.starting_hash
        self.ending_hash = shard.ending_hash + 1


@replaces(
    "moto.kinesis.models",
    "Stream.split_shard",
    source_sha256="be63bfceacc559680f712ec2fa35f7363221e6951298faa64ca7ea38c11497f9",
)
def _split(original: Callable[..., None]) -> Callable[..., None]:
    def split_shard(stream: Any, shard_to_split: str, new_starting_hash_key: str) -> None:
        """moto moves what the parent holds to its children; on AWS it stays and is read first."""
        parent: Shard = stream.shards[shard_to_split]
        held, parent.records = parent.records, {}
        try:
            original(stream, shard_to_split, new_starting_hash_key)
        finally:
            parent.records = held
        _announce(stream.arn)

    return split_shard


@replaces(
    "moto.kinesis.models",
    "Stream.merge_shards",
    source_sha256="b490bf5802c8a06b1b6559e0cff19992ea07f7a0647b099a3a753f32ab3001dd",
)
def _merge(original: Callable[..., None]) -> Callable[..., None]:
    def merge_shards(stream: Stream, shard_to_merge: str, adjacent_shard_to_merge: str) -> None:
        """As for a split: the parents keep what they hold."""
        parents = [stream.shards[shard_to_merge], stream.shards[adjacent_shard_to_merge]]
        held = [parent.records for parent in parents]
        for parent in parents:
            parent.records = {}
        try:
            original(stream, shard_to_merge, adjacent_shard_to_merge)
        finally:
            for parent, records in zip(parents, held, strict=True):
                parent.records = records
        _announce(stream.arn)

    return merge_shards


@replaces(
    "moto.kinesis.models",
    "KinesisBackend.get_records",
    source_sha256="15d3ac1f7c0c122981ad952292bc55d02eaf4be91526222d90a18177a13f9ee6",
)
def _end_of_shard(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_records(
        backend: Any, stream_arn: str | None, shard_iterator: str, limit: int | None
    ) -> tuple[str | None, list[Any], int]:
        """A closed shard that was read to its end has no next iterator."""
        iterator, records, behind = original(backend, stream_arn, shard_iterator, limit)
        name, shard_id, last = decompose_shard_iterator(iterator)
        shard = backend.describe_stream(stream_arn=stream_arn, stream_name=name).get_shard(shard_id)
        ended = not shard.is_open and int(last) >= shard.get_max_sequence_number()
        return (None if ended else iterator), records, behind

    return get_records
