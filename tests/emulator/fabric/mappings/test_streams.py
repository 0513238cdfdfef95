"""Batches from the streams of tables and of Kinesis to a function, in order, whatever fails."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.functions.contract import InvokeOutcome


class StreamBench:
    """A table with a stream and a Kinesis stream, beside the function ``worker``."""

    def __init__(self, bench: Any) -> None:
        self.bench = bench
        self.account = bench.account
        self.functions = bench.functions
        self.table = bench.account.client("dynamodb")
        self.kinesis = bench.account.client("kinesis")

    def make_table(self) -> str:
        made = self.table.create_table(
            TableName="orders",
            KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
            AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
            BillingMode="PAY_PER_REQUEST",
            StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"},
        )
        return str(made["TableDescription"]["LatestStreamArn"])

    def make_stream(self, shards: int = 1) -> str:
        self.kinesis.create_stream(StreamName="clicks", ShardCount=shards)
        found = self.kinesis.describe_stream_summary(StreamName="clicks")
        return str(found["StreamDescriptionSummary"]["StreamARN"])

    def put(self, *values: Any, key: str = "k") -> None:
        """Records of JSON values in the stream."""
        for value in values:
            self.kinesis.put_record(StreamName="clicks", PartitionKey=key, Data=json.dumps(value).encode())

    def map(self, arn: str, **options: Any) -> str:
        options = {"StartingPosition": "TRIM_HORIZON", **options}
        return str(self.bench.map(arn, **options))

    def given(self) -> list[list[Any]]:
        """The values of each invocation's Kinesis records."""
        return [
            [json.loads(base64.b64decode(record["kinesis"]["data"])) for record in event["Records"]]
            for event in self.functions.events
        ]


@pytest.fixture
def streams(bench: Any) -> StreamBench:
    return StreamBench(bench)


def fails_on(bad: Any) -> Callable[[Any], Any]:
    """Raises as long as ``bad`` is among the values of a batch."""

    def answer(event: Any) -> None:
        for record in event["Records"]:
            if json.loads(base64.b64decode(record["kinesis"]["data"])) == bad:
                raise RuntimeError("cannot")

    return answer


def test_changes_of_a_table_arrive_as_aws_sends_them(streams: StreamBench) -> None:
    arn = streams.make_table()
    streams.map(arn)

    streams.table.update_item(
        TableName="orders",
        Key={"id": {"S": "1"}},
        UpdateExpression="SET parts = :l",
        ExpressionAttributeValues={":l": {"L": [{"N": "1"}]}},
    )
    streams.table.update_item(
        TableName="orders",
        Key={"id": {"S": "1"}},
        UpdateExpression="SET parts = list_append(parts, :l)",
        ExpressionAttributeValues={":l": {"L": [{"N": "2"}]}},
    )
    streams.table.put_item(
        TableName="orders", Item={"id": {"S": "1"}, "parts": {"L": [{"N": "1"}, {"N": "2"}]}}
    )
    streams.table.delete_item(TableName="orders", Key={"id": {"S": "1"}})
    streams.account.settle()

    records = [record for event in streams.functions.events for record in event["Records"]]
    # The put changed nothing, so that it leaves no record.
    assert [record["eventName"] for record in records] == ["INSERT", "MODIFY", "REMOVE"]
    first, second, third = (record["dynamodb"] for record in records)
    assert first["NewImage"] == {"id": {"S": "1"}, "parts": {"L": [{"N": "1"}]}}
    assert "OldImage" not in first
    assert second["OldImage"]["parts"] == {"L": [{"N": "1"}]}
    assert second["NewImage"]["parts"] == {"L": [{"N": "1"}, {"N": "2"}]}
    assert third["Keys"] == {"id": {"S": "1"}}
    assert "NewImage" not in third
    numbers = [int(change["SequenceNumber"]) for change in (first, second, third)]
    assert numbers == sorted(set(numbers))
    assert (records[0]["eventSource"], records[0]["eventVersion"]) == ("aws:dynamodb", "1.1")
    assert records[0]["eventSourceARN"] == arn
    assert records[0]["awsRegion"] == streams.account.core.region
    assert isinstance(first["ApproximateCreationDateTime"], float)


