"""Deliveries that fail, are late, come twice or in another order, and what real functions see of it."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

import pytest

from tests.triggers.world import World

CODE = """
import boto3, os
def handler(event, context):
    boto3.client("sqs").send_message(QueueUrl=os.environ["LEDGER"], MessageBody="began")
    boto3.client("dynamodb").list_tables()
    boto3.client("sqs").send_message(QueueUrl=os.environ["LEDGER"], MessageBody="ended")
"""


def bodies(events: list[Any]) -> list[str]:
    """The bodies of the queue's messages that a function was given, in order."""
    return [record["body"] for event in events for record in event["Records"]]


def test_a_functions_calls_fail_and_its_sdk_tells(world: World, broken: Any) -> None:
    world.function("asks", {"AWS_MAX_ATTEMPTS": "1"}, code=CODE)
    invoke = world.client("lambda").invoke
    with broken("errors", service="dynamodb", principal="asks"):
        answer = json.loads(invoke(FunctionName="asks")["Payload"].read())
        world.client("dynamodb").list_tables()
    assert answer["errorType"] == "InternalServerError"
    assert world.ledger() == ["began"]

    assert "FunctionError" not in invoke(FunctionName="asks")

    assert world.ledger() == ["began", "ended"]
    world.client("lambda").delete_function(FunctionName="asks")


def test_metrics_tell_of_what_a_fault_struck(world: World, broken: Any) -> None:
    table, _ = world.table()
    client = world.account.learner_client("dynamodb")
    item = {"TableName": table, "Item": {"pk": {"S": "k"}}}
    with (
        broken("throttle_calls", service="dynamodb", first=1),
        broken("latency", service="dynamodb", seconds=0.3),
    ):
        with pytest.raises(client.exceptions.ProvisionedThroughputExceededException):
            client.put_item(**item)
        client.put_item(**item)
    now = world.account.now()
    found = {}
    for metric, statistic in (("ThrottledRequests", "Sum"), ("SuccessfulRequestLatency", "Maximum")):
        points = world.client("cloudwatch").get_metric_statistics(
            Namespace="AWS/DynamoDB",
            MetricName=metric,
            Dimensions=[{"Name": "TableName", "Value": table}, {"Name": "Operation", "Value": "PutItem"}],
            StartTime=now - dt.timedelta(minutes=5),
            EndTime=now + dt.timedelta(minutes=1),
            Period=60,
            Statistics=[statistic],
        )["Datapoints"]
        found[metric] = max((point[statistic] for point in points), default=0)
    assert found["ThrottledRequests"] == 1
    assert found["SuccessfulRequestLatency"] >= 300


def test_an_invocation_that_lambda_fails_is_tried_again_while_the_message_is_hidden(
    world: World, broken: Any
) -> None:
    queue = world.queue()
    with world.mapping(queue.arn, "works"), broken("errors", service="lambda", operation="Invoke", first=2):
        queue.send("one")
        assert world.ledger() == []
        world.advance(10)
        assert bodies(world.ledger()) == ["one"]
    assert [event["outcome"] for event in world.deliveries("throttled", "ok")] == ["throttled"] * 2 + ["ok"]


def test_a_queue_that_fails_keeps_its_messages(world: World, broken: Any) -> None:
    queue = world.queue()
    with world.mapping(queue.arn, "works"):
        with broken("throttle_calls", service="sqs", operation="ReceiveMessage"):
            queue.send("one")
            world.advance(30)
            assert world.ledger() == []
        world.advance(5)
        assert bodies(world.ledger()) == ["one"]
    assert world.deliveries("RequestThrottled")


def test_what_a_topic_and_a_rule_can_not_deliver_to_a_queue_they_try_again(world: World, broken: Any) -> None:
    topic, queue = world.topic(), world.queue()
    world.subscribe(topic, "sqs", queue.arn, RawMessageDelivery="true")
    world.rule({"Arn": queue.arn, "InputPath": "$.detail.n"})
    with broken("errors", service="sqs", operation="SendMessage", resource=queue.arn):
        world.client("sns").publish(TopicArn=topic, Message="from the topic")
        world.put_event(n=7)
        world.advance(3)
        assert queue.messages() == []
        assert {event["subject"].partition(":")[0] for event in world.deliveries("retry")} == {
            "sns",
            "events",
        }

    world.advance(60)

    assert sorted(map(str, queue.bodies())) == ["7", "from the topic"]


