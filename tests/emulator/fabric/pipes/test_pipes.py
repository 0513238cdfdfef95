"""From a source through filter and enrichment to a target, and what becomes of failures."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.fabric.mappings import EventSourceMappings
from sandbox.emulator.fabric.pipes import Pipes
from sandbox.emulator.fabric.pipes.inputs import transform
from sandbox.emulator.fabric.sqs import SqsService
from tests.emulator.fabric.fakes import RecordingFunctions, create_function, create_role, take_bodies


class Plumbing:
    """An account with queues, a function ``worker`` and a role for pipes."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.functions = RecordingFunctions()
        queues = SqsService(account.core)
        account.add(queues.handlers())
        mappings = EventSourceMappings(account.core, self.functions, queues.mailroom)
        account.add(Pipes(account.core, queues.mailroom, mappings.streams).handlers())
        account.add({("lambda", "Invoke"): self.functions.answer_call})
        self.client = account.client("pipes")
        self.sqs = account.client("sqs")
        self.function = create_function(account, "worker")
        self.role = create_role(account, "pipe", "pipes.amazonaws.com")

    def queue(self, name: str) -> tuple[str, str]:
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        return url, f"arn:aws:sqs:{self.account.core.region}:{self.account.core.account_id}:{name}"

    def make(self, source: str, target: str, **options: Any) -> str:
        made = self.client.create_pipe(Name="p", RoleArn=self.role, Source=source, Target=target, **options)
        self.account.settle()
        return str(made["Arn"])

    def bodies(self, url: str) -> list[Any]:
        return [json.loads(body) for body in take_bodies(self.sqs, url)]


@pytest.fixture
def plumbing(account: Any) -> Plumbing:
    return Plumbing(account)


def test_a_queues_messages_are_filtered_and_shaped_for_a_queue(plumbing: Plumbing) -> None:
    source, source_arn = plumbing.queue("orders")
    target, target_arn = plumbing.queue("books")
    arn = plumbing.make(
        source_arn,
        target_arn,
        SourceParameters={
            "FilterCriteria": {"Filters": [{"Pattern": json.dumps({"body": {"kind": ["book"]}})}]}
        },
        TargetParameters={"InputTemplate": '{"id": <$.body.id>, "note": "from <aws.pipes.pipe-name>"}'},
    )
    for body in ({"kind": "book", "id": 1}, {"kind": "toy", "id": 2}):
        plumbing.sqs.send_message(QueueUrl=source, MessageBody=json.dumps(body))
    plumbing.account.settle()
    assert plumbing.bodies(target) == [{"id": 1, "note": "from p"}]
    assert plumbing.bodies(source) == []
    found = plumbing.client.describe_pipe(Name="p")
    assert (found["Arn"], found["CurrentState"]) == (arn, "RUNNING")


def test_a_function_enriches_and_another_takes_the_batch(plumbing: Plumbing) -> None:
    def answer(events: Any) -> Any:
        if "enriched" in events[0]:
            return None
        return [{"enriched": json.loads(event["body"])} for event in events]

    plumbing.functions.answer = answer
    source, source_arn = plumbing.queue("orders")
    plumbing.make(
        source_arn,
        plumbing.function,
        Enrichment=plumbing.function,
        SourceParameters={"SqsQueueParameters": {"BatchSize": 2, "MaximumBatchingWindowInSeconds": 5}},
    )
    for number in range(2):
        plumbing.sqs.send_message(QueueUrl=source, MessageBody=str(number))
    plumbing.account.advance(6)
    assert plumbing.functions.events[-1] == [{"enriched": 0}, {"enriched": 1}]


