"""Topics: each subscription has its filter and its dead-letter queue."""

from __future__ import annotations

import json

from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import Queue, World


def _redrive(queue: Queue) -> str:
    return json.dumps({"deadLetterTargetArn": queue.arn})


@row(
    "SNS topic",
    "Lambda",
    "sns",
    tries_s=(0, 60, 180),
    endings=(Ending.FUNCTION_DLQ,),
    kept="sns",
)
def _lambda(world: World) -> Observed:
    sns, topic = world.client("sns"), world.topic()
    subscription = world.subscribe(topic, "lambda", world.works)
    attributes = {"kind": {"DataType": "String", "StringValue": "order"}}
    sns.publish(TopicArn=topic, Message="hello", Subject="greeting", MessageAttributes=attributes)
    delivered = world.ledger()
    sns.unsubscribe(SubscriptionArn=subscription)
    world.subscribe(topic, "lambda", world.fails)
    sns.publish(TopicArn=topic, Message="poison")
    world.advance(300)
    return Observed(delivered, world.tries(), {Ending.FUNCTION_DLQ: world.dead.bodies()})


@row(
    "SNS topic",
    "SQS",
    "sns-envelope",
    endings=(Ending.SUBSCRIPTION_DLQ, Ending.TOLD),
    kept="sns-envelope",
    note="a filter policy that does not match is told of, too",
)
def _sqs(world: World) -> Observed:
    sns, topic, queue, dead = world.client("sns"), world.topic(), world.queue(), world.queue()
    only_orders = json.dumps({"kind": ["order"]})
    world.subscribe(topic, "sqs", queue.arn, RedrivePolicy=_redrive(dead), FilterPolicy=only_orders)

    def publish(kind: str) -> None:
        attributes = {"kind": {"DataType": "String", "StringValue": kind}}
        sns.publish(TopicArn=topic, Message=kind, MessageAttributes=attributes)
        world.settle()

    publish("order")
    publish("other")
    delivered = queue.bodies()
    assert [each["Message"] for each in delivered] == ["order"]
    queue.close()
    publish("order")
    assert not queue.messages()
    told = [*world.told("filtered"), *world.told("refused")]
    assert len(told) == 2
    return Observed(delivered, (), {Ending.SUBSCRIPTION_DLQ: dead.bodies(), Ending.TOLD: told})