def test_a_transaction_that_fails_leaves_no_records(streams: StreamBench) -> None:
    streams.map(streams.make_table())
    put = {"Put": {"TableName": "orders", "Item": {"id": {"S": "1"}}}}
    missing = {
        "ConditionCheck": {
            "TableName": "orders",
            "Key": {"id": {"S": "2"}},
            "ConditionExpression": "attribute_exists(id)",
        }
    }

    with pytest.raises(ClientError, match="TransactionCanceled"):
        streams.table.transact_write_items(TransactItems=[put, missing])
    streams.account.settle()
    assert streams.functions.events == []

    streams.table.transact_write_items(TransactItems=[put])
    streams.account.settle()
    [event] = streams.functions.events
    assert [record["dynamodb"]["Keys"]["id"]["S"] for record in event["Records"]] == ["1"]


def test_kinesis_records_arrive_as_aws_sends_them(streams: StreamBench) -> None:
    arn = streams.make_stream()
    streams.map(arn)

    streams.put({"n": 1}, key="user-1")
    streams.account.settle()

    [event] = streams.functions.events
    [record] = event["Records"]
    assert record["eventSource"] == "aws:kinesis"
    assert record["eventName"] == "aws:kinesis:record"
    assert record["eventSourceARN"] == arn
    assert record["eventID"] == f"shardId-000000000000:{record['kinesis']['sequenceNumber']}"
    assert record["invokeIdentityArn"].endswith(":role/runs-functions")
    assert record["kinesis"]["partitionKey"] == "user-1"
    assert len(record["kinesis"]["sequenceNumber"]) == 56
    assert abs(record["kinesis"]["approximateArrivalTimestamp"] - streams.account.core.clock.time()) < 60


def test_where_reading_starts(streams: StreamBench) -> None:
    arn = streams.make_stream()
    streams.put("before")
    streams.map(arn, StartingPosition="LATEST")
    streams.put("after")
    streams.account.settle()
    assert streams.given() == [["after"]]


def test_reading_from_a_moment(streams: StreamBench) -> None:
    arn = streams.make_stream()
    streams.put("early")
    streams.account.advance(3600)
    moment = streams.account.core.clock.now()
    streams.account.advance(60)
    streams.put("late")
    streams.map(arn, StartingPosition="AT_TIMESTAMP", StartingPositionTimestamp=moment)
    assert streams.given() == [["late"]]


def test_batches_are_cut_at_their_size_and_wait_for_their_window(streams: StreamBench) -> None:
    arn = streams.make_stream()
    streams.map(arn, BatchSize=2, MaximumBatchingWindowInSeconds=30)

    streams.put(1)
    streams.account.settle()
    assert streams.given() == []
    streams.put(2)
    streams.account.settle()
    assert streams.given() == [[1, 2]]
    streams.put(3)
    streams.account.advance(29)
    assert streams.given() == [[1, 2]]
    streams.account.advance(2)
    assert streams.given() == [[1, 2], [3]]


