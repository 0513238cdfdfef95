"""Batches from a queue to a function, and what becomes of their messages."""

from __future__ import annotations

import json
import threading
from typing import Any

import pytest

from sandbox.emulator.functions.contract import InvokeOutcome


def fail(event: Any) -> None:
    raise RuntimeError("cannot")


def test_a_batch_has_the_event_that_aws_sends(bench: Any) -> None:
    url, arn = bench.queue()
    bench.map(arn)

    bench.sqs.send_message(
        QueueUrl=url,
        MessageBody='{"id": 1}',
        MessageAttributes={
            "kind": {"DataType": "String", "StringValue": "book"},
            "raw": {"DataType": "Binary", "BinaryValue": b"\x01"},
        },
        MessageSystemAttributes={
            "AWSTraceHeader": {"DataType": "String", "StringValue": "Root=1-5e8-1;Sampled=1"}
        },
    )
    bench.account.settle()

    [invocation] = bench.functions.invocations
    [record] = invocation.event["Records"]
    assert set(record["attributes"]) == {
        "ApproximateReceiveCount",
        "SentTimestamp",
        "SenderId",
        "ApproximateFirstReceiveTimestamp",
        "AWSTraceHeader",
    }
    assert record["attributes"]["ApproximateReceiveCount"] == "1"
    assert record["messageAttributes"] == {
        "kind": {
            "stringValue": "book",
            "stringListValues": [],
            "binaryListValues": [],
            "dataType": "String",
        },
        "raw": {"binaryValue": "AQ==", "stringListValues": [], "binaryListValues": [], "dataType": "Binary"},
    }
    assert (record["eventSource"], record["eventSourceARN"], record["awsRegion"]) == (
        "aws:sqs",
        arn,
        bench.account.core.region,
    )
    assert record["body"] == '{"id": 1}'
    assert len(record["md5OfBody"]) == 32
    assert record["messageId"]
    assert record["receiptHandle"]
    assert invocation.source == "sqs:orders"
    assert (invocation.trace_header, invocation.linked_traces) == ("", ("Root=1-5e8-1;Sampled=1",))


def test_messages_of_a_successful_batch_are_deleted(bench: Any) -> None:
    url, arn = bench.queue()
    bench.map(arn)

    bench.send(url, "a", "b", "c")
    bench.account.settle()

    assert bench.batches() == [["a", "b", "c"]]
    assert bench.count(url) == (0, 0)
    assert bench.outcomes() == ["ok"]


def test_messages_that_waited_before_the_mapping_are_delivered(bench: Any) -> None:
    url, arn = bench.queue()
    bench.send(url, "early")

    bench.map(arn)

    assert bench.batches() == [["early"]]


def test_polling_leaves_no_call_of_the_learner_in_the_trail(bench: Any) -> None:
    url, arn = bench.queue()
    bench.map(arn)
    bench.send(url, "a")
    bench.account.settle()

    calls = {event.subject for event in bench.account.events("api")}
    assert not calls & {"sqs:ReceiveMessage", "sqs:DeleteMessage"}


def test_a_failed_batch_comes_back_after_the_visibility_timeout(bench: Any) -> None:
    url, arn = bench.queue(VisibilityTimeout=30)
    bench.functions.answer = fail
    bench.map(arn)

    bench.send(url, "a")
    bench.account.settle()
    assert bench.count(url) == (0, 1)
    bench.account.advance(29)
    assert len(bench.functions.events) == 1
    bench.account.advance(2)

    assert len(bench.functions.events) == 2
    [record] = bench.functions.events[1]["Records"]
    assert record["attributes"]["ApproximateReceiveCount"] == "2"


