"""State machines: what their tasks call, and what comes of an error."""

from __future__ import annotations

import json
from typing import Any

from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import World

_RETRY = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 2, "MaxAttempts": 2, "BackoffRate": 2.0}]
_CATCH = [{"ErrorEquals": ["States.ALL"], "ResultPath": "$.error", "Next": "Caught"}]
# What a Map goes over, and how many of them may fail.
_ITEMS = '{"items": [{"n": 1}, {"n": 2}]}'
_SOME = {"ItemsPath": "$.items", "ToleratedFailureCount": 1}


def _run(world: World, resource: str, arguments: dict[str, Any], **task: Any) -> Any:
    """Run a machine of one task, with a state for what is caught; the execution."""
    state = {"Type": "Task", "Resource": resource, "Parameters": arguments, "End": True, **task}
    caught = {"Caught": {"Type": "Pass", "End": True}} if "Catch" in task else {}
    machine = world.machine({"Task": state, **caught})
    world.client("stepfunctions").start_execution(stateMachineArn=machine, input='{"n": 1}')
    world.advance(60)
    [execution] = world.executions(machine)
    return execution


def _caught(world: World, resource: str, arguments: dict[str, Any], **task: Any) -> list[Any]:
    """The error that a task's Catch got, as the execution's output has it."""
    execution = _run(world, resource, arguments, Catch=_CATCH, **task)
    assert execution["status"] == "SUCCEEDED"
    return [json.loads(execution["output"])["error"]]


@row(
    "Step Functions",
    "Lambda",
    "any",
    tries_s=(0, 2, 6),
    endings=(Ending.CAUGHT,),
    kept="states-error",
    note="`Retry` with `IntervalSeconds` 2 and `BackoffRate` 2",
)
def _lambda(world: World) -> Observed:
    invoke = "arn:aws:states:::lambda:invoke"
    given = {"FunctionName": "works", "Payload.$": "$"}
    assert _run(world, invoke, given)["status"] == "SUCCEEDED"
    delivered = world.ledger()
    found = _caught(world, invoke, {**given, "FunctionName": "fails"}, Retry=_RETRY)
    return Observed(delivered, world.tries(), {Ending.CAUGHT: found})


@row("Step Functions", "SQS", "any", endings=(Ending.CAUGHT,), kept="states-error")
def _sqs(world: World) -> Observed:
    queue, send = world.queue(), "arn:aws:states:::sqs:sendMessage"
    _run(world, send, {"QueueUrl": queue.url, "MessageBody.$": "$"})
    found = _caught(world, send, {"QueueUrl": f"{queue.url}-missing", "MessageBody": "x"})
    return Observed(queue.bodies(), (), {Ending.CAUGHT: found})


@row("Step Functions", "SNS", "sns-envelope", endings=(Ending.CAUGHT,), kept="states-error")
def _sns(world: World) -> Observed:
    queue, topic, publish = world.queue(), world.topic(), "arn:aws:states:::sns:publish"
    world.subscribe(topic, "sqs", queue.arn)
    _run(world, publish, {"TopicArn": topic, "Message.$": "$"})
    found = _caught(world, publish, {"TopicArn": f"{topic}-missing", "Message": "x"})
    return Observed(queue.bodies(), (), {Ending.CAUGHT: found})


@row("Step Functions", "DynamoDB", "any", endings=(Ending.CAUGHT,), kept="states-error")
def _dynamodb(world: World) -> Observed:
    (table, _), put = world.table(), "arn:aws:states:::dynamodb:putItem"
    item = {"TableName": table, "Item": {"pk": {"S": "1"}}, "ConditionExpression": "attribute_not_exists(pk)"}
    assert _run(world, put, item)["status"] == "SUCCEEDED"
    found = _caught(world, put, item)
    assert [each["Error"] for each in found] == ["DynamoDB.ConditionalCheckFailedException"]
    return Observed(world.client("dynamodb").scan(TableName=table)["Items"], (), {Ending.CAUGHT: found})


@row("Step Functions", "EventBridge", "eventbridge", endings=(Ending.CAUGHT,), kept="states-error")
def _events(world: World) -> Observed:
    queue, put = world.queue(), "arn:aws:states:::events:putEvents"
    world.rule({"Arn": queue.arn})
    entry = {"Source": "shop", "DetailType": "order", "Detail.$": "$"}
    _run(world, put, {"Entries": [entry]})
    found = _caught(world, put, {"Entries": [{**entry, "Source": "aws.s3"}]})
    return Observed(queue.bodies(), (), {Ending.CAUGHT: found})


