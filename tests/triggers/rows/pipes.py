"""EventBridge Pipes: from a queue or stream, filtered and enriched, to a target."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import World, moment

_DYNAMODB = {"DynamoDBStreamParameters": {"StartingPosition": "LATEST"}}
_KINESIS = {"KinesisStreamParameters": {"StartingPosition": "LATEST"}}


@contextlib.contextmanager
def _pipe(world: World, source: str, target: str, **more: Any) -> Iterator[None]:
    """A pipe, for as long as the block lasts."""
    pipes, name = world.client("pipes"), world.name("pipe")
    pipes.create_pipe(Name=name, RoleArn=world.role, Source=source, Target=target, **more)
    world.settle()
    yield
    world.settle()
    pipes.delete_pipe(Name=name)
    world.settle()


def _failures(world: World) -> list[float]:
    """When deliveries of the row's pipes failed."""
    return [moment(each) for each in world.deliveries("failed") if each["subject"].startswith("pipes:")]


@row(
    "Pipe from SQS",
    "SQS, enriched by Lambda",
    "pipes-sqs",
    tries_s=(0, 30, 60),
    endings=(Ending.QUEUE_DLQ,),
    note="what the pipe's filter does not let through is deleted and told of",
)
def _enriched(world: World) -> Observed:
    dead, target = world.queue(), world.queue()
    source = world.queue(dead=dead, VisibilityTimeout=30)
    only_orders = {"Filters": [{"Pattern": '{"body": {"kind": ["order"]}}'}]}
    wanted = {"SourceParameters": {"FilterCriteria": only_orders}}
    with _pipe(world, source.arn, target.arn, Enrichment=world.works, **wanted):
        source.send('{"kind": "order"}')
        source.send('{"kind": "other"}')
    delivered = [each["enriched"] for each in target.bodies()]
    assert world.told("filtered")
    with _pipe(world, source.arn, target.arn, Enrichment=world.fails):
        source.send('{"kind": "order"}')
        world.advance(120)
    return Observed(delivered, world.tries(), {Ending.QUEUE_DLQ: dead.bodies()})


@row("Pipe from SQS", "another bus", "eventbridge", tries_s=(0, 30, 60), endings=(Ending.QUEUE_DLQ,))
def _bus(world: World) -> Observed:
    events, queue, dead = world.client("events"), world.queue(), world.queue()
    source, name = world.queue(dead=dead, VisibilityTimeout=30), world.name("bus")
    bus = events.create_event_bus(Name=name)["EventBusArn"]
    world.undo(lambda: events.delete_event_bus(Name=name))
    world.rule({"Arn": queue.arn}, bus=name, EventPattern='{"detail-type": ["Order"]}')
    named = {"EventBridgeEventBusParameters": {"DetailType": "Order", "Source": "shop"}}
    with _pipe(world, source.arn, bus, TargetParameters={"InputTemplate": '{"n": <$.body.n>}', **named}):
        source.send('{"n": 1}')
    delivered = queue.bodies()
    assert [each["detail"] for each in delivered] == [{"n": 1}]
    reserved = {"EventBridgeEventBusParameters": {"Source": "aws.s3"}}
    with _pipe(world, source.arn, bus, TargetParameters=reserved):
        source.send('{"n": 2}')
        world.advance(120)
    return Observed(delivered, _failures(world), {Ending.QUEUE_DLQ: dead.bodies()})


@row(
    "Pipe from a DynamoDB stream",
    "Step Functions",
    "pipes-dynamodb",
    tries_s=(0, 1, 3),
    endings=(Ending.PIPE_DLQ,),
    kept="pipes-dynamodb-discarded",
)
def _states(world: World) -> Observed:
    table, stream = world.table()
    machine = world.machine({"Pass": {"Type": "Pass", "End": True}})
    started = {"StepFunctionStateMachineParameters": {"InvocationType": "FIRE_AND_FORGET"}}
    dynamodb, dead = world.client("dynamodb"), world.queue()
    with _pipe(world, stream, machine, SourceParameters=_DYNAMODB, TargetParameters=started):
        dynamodb.put_item(TableName=table, Item={"pk": {"S": "1"}})
    [execution] = world.executions(machine)
    delivered = json.loads(execution["input"])
    quota = {"MaximumRetryAttempts": 2, "DeadLetterConfig": {"Arn": dead.arn}}
    source = {"DynamoDBStreamParameters": {"StartingPosition": "LATEST", **quota}}
    with _pipe(world, stream, f"{machine}-missing", SourceParameters=source, TargetParameters=started):
        dynamodb.put_item(TableName=table, Item={"pk": {"S": "2"}})
        world.advance(60)
    return Observed(delivered, _failures(world), {Ending.PIPE_DLQ: dead.bodies()})


@row(
    "Pipe from a Kinesis stream",
    "Lambda",
    "pipes-kinesis",
    tries_s=(0, 1, 3),
    endings=(Ending.PIPE_DLQ,),
    kept="pipes-kinesis-discarded",
)
def _lambda(world: World) -> Observed:
    name, arn = world.stream()
    kinesis, dead = world.client("kinesis"), world.queue()
    with _pipe(world, arn, world.works, SourceParameters=_KINESIS):
        kinesis.put_record(StreamName=name, PartitionKey="a", Data=b"first")
        delivered = world.ledger()
    quota = {"MaximumRetryAttempts": 2, "DeadLetterConfig": {"Arn": dead.arn}}
    source = {"KinesisStreamParameters": {"StartingPosition": "LATEST", **quota}}
    with _pipe(world, arn, world.fails, SourceParameters=source):
        kinesis.put_record(StreamName=name, PartitionKey="a", Data=b"poison")
        world.advance(60)
    records = [record for events in delivered for record in events]
    return Observed(records, world.tries(), {Ending.PIPE_DLQ: dead.bodies()})
