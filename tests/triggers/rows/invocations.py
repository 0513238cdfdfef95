"""Invoking through the API, at once and later, and where results of the latter go."""

from __future__ import annotations

import json

from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import World


@row("Invoke", "Lambda", "any", tries_s=(0,), endings=(Ending.CALLER,), kept="function-error")
def _direct(world: World) -> Observed:
    api = world.client("lambda")
    answer = api.invoke(FunctionName="works", Payload=b'{"n": 1}')
    assert json.loads(answer["Payload"].read())["statusCode"] == 200
    failed = api.invoke(FunctionName="fails", Payload=b'{"n": 2}')
    assert failed["FunctionError"] == "Unhandled"
    delivered = world.ledger()
    error = json.loads(failed["Payload"].read())
    return Observed(delivered, world.tries(), {Ending.CALLER: [error]})


@row(
    "Invoke, asynchronous", "Lambda", "any", tries_s=(0, 60, 180), endings=(Ending.FUNCTION_DLQ,), kept="any"
)
def _asynchronous(world: World) -> Observed:
    api = world.client("lambda")
    for name in ("works", "fails"):
        api.invoke(FunctionName=name, InvocationType="Event", Payload=json.dumps({"to": name}).encode())
    world.advance(300)
    delivered = [each for each in world.ledger() if each["to"] == "works"]
    messages = world.dead.messages()
    assert [message["MessageAttributes"]["ErrorMessage"]["StringValue"] for message in messages] == [
        "as it was told"
    ]
    return Observed(
        delivered,
        world.tries(),
        {Ending.FUNCTION_DLQ: [json.loads(message["Body"]) for message in messages]},
    )


def _destinations(world: World, on_success: str, on_failure: str) -> None:
    """Have both functions invoked once with destinations."""
    api = world.client("lambda")
    settings = {"OnSuccess": {"Destination": on_success}, "OnFailure": {"Destination": on_failure}}
    for name in ("works", "fails"):
        api.put_function_event_invoke_config(
            FunctionName=name, MaximumRetryAttempts=1, DestinationConfig=settings
        )
        api.invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    world.advance(120)
    for name in ("works", "fails"):
        api.delete_function_event_invoke_config(FunctionName=name)


_KEPT = {"tries_s": (0, 60), "endings": (Ending.FUNCTION_DESTINATION,)}


@row("Lambda destination", "SQS", "invocation-record", kept="invocation-record", **_KEPT)
def _to_queue(world: World) -> Observed:
    succeeded, failed = world.queue(), world.queue()
    _destinations(world, succeeded.arn, failed.arn)
    kept = failed.bodies()
    assert [each["requestContext"]["approximateInvokeCount"] for each in kept] == [2]
    return Observed(succeeded.bodies(), world.tries(), {Ending.FUNCTION_DESTINATION: kept})


@row("Lambda destination", "SNS", "sns-envelope", kept="sns-envelope", **_KEPT)
def _to_topic(world: World) -> Observed:
    queue, topic, failed, failures = world.queue(), world.topic(), world.queue(), world.topic()
    world.subscribe(topic, "sqs", queue.arn)
    world.subscribe(failures, "sqs", failed.arn)
    _destinations(world, topic, failures)
    return Observed(queue.bodies(), world.tries(), {Ending.FUNCTION_DESTINATION: failed.bodies()})


@row("Lambda destination", "Lambda", "invocation-record", kept="invocation-record", **_KEPT)
def _to_function(world: World) -> Observed:
    _destinations(world, world.takes, world.takes)
    records = [each for each in world.ledger() if "requestContext" in each]
    conditions = {each["requestContext"]["condition"]: each for each in records}
    assert set(conditions) == {"Success", "RetriesExhausted"}
    kept = {Ending.FUNCTION_DESTINATION: [conditions["RetriesExhausted"]]}
    return Observed([conditions["Success"]], world.tries(), kept)


@row("Lambda destination", "EventBridge", "eventbridge", kept="eventbridge", **_KEPT)
def _to_bus(world: World) -> Observed:
    queue = world.queue()
    bus = f"arn:aws:events:{world.account.region}:{world.account.account_id}:event-bus/default"
    world.rule({"Arn": queue.arn}, EventPattern='{"source": ["lambda"]}')
    _destinations(world, bus, bus)
    kinds = {each["detail-type"]: each for each in queue.bodies()}
    word = "Lambda Function Invocation Result - "
    kept = {Ending.FUNCTION_DESTINATION: [kinds[f"{word}Failure"]]}
    return Observed([kinds[f"{word}Success"]], world.tries(), kept)