def test_a_poison_message_ends_in_the_dead_letter_queue(bench: Any) -> None:
    dead_url, dead_arn = bench.queue("dead")
    policy = json.dumps({"deadLetterTargetArn": dead_arn, "maxReceiveCount": 3})
    url, arn = bench.queue(VisibilityTimeout=30, RedrivePolicy=policy)
    bench.functions.answer = fail
    bench.map(arn)

    bench.send(url, "poison")
    bench.account.settle()
    bench.account.advance(200)

    assert len(bench.functions.events) == 3
    assert bench.count(url) == (0, 0)
    assert bench.count(dead_url) == (1, 0)


def test_only_reported_messages_come_back(bench: Any) -> None:
    url, arn = bench.queue(VisibilityTimeout=30)

    def refuse_b(event: Any) -> Any:
        failed = [record["messageId"] for record in event["Records"] if record["body"] == "b"]
        return {"batchItemFailures": [{"itemIdentifier": each} for each in failed]}

    bench.functions.answer = refuse_b
    bench.map(arn, FunctionResponseTypes=["ReportBatchItemFailures"])

    bench.send(url, "a", "b", "c")
    bench.account.settle()
    assert bench.count(url) == (0, 1)
    assert bench.outcomes() == ["partial"]
    bench.account.advance(31)

    assert bench.batches() == [["a", "b", "c"], ["b"]]


def test_without_the_response_type_a_report_is_ignored(bench: Any) -> None:
    url, arn = bench.queue()
    bench.functions.answer = lambda event: {
        "batchItemFailures": [{"itemIdentifier": event["Records"][0]["messageId"]}]
    }
    bench.map(arn)

    bench.send(url, "a")
    bench.account.settle()

    assert bench.count(url) == (0, 0)


@pytest.mark.parametrize("answer", [None, {}, {"batchItemFailures": []}, {"batchItemFailures": None}])
def test_answers_that_mean_success(bench: Any, answer: Any) -> None:
    url, arn = bench.queue()
    bench.functions.answer = lambda event: answer
    bench.map(arn, FunctionResponseTypes=["ReportBatchItemFailures"])

    bench.send(url, "a", "b")
    bench.account.settle()

    assert bench.count(url) == (0, 0)


@pytest.mark.parametrize(
    "answer",
    [
        "done",
        {"batchItemFailures": [{"itemIdentifier": ""}]},
        {"batchItemFailures": [{"itemIdentifier": None}]},
        {"batchItemFailures": [{"id": "x"}]},
        {"batchItemFailures": [{"itemIdentifier": "unknown"}]},
        {"batchItemFailures": ["x"]},
    ],
)
def test_answers_that_mean_failure_of_all(bench: Any, answer: Any) -> None:
    url, arn = bench.queue()
    bench.functions.answer = lambda event: answer
    bench.map(arn, FunctionResponseTypes=["ReportBatchItemFailures"])

    bench.send(url, "a", "b")
    bench.account.settle()

    assert bench.count(url) == (0, 2)


def test_a_batching_window_gathers_messages_on_the_clock(bench: Any) -> None:
    url, arn = bench.queue()
    bench.map(arn, BatchSize=100, MaximumBatchingWindowInSeconds=60)

    for body in ("a", "b", "c"):
        bench.send(url, body)
        bench.account.advance(10)
    assert bench.batches() == []
    bench.account.advance(31)

    assert bench.batches() == [["a", "b", "c"]]


def test_a_full_batch_does_not_wait_for_its_window(bench: Any) -> None:
    url, arn = bench.queue()
    bench.map(arn, BatchSize=2, MaximumBatchingWindowInSeconds=60)

    bench.send(url, "a", "b", "c")
    bench.account.settle()
    assert bench.batches() == [["a", "b"]]
    bench.account.advance(61)
    assert bench.batches() == [["a", "b"], ["c"]]


def test_messages_that_no_filter_wants_are_deleted(bench: Any) -> None:
    url, arn = bench.queue()
    bench.map(arn, FilterCriteria={"Filters": [{"Pattern": '{"body": {"kind": ["book"]}}'}]})

    bench.send(url, '{"kind": "book"}', '{"kind": "toy"}', "no json")
    bench.account.settle()

    assert bench.batches() == [['{"kind": "book"}']]
    assert bench.count(url) == (0, 0)
    [filtered] = [e for e in bench.account.events("delivery") if e.outcome == "filtered"]
    assert len(filtered.detail["messages"]) == 2