@row(
    "Step Functions",
    "Lambda, by the executions of a distributed Map",
    "any",
    endings=(Ending.CAUGHT,),
    kept="states-error",
    note="once more fail than the Map tolerates",
)
def _map_run(world: World) -> Observed:
    def each(function: str) -> dict[str, Any]:
        task = {"Type": "Task", "Resource": function, "End": True}
        config = {"Mode": "DISTRIBUTED", "ExecutionType": "EXPRESS"}
        processor = {"ProcessorConfig": config, "StartAt": "Work", "States": {"Work": task}}
        return {"Type": "Map", "ItemProcessor": processor, "Next": "Caught", "Catch": _CATCH, **_SOME}

    def run(function: str) -> Any:
        machine = world.machine({"Each": each(function), "Caught": {"Type": "Pass", "End": True}})
        world.client("stepfunctions").start_execution(stateMachineArn=machine, input=_ITEMS)
        world.advance(10)
        [execution] = world.executions(machine)
        return json.loads(execution["output"])

    answers = run(world.works)
    assert [answer["statusCode"] for answer in answers] == [200, 200], answers
    delivered = world.ledger()
    found = [run(world.fails)["error"]]
    assert [error["Error"] for error in found] == ["States.ExceedToleratedFailureThreshold"]
    return Observed(delivered, (), {Ending.CAUGHT: found})


@row("Step Functions", "another machine, `.sync:2`", "any", endings=(Ending.CAUGHT,), kept="states-error")
def _sync(world: World) -> Observed:
    child = world.machine({"Wait": {"Type": "Wait", "Seconds": 5, "End": True}})
    start = "arn:aws:states:::states:startExecution.sync:2"
    execution = _run(world, start, {"StateMachineArn": child, "Input.$": "$"})
    assert (execution["stopDate"] - execution["startDate"]).total_seconds() >= 5
    broken = world.machine({"Fail": {"Type": "Fail", "Error": "Broken"}})
    found = _caught(world, start, {"StateMachineArn": broken, "Input.$": "$"})
    return Observed([json.loads(execution["output"])["Output"]], (), {Ending.CAUGHT: found})


@row(
    "Step Functions",
    "Lambda, which calls back",
    "any",
    endings=(Ending.CAUGHT,),
    kept="states-error",
    note="without a call back the task ends after its `HeartbeatSeconds`",
)
def _callback(world: World) -> Observed:
    invoke = "arn:aws:states:::lambda:invoke.waitForTaskToken"
    given = {"FunctionName": "works", "Payload": {"token.$": "$$.Task.Token"}}
    execution = _run(world, invoke, given)
    assert json.loads(execution["output"]) == {"called": "back"}
    delivered = world.ledger()
    silent = {"FunctionName": "works", "Payload": {}}
    found = _caught(world, invoke, silent, HeartbeatSeconds=20)
    assert [each["Error"] for each in found] == ["States.HeartbeatTimeout"]
    return Observed(delivered, (), {Ending.CAUGHT: found})


@row(
    "Step Functions",
    "an activity's worker",
    "any",
    endings=(Ending.CAUGHT,),
    kept="states-error",
    note="what its worker reports as failed, and what it leaves for longer than `TimeoutSeconds`",
)
def _activity(world: World) -> Observed:
    machines = world.client("stepfunctions")
    activity = machines.create_activity(name=world.name("activity"))["activityArn"]
    world.undo(lambda: machines.delete_activity(activityArn=activity))
    task = {"Type": "Task", "Resource": activity, "TimeoutSeconds": 20, "Catch": _CATCH, "End": True}
    machine = world.machine({"Task": task, "Caught": {"Type": "Pass", "End": True}})
    worked, failed, left = (f"e{number}" for number in range(3))
    taken = []
    for name in (worked, failed, left):
        machines.start_execution(stateMachineArn=machine, name=name, input=json.dumps({"name": name}))
        taken.append(machines.get_activity_task(activityArn=activity, workerName="row"))
    machines.send_task_success(taskToken=taken[0]["taskToken"], output=json.dumps({"worked": True}))
    machines.send_task_failure(taskToken=taken[1]["taskToken"], error="Refused", cause="by the worker")
    world.advance(30)
    outputs = {each["name"]: json.loads(each["output"]) for each in world.executions(machine)}
    assert outputs[worked] == {"worked": True}
    found = [outputs[name]["error"] for name in (failed, left)]
    assert [each["Error"] for each in found] == ["Refused", "States.Timeout"]
    return Observed([json.loads(each["input"]) for each in taken], (), {Ending.CAUGHT: found})
