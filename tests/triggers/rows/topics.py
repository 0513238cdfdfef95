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


@row(
    "SNS topic",
    "HTTPS",
    "sns-envelope",
    tries_s=(0, 20, 40, 60),
    endings=(Ending.SUBSCRIPTION_DLQ, Ending.TOLD),
    kept="sns-envelope",
    note="once the end point has confirmed; here a function URL",
)
def _https(world: World) -> Observed:
    sns, topic, dead = world.client("sns"), world.topic(), world.queue()
    url = world.function_url("works")
    sns.subscribe(TopicArn=topic, Protocol="https", Endpoint=url)
    sns.publish(TopicArn=topic, Message="too early")
    [asked] = world.ledger()
    assert asked["headers"]["x-amz-sns-message-type"] == "SubscriptionConfirmation"
    visited, _ = world.get(json.loads(asked["body"])["SubscribeURL"])
    assert visited == 200
    sns.publish(TopicArn=topic, Message="hello")
    [delivered] = world.ledger()
    failing = world.subscribe(topic, "https", world.function_url("fails"), RedrivePolicy=_redrive(dead))
    world.settle()
    token = json.loads(world.ledger()[-1]["body"])["Token"]
    assert sns.confirm_subscription(TopicArn=topic, Token=token)["SubscriptionArn"] == failing
    world.advance(300)
    asked_only = len(world.tries())
    sns.publish(TopicArn=topic, Message="poison")
    world.advance(300)
    ended = {Ending.SUBSCRIPTION_DLQ: dead.bodies(), Ending.TOLD: world.told("pending")}
    return Observed([json.loads(delivered["body"])], world.tries()[asked_only:], ended)
