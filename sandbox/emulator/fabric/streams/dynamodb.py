"""The stream of a DynamoDB table, read from moto's table."""

from __future__ import annotations

import datetime as dt
import json
import threading
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.streams.model import Record, Shard

# Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/Streams.html
RETENTION_S = 24 * 3600.0


class TableStream:
    """A table's stream has one shard here. A table that was deleted, or got a new stream, has none."""

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
        """The one shard."""
        with self._lock:
            found = self._shard()
            return [] if found is None else [Shard(str(found.id))]

    def latest(self, shard_id: str) -> int:
        """The last record's sequence number, or the one before the first that will be."""
        with self._lock:
            shard = self._shard()
            return -1 if shard is None else int(shard.starting_sequence_number) + len(shard.items) - 1

    def at_time(self, shard_id: str, moment: float) -> int:
        """Lambda has no AT_TIMESTAMP for tables."""
        raise NotImplementedError("DynamoDB streams are not read from a point in time")

    def read(self, shard_id: str, after: int) -> list[Record]:
        """Changes in the order in which they were made."""
        with self._lock:
            shard = self._shard()
            if shard is None:
                return []
            first = max(after + 1 - int(shard.starting_sequence_number), 0)
            return [self._record(item.record) for item in shard.items[first:]]

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
