"""Streams: Lambda reads them in order, and a batch that fails holds up its shard."""

from __future__ import annotations

import json

from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import World


@row(
    "DynamoDB stream",
    "Lambda",
    "dynamodb-stream",
    tries_s=(0, 1, 3),
    endings=(Ending.MAPPING_DESTINATION,),
    kept="dynamodb-discarded",
)
def _table(world: World) -> Observed:
    table, stream = world.table()
    dynamodb, kept = world.client("dynamodb"), world.queue()
    with world.mapping(stream, "works", StartingPosition="LATEST"):
        dynamodb.put_item(TableName=table, Item={"pk": {"S": "1"}, "n": {"N": "1"}})
        dynamodb.put_item(TableName=table, Item={"pk": {"S": "1"}, "n": {"N": "2"}})
        dynamodb.delete_item(TableName=table, Key={"pk": {"S": "1"}})
        delivered = world.ledger()
    names = [record["eventName"] for event in delivered for record in event["Records"]]
    assert names == ["INSERT", "MODIFY", "REMOVE"]
    failing = {"MaximumRetryAttempts": 2, "DestinationConfig": {"OnFailure": {"Destination": kept.arn}}}
    with world.mapping(stream, "fails", StartingPosition="LATEST", **failing):
        dynamodb.put_item(TableName=table, Item={"pk": {"S": "2"}})
        world.advance(60)
    return Observed(delivered, world.tries(), {Ending.MAPPING_DESTINATION: kept.bodies()})


@row(
    "Kinesis stream",
    "Lambda",
    "kinesis",
    tries_s=(0, 1, 3),
    endings=(Ending.MAPPING_DESTINATION,),
    kept="kinesis-discarded",
)
def _kinesis(world: World) -> Observed:
    name, arn = world.stream()
    kinesis, bucket = world.client("kinesis"), world.bucket()
    with world.mapping(arn, "works", StartingPosition="LATEST"):
        kinesis.put_record(StreamName=name, PartitionKey="a", Data=b"first")
        delivered = world.ledger()
    failing = {
        "MaximumRetryAttempts": 2,
        "DestinationConfig": {"OnFailure": {"Destination": f"arn:aws:s3:::{bucket}"}},
    }
    with world.mapping(arn, "fails", StartingPosition="LATEST", **failing):
        kinesis.put_record(StreamName=name, PartitionKey="a", Data=b"poison")
        world.advance(60)
    s3 = world.client("s3")
    keys = [each["Key"] for each in s3.list_objects_v2(Bucket=bucket).get("Contents", ())]
    found = [json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read()) for key in keys]
    return Observed(delivered, world.tries(), {Ending.MAPPING_DESTINATION: found})
