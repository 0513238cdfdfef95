"""Messages as producers and consumers of SQS see them."""

from __future__ import annotations

import hashlib
import json
import threading
from typing import Any

import pytest
from botocore.exceptions import ClientError


def refused(code: str) -> Any:
    return pytest.raises(ClientError, match=code)


def receive(sqs: Any, url: str, **options: Any) -> list[dict[str, Any]]:
    answer = sqs.receive_message(QueueUrl=url, **{"MaxNumberOfMessages": 10, **options})
    found: list[dict[str, Any]] = answer.get("Messages", [])
    return found


def test_a_queue_url_points_at_the_gateway(account: Any, sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]

    assert url == f"http://127.0.0.1:{account.core.gateway_port}/{account.core.account_id}/orders"
    assert sqs.get_queue_url(QueueName="orders")["QueueUrl"] == url
    assert sqs.list_queues()["QueueUrls"] == [url]


def test_a_message_arrives_with_what_it_was_sent_with(account: Any, sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    attributes = {
        "kind": {"DataType": "String", "StringValue": "book"},
        "count": {"DataType": "Number", "StringValue": "3"},
        "raw": {"DataType": "Binary", "BinaryValue": b"\x00\x01"},
    }

    sent = sqs.send_message(QueueUrl=url, MessageBody="grüße", MessageAttributes=attributes)
    [message] = receive(sqs, url, AttributeNames=["All"], MessageAttributeNames=["All"])

    assert message["Body"] == "grüße"
    assert message["MessageId"] == sent["MessageId"]
    assert message["MD5OfBody"] == sent["MD5OfMessageBody"] == hashlib.md5("grüße".encode()).hexdigest()
    assert message["MessageAttributes"] == attributes
    assert message["MD5OfMessageAttributes"] == sent["MD5OfMessageAttributes"]
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"
    assert abs(int(message["Attributes"]["SentTimestamp"]) / 1000 - account.core.clock.time()) < 5


def test_the_digest_of_attributes_is_the_documented_encoding(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    attributes = {"a": {"DataType": "String", "StringValue": "b"}}

    sent = sqs.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)

    encoded = b"\0\0\0\x01a" + b"\0\0\0\x06String" + b"\x01" + b"\0\0\0\x01b"
    assert sent["MD5OfMessageAttributes"] == hashlib.md5(encoded).hexdigest()


def test_attributes_come_only_when_asked_for(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "0"})["QueueUrl"]
    attributes = {name: {"DataType": "String", "StringValue": "x"} for name in ("app.a", "app.b", "other")}
    sqs.send_message(QueueUrl=url, MessageBody="x", MessageAttributes=attributes)

    [bare] = receive(sqs, url)
    [prefixed] = receive(
        sqs, url, MessageAttributeNames=["app.*"], MessageSystemAttributeNames=["SentTimestamp"]
    )

    assert "Attributes" not in bare
    assert "MessageAttributes" not in bare
    assert set(prefixed["MessageAttributes"]) == {"app.a", "app.b"}
    assert set(prefixed["Attributes"]) == {"SentTimestamp"}


