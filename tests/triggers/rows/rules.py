"""Rules of event buses, by pattern and by schedule."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable
from typing import Any

from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import World, document, moment, services


def _dead_letters(world: World, target: dict[str, Any]) -> list[Any]:
    """What a target that takes nothing leaves in its dead-letter queue: the event, and why."""
    dead = world.queue()
    world.rule({**target, "DeadLetterConfig": {"Arn": dead.arn}})
    world.put_event(n=2)
    world.settle()
    found = []
    for message in dead.messages():
        attributes = message["MessageAttributes"]
        assert attributes["ERROR_CODE"]["StringValue"] == "NO_PERMISSIONS"
        assert attributes["TARGET_ARN"]["StringValue"] == target["Arn"]
        found.append(json.loads(message["Body"]))
    assert all(world.told("dead-lettered", to=target["Arn"]))
    return found


@row(
    "EventBridge rule",
    "Lambda",
    "eventbridge",
    tries_s=(0, 60, 180),
    endings=(Ending.FUNCTION_DLQ, Ending.TARGET_DLQ),
    kept="eventbridge",
    note="the target's dead-letter queue gets what may not be delivered, the function's what fails in it",
)
def _lambda(world: World) -> Observed:
    rule = world.rule({"Arn": world.works})
    world.put_event(n=1)
    delivered = world.ledger()
    world.client("events").disable_rule(Name=rule)
    with world.closed():
        kept = _dead_letters(world, {"Arn": world.works})
    assert not world.ledger()
    world.end()
    world.rule({"Arn": world.fails})
    world.put_event(n=3)
    world.advance(300)
    ended = {Ending.FUNCTION_DLQ: world.dead.bodies(), Ending.TARGET_DLQ: kept}
    return Observed(delivered, world.tries(), ended)


@row("EventBridge rule", "SQS", "eventbridge", endings=(Ending.TARGET_DLQ,), kept="eventbridge")
def _sqs(world: World) -> Observed:
    queue, closed = world.queue(), world.queue(is_open=False)
    world.rule({"Arn": queue.arn})
    world.put_event(n=1)
    world.settle()
    return Observed(queue.bodies(), (), {Ending.TARGET_DLQ: _dead_letters(world, {"Arn": closed.arn})})


@row("EventBridge rule", "SNS", "eventbridge", endings=(Ending.TARGET_DLQ,), kept="eventbridge")
def _sns(world: World) -> Observed:
    topic, queue = world.topic(), world.queue()
    world.subscribe(topic, "sqs", queue.arn, RawMessageDelivery="true")
    world.rule({"Arn": topic})
    world.put_event(n=1)
    world.settle()
    delivered = queue.bodies()
    world.client("sns").set_topic_attributes(
        TopicArn=topic,
        AttributeName="Policy",
        AttributeValue=document({"Service": services("s3")}, "sns:Publish", topic),
    )
    return Observed(delivered, (), {Ending.TARGET_DLQ: _dead_letters(world, {"Arn": topic})})


@row(
    "EventBridge rule",
    "Step Functions",
    "eventbridge",
    endings=(Ending.TARGET_DLQ,),
    kept="eventbridge",
)
def _states(world: World) -> Observed:
    machine = world.machine({"Pass": {"Type": "Pass", "End": True}})
    world.rule({"Arn": machine, "RoleArn": world.role})
    world.put_event(n=1)
    world.settle()
    [execution] = world.executions(machine)
    assert execution["status"] == "SUCCEEDED"
    nobody = {"Arn": machine, "RoleArn": f"{world.role}-missing"}
    return Observed([json.loads(execution["output"])], (), {Ending.TARGET_DLQ: _dead_letters(world, nobody)})


@row("EventBridge rule", "Kinesis", "eventbridge", endings=(Ending.TARGET_DLQ,), kept="eventbridge")
def _kinesis(world: World) -> Observed:
    name, arn = world.stream()
    kinesis = world.client("kinesis")
    world.rule({"Arn": arn, "RoleArn": world.role})
    world.put_event(n=1)
    world.settle()
    iterator = kinesis.get_shard_iterator(
        StreamName=name, ShardId="shardId-000000000000", ShardIteratorType="TRIM_HORIZON"
    )
    records = kinesis.get_records(ShardIterator=iterator["ShardIterator"])["Records"]
    delivered = [json.loads(record["Data"]) for record in records]
    nobody = {"Arn": arn, "RoleArn": f"{world.role}-missing"}
    return Observed(delivered, (), {Ending.TARGET_DLQ: _dead_letters(world, nobody)})


@row("EventBridge rule", "CloudWatch Logs", "eventbridge", endings=(Ending.TARGET_DLQ,), kept="eventbridge")
def _logs(world: World) -> Observed:
    logs, name = world.client("logs"), f"/aws/events/{world.name('group')}"
    logs.create_log_group(logGroupName=name)
    arn = f"arn:aws:logs:{world.account.region}:{world.account.account_id}:log-group:{name}"
    allowed = document({"Service": services("events", "delivery.logs")}, "logs:*", f"{arn}:*")
    logs.put_resource_policy(policyName="events", policyDocument=allowed)
    world.rule({"Arn": arn})
    world.put_event(n=1)
    world.settle()
    lines = logs.filter_log_events(logGroupName=name)["events"]
    logs.delete_resource_policy(policyName="events")
    ended = {Ending.TARGET_DLQ: _dead_letters(world, {"Arn": arn})}
    return Observed([json.loads(line["message"]) for line in lines], (), ended)


@row(
    "EventBridge rule",
    "another bus",
    "eventbridge",
    endings=(Ending.TOLD,),
    note="an event that goes round between buses is stopped",
)
def _bus(world: World) -> Observed:
    events, queue = world.client("events"), world.queue()
    other = world.name("bus")
    arn = events.create_event_bus(Name=other)["EventBusArn"]
    world.undo(lambda: events.delete_event_bus(Name=other))
    default = arn.replace(other, "default")
    world.rule({"Arn": arn})
    world.rule({"Arn": queue.arn}, bus=other)
    world.put_event(n=1)
    world.settle()
    delivered = queue.bodies()
    world.rule({"Arn": default}, bus=other)
    world.put_event(n=2)
    world.settle()
    return Observed(delivered, (), {Ending.TOLD: world.told("failed")})


@row(
    "EventBridge rule",
    "API destination",
    "http-api",
    tries_s=(0, 1, 3),
    endings=(Ending.TARGET_DLQ,),
    kept="eventbridge",
    note="an end point that answers 500 is asked again, here twice",
)
def _api_destination(world: World) -> Observed:
    events = world.client("events")
    key = {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "secret"}}
    connection = events.create_connection(
        Name=world.name("connection"), AuthorizationType="API_KEY", AuthParameters=key
    )["ConnectionArn"]

    def target(function: str) -> dict[str, Any]:
        url = world.function_url(function)
        made = events.create_api_destination(
            Name=world.name("destination"),
            ConnectionArn=connection,
            InvocationEndpoint=f"{url}orders/*",
            HttpMethod="POST",
        )
        values = {"PathParameterValues": ["$.detail.n"], "HeaderParameters": {"x-kind": "order"}}
        return {"Arn": made["ApiDestinationArn"], "RoleArn": world.role, "HttpParameters": values}

    world.rule(target("works"))
    world.put_event(n=1)
    [delivered] = world.ledger()
    assert delivered["rawPath"] == "/orders/1"
    assert (delivered["headers"]["x-key"], delivered["headers"]["x-kind"]) == ("secret", "order")
    assert json.loads(delivered["body"])["detail"] == {"n": 1}
    world.end()
    dead = world.queue()
    policy = {"RetryPolicy": {"MaximumRetryAttempts": 2}, "DeadLetterConfig": {"Arn": dead.arn}}
    world.rule({**target("fails"), **policy})
    world.put_event(n=2)
    world.advance(60)
    return Observed([delivered], world.tries(), {Ending.TARGET_DLQ: dead.bodies()})


def _scheduled(world: World, expression: str, times: int) -> Callable[[], list[Any]]:
    world.rule({"Arn": world.works}, ScheduleExpression=expression)

    def pass_time() -> list[Any]:
        world.advance(60 * times)
        return world.ledger()

    return pass_time


@row(
    "scheduled rule", "Lambda", "eventbridge-scheduled", tries_s=(0, 60, 180), endings=(Ending.FUNCTION_DLQ,)
)
def _schedule(world: World) -> Observed:
    delivered = _scheduled(world, "rate(1 minute)", times=3)()
    assert len(delivered) == 3
    moments = world.tries("works")
    assert [round(b - a) for a, b in itertools.pairwise(moments)] == [60, 60]
    world.end()
    world.rule({"Arn": world.fails}, ScheduleExpression="rate(10 minutes)")
    world.advance(900)
    kept = world.dead.bodies()
    [run] = {
        event["detail"]["request_id"] for event in world.events("invocation") if event["subject"] == "fails"
    }
    tries = [
        moment(event) for event in world.events("invocation") if event["detail"].get("request_id") == run
    ]
    return Observed(delivered, tries, {Ending.FUNCTION_DLQ: kept})
