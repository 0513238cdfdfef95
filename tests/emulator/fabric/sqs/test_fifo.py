"""FIFO queues: order within a group, and one message per deduplication id."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.fixture
def url(sqs: Any) -> str:
    attributes = {"FifoQueue": "true", "VisibilityTimeout": "30"}
    return str(sqs.create_queue(QueueName="orders.fifo", Attributes=attributes)["QueueUrl"])


def send(sqs: Any, url: str, body: str, group: str, deduplication_id: str = "") -> dict[str, Any]:
    answer: dict[str, Any] = sqs.send_message(
        QueueUrl=url,
        MessageBody=body,
        MessageGroupId=group,
        MessageDeduplicationId=deduplication_id or body,
    )
    return answer


def receive(sqs: Any, url: str, count: int = 10) -> list[dict[str, Any]]:
    answer = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=count, AttributeNames=["All"])
    found: list[dict[str, Any]] = answer.get("Messages", [])
    return found


def bodies(messages: list[dict[str, Any]]) -> list[str]:
    return [message["Body"] for message in messages]


def test_a_group_waits_for_its_messages_in_flight(account: Any, sqs: Any, url: str) -> None:
    for body, group in (("a1", "a"), ("a2", "a"), ("b1", "b"), ("a3", "a")):
        send(sqs, url, body, group)

    first = receive(sqs, url, 1)
    assert bodies(first) == ["a1"]
    assert bodies(receive(sqs, url)) == ["b1"]
    sqs.delete_message(QueueUrl=url, ReceiptHandle=first[0]["ReceiptHandle"])
    assert bodies(receive(sqs, url, 1)) == ["a2"]
    assert not receive(sqs, url)
    account.advance(31)
    assert bodies(receive(sqs, url)) == ["a2", "a3", "b1"]


def test_sequence_numbers_grow(sqs: Any, url: str) -> None:
    numbers = [int(send(sqs, url, body, "a")["SequenceNumber"]) for body in ("1", "2", "3")]

    assert numbers == sorted(numbers)
    assert [int(m["Attributes"]["SequenceNumber"]) for m in receive(sqs, url)] == numbers


def test_a_repeat_within_five_minutes_is_dropped_even_after_its_delete(
    account: Any, sqs: Any, url: str
) -> None:
    first = send(sqs, url, "x", "a", "same")
    [message] = receive(sqs, url)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])

    repeated = send(sqs, url, "x", "a", "same")
    assert repeated["MessageId"] == first["MessageId"]
    assert not receive(sqs, url)
    account.advance(301)
    send(sqs, url, "x", "a", "same")
    assert len(receive(sqs, url)) == 1


def test_deduplication_by_group_keeps_other_groups_apart(sqs: Any) -> None:
    attributes = {
        "FifoQueue": "true",
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
    }
    url = sqs.create_queue(QueueName="wide.fifo", Attributes=attributes)["QueueUrl"]

    for group in ("a", "b", "a", "b"):
        send(sqs, url, f"for {group}", group, "same")

    assert sorted(bodies(receive(sqs, url))) == ["for a", "for b"]


def test_content_based_deduplication_takes_the_body(sqs: Any) -> None:
    attributes = {"FifoQueue": "true", "ContentBasedDeduplication": "true"}
    url = sqs.create_queue(QueueName="content.fifo", Attributes=attributes)["QueueUrl"]

    for body in ("x", "x", "y"):
        sqs.send_message(QueueUrl=url, MessageBody=body, MessageGroupId="a")

    assert bodies(receive(sqs, url)) == ["x", "y"]


@pytest.mark.parametrize(
    ("extra", "reason"),
    [
        ({}, "must contain the parameter MessageGroupId"),
        ({"MessageGroupId": "a"}, "ContentBasedDeduplication enabled or MessageDeduplicationId"),
        (
            {"MessageGroupId": "a", "MessageDeduplicationId": "1", "DelaySeconds": 5},
            "not valid for this queue type",
        ),
    ],
)
def test_messages_a_fifo_queue_refuses(sqs: Any, url: str, extra: dict[str, Any], reason: str) -> None:
    with pytest.raises(ClientError, match=reason):
        sqs.send_message(QueueUrl=url, MessageBody="x", **extra)