def test_a_late_delivery_comes_by_the_accounts_clock(world: World, broken: Any) -> None:
    topic, queue = world.topic(), world.queue()
    world.subscribe(topic, "sqs", queue.arn, RawMessageDelivery="true")
    with broken(
        "latency", service="sqs", operation="SendMessage", principal="sns.amazonaws.com", seconds=300
    ):
        world.client("sns").publish(TopicArn=topic, Message="late")
        world.advance(299)
        assert queue.messages() == []
        world.advance(2)
        assert queue.bodies() == ["late"]


def test_a_message_of_a_standard_queue_comes_again_after_it_was_deleted(world: World, broken: Any) -> None:
    queue = world.queue(dead=world.dead)
    with world.mapping(queue.arn, "works"):
        with broken("duplicates", service="sqs", resource=queue.arn.rsplit(":", 1)[-1]):
            queue.send("one")
            world.advance(60)
            events = world.ledger()
        queue.send("two")
        assert bodies(world.ledger()) == ["two"]
    assert bodies(events) == ["one", "one"]
    first, second = (event["Records"][0] for event in events)
    assert first["messageId"] == second["messageId"]
    assert first["receiptHandle"] != second["receiptHandle"]
    assert world.dead.messages() == []


def test_topics_rules_buckets_and_asynchronous_invocations_deliver_twice(world: World, broken: Any) -> None:
    topic, queue, bucket = world.topic(), world.queue(), world.bucket()
    world.subscribe(topic, "sqs", queue.arn)
    world.rule({"Arn": queue.arn})
    world.client("s3").put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": queue.arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    world.settle()
    queue.messages()

    with broken("duplicates", service="sns"), broken("duplicates", service="events"):
        world.client("sns").publish(TopicArn=topic, Message="one")
        world.put_event(n=7)
        world.settle()
    with broken("duplicates", service="s3"), broken("duplicates", service="lambda", resource="works"):
        world.client("s3").put_object(Bucket=bucket, Key="k", Body=b"")
        world.client("lambda").invoke(FunctionName="works", InvocationType="Event", Payload=b'{"n": 1}')
        ledger = world.ledger()

    told = queue.bodies()
    assert len({each["MessageId"] for each in told if "MessageId" in each}) == 1
    assert len({each["id"] for each in told if "id" in each}) == 1
    assert len(told) == 6
    assert ledger == [{"n": 1}, {"n": 1}]
    ids = [
        event["detail"]["request_id"] for event in world.events("invocation") if event["subject"] == "works"
    ]
    assert len(ids) == 2
    assert len(set(ids)) == 1


def test_a_streams_batch_is_done_again_before_the_next_one(world: World, broken: Any) -> None:
    table, stream = world.table()
    put = world.client("dynamodb").put_item
    with (
        world.mapping(stream, "works", StartingPosition="TRIM_HORIZON", BatchSize=1),
        broken("duplicates", service="dynamodb", resource=table, first=1),
    ):
        for n in "123":
            put(TableName=table, Item={"pk": {"S": n}})
        seen = [event["Records"][0]["dynamodb"]["Keys"]["pk"]["S"] for event in world.ledger()]
    assert seen == ["1", "1", "2", "3"]


def test_every_other_message_is_overtaken_but_never_in_a_fifo_queue(world: World, broken: Any) -> None:
    queue, orderly = world.queue(), world.queue(FifoQueue="true", ContentBasedDeduplication="true")
    with broken("reordering", seconds=2):
        for n in "1234":
            queue.send(n)
            orderly.send(n, MessageGroupId="g")
        world.advance(3)
        shuffled, kept = queue.bodies(), orderly.bodies()
    assert shuffled == [2, 4, 1, 3]
    assert kept == [1, 2, 3, 4]


def test_a_topics_message_is_overtaken(world: World, broken: Any) -> None:
    topic, queue = world.topic(), world.queue()
    world.subscribe(topic, "sqs", queue.arn, RawMessageDelivery="true")
    with broken("reordering", service="sns", resource=topic, seconds=5):
        for n in "12":
            world.client("sns").publish(TopicArn=topic, Message=n)
        world.settle()
        assert queue.bodies() == [2]
        world.advance(6)
        assert queue.bodies() == [1]


@pytest.mark.parametrize("fault", ["duplicates", "reordering"])
def test_nothing_of_a_fault_is_left_when_it_has_ended(world: World, broken: Any, fault: str) -> None:
    queue = world.queue()
    with broken(fault):
        pass

    for n in "123":
        queue.send(n)

    assert queue.bodies() == [1, 2, 3]
    assert queue.messages() == []
    assert [event["outcome"] for event in world.events("fault")] == ["began", "ended"]
