"""A function that writes to what invokes it: Lambda stops the loop, and says so."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from tests.triggers.world import World

# Sends whatever it gets back to where it came from.
_CODE = """
import json, os
import boto3

where = json.loads(os.environ["WHERE"])

def handler(event, context):
    if "bucket" in where:
        boto3.client("s3").put_object(Bucket=where["bucket"], Key="again", Body=b"again")
    elif "topic" in where:
        boto3.client("sns").publish(TopicArn=where["topic"], Message="again")
    elif "queue" in where:
        boto3.client("sqs").send_message(QueueUrl=where["queue"], MessageBody="again")
    else:
        boto3.client("lambda").invoke(
            FunctionName=context.function_name, InvocationType="Event", Payload=b"{}"
        )
"""
_LIMIT = 16


def _function(world: World, **where: str) -> tuple[str, str]:
    """A function that goes round; its name and ARN."""
    name = world.name("loops")
    arn = world.function(
        name, {"WHERE": json.dumps(where)}, code=_CODE, DeadLetterConfig={"TargetArn": world.dead.arn}
    )
    world.undo(lambda: world.client("lambda").delete_function(FunctionName=name))
    return name, arn


def _outcomes(world: World, function: str) -> Counter[str]:
    world.settle()
    return Counter(event["outcome"] for event in world.events("invocation") if event["subject"] == function)


_REFUSAL = "RecursiveInvocationException"


def test_a_bucket_whose_function_writes_to_it(world: Any) -> None:
    bucket = world.bucket()
    name, arn = _function(world, bucket=bucket)
    world.client("s3").put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )

    world.client("s3").put_object(Bucket=bucket, Key="first", Body=b"first")

    assert _outcomes(world, name) == {"ok": _LIMIT, _REFUSAL: 1}
    [kept] = world.dead.messages()
    assert json.loads(kept["Body"])["Records"][0]["s3"]["object"]["key"] == "again"
    assert "recursive loop" in kept["MessageAttributes"]["ErrorMessage"]["StringValue"]
    [event] = [each for each in world.events("invocation") if each["outcome"] == _REFUSAL]
    assert f"one chain of events invoked {name} 16 times" in event["detail"]["message"]
    dropped = world.client("cloudwatch").get_metric_statistics(
        Namespace="AWS/Lambda",
        MetricName="RecursiveInvocationsDropped",
        Dimensions=[{"Name": "FunctionName", "Value": name}],
        StartTime=0,
        EndTime=world.account.now(),
        Period=86400,
        Statistics=["Sum"],
    )
    assert [point["Sum"] for point in dropped["Datapoints"]] == [1]

    # The next event begins a chain of its own.
    world.client("s3").put_object(Bucket=bucket, Key="second", Body=b"second")
    assert _outcomes(world, name) == {"ok": 2 * _LIMIT, _REFUSAL: 2}


def test_a_topic_whose_function_publishes_to_it(world: Any) -> None:
    topic = world.topic()
    name, arn = _function(world, topic=topic)
    world.subscribe(topic, "lambda", arn)

    world.client("sns").publish(TopicArn=topic, Message="first")

    assert _outcomes(world, name) == {"ok": _LIMIT, _REFUSAL: 1}
    assert len(world.dead.messages()) == 1


def test_a_queue_whose_function_sends_to_it(world: Any) -> None:
    """SQS receives the message again until its redrive policy gives it up; Lambda refuses each time."""
    dead = world.queue()
    queue = world.queue(dead=dead, VisibilityTimeout=30)
    name, _ = _function(world, queue=queue.url)
    with world.mapping(queue.arn, name):
        queue.send("first")
        world.advance(120)
    assert _outcomes(world, name) == {"ok": _LIMIT, _REFUSAL: 3}
    assert dead.bodies() == ["again"]


def test_a_function_that_invokes_itself(world: Any) -> None:
    name, _ = _function(world)
    world.client("lambda").invoke(FunctionName=name, InvocationType="Event", Payload=b"{}")
    assert _outcomes(world, name) == {"ok": _LIMIT, _REFUSAL: 1}


def test_a_function_that_may_go_round(world: Any) -> None:
    topic, api = world.topic(), world.client("lambda")
    name, arn = _function(world, topic=topic)
    assert api.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Terminate"
    api.put_function_recursion_config(FunctionName=name, RecursiveLoop="Allow")
    assert api.get_function_recursion_config(FunctionName=name)["RecursiveLoop"] == "Allow"
    subscription = world.subscribe(topic, "lambda", arn)
    world.client("sns").publish(TopicArn=topic, Message="first")
    assert world.wait_for(lambda: len(world.events("invocation")) > 2 * _LIMIT)
    world.client("sns").unsubscribe(SubscriptionArn=subscription)
    assert set(_outcomes(world, name)) == {"ok"}


def test_what_may_not_be_configured(world: Any) -> None:
    api = world.client("lambda")
    with pytest.raises(api.exceptions.ClientError, match="enum value set"):
        api.put_function_recursion_config(FunctionName="works", RecursiveLoop="Sometimes")
    with pytest.raises(api.exceptions.ResourceNotFoundException):
        api.get_function_recursion_config(FunctionName="missing")


def test_a_stack_sets_it(world: Any) -> None:
    formation, name = world.client("cloudformation"), world.name("stack")
    function = {
        "Type": "AWS::Lambda::Function",
        "Properties": {
            "FunctionName": name,
            "Runtime": "python3.12",
            "Handler": "index.handler",
            "Role": world.role,
            "Code": {"ZipFile": "def handler(event, context): ..."},
            "RecursiveLoop": "Allow",
        },
    }
    formation.create_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"Loops": function}}))
    world.undo(lambda: formation.delete_stack(StackName=name))
    world.settle()
    found = world.client("lambda").get_function_recursion_config(FunctionName=name)
    assert found["RecursiveLoop"] == "Allow"
    del function["Properties"]["RecursiveLoop"]  # type: ignore[attr-defined]
    formation.update_stack(StackName=name, TemplateBody=json.dumps({"Resources": {"Loops": function}}))
    world.settle()
    found = world.client("lambda").get_function_recursion_config(FunctionName=name)
    assert found["RecursiveLoop"] == "Terminate"