def test_a_throttled_batch_is_tried_again_while_it_is_hidden(bench: Any) -> None:
    url, arn = bench.queue(VisibilityTimeout=60)
    throttled = InvokeOutcome(429, b"{}", error_code="TooManyRequestsException")
    answers = iter([throttled, throttled, None])
    bench.functions.answer = lambda event: next(answers)
    bench.map(arn)

    bench.send(url, "a")
    bench.account.settle()
    bench.account.advance(10)

    assert [e["Records"][0]["attributes"]["ApproximateReceiveCount"] for e in bench.functions.events] == [
        "1",
        "1",
        "1",
    ]
    assert bench.outcomes() == ["throttled", "throttled", "ok"]
    assert bench.count(url) == (0, 0)


def test_maximum_concurrency_caps_batches_at_a_time(bench: Any) -> None:
    url, arn = bench.queue()
    here, most = 0, 0
    lock, both = threading.Lock(), threading.Barrier(2)

    def work(event: Any) -> None:
        nonlocal here, most
        with lock:
            here += 1
            most = max(most, here)
        both.wait(timeout=10)
        with lock:
            here -= 1

    bench.functions.answer = work
    bench.map(arn, BatchSize=1, ScalingConfig={"MaximumConcurrency": 2})

    bench.send(url, *[str(n) for n in range(10)])
    bench.account.settle()

    assert most == 2
    assert sorted(int(body) for [body] in bench.batches()) == list(range(10))


def test_a_deleted_mapping_stops(bench: Any) -> None:
    url, arn = bench.queue()
    mapping = bench.map(arn)

    bench.lambda_.delete_event_source_mapping(UUID=mapping)
    bench.account.settle()
    bench.send(url, "late")
    bench.account.settle()

    assert bench.batches() == []
    assert bench.lambda_.list_event_source_mappings()["EventSourceMappings"] == []


def test_a_disabled_mapping_waits_until_it_is_enabled(bench: Any) -> None:
    url, arn = bench.queue()
    mapping = bench.map(arn, Enabled=False)
    bench.send(url, "a")
    bench.account.settle()
    assert bench.batches() == []

    changed = bench.lambda_.update_event_source_mapping(UUID=mapping, Enabled=True)
    assert changed["State"] == "Enabling"
    bench.account.settle()

    assert bench.batches() == [["a"]]


def test_a_fifo_group_is_processed_in_order_and_waits_for_its_failed_message(bench: Any) -> None:
    url, arn = bench.queue("orders.fifo", FifoQueue="true", ContentBasedDeduplication="true")
    attempts: list[str] = []

    def fail_a2_once(event: Any) -> None:
        for record in event["Records"]:
            attempts.append(record["body"])
            if record["body"] == "a2" and attempts.count("a2") == 1:
                raise RuntimeError("not yet")

    bench.functions.answer = fail_a2_once
    bench.map(arn, BatchSize=1)
    for body in ("a1", "b1", "a2", "b2", "a3"):
        bench.sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId=body[0])
    bench.account.settle()
    assert [body for body in attempts if body[0] == "a"] == ["a1", "a2"]
    assert [body for body in attempts if body[0] == "b"] == ["b1", "b2"]
    bench.account.advance(31)

    assert [body for body in attempts if body[0] == "a"] == ["a1", "a2", "a2", "a3"]


def test_a_batch_too_large_for_one_invocation_is_split(bench: Any) -> None:
    url, arn = bench.queue()
    for _ in range(8):
        bench.sqs.send_message(QueueUrl=url, MessageBody="x" * 1_000_000)
    bench.map(arn)
    bench.account.settle()

    assert sum(len(batch) for batch in bench.batches()) == 8
    assert len(bench.batches()) == 2
    assert bench.count(url) == (0, 0)