def test_a_batch_that_fails_blocks_its_shard_until_it_is_given_up(streams: StreamBench) -> None:
    queue, queue_arn = streams.bench.queue("failures")
    streams.functions.answer = fails_on("bad")
    arn = streams.make_stream()
    uuid = streams.map(
        arn,
        BatchSize=1,
        MaximumRetryAttempts=2,
        DestinationConfig={"OnFailure": {"Destination": queue_arn}},
    )

    streams.put("bad", "good")
    streams.account.settle()
    assert streams.given() == [["bad"]]
    found = streams.bench.lambda_.get_event_source_mapping(UUID=uuid)
    assert found["LastProcessingResult"] == "PROBLEM: Function call failed"
    streams.account.advance(60)

    assert streams.given() == [["bad"], ["bad"], ["bad"], ["good"]]
    [message] = streams.bench.sqs.receive_message(QueueUrl=queue)["Messages"]
    told = json.loads(message["Body"])
    assert told["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert told["requestContext"]["approximateInvokeCount"] == 3
    assert told["responseContext"] == {
        "statusCode": 200,
        "executedVersion": "$LATEST",
        "functionError": "Unhandled",
    }
    info = told["KinesisBatchInfo"]
    assert (info["shardId"], info["batchSize"], info["streamArn"]) == ("shardId-000000000000", 1, arn)
    assert info["startSequenceNumber"] == info["endSequenceNumber"]
    assert "discarded" in streams.bench.outcomes()


def test_bisecting_isolates_the_record_that_fails(streams: StreamBench) -> None:
    streams.functions.answer = fails_on(3)
    arn = streams.make_stream()
    streams.put(1, 2, 3, 4)
    streams.map(arn, BisectBatchOnFunctionError=True, MaximumRetryAttempts=0)
    streams.account.advance(120)
    assert streams.given() == [[1, 2, 3, 4], [1, 2], [3, 4], [3], [4]]


def test_a_report_of_failures_is_the_checkpoint(streams: StreamBench) -> None:
    seen: list[int] = []

    def answer(event: Any) -> Any:
        """The third record fails once."""
        values = [json.loads(base64.b64decode(r["kinesis"]["data"])) for r in event["Records"]]
        seen.append(len(values))
        failed = [
            r["kinesis"]["sequenceNumber"] for r, v in zip(event["Records"], values, strict=True) if v == 3
        ]
        return {"batchItemFailures": [{"itemIdentifier": failed[0]}] if failed and len(seen) == 1 else []}

    streams.functions.answer = answer
    arn = streams.make_stream()
    streams.put(1, 2, 3, 4)
    streams.map(arn, FunctionResponseTypes=["ReportBatchItemFailures"])
    streams.account.advance(10)
    assert streams.given() == [[1, 2, 3, 4], [3, 4]]
    assert streams.bench.outcomes() == ["partial", "ok"]


def test_records_that_grew_too_old_are_given_up(streams: StreamBench) -> None:
    topic = streams.account.client("s3")
    topic.create_bucket(
        Bucket="discarded", CreateBucketConfiguration={"LocationConstraint": streams.account.core.region}
    )
    streams.functions.answer = fails_on("bad")
    arn = streams.make_stream()
    streams.map(
        arn,
        MaximumRecordAgeInSeconds=60,
        DestinationConfig={"OnFailure": {"Destination": "arn:aws:s3:::discarded"}},
    )
    streams.put("bad")
    streams.account.advance(300)
    invoked = len(streams.functions.events)
    assert 2 < invoked < 10

    streams.put("good")
    streams.account.settle()
    assert streams.given()[invoked:] == [["good"]]
    [kept] = topic.list_objects_v2(Bucket="discarded")["Contents"]
    told = json.loads(topic.get_object(Bucket="discarded", Key=kept["Key"])["Body"].read())
    assert told["requestContext"]["condition"] == "RecordAgeExceeded"
    assert json.loads(told["payload"])["Records"][0]["kinesis"]["partitionKey"] == "k"


def test_without_limits_a_record_is_retried_until_the_stream_forgets_it(streams: StreamBench) -> None:
    streams.functions.answer = fails_on("bad")
    streams.map(streams.make_stream())
    streams.put("bad", "good")
    streams.account.advance(23 * 3600)
    assert ["good"] not in streams.given()
    streams.account.advance(2 * 3600)
    assert len(streams.given()) > 1000
    assert not list(streams.account.events("gap"))


def test_a_throttle_takes_nothing_from_the_quota_of_retries(streams: StreamBench) -> None:
    refusals = iter([True, True, True, False])

    def answer(event: Any) -> Any:
        if next(refusals, False):
            return InvokeOutcome(429, b"{}", error_code="TooManyRequestsException")
        return None

    streams.functions.answer = answer
    streams.map(streams.make_stream(), MaximumRetryAttempts=0)
    streams.put("only")
    streams.account.advance(60)
    assert streams.bench.outcomes() == ["throttled", "throttled", "throttled", "ok"]


@pytest.mark.parametrize(
    ("pattern", "passed"),
    [
        ({"data": {"n": [{"numeric": [">", 1]}]}}, [[{"n": 2}]]),
        ({"partitionKey": ["k"]}, [[{"n": 1}, {"n": 2}, "text"]]),
        ({"data": {"n": [3]}}, []),
    ],
)
def test_filters_see_the_data_as_json(streams: StreamBench, pattern: Any, passed: Any) -> None:
    arn = streams.make_stream()
    streams.put({"n": 1}, {"n": 2}, "text")
    streams.map(arn, FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]})
    assert streams.given() == passed
    assert ("filtered" in streams.bench.outcomes()) == (passed != [[{"n": 1}, {"n": 2}, "text"]])


