"""Faults of data: poison, rotated secrets, throttled tables, shards that are split."""

from __future__ import annotations

import functools
import json
from typing import Any, ClassVar

from pydantic import Field, field_validator

from sandbox.faults.made import Hands, MadeFault, is_missing, wait_until
from sandbox.faults.model import BadFault, Striking

_ARN = r"^arn:aws[\w-]*:[\w-]+:[\w-]*:\d*:.+$"


class Poison(MadeFault):
    """A message, record, object or item of a bad shape is placed, and removed when the fault ends.

    A message is also taken out of the dead-letter queue that it was moved to. A record of a stream stays.
    """

    name: ClassVar[str] = "poison"

    to: str = Field(pattern=_ARN, description="the ARN of a queue, stream, bucket or table")
    body: str = Field(description="the message, the record, the object, or the item as JSON")
    key: str = Field(
        default="poison", description="the object's key, the record's partition key, the message group"
    )

    def make(self, aws: Hands) -> None:
        """Place it."""
        _, _, service, region, account_id, name = self.to.split(":", 5)
        place = {"sqs": self._message, "kinesis": self._record, "s3": self._object, "dynamodb": self._item}
        if service not in place:
            raise BadFault(f"Fault `poison`: it goes to {', '.join(place)}, not {service}.")
        place[service](aws, aws.client(service, region or self.region), account_id, name)

    def _message(self, aws: Hands, sqs: Any, account_id: str, name: str) -> None:
        url = sqs.get_queue_url(QueueName=name, QueueOwnerAWSAccountId=account_id)["QueueUrl"]
        more = {"MessageGroupId": self.key} if name.endswith(".fifo") else {}
        message_id = sqs.send_message(QueueUrl=url, MessageBody=self.body, **more)["MessageId"]
        region = self.to.split(":")[3]
        aws.undo(f"message {message_id}", lambda: aws.take_back(url, message_id, region))

    def _record(self, _aws: Hands, kinesis: Any, _account_id: str, _name: str) -> None:
        kinesis.put_record(StreamARN=self.to, Data=self.body.encode(), PartitionKey=self.key)

    def _object(self, aws: Hands, s3: Any, _account_id: str, name: str) -> None:
        place = {"Bucket": name, "Key": self.key}
        before: bytes | None = None
        try:
            before = s3.get_object(**place)["Body"].read()
        except Exception as error:
            if not is_missing(error):
                raise
        s3.put_object(**place, Body=self.body.encode())
        aws.undo(
            f"object {name}/{self.key}",
            lambda: s3.delete_object(**place) if before is None else s3.put_object(**place, Body=before),
        )

    def _item(self, aws: Hands, dynamodb: Any, _account_id: str, name: str) -> None:
        table = name.removeprefix("table/")
        try:
            item = {key: _typed(value) for key, value in json.loads(self.body).items()}
        except (ValueError, AttributeError):
            raise BadFault("Fault `poison`: the item is no JSON object.") from None
        schema = dynamodb.describe_table(TableName=table)["Table"]["KeySchema"]
        key = {each["AttributeName"]: item.get(each["AttributeName"]) for each in schema}
        before = dynamodb.get_item(TableName=table, Key=key, ConsistentRead=True).get("Item")
        dynamodb.put_item(TableName=table, Item=item)
        aws.undo(
            f"item {table} {json.dumps(key, sort_keys=True)}",
            lambda: (
                dynamodb.put_item(TableName=table, Item=before)
                if before
                else dynamodb.delete_item(TableName=table, Key=key)
            ),
        )


