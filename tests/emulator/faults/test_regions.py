"""A region goes dark: nothing of it answers, runs or is delivered, and its queued work goes on afterwards."""

from __future__ import annotations

import io
import json
import urllib.error
import urllib.request
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from tests.triggers.world import World, document, services

THERE = "eu-west-1"
CODE = """
import boto3, json, os
def handler(event, context):
    ledger = boto3.client("sqs", region_name="us-east-1")
    ledger.send_message(QueueUrl=os.environ["LEDGER"], MessageBody=json.dumps(event))
    return {"statusCode": 200, "body": "here"}
"""
ASKS = """
import boto3
from botocore.config import Config
def handler(event, context):
    once = Config(retries={"total_max_attempts": 1})
    try:
        boto3.client("sqs", region_name=event["region"], config=once).list_queues()
    except Exception as error:
        return error.response["ResponseMetadata"]["HTTPStatusCode"]
    return 200
"""


WITHIN = """
import boto3, os, time
from botocore.config import Config
def handler(event, context):
    elsewhere = boto3.client("sqs", region_name="us-east-1", config=Config(retries={"total_max_attempts": 1}))
    until = time.monotonic() + 15
    while time.monotonic() < until:
        try:
            elsewhere.send_message(QueueUrl=os.environ["LEDGER"], MessageBody="here")
        except Exception as error:
            return error.response["ResponseMetadata"]["HTTPStatusCode"]
        time.sleep(0.05)
"""


@pytest.fixture
def there(world: World) -> Iterator[Any]:
    """A client maker of the other region, where the function `abroad` is."""
    api = world.account.client("lambda", region=THERE)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", CODE)
    api.create_function(
        FunctionName="abroad",
        Runtime="python3.12",
        Handler="app.handler",
        Role=world.role,
        Code={"ZipFile": archive.getvalue()},
        Timeout=20,
        Environment={"Variables": {"LEDGER": world._ledger.url}},
    )
    yield lambda service: world.account.client(service, region=THERE)
    api.delete_function(FunctionName="abroad")


def status(world: World, url: str) -> int:
    try:
        with urllib.request.urlopen(world.account.url(url), timeout=20) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code


def test_queued_work_of_a_dark_region_is_done_when_it_is_back(world: World, there: Any, broken: Any) -> None:
    sqs, api = there("sqs"), there("lambda")
    url = sqs.create_queue(QueueName="abroad")["QueueUrl"]
    arn = f"arn:aws:sqs:{THERE}:{world.account.account_id}:abroad"
    topic = there("sns").create_topic(Name="abroad")["TopicArn"]
    there("sqs").set_queue_attributes(
        QueueUrl=url,
        Attributes={"Policy": document({"Service": services("sns", "events")}, "sqs:SendMessage", arn)},
    )
    there("sns").subscribe(
        TopicArn=topic, Protocol="sqs", Endpoint=arn, Attributes={"RawMessageDelivery": "true"}
    )
    mapping = api.create_event_source_mapping(EventSourceArn=arn, FunctionName="abroad", BatchSize=1)["UUID"]
    world.settle()

    with broken("region_outage", region=THERE):
        # The grader still gets through; what it leaves there lies there.
        sqs.send_message(QueueUrl=url, MessageBody="message")
        there("sns").publish(TopicArn=topic, Message="publication")
        api.invoke(FunctionName="abroad", InvocationType="Event", Payload=b'{"n": 1}')
        world.advance(20 * 60)
        assert world.ledger() == []
        world.client("sqs").list_queues()
    world.settle()
    seen = world.ledger()

    api.delete_event_source_mapping(UUID=mapping)
    sqs.delete_queue(QueueUrl=url)
    bodies = [event["Records"][0]["body"] if "Records" in event else event["n"] for event in seen]
    assert sorted(map(str, bodies)) == ["1", "message", "publication"]


