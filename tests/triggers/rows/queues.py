"""Queues: Lambda polls them."""

from __future__ import annotations

from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import Queue, World

_VISIBILITY_S = 30


def _observe(world: World, queue: Queue, dead: Queue, **message: str) -> Observed:
    with world.mapping(queue.arn, "works"):
        for body in ("first", "second"):
            queue.send(body, **message)
        delivered = world.ledger()
    bodies = [record["body"] for event in delivered for record in event["Records"]]
    # A standard queue promises no order, and its two messages may run at the same time.
    assert (bodies if "MessageGroupId" in message else sorted(bodies)) == ["first", "second"]
    with world.mapping(queue.arn, "fails"):
        queue.send("poison", **message)
        world.advance(4 * _VISIBILITY_S)
    assert not queue.messages()
    found = [each for each in dead.bodies() if each == "poison"]
    assert world.deliveries("dead-lettered", to=dead.arn)
    return Observed(delivered, world.tries(), {Ending.QUEUE_DLQ: found})


@row("SQS queue", "Lambda", "sqs", tries_s=(0, 30, 60), endings=(Ending.QUEUE_DLQ,))
def _standard(world: World) -> Observed:
    dead = world.queue()
    return _observe(world, world.queue(dead=dead, VisibilityTimeout=_VISIBILITY_S), dead)


@row("SQS FIFO queue", "Lambda", "sqs", tries_s=(0, 30, 60), endings=(Ending.QUEUE_DLQ,))
def _fifo(world: World) -> Observed:
    fifo = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    dead = world.queue(**fifo)
    queue = world.queue(dead=dead, VisibilityTimeout=_VISIBILITY_S, **fifo)
    return _observe(world, queue, dead, MessageGroupId="customer-1")
