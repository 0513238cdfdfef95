"""Logs, alarms and stacks."""

from __future__ import annotations

import base64
import gzip
import json
from typing import Any

from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import World


@row(
    "CloudWatch Logs subscription",
    "Lambda",
    "logs",
    tries_s=(0, 60, 180),
    endings=(Ending.FUNCTION_DLQ, Ending.TOLD),
)
def _logs(world: World) -> Observed:
    logs, name = world.client("logs"), f"/{world.name('group')}"
    logs.create_log_group(logGroupName=name)
    world.undo(lambda: logs.delete_log_group(logGroupName=name))
    logs.create_log_stream(logGroupName=name, logStreamName="s")

    def subscribe(arn: str) -> None:
        logs.put_subscription_filter(
            logGroupName=name, filterName="errors", filterPattern="ERROR", destinationArn=arn
        )

    def write(text: str) -> None:
        at = round(world.account.now().timestamp() * 1000)
        logs.put_log_events(
            logGroupName=name, logStreamName="s", logEvents=[{"timestamp": at, "message": text}]
        )

    subscribe(world.works)
    write("ERROR one")
    write("INFO two")
    delivered = [_unpacked(event) for event in world.ledger()]
    assert [event["message"] for each in delivered for event in each["logEvents"]] == ["ERROR one"]
    subscribe(world.fails)
    write("ERROR three")
    world.advance(300)
    failed = world.dead.bodies()
    api = world.client("lambda")
    api.remove_permission(FunctionName="works", StatementId="logs")
    world.undo(
        lambda: api.add_permission(
            FunctionName="works",
            StatementId="logs",
            Action="lambda:InvokeFunction",
            Principal="logs.amazonaws.com",
        )
    )
    subscribe(world.works)
    write("ERROR four")
    world.settle()
    ended = {Ending.FUNCTION_DLQ: failed, Ending.TOLD: world.told("failed")}
    return Observed(delivered, world.tries(), ended)


def _unpacked(event: Any) -> Any:
    assert set(event) == {"awslogs"}
    assert set(event["awslogs"]) == {"data"}
    return json.loads(gzip.decompress(base64.b64decode(event["awslogs"]["data"])))


def _alarm(world: World, *actions: str) -> str:
    """An alarm on errors of the function that fails."""
    cloudwatch, name = world.client("cloudwatch"), world.name("alarm")
    cloudwatch.put_metric_alarm(
        AlarmName=name,
        Namespace="AWS/Lambda",
        MetricName="Errors",
        Dimensions=[{"Name": "FunctionName", "Value": "fails"}],
        Statistic="Sum",
        Period=60,
        EvaluationPeriods=1,
        Threshold=1,
        ComparisonOperator="GreaterThanOrEqualToThreshold",
        TreatMissingData="notBreaching",
        AlarmActions=list(actions),
    )
    world.undo(lambda: cloudwatch.delete_alarms(AlarmNames=[name]))
    return name


def _ring(world: World) -> None:
    """Let the alarms be quiet, then have their function fail."""
    world.advance(130)
    world.client("lambda").invoke(FunctionName="fails", Payload=b"{}")
    world.advance(130)


def _failed_actions(world: World, alarm: str) -> list[Any]:
    entries = world.client("cloudwatch").describe_alarm_history(AlarmName=alarm, HistoryItemType="Action")
    found = [json.loads(each["HistoryData"]) for each in entries["AlarmHistoryItems"]]
    assert all(world.told("failed"))
    return [each for each in found if each["actionState"] == "Failed"]


@row("alarm", "SNS", "alarm-message", endings=(Ending.HISTORY,))
def _sns(world: World) -> Observed:
    queue, topic, closed = world.queue(), world.topic(), world.topic()
    world.subscribe(topic, "sqs", queue.arn, RawMessageDelivery="true")
    world.client("sns").delete_topic(TopicArn=closed)
    alarm = _alarm(world, topic, closed)
    _ring(world)
    return Observed(queue.bodies(), (), {Ending.HISTORY: _failed_actions(world, alarm)})


@row("alarm", "Lambda", "alarm-lambda", endings=(Ending.HISTORY,))
def _lambda(world: World) -> Observed:
    alarm = _alarm(world, world.works, world.works.replace(":works", ":missing"))
    _ring(world)
    delivered = [each for each in world.ledger() if "alarmArn" in each]
    return Observed(delivered, (), {Ending.HISTORY: _failed_actions(world, alarm)})


@row("alarm", "EventBridge", "alarm-event", endings=(Ending.TOLD,))
def _bus(world: World) -> Observed:
    queue, closed = world.queue(), world.queue(is_open=False)
    pattern = {"source": ["aws.cloudwatch"], "detail": {"state": {"value": ["ALARM"]}}}
    for arn in (queue.arn, closed.arn):
        world.rule({"Arn": arn}, EventPattern=json.dumps(pattern))
    _alarm(world)
    _ring(world)
    return Observed(queue.bodies(), (), {Ending.TOLD: world.told("failed", to=closed.arn)})


@row(
    "CloudFormation custom resource",
    "Lambda",
    "custom-resource",
    endings=(Ending.ROLLBACK,),
    kept="any",
)
def _custom(world: World) -> Observed:
    formation = world.client("cloudformation")

    def create(**properties: str) -> list[Any]:
        name = world.name("stack")
        resource = {"Type": "Custom::Thing", "Properties": {"ServiceToken": world.works, **properties}}
        formation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"Thing": resource}}))
        world.undo(lambda: formation.delete_stack(StackName=name))
        world.settle()
        events = formation.describe_stack_events(StackName=name)["StackEvents"]
        return [
            {"status": each["ResourceStatus"], "reason": each.get("ResourceStatusReason", "")}
            for each in events
            if each["LogicalResourceId"] in (name, "Thing")
        ]

    assert create(Name="a")[0]["status"] == "CREATE_COMPLETE"
    delivered = world.ledger()
    refused = create(Name="a", Refuse="yes")
    assert refused[0]["status"] == "ROLLBACK_COMPLETE"
    return Observed(
        delivered,
        (),
        {Ending.ROLLBACK: [each for each in refused if "the function said no" in each["reason"]]},
    )
