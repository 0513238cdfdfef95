"""Buckets: they tell functions, queues, topics and the default bus of what happens to their objects."""

from __future__ import annotations

from typing import Any

from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import Queue, World

_CREATED = ["s3:ObjectCreated:*"]


def _notify(world: World, bucket: str, **configuration: Any) -> None:
    s3 = world.client("s3")
    s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration=configuration)
    world.undo(lambda: s3.put_bucket_notification_configuration(Bucket=bucket, NotificationConfiguration={}))
    world.settle()


def _put(world: World, bucket: str, key: str = "in/two words.csv") -> None:
    world.client("s3").put_object(Bucket=bucket, Key=key, Body=b"id\n1\n")
    world.settle()


def _to_function(arn: str) -> list[Any]:
    return [{"LambdaFunctionArn": arn, "Events": _CREATED}]


@row("S3 bucket", "Lambda", "s3", tries_s=(0, 60, 180), endings=(Ending.FUNCTION_DLQ,), kept="s3")
def _lambda(world: World) -> Observed:
    bucket = world.bucket()
    _notify(world, bucket, LambdaFunctionConfigurations=_to_function(world.works))
    _put(world, bucket)
    delivered = world.ledger()
    _notify(world, bucket, LambdaFunctionConfigurations=_to_function(world.fails))
    _put(world, bucket)
    world.advance(300)
    return Observed(delivered, world.tries(), {Ending.FUNCTION_DLQ: world.dead.bodies()})


def _until_closed(world: World, bucket: str, queue: Queue) -> Observed:
    """The messages of a queue, and what is told once it lets nobody in."""
    queue.messages()
    _put(world, bucket)
    delivered = queue.bodies()
    queue.close()
    _put(world, bucket)
    assert not queue.messages()
    return Observed(delivered, (), {Ending.TOLD: world.told("refused", to=queue.arn)})


@row("S3 bucket", "SQS", "s3", endings=(Ending.TOLD,))
def _sqs(world: World) -> Observed:
    bucket, queue = world.bucket(), world.queue()
    _notify(world, bucket, QueueConfigurations=[{"QueueArn": queue.arn, "Events": _CREATED}])
    return _until_closed(world, bucket, queue)


@row("S3 bucket", "SNS", "sns-envelope", endings=(Ending.TOLD,))
def _sns(world: World) -> Observed:
    bucket, queue, topic = world.bucket(), world.queue(), world.topic()
    world.subscribe(topic, "sqs", queue.arn)
    _notify(world, bucket, TopicConfigurations=[{"TopicArn": topic, "Events": _CREATED}])
    return _until_closed(world, bucket, queue)


@row("S3 bucket", "EventBridge", "s3-eventbridge", endings=(Ending.TOLD,))
def _bus(world: World) -> Observed:
    bucket, queue = world.bucket(), world.queue()
    _notify(world, bucket, EventBridgeConfiguration={})
    world.rule({"Arn": queue.arn}, EventPattern='{"source": ["aws.s3"], "detail": {"object": {"size": [5]}}}')
    _put(world, bucket)
    delivered = queue.bodies()
    world.client("s3").put_object(Bucket=bucket, Key="of another size", Body=b"")
    world.settle()
    assert not queue.messages()
    return Observed(delivered, (), {Ending.TOLD: world.told("no rule matched")})
