"""A Kinesis data stream, read from moto's stream."""

from __future__ import annotations

import base64
import threading
from dataclasses import replace
from typing import Any

from moto.kinesis.models import kinesis_backends

from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.streams.model import TRIM_HORIZON, Record, Shard


class KinesisStream:
    """A data stream, or one of its consumers with enhanced fan-out: the records are the same."""

    batch_info = "KinesisBatchInfo"

    def __init__(self, arn: Arn, lock: threading.RLock) -> None:
        self._arn = arn
        self._lock = lock

    @property
    def arn(self) -> str:
        """The stream's own ARN, also for a consumer."""
        return str(replace(self._arn, resource="/".join(self._arn.resource.split("/")[:2])))

    @property
    def retention_s(self) -> float:
        """As the stream is set to."""
        with self._lock:
            stream = self._stream()
            return 3600.0 * (24 if stream is None else int(stream.retention_period_hours))

    def shards(self) -> list[Shard]:
        """In the order in which they were made."""
        with self._lock:
            stream = self._stream()
            if stream is None:
                return []
            return [
                Shard(
                    str(shard.shard_id),
                    tuple(str(parent) for parent in (shard.parent, shard.adjacent_parent) if parent),
                    not shard.is_open,
                )
                for shard in stream.shards.values()
            ]

    def latest(self, shard_id: str) -> int:
        """The last record's sequence number."""
        with self._lock:
            records = self._records(shard_id)
            return next(reversed(records), TRIM_HORIZON)

    def at_time(self, shard_id: str, moment: float) -> int:
        """The last record that is older."""
        with self._lock:
            records = self._records(shard_id)
            older = [sequence for sequence, record in records.items() if record.created_at < moment]
            return older[-1] if older else TRIM_HORIZON

    def read(self, shard_id: str, after: int) -> list[Record]:
        """Records in the order of their sequence numbers."""
        with self._lock:
            found = [record for sequence, record in self._records(shard_id).items() if sequence > after]
        return [self._record(shard_id, each) for each in found]

    def _stream(self) -> Any:
        name = self._arn.resource.split("/")[1]
        return kinesis_backends[self._arn.account_id][self._arn.region].streams.get(name)

    def _records(self, shard_id: str) -> dict[int, Any]:
        stream = self._stream()
        shard = stream.shards.get(shard_id) if stream is not None else None
        return {} if shard is None else shard.records

    def _record(self, shard_id: str, made: Any) -> Record:
        """A record as Lambda hands it over.

        Source: https://docs.aws.amazon.com/lambda/latest/dg/with-kinesis.html
        """
        kinesis = {
            "kinesisSchemaVersion": "1.0",
            "partitionKey": made.partition_key,
            "sequenceNumber": str(made.sequence_number),
            "data": made.data,
            "approximateArrivalTimestamp": round(made.created_at, 3),
        }
        event = {
            "kinesis": kinesis,
            "eventSource": "aws:kinesis",
            "eventVersion": "1.0",
            "eventID": f"{shard_id}:{made.sequence_number}",
            "eventName": "aws:kinesis:record",
            "awsRegion": self._arn.region,
            "eventSourceARN": str(self._arn),
        }
        text = base64.b64decode(made.data).decode("utf-8", "replace")
        fields = event | kinesis | {"data": text}
        return Record(made.sequence_number, made.partition_key, made.created_at, event, fields)