def test_a_stream_in_order_to_a_bus_or_its_dead_letters(plumbing: Plumbing) -> None:
    kinesis = plumbing.account.client("kinesis")
    kinesis.create_stream(StreamName="clicks", ShardCount=1)
    stream = kinesis.describe_stream_summary(StreamName="clicks")["StreamDescriptionSummary"]["StreamARN"]
    dead, dead_arn = plumbing.queue("dead")

    def answer(events: Any) -> Any:
        if events[0]["partitionKey"] == "bad":
            raise ValueError("bad")
        return None

    plumbing.functions.answer = answer
    arn = plumbing.make(
        stream,
        plumbing.function,
        SourceParameters={
            "KinesisStreamParameters": {
                "StartingPosition": "TRIM_HORIZON",
                "BatchSize": 1,
                "MaximumRetryAttempts": 1,
                "DeadLetterConfig": {"Arn": dead_arn},
            }
        },
        TargetParameters={"InputTemplate": '{"partitionKey": <$.partitionKey>}'},
    )
    for key in ("good", "bad", "better"):
        kinesis.put_record(StreamName="clicks", PartitionKey=key, Data=b"{}")
    plumbing.account.advance(60)
    seen = [events[0]["partitionKey"] for events in plumbing.functions.events]
    assert seen == ["good", "bad", "bad", "better"]
    [letter] = plumbing.bodies(dead)
    assert letter["context"] == {"partnerResourceArn": arn, "condition": "RetryAttemptsExhausted"}
    assert letter["KinesisBatchInfo"]["batchSize"] == 1


def test_a_function_may_name_the_messages_that_failed(plumbing: Plumbing) -> None:
    failed_once: list[str] = []

    def answer(events: Any) -> Any:
        bad = [event["messageId"] for event in events if event["body"] == "bad"]
        if bad and not failed_once:
            failed_once.extend(bad)
            return {"batchItemFailures": [{"itemIdentifier": each} for each in bad]}
        return None

    plumbing.functions.answer = answer
    source, source_arn = plumbing.queue("orders")
    plumbing.make(
        source_arn,
        plumbing.function,
        SourceParameters={"SqsQueueParameters": {"BatchSize": 10, "MaximumBatchingWindowInSeconds": 1}},
    )
    for body in ("good", "bad"):
        plumbing.sqs.send_message(QueueUrl=source, MessageBody=body)
    plumbing.account.advance(60)
    batches = [[event["body"] for event in events] for events in plumbing.functions.events]
    assert sorted(batches[0]) == ["bad", "good"]
    assert batches[1:] == [["bad"]]


def test_a_pipe_can_be_stopped_changed_and_deleted(plumbing: Plumbing) -> None:
    source, source_arn = plumbing.queue("orders")
    target, target_arn = plumbing.queue("copies")
    plumbing.make(source_arn, target_arn, Tags={"team": "shop"})
    plumbing.client.stop_pipe(Name="p")
    plumbing.account.settle()
    plumbing.sqs.send_message(QueueUrl=source, MessageBody='{"n": 1}')
    plumbing.account.settle()
    assert plumbing.bodies(target) == []
    plumbing.client.update_pipe(
        Name="p", RoleArn=plumbing.role, TargetParameters={"InputTemplate": '{"m": <$.body.n>}'}
    )
    plumbing.client.start_pipe(Name="p")
    plumbing.account.settle()
    assert plumbing.bodies(target) == [{"m": 1}]
    [listed] = plumbing.client.list_pipes()["Pipes"]
    assert (listed["Name"], listed["Source"]) == ("p", source_arn)
    plumbing.client.delete_pipe(Name="p")
    with pytest.raises(ClientError, match="does not exist"):
        plumbing.client.describe_pipe(Name="p")


def test_the_role_has_to_trust_pipes_and_the_source_to_exist(plumbing: Plumbing) -> None:
    _, target_arn = plumbing.queue("copies")
    with pytest.raises(ClientError, match="does not exist"):
        plumbing.make(target_arn.replace("copies", "nowhere"), target_arn)
    role = plumbing.role.replace("pipe", "runs-functions")
    with pytest.raises(ClientError, match="does not let Pipes assume it"):
        plumbing.client.create_pipe(Name="p", RoleArn=role, Source=target_arn, Target=target_arn)


@pytest.mark.parametrize(
    ("template", "made"),
    [
        ("", {"body": '{"a": {"b": [1, 2]}}', "id": "x"}),
        ('{"v": <$.body.a.b>}', {"v": [1, 2]}),
        ('{"v": "<$.id> and <$.body.a.b>"}', {"v": "x and [1,2]"}),
        ("<$.id>", "x"),
        ('{"pipe": "<aws.pipes.pipe-arn>"}', {"pipe": "arn"}),
    ],
)
def test_input_templates(template: str, made: Any) -> None:
    event = {"body": '{"a": {"b": [1, 2]}}', "id": "x"}
    assert transform(template, event, {"aws.pipes.pipe-arn": "arn"}) == made