def test_a_received_message_is_hidden_and_comes_back(account: Any, sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "30"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")

    first = receive(sqs, url)
    account.advance(29)
    hidden = receive(sqs, url)
    account.advance(2)
    [again] = receive(sqs, url, AttributeNames=["ApproximateReceiveCount"])

    assert len(first) == 1
    assert not hidden
    assert again["Attributes"]["ApproximateReceiveCount"] == "2"
    assert again["ReceiptHandle"] != first[0]["ReceiptHandle"]


def test_a_consumer_changes_how_long_a_message_stays_hidden(account: Any, sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [message] = receive(sqs, url)

    change = {"QueueUrl": url, "ReceiptHandle": message["ReceiptHandle"]}
    sqs.change_message_visibility(**change, VisibilityTimeout=120)
    account.advance(60)
    assert not receive(sqs, url)
    sqs.change_message_visibility(**change, VisibilityTimeout=0)
    assert len(receive(sqs, url)) == 1


def test_a_message_not_in_flight_has_no_visibility_to_change(account: Any, sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "1"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [message] = receive(sqs, url)
    account.advance(2)

    with refused("Message does not exist or is not available for visibility timeout change"):
        sqs.change_message_visibility(
            QueueUrl=url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=5
        )


def test_a_deleted_message_stays_away_and_deleting_again_is_fine(account: Any, sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [message] = receive(sqs, url)

    for _ in range(2):
        sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    account.advance(3600)

    assert not receive(sqs, url)
    with refused("ReceiptHandleIsInvalid"):
        sqs.delete_message(QueueUrl=url, ReceiptHandle="nonsense")


def test_delays_of_queue_and_message(account: Any, sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders", Attributes={"DelaySeconds": "60"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="queue's")
    sqs.send_message(QueueUrl=url, MessageBody="own", DelaySeconds=10)
    sqs.send_message(QueueUrl=url, MessageBody="none", DelaySeconds=0)

    assert [m["Body"] for m in receive(sqs, url)] == ["none"]
    account.advance(11)
    assert [m["Body"] for m in receive(sqs, url)] == ["own"]
    account.advance(50)
    assert "queue's" in [m["Body"] for m in receive(sqs, url)]


def test_a_message_outlives_its_retention_by_nothing(account: Any, sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders", Attributes={"MessageRetentionPeriod": "60"})["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")

    account.advance(61)

    assert not receive(sqs, url)


def test_a_message_received_too_often_moves_to_the_dead_letter_queue(account: Any, sqs: Any) -> None:
    dlq = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": "2"})
    attributes = {"VisibilityTimeout": "1", "RedrivePolicy": policy}
    url = sqs.create_queue(QueueName="orders", Attributes=attributes)["QueueUrl"]
    sent = sqs.send_message(QueueUrl=url, MessageBody="poison")

    for _ in range(2):
        assert len(receive(sqs, url)) == 1
        account.advance(2)
    assert not receive(sqs, url)
    [dead] = receive(sqs, dlq, AttributeNames=["All"])

    assert dead["MessageId"] == sent["MessageId"]
    assert dead["Attributes"]["DeadLetterQueueSourceArn"].endswith(":orders")
    [event] = [e for e in account.events("delivery") if e.outcome == "dead-lettered"]
    assert event.detail["receives"] == 2
    sources = sqs.list_dead_letter_source_queues(QueueUrl=dlq)["queueUrls"]
    assert sources == [url]


def test_dead_letters_go_back_by_a_move_task(account: Any, sqs: Any) -> None:
    dlq = sqs.create_queue(QueueName="dead")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=dlq, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    policy = json.dumps({"deadLetterTargetArn": arn, "maxReceiveCount": 1})
    attributes = {"VisibilityTimeout": "0", "RedrivePolicy": policy}
    url = sqs.create_queue(QueueName="orders", Attributes=attributes)["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="poison")
    receive(sqs, url)
    receive(sqs, url)

    sqs.start_message_move_task(SourceArn=arn)
    account.settle()

    [task] = sqs.list_message_move_tasks(SourceArn=arn)["Results"]
    assert (task["Status"], task["ApproximateNumberOfMessagesMoved"]) == ("COMPLETED", 1)
    [message] = receive(sqs, url, AttributeNames=["ApproximateReceiveCount"])
    assert message["Attributes"]["ApproximateReceiveCount"] == "1"


def test_counts_are_of_ready_delayed_and_hidden_messages(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    for delay_s in (0, 0, 0, 60):
        sqs.send_message(QueueUrl=url, MessageBody="x", DelaySeconds=delay_s)
    receive(sqs, url, MaxNumberOfMessages=1)

    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]

    assert found["ApproximateNumberOfMessages"] == "2"
    assert found["ApproximateNumberOfMessagesDelayed"] == "1"
    assert found["ApproximateNumberOfMessagesNotVisible"] == "1"
    assert found["VisibilityTimeout"] == "30"


def test_a_long_poll_ends_with_the_first_message(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    found: list[Any] = []
    polling = threading.Thread(target=lambda: found.extend(receive(sqs, url, WaitTimeSeconds=20)))
    polling.start()

    sqs.send_message(QueueUrl=url, MessageBody="x")
    polling.join(timeout=5)

    assert [m["Body"] for m in found] == ["x"]


def test_a_long_poll_ends_when_its_account_time_is_over(account: Any, sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    polling = threading.Thread(target=lambda: receive(sqs, url, WaitTimeSeconds=20))
    polling.start()

    # The poll may begin after a jump; then the next one is past its end.
    for _ in range(100):
        account.advance(60)
        polling.join(timeout=0.1)
        if not polling.is_alive():
            break

    assert not polling.is_alive()


def test_one_receive_never_returns_a_message_twice(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")

    assert len(receive(sqs, url, VisibilityTimeout=0)) == 1
    assert len(receive(sqs, url)) == 1


def test_a_batch_refuses_entries_one_by_one(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]

    answer = sqs.send_message_batch(
        QueueUrl=url,
        Entries=[
            {"Id": "good", "MessageBody": "x"},
            {"Id": "bad", "MessageBody": "y", "DelaySeconds": 901},
        ],
    )

    assert [entry["Id"] for entry in answer["Successful"]] == ["good"]
    [failed] = answer["Failed"]
    assert (failed["Id"], failed["Code"], failed["SenderFault"]) == ("bad", "InvalidParameterValue", True)
    [message] = receive(sqs, url)
    deleted = sqs.delete_message_batch(
        QueueUrl=url, Entries=[{"Id": "1", "ReceiptHandle": message["ReceiptHandle"]}]
    )
    assert deleted["Successful"] == [{"Id": "1"}]


@pytest.mark.parametrize(
    ("entries", "code"),
    [
        ([], "EmptyBatchRequest"),
        ([{"Id": str(i), "MessageBody": "x"} for i in range(11)], "TooManyEntriesInBatchRequest"),
        ([{"Id": "a", "MessageBody": "x"}] * 2, "BatchEntryIdsNotDistinct"),
        ([{"Id": "a b", "MessageBody": "x"}], "InvalidBatchEntryId"),
        ([{"Id": str(i), "MessageBody": "x" * 600_000} for i in range(2)], "BatchRequestTooLong"),
    ],
)
def test_whole_batches_are_refused(sqs: Any, entries: list[Any], code: str) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]

    with refused(code):
        sqs.send_message_batch(QueueUrl=url, Entries=entries)


@pytest.mark.parametrize(
    ("message", "reason"),
    [
        ({"MessageBody": ""}, "MessageBody"),
        ({"MessageBody": "\x00"}, "InvalidMessageContents"),
        ({"MessageBody": "x" * 1025}, "must be shorter than 1024 bytes"),
        ({"MessageBody": "x", "DelaySeconds": 901}, "DelaySeconds must be >= 0 and <= 900"),
        ({"MessageBody": "x", "MessageDeduplicationId": "1"}, "not valid for this queue type"),
        (
            {"MessageBody": "x", "MessageAttributes": {"a": {"DataType": "Text", "StringValue": "1"}}},
            "prefixes",
        ),
    ],
)
def test_messages_sqs_refuses(sqs: Any, message: dict[str, Any], reason: str) -> None:
    url = sqs.create_queue(QueueName="orders", Attributes={"MaximumMessageSize": "1024"})["QueueUrl"]

    with refused(reason):
        sqs.send_message(QueueUrl=url, **message)


def test_purging_empties_a_queue_once_a_minute(account: Any, sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")

    sqs.purge_queue(QueueUrl=url)

    assert not receive(sqs, url)
    with refused("PurgeQueueInProgress"):
        sqs.purge_queue(QueueUrl=url)
    account.advance(61)
    sqs.purge_queue(QueueUrl=url)


def test_a_missing_queue_is_named_as_sqs_names_it(sqs: Any) -> None:
    with pytest.raises(sqs.exceptions.QueueDoesNotExist, match="The specified queue does not exist"):
        sqs.get_queue_url(QueueName="nowhere")


def test_what_moto_sends_by_itself_arrives_in_the_same_queue(account: Any, sqs: Any) -> None:
    from moto.sqs.models import sqs_backends

    url = sqs.create_queue(QueueName="orders")["QueueUrl"]

    with account.core.dispatch_lock:
        sqs_backends[account.core.account_id][account.core.region].send_message("orders", "from moto")

    assert [m["Body"] for m in receive(sqs, url)] == ["from moto"]
