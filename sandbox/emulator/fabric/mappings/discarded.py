"""What a mapping tells its on-failure destination of records it gave up.

Source: https://docs.aws.amazon.com/lambda/latest/dg/kinesis-on-failure-destination.html
"""

from __future__ import annotations

import datetime as dt
import json
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from botocore.exceptions import ClientError

from sandbox.emulator.calls import Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.mappings.consumers import Consumer
from sandbox.emulator.fabric.mappings.model import Polled
from sandbox.emulator.fabric.streams import Record, Stream
from sandbox.emulator.functions.contract import InvokeOutcome


class Reason(StrEnum):
    """Why records were given up, in the record's word."""

    RETRIES = "RetryAttemptsExhausted"
    AGE = "RecordAgeExceeded"


@dataclass(frozen=True, slots=True)
class Discarded:
    """Records given up together at ``now`` (account time); ``outcome`` is the last one, if any."""

    shard_id: str
    records: Sequence[Record]
    reason: Reason
    invoked: int
    outcome: InvokeOutcome | None
    now: float

    def document(self, stream: Stream, consumer: Consumer) -> dict[str, Any]:
        """The metadata that every destination receives."""
        first, last = self.records[0], self.records[-1]
        return {
            **consumer.context(self.reason.value, self.invoked, self.outcome),
            "version": "1.0",
            "timestamp": _moment(self.now),
            stream.batch_info: {
                "shardId": self.shard_id,
                "startSequenceNumber": str(first.sequence),
                "endSequenceNumber": str(last.sequence),
                "approximateArrivalOfFirstRecord": _moment(first.arrived),
                "approximateArrivalOfLastRecord": _moment(last.arrived),
                "batchSize": len(self.records),
                "streamArn": stream.arn,
            },
        }


def send(
    core: AccountCore,
    mapping: Polled,
    stream: Stream,
    consumer: Consumer,
    discarded: Discarded,
    arn: str,
    role: Principal,
) -> None:
    """Send it to a queue, a topic or a bucket, as the function's execution role."""
    document = discarded.document(stream, consumer)
    service, region = arn.split(":")[2], arn.split(":")[3] or mapping.region
    client = core.clients.client(service, region=region, principal=role)
    text = json.dumps(document, separators=(",", ":"))
    outcome, message = "ok", ""
    try:
        match service:
            case "sqs":
                name, account_id = arn.split(":")[5], arn.split(":")[4]
                url = f"http://127.0.0.1:{core.gateway_port}/{account_id}/{name}"
                client.send_message(QueueUrl=url, MessageBody=text)
            case "sns":
                client.publish(TopicArn=arn, Message=text)
            case "s3":
                payload = json.dumps({"Records": [each.record for each in discarded.records]})
                client.put_object(
                    Bucket=arn.split(":::")[1],
                    Key=_key(mapping, discarded),
                    Body=json.dumps(document | {"payload": payload}).encode(),
                )
    except ClientError as error:
        outcome, message = error.response["Error"]["Code"], error.response["Error"].get("Message", "")
    core.timeline.add(
        "delivery",
        consumer.name,
        account_id=mapping.account_id,
        region=mapping.region,
        outcome=outcome,
        source=f"mapping:{mapping.uuid}",
        target=arn,
        condition=discarded.reason.value,
        **({"reason": f"target refused: {message or outcome}"} if outcome != "ok" else {}),
    )


def _key(mapping: Polled, discarded: Discarded) -> str:
    moment = dt.datetime.fromtimestamp(discarded.now, dt.UTC)
    return (
        f"aws/lambda/{mapping.uuid}/{discarded.shard_id}/{moment:%Y/%m/%d}/"
        f"{moment:%Y-%m-%dT%H.%M.%S}-{uuid.uuid4()}"
    )


def _moment(seconds: float) -> str:
    return (
        dt.datetime.fromtimestamp(seconds, dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    )