def test_filters_see_a_tables_images(streams: StreamBench) -> None:
    arn = streams.make_table()
    pattern = {"eventName": ["INSERT"], "dynamodb": {"NewImage": {"kind": {"S": ["book"]}}}}
    streams.map(arn, FilterCriteria={"Filters": [{"Pattern": json.dumps(pattern)}]})
    for number, kind in enumerate(["book", "toy"]):
        streams.table.put_item(TableName="orders", Item={"id": {"S": str(number)}, "kind": {"S": kind}})
    streams.account.settle()
    ids = [r["dynamodb"]["Keys"]["id"]["S"] for event in streams.functions.events for r in event["Records"]]
    assert ids == ["0"]


def test_lanes_keep_each_keys_order_and_do_not_wait_for_one_another(streams: StreamBench) -> None:
    streams.functions.answer = fails_on("bad")
    arn = streams.make_stream()
    streams.map(arn, ParallelizationFactor=10, BatchSize=1)
    streams.put("bad", key="a")
    for number in range(20):
        streams.put(number, key=f"key-{number % 4}")
    streams.account.settle()

    values = [value for batch in streams.given() for value in batch if value != "bad"]
    arrived = [[v for v in values if v % 4 == key] for key in range(4)]
    assert all(each == sorted(each) for each in arrived)
    assert sum(map(len, arrived)) >= 10  # at most the keys of the failing lane wait


def test_a_split_shard_is_read_to_its_end_before_its_children(streams: StreamBench) -> None:
    arn = streams.make_stream()
    uuid = streams.map(arn, BatchSize=1, Enabled=False)
    streams.put(1, 2)
    streams.kinesis.split_shard(
        StreamName="clicks", ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**127)
    )
    streams.put(3, 4)
    parent = streams.kinesis.get_shard_iterator(
        StreamName="clicks", ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )
    held = streams.kinesis.get_records(ShardIterator=parent["ShardIterator"])
    assert [json.loads(record["Data"]) for record in held["Records"]] == [1, 2]
    assert "NextShardIterator" not in held

    streams.bench.lambda_.update_event_source_mapping(UUID=uuid, Enabled=True)
    streams.account.settle()
    assert streams.given() == [[1], [2], [3], [4]]


def test_a_disabled_mapping_keeps_its_place(streams: StreamBench) -> None:
    arn = streams.make_stream()
    uuid = streams.map(arn, StartingPosition="LATEST")
    streams.put(1)
    streams.account.settle()
    streams.bench.lambda_.update_event_source_mapping(UUID=uuid, Enabled=False)
    streams.account.settle()
    streams.put(2)
    streams.account.settle()
    assert streams.given() == [[1]]
    streams.bench.lambda_.update_event_source_mapping(UUID=uuid, Enabled=True)
    streams.account.settle()
    assert streams.given() == [[1], [2]]


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"StartingPosition": None}, "Value null at 'startingPosition'"),
        ({"StartingPosition": "AT_TIMESTAMP"}, "StartingPositionTimestamp"),
        ({"ScalingConfig": {"MaximumConcurrency": 5}}, "Unsupported parameter"),
        ({"MaximumRecordAgeInSeconds": 30}, "at least 60"),
        ({"ParallelizationFactor": 11}, "less than or equal to 10"),
        (
            {"DestinationConfig": {"OnFailure": {"Destination": "arn:aws:lambda:eu-north-1:1:function:x"}}},
            "invalid",
        ),
    ],
)
def test_settings_that_lambda_refuses(streams: StreamBench, options: Any, says: str) -> None:
    arn = streams.make_stream()
    given = {"StartingPosition": "LATEST", **options}
    given = {name: value for name, value in given.items() if value is not None}
    with pytest.raises(ClientError, match=says):
        streams.bench.lambda_.create_event_source_mapping(EventSourceArn=arn, FunctionName="worker", **given)


def test_a_stream_that_is_not_there_is_refused(streams: StreamBench) -> None:
    arn = "arn:aws:kinesis:eu-north-1:111122223333:stream/nowhere"
    with pytest.raises(ClientError, match="Stream not found"):
        streams.bench.lambda_.create_event_source_mapping(
            EventSourceArn=arn, FunctionName="worker", StartingPosition="LATEST"
        )
