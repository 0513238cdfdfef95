"""EventBridge Scheduler: it calls any API in a schedule's role."""

from __future__ import annotations

import datetime as dt
import json
from typing import Any

from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import World, moment


def _schedule(world: World, target: dict[str, Any], expression: str = "") -> str:
    """A schedule, by default one for a minute from now."""
    scheduler, name = world.client("scheduler"), world.name("schedule")
    soon = world.account.now() + dt.timedelta(minutes=1)
    scheduler.create_schedule(
        Name=name,
        ScheduleExpression=expression or f"at({soon:%Y-%m-%dT%H:%M:%S})",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"RoleArn": world.role, **target},
    )
    world.undo(lambda: scheduler.delete_schedule(Name=name))
    return name


def _dead_letters(world: World, target: dict[str, Any]) -> list[Any]:
    """What a schedule leaves in its dead-letter queue whose target takes nothing."""
    dead = world.queue()
    _schedule(world, {**target, "DeadLetterConfig": {"Arn": dead.arn}})
    world.advance(90)
    found = dead.messages()
    assert all(message["MessageAttributes"]["ERROR_CODE"]["StringValue"] for message in found)
    assert all(world.told("dead-lettered"))
    return [json.loads(message["Body"]) for message in found]


@row(
    "Scheduler",
    "Lambda",
    "scheduler-default",
    tries_s=(0, 60, 180),
    endings=(Ending.FUNCTION_DLQ, Ending.SCHEDULE_DLQ),
)
def _lambda(world: World) -> Observed:
    given = json.dumps({"due": "<aws.scheduler.scheduled-time>", "attempt": "<aws.scheduler.attempt-number>"})
    _schedule(world, {"Arn": world.works, "Input": given}, "rate(1 minute)")
    world.advance(150)
    delivered = world.ledger()
    assert len(delivered) >= 2
    world.end()
    _schedule(world, {"Arn": world.fails, "Input": given})
    world.advance(400)
    failed = world.dead.bodies()
    missing = world.works.replace(":works", ":missing")
    ended = {Ending.FUNCTION_DLQ: failed, Ending.SCHEDULE_DLQ: _dead_letters(world, {"Arn": missing})}
    return Observed(delivered, world.tries(), ended)


@row("Scheduler", "SQS", "scheduler-default", endings=(Ending.SCHEDULE_DLQ,))
def _sqs(world: World) -> Observed:
    queue = world.queue()
    given = json.dumps({"due": "<aws.scheduler.scheduled-time>", "attempt": "<aws.scheduler.attempt-number>"})
    _schedule(world, {"Arn": queue.arn, "Input": given})
    world.advance(90)
    kept = _dead_letters(world, {"Arn": f"{queue.arn}-missing", "Input": "{}"})
    return Observed(queue.bodies(), (), {Ending.SCHEDULE_DLQ: kept})


@row(
    "Scheduler",
    "any API",
    "scheduler-default",
    tries_s=(0, 1, 3),
    endings=(Ending.SCHEDULE_DLQ,),
    note="throttles and errors of the service are tried again, here of a function without concurrency",
)
def _universal(world: World) -> Observed:
    table, _ = world.table()
    item = {"TableName": table, "Item": {"pk": {"S": "1"}, "due": {"S": "<aws.scheduler.scheduled-time>"}}}
    put = {"Arn": "arn:aws:scheduler:::aws-sdk:dynamodb:putItem", "Input": json.dumps(item)}
    _schedule(world, put)
    world.advance(90)
    [found] = world.client("dynamodb").scan(TableName=table)["Items"]
    delivered = [{"due": found["due"]["S"], "attempt": "1"}]
    api, dead = world.client("lambda"), world.queue()
    api.put_function_concurrency(FunctionName="works", ReservedConcurrentExecutions=0)
    world.undo(lambda: api.delete_function_concurrency(FunctionName="works"))
    invoke = {"Arn": "arn:aws:scheduler:::aws-sdk:lambda:invoke", "Input": '{"FunctionName": "works"}'}
    policy = {"RetryPolicy": {"MaximumRetryAttempts": 2}, "DeadLetterConfig": {"Arn": dead.arn}}
    _schedule(world, {**invoke, **policy})
    world.advance(120)
    tries = [moment(each) for each in world.deliveries("retry", "dead-lettered")]
    return Observed(delivered, tries, {Ending.SCHEDULE_DLQ: dead.bodies()})