def test_what_is_delivered_to_a_dark_region_waits_for_it(world: World, there: Any, broken: Any) -> None:
    url = there("sqs").create_queue(QueueName="subscriber")["QueueUrl"]
    arn = f"arn:aws:sqs:{THERE}:{world.account.account_id}:subscriber"
    policy = document({"Service": services("sns")}, "sqs:SendMessage", arn)
    there("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    topic = world.topic()
    world.subscribe(topic, "sqs", arn, RawMessageDelivery="true")

    with broken("region_outage", region=THERE):
        world.client("sns").publish(TopicArn=topic, Message="across")
        world.advance(60)
        assert "Messages" not in there("sqs").receive_message(QueueUrl=url)
    world.advance(30)

    assert there("sqs").receive_message(QueueUrl=url)["Messages"][0]["Body"] == "across"
    there("sqs").delete_queue(QueueUrl=url)


def test_schedules_rules_and_streams_of_a_dark_region_catch_up(world: World, there: Any, broken: Any) -> None:
    events, api, kinesis, scheduler = (
        there(service) for service in ("events", "lambda", "kinesis", "scheduler")
    )
    target = f"arn:aws:lambda:{THERE}:{world.account.account_id}:function:abroad"
    rule = events.put_rule(Name="abroad", ScheduleExpression="rate(2 minutes)")["RuleArn"]
    api.add_permission(
        FunctionName="abroad",
        StatementId="rule",
        Action="lambda:InvokeFunction",
        Principal="events.amazonaws.com",
        SourceArn=rule,
    )
    events.put_targets(Rule="abroad", Targets=[{"Id": "t", "Arn": target, "Input": '{"by": "rule"}'}])
    scheduler.create_schedule(
        Name="abroad",
        ScheduleExpression="rate(2 minutes)",
        FlexibleTimeWindow={"Mode": "OFF"},
        Target={"Arn": target, "RoleArn": world.role, "Input": '{"by": "schedule"}'},
    )
    kinesis.create_stream(StreamName="abroad", ShardCount=1)
    stream = kinesis.describe_stream_summary(StreamName="abroad")["StreamDescriptionSummary"]["StreamARN"]
    mapping = api.create_event_source_mapping(
        EventSourceArn=stream, FunctionName="abroad", StartingPosition="TRIM_HORIZON"
    )["UUID"]
    world.settle()
    world.ledger()

    with broken("region_outage", region=THERE):
        kinesis.put_record(StreamName="abroad", PartitionKey="k", Data=b"1")
        world.advance(5 * 60)
        assert world.ledger() == []
    world.settle()
    seen = [event.get("by", "stream") for event in world.ledger()]

    events.remove_targets(Rule="abroad", Ids=["t"])
    events.delete_rule(Name="abroad")
    scheduler.delete_schedule(Name="abroad")
    api.delete_event_source_mapping(UUID=mapping)
    kinesis.delete_stream(StreamName="abroad")
    assert sorted(set(seen)) == ["rule", "schedule", "stream"]
    assert seen.count("stream") == 1
    assert seen.count("rule") >= 2
    assert seen.count("schedule") >= 2


def test_addresses_and_functions_of_a_dark_region_answer_503(world: World, there: Any, broken: Any) -> None:
    api = there("lambda")
    address = api.create_function_url_config(FunctionName="abroad", AuthType="NONE")["FunctionUrl"]
    for action, more in (
        ("InvokeFunctionUrl", {"FunctionUrlAuthType": "NONE"}),
        ("InvokeFunction", {"InvokedViaFunctionUrl": True}),
    ):
        api.add_permission(
            FunctionName="abroad", StatementId=action, Action=f"lambda:{action}", Principal="*", **more
        )
    apis = there("apigatewayv2")
    made = apis.create_api(
        Name="abroad",
        ProtocolType="HTTP",
        Target=f"arn:aws:lambda:{THERE}:{world.account.account_id}:function:abroad",
    )
    api.add_permission(
        FunctionName="abroad",
        StatementId="api",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
    )
    addresses = (address, made["ApiEndpoint"])
    assert [status(world, each) for each in addresses] == [200, 200]

    with broken("region_outage", region=THERE):
        assert [status(world, each) for each in addresses] == [503, 503]
    assert [status(world, each) for each in addresses] == [200, 200]

    with broken("region_outage", region="eu-central-1"):
        assert [status(world, each) for each in addresses] == [200, 200]
    apis.delete_api(ApiId=made["ApiId"])


def test_a_function_elsewhere_does_not_reach_a_dark_region(world: World, broken: Any) -> None:
    world.function("asks-there", {}, code=ASKS)

    def asked(region: str) -> int:
        payload = json.dumps({"region": region}).encode()
        answer = world.client("lambda").invoke(FunctionName="asks-there", Payload=payload)
        return int(answer["Payload"].read())

    with broken("region_outage", region=THERE):
        assert (asked(THERE), asked("us-east-1")) == (503, 200)
    assert asked(THERE) == 200
    world.client("lambda").delete_function(FunctionName="asks-there")


def test_a_function_within_a_dark_region_reaches_nothing(world: World, broken: Any) -> None:
    api = world.account.client("lambda", region=THERE)
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("app.py", WITHIN)
    api.create_function(
        FunctionName="within",
        Runtime="python3.12",
        Handler="app.handler",
        Role=world.role,
        Code={"ZipFile": archive.getvalue()},
        Timeout=20,
        Environment={"Variables": {"LEDGER": world._ledger.url}},
    )
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(lambda: json.loads(api.invoke(FunctionName="within")["Payload"].read()))
        assert world.wait_for(lambda: bool(world._ledger.messages()))
        with broken("region_outage", region=THERE):
            assert running.result(20) == 503
    api.delete_function(FunctionName="within")


def test_a_machine_of_a_dark_region_goes_on_where_it_was(world: World, broken: Any) -> None:
    here = world.account.region
    machine = world.machine(
        {
            "Wait": {"Type": "Wait", "Seconds": 60, "Next": "Call"},
            "Call": {
                "Type": "Task",
                "Resource": "arn:aws:states:::lambda:invoke",
                "Parameters": {"FunctionName": "works", "Payload": {"n": 1}},
                "End": True,
            },
        }
    )
    world.client("stepfunctions").start_execution(stateMachineArn=machine, input="{}")
    with broken("region_outage", region=here):
        world.advance(600)
        assert world.ledger() == []
        assert world.executions(machine)[0]["status"] == "RUNNING"
    world.settle()
    assert world.executions(machine)[0]["status"] == "SUCCEEDED"
    assert world.ledger() == [{"n": 1}]
