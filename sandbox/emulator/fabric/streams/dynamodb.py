"""The stream of a DynamoDB table, read from moto's table."""

from __future__ import annotations

import datetime as dt
import json
import threading
from dataclasses import dataclass
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.streams.model import TRIM_HORIZON, Record, Shard

# Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
RETENTION_S = 24 * 3600.0


def roll(shard: Any) -> None:
    """Close a stream's open shard: what comes next lies in a new one, its child. Hold the dispatch lock.

    moto keeps one list of records; the shards are stretches of it, each from its first sequence number on.
    """
    following = int(shard.starting_sequence_number) + len(shard.items)
    shard.rolled = [*getattr(shard, "rolled", ()), following]


@dataclass(frozen=True, slots=True)
class _Stretch:
    """The records of one shard: those from ``first`` on, and before ``end`` if it is closed."""

    id: str
    first: int
    end: int | None


def _stretches(shard: Any) -> list[_Stretch]:
    firsts = [int(shard.starting_sequence_number), *getattr(shard, "rolled", ())]
    ids = [
        str(shard.id),
        *(f"shardId-{first:020d}-{number:08x}" for number, first in enumerate(firsts[1:], 1)),
    ]
    return [_Stretch(*each) for each in zip(ids, firsts, [*firsts[1:], None], strict=True)]


class TableStream:
    """A table's stream has one shard here, unless it was rolled. A table without the stream has none."""

    batch_info = "DDBStreamBatchInfo"
    retention_s = RETENTION_S

    def __init__(self, arn: Arn, lock: threading.RLock) -> None:
        self._arn = arn
        self._lock = lock

    @property
    def arn(self) -> str:
        """``arn:aws:dynamodb:<region>:<account>:table/<table>/stream/<label>``."""
        return str(self._arn)

    def shards(self) -> list[Shard]:
        """In the order in which they were begun."""
        with self._lock:
            found = self._shard()
            stretches = [] if found is None else _stretches(found)
        parents = [(), *((each.id,) for each in stretches)]
        return [
            Shard(each.id, parent, each.end is not None)
            for each, parent in zip(stretches, parents, strict=False)
        ]

    def latest(self, shard_id: str) -> int:
        """The last record's sequence number, or the one before the first that will be."""
        with self._lock:
            shard, stretch = self._shard(), self._stretch(shard_id)
            if shard is None or stretch is None or stretch.end == stretch.first:
                return TRIM_HORIZON
            following = int(shard.starting_sequence_number) + len(shard.items)
            return (following if stretch.end is None else stretch.end) - 1

    def at_time(self, shard_id: str, moment: float) -> int:
        """Lambda has no AT_TIMESTAMP for tables."""
        raise NotImplementedError("DynamoDB streams are not read from a point in time")

    def read(self, shard_id: str, after: int) -> list[Record]:
        """Changes in the order in which they were made."""
        with self._lock:
            shard, stretch = self._shard(), self._stretch(shard_id)
            if shard is None or stretch is None:
                return []
            base = int(shard.starting_sequence_number)
            first = max(after + 1, stretch.first) - base
            end = None if stretch.end is None else stretch.end - base
            return [self._record(item.record) for item in shard.items[first:end]]

    def _stretch(self, shard_id: str) -> _Stretch | None:
        shard = self._shard()
        found = [] if shard is None else _stretches(shard)
        return next((each for each in found if each.id == shard_id), None)

    def _shard(self) -> Any:
        _, table_name, _, label = self._arn.resource.split("/", 3)
        table = dynamodb_backends[self._arn.account_id][self._arn.region].tables.get(table_name)
        return table.stream_shard if table is not None and table.latest_stream_label == label else None

    def _record(self, made: dict[str, Any]) -> Record:
        """A record as Lambda hands it over.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/with-ddb.html
        """
        moment = made["dynamodb"]["ApproximateCreationDateTime"].replace(tzinfo=dt.UTC).timestamp()
        change = made["dynamodb"] | {"ApproximateCreationDateTime": float(int(moment))}
        event = made | {"dynamodb": change, "eventSourceARN": str(self._arn)}
        if who := made.get("userIdentity"):
            event["userIdentity"] = {"type": who["Type"], "principalId": who["PrincipalId"]}
        return Record(
            int(change["SequenceNumber"]), json.dumps(change["Keys"], sort_keys=True), moment, event, event
        )