def _typed(value: Any) -> dict[str, Any]:
    """A JSON value as DynamoDB has it."""
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | float):
        return {"N": repr(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, list):
        return {"L": [_typed(each) for each in value]}
    return {"M": {key: _typed(each) for key, each in value.items()}}


class Rotate(MadeFault):
    """A secret gets another value; the one before is current again when the fault ends."""

    name: ClassVar[str] = "rotate"
    hidden: ClassVar[frozenset[str]] = frozenset({"value"})

    secret: str = Field(min_length=1, description="the secret's name or ARN")
    value: str = Field(description="the new value")

    def make(self, aws: Hands) -> None:
        """Put the value, as the current one."""
        client = aws.client("secretsmanager", self.region)
        before = client.get_secret_value(SecretId=self.secret)["VersionId"]
        made = client.put_secret_value(SecretId=self.secret, SecretString=self.value)["VersionId"]
        aws.undo(
            f"secret {self.secret}",
            lambda: client.update_secret_version_stage(
                SecretId=self.secret,
                VersionStage="AWSCURRENT",
                MoveToVersionId=before,
                RemoveFromVersionId=made,
            ),
        )


class ThrottleTable(MadeFault, Striking):
    """A table refuses reads and writes as too many.

    On AWS its capacity becomes one unit of each; on the emulator a share of the calls is refused.
    """

    name: ClassVar[str] = "throttle_table"
    switched: ClassVar[bool] = True

    table: str = Field(min_length=1, description="its name")

    @field_validator("table")
    @classmethod
    def _is_a_name(cls, value: str) -> str:
        return value.rsplit("/", 1)[-1]

    def make(self, aws: Hands) -> None:
        """Set the capacity."""
        client = aws.client("dynamodb", self.region)
        found = client.describe_table(TableName=self.table)["Table"]
        before = found.get("ProvisionedThroughput", {})
        on_demand = found.get("BillingModeSummary", {}).get("BillingMode") == "PAY_PER_REQUEST"
        one = {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1}
        client.update_table(TableName=self.table, BillingMode="PROVISIONED", ProvisionedThroughput=one)
        old = {name: before.get(name, 1) for name in one}
        aws.undo(
            f"capacity of {self.table}",
            lambda: (
                client.update_table(TableName=self.table, BillingMode="PAY_PER_REQUEST")
                if on_demand
                else client.update_table(TableName=self.table, ProvisionedThroughput=old)
            ),
        )


class SplitShards(MadeFault):
    """Every open shard of a Kinesis stream is split in two; the halves are merged when the fault ends."""

    name: ClassVar[str] = "split_shards"

    stream: str = Field(min_length=1, description="the Kinesis stream's name")

    def make(self, aws: Hands) -> None:
        """Split one after the other, each in the middle of its hash keys."""
        client = aws.client("kinesis", self.region)
        name = self.stream.rsplit("/", 1)[-1]
        for shard in _open_shards(client, name):
            first, last = (int(shard["HashKeyRange"][f"{end}HashKey"]) for end in ("Starting", "Ending"))
            if first == last:
                continue
            client.split_shard(
                StreamName=name,
                ShardToSplit=shard["ShardId"],
                NewStartingHashKey=str((first + last) // 2 + 1),
            )
            _wait_active(client, name)
            parent = shard["ShardId"]
            aws.undo(f"shard {name} {parent}", functools.partial(_merge, client, name, parent))


class RollShard(MadeFault):
    """A table's stream closes its shard and begins another, as it does every few hours; for its mappings."""

    name: ClassVar[str] = "roll_shard"
    on_aws: ClassVar[bool] = False

    table: str = Field(min_length=1, description="its name")

    def make(self, aws: Hands) -> None:
        """Roll it."""
        aws.roll(self.table.rsplit("/", 1)[-1], self.region)


def _open_shards(client: Any, name: str) -> list[Any]:
    pages = client.get_paginator("list_shards").paginate(StreamName=name)
    shards = [shard for page in pages for shard in page["Shards"]]
    return [each for each in shards if "EndingSequenceNumber" not in each["SequenceNumberRange"]]


def _merge(client: Any, name: str, parent: str) -> None:
    """Merge the two halves of a shard, if nobody has split or merged them meanwhile."""
    halves = [each for each in _open_shards(client, name) if each.get("ParentShardId") == parent]
    if len(halves) == 2:
        first, second = sorted(halves, key=lambda each: int(each["HashKeyRange"]["StartingHashKey"]))
        client.merge_shards(
            StreamName=name, ShardToMerge=first["ShardId"], AdjacentShardToMerge=second["ShardId"]
        )
        _wait_active(client, name)


def _wait_active(client: Any, name: str) -> None:
    wait_until(
        lambda: (
            client.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamStatus"]
            == "ACTIVE"
        ),
        f"The change of {name}",
        120,
    )
