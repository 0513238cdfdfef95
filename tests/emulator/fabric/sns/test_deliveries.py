"""Publications on their way to queues and functions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import Any

import pytest

from sandbox.emulator.fabric.sns import Sns
from sandbox.emulator.fabric.sqs import SqsService
from tests.emulator.fabric.fakes import RecordingFunctions, create_function


@dataclass
class Bench:
    """What a test of topics works with."""

    account: Any
    sqs: Any
    sns: Any
    functions: RecordingFunctions

    def topic(self, name: str = "orders", **attributes: str) -> str:
        return str(self.sns.create_topic(Name=name, Attributes=attributes)["TopicArn"])

    def queue(self, name: str = "inbox", *, allowed: bool = True, **attributes: str) -> tuple[str, str]:
        """URL and ARN of a queue that topics may send to."""
        url = self.sqs.create_queue(QueueName=name, Attributes=attributes)["QueueUrl"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = found["Attributes"]["QueueArn"]
        if allowed:
            statement = {
                "Effect": "Allow",
                "Principal": {"Service": "sns.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": arn,
                "Condition": {"ArnEquals": {"aws:SourceArn": "arn:aws:sns:*:*:orders*"}},
            }
            policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        return url, arn

    def subscribe(self, topic: str, arn: str, protocol: str = "sqs", **attributes: str) -> str:
        made = self.sns.subscribe(
            TopicArn=topic, Protocol=protocol, Endpoint=arn, Attributes=attributes, ReturnSubscriptionArn=True
        )
        return str(made["SubscriptionArn"])

    def publish(self, topic: str, message: str, **options: Any) -> dict[str, Any]:
        answer: dict[str, Any] = self.sns.publish(TopicArn=topic, Message=message, **options)
        self.account.settle()
        return answer

    def messages(self, url: str) -> list[Any]:
        found = self.sqs.receive_message(
            QueueUrl=url, MaxNumberOfMessages=10, MessageAttributeNames=["All"], AttributeNames=["All"]
        )
        messages: list[Any] = found.get("Messages", [])
        return messages

    def drain(self, url: str) -> list[Any]:
        """Every message, each deleted once it was received."""
        drained: list[Any] = []
        while messages := self.messages(url):
            for message in messages:
                self.sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            drained += messages
        return drained


@pytest.fixture
def bench(account: Any) -> Bench:
    functions, queues = RecordingFunctions(), SqsService(account.core)
    account.add(queues.handlers())
    account.add(Sns(account.core, functions, queues.mailroom).handlers())
    return Bench(account, account.client("sqs"), account.client("sns"), functions)


KIND = {"kind": {"DataType": "String", "StringValue": "book"}}


def test_a_queue_gets_the_envelope(bench: Bench) -> None:
    topic, (url, arn) = bench.topic(), bench.queue()
    subscription = bench.subscribe(topic, arn)

    sent = bench.publish(topic, "hello", Subject="greeting", MessageAttributes=KIND)

    [message] = bench.messages(url)
    envelope = json.loads(message["Body"])
    assert list(envelope) == [
        "Type",
        "MessageId",
        "TopicArn",
        "Subject",
        "Message",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertURL",
        "UnsubscribeURL",
        "MessageAttributes",
    ]
    assert (envelope["Type"], envelope["Message"], envelope["Subject"]) == (
        "Notification",
        "hello",
        "greeting",
    )
    assert (envelope["MessageId"], envelope["TopicArn"]) == (sent["MessageId"], topic)
    assert envelope["UnsubscribeURL"].endswith(subscription)
    assert envelope["MessageAttributes"] == {"kind": {"Type": "String", "Value": "book"}}
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", envelope["Timestamp"])


def test_raw_delivery_keeps_message_and_attributes(bench: Bench) -> None:
    topic, (url, arn) = bench.topic(), bench.queue()
    bench.subscribe(topic, arn, RawMessageDelivery="true")
    raw = {"raw": {"DataType": "Binary", "BinaryValue": b"\x01\x02"}}

    bench.publish(topic, "hello", MessageAttributes={**KIND, **raw})

    [message] = bench.messages(url)
    assert message["Body"] == "hello"
    assert message["MessageAttributes"] == {**KIND, **raw}


def test_raw_delivery_can_be_said_to_be_off(bench: Bench) -> None:
    topic, (url, arn) = bench.topic(), bench.queue()
    bench.subscribe(topic, arn, RawMessageDelivery="false")

    bench.publish(topic, "hello")

    assert json.loads(bench.messages(url)[0]["Body"])["Message"] == "hello"


def test_a_function_gets_the_event_that_aws_sends(bench: Bench) -> None:
    topic, arn = bench.topic(), create_function(bench.account, "worker")
    bench.account.client("lambda").add_permission(
        FunctionName="worker",
        StatementId="sns",
        Action="lambda:InvokeFunction",
        Principal="sns.amazonaws.com",
        SourceArn=topic,
    )
    subscription = bench.subscribe(topic, arn, "lambda")

    bench.publish(topic, "hello", MessageAttributes=KIND)

    [invocation] = bench.functions.invocations
    assert (invocation.function, invocation.kind, invocation.source) == (arn, "async", "sns:orders")
    [record] = invocation.event["Records"]
    assert (record["EventSource"], record["EventVersion"]) == ("aws:sns", "1.0")
    assert record["EventSubscriptionArn"] == subscription
    told = record["Sns"]
    assert set(told) == {
        "Type",
        "MessageId",
        "TopicArn",
        "Subject",
        "Message",
        "Timestamp",
        "SignatureVersion",
        "Signature",
        "SigningCertUrl",
        "UnsubscribeUrl",
        "MessageAttributes",
    }
    assert told["Subject"] is None
    assert told["MessageAttributes"] == {"kind": {"Type": "String", "Value": "book"}}


def test_a_function_that_does_not_allow_the_topic_hears_nothing(bench: Bench) -> None:
    topic = bench.topic()
    bench.subscribe(topic, create_function(bench.account, "worker"), "lambda")

    bench.publish(topic, "hello")

    assert not bench.functions.invocations
    assert [event.outcome for event in bench.account.events("delivery")] == ["refused"]


def test_a_queue_that_does_not_allow_the_topic_hears_nothing(bench: Bench) -> None:
    topic, (url, arn) = bench.topic(), bench.queue(allowed=False)
    bench.subscribe(topic, arn)

    bench.publish(topic, "hello")

    assert not bench.messages(url)
    [event] = bench.account.events("delivery")
    assert event.outcome == "refused"
    assert event.detail["reason"] == (
        "no permission sqs:SendMessage: queue policy does not allow sns.amazonaws.com"
    )


def test_what_cannot_be_delivered_goes_to_the_dead_letter_queue(bench: Bench) -> None:
    topic = bench.topic()
    dead_url, dead_arn = bench.queue("dead")
    redrive = json.dumps({"deadLetterTargetArn": dead_arn})
    bench.subscribe(topic, dead_arn + "-not", RedrivePolicy=redrive)

    bench.publish(topic, "hello")

    [message] = bench.messages(dead_url)
    assert json.loads(message["Body"])["Message"] == "hello"
    assert "does not exist" in message["MessageAttributes"]["ErrorMessage"]["StringValue"]


@pytest.mark.parametrize(
    ("policy", "delivered"),
    [
        ({"kind": ["book"]}, True),
        ({"kind": ["toy"]}, False),
        ({"kind": [{"anything-but": ["book"]}]}, False),
        ({"price": [{"numeric": [">", 10, "<=", 20]}]}, True),
        ({"price": [20]}, True),
        ({"price": ["20"]}, False),
        ({"tags": ["a"]}, True),
        ({"missing": [{"exists": False}]}, True),
        ({"kind": ["book"], "missing": [{"exists": True}]}, False),
    ],
)
def test_filter_policies_on_attributes(bench: Bench, policy: dict[str, Any], delivered: bool) -> None:
    topic, (url, arn) = bench.topic(), bench.queue()
    bench.subscribe(topic, arn, FilterPolicy=json.dumps(policy))
    attributes = {
        **KIND,
        "price": {"DataType": "Number", "StringValue": "20"},
        "tags": {"DataType": "String.Array", "StringValue": '["a", "b"]'},
    }

    bench.publish(topic, "hello", MessageAttributes=attributes)

    assert bool(bench.messages(url)) is delivered


def test_filter_policies_on_the_body(bench: Bench) -> None:
    topic, (url, arn) = bench.topic(), bench.queue()
    policy = json.dumps({"order": {"lines": {"kind": [{"prefix": "bo"}]}}})
    bench.subscribe(
        topic, arn, FilterPolicy=policy, FilterPolicyScope="MessageBody", RawMessageDelivery="true"
    )
    wanted = json.dumps({"order": {"lines": [{"kind": "toy"}, {"kind": "book"}]}})

    for message in (wanted, json.dumps({"order": {"lines": []}}), "no json"):
        bench.publish(topic, message)

    assert [message["Body"] for message in bench.messages(url)] == [wanted]


def test_a_message_can_differ_by_protocol(bench: Bench) -> None:
    topic, (url, arn) = bench.topic(), bench.queue()
    bench.subscribe(topic, arn, RawMessageDelivery="true")

    bench.publish(topic, json.dumps({"default": "d", "sqs": "for queues"}), MessageStructure="json")

    assert [message["Body"] for message in bench.messages(url)] == ["for queues"]


def test_a_fifo_topic_keeps_order_and_numbers_its_messages(bench: Bench) -> None:
    topic = bench.topic("orders.fifo", FifoTopic="true", ContentBasedDeduplication="true")
    url, arn = bench.queue("inbox.fifo", FifoQueue="true")
    bench.subscribe(topic, arn)

    sent = [bench.publish(topic, body, MessageGroupId="a") for body in ("1", "2", "2", "3")]

    numbers = [int(each["SequenceNumber"]) for each in sent]
    assert numbers == sorted(set(numbers))
    found = [json.loads(message["Body"]) for message in bench.messages(url)]
    assert [each["Message"] for each in found] == ["1", "2", "3"]
    assert found[0]["SequenceNumber"] == sent[0]["SequenceNumber"]


def test_a_fifo_topic_hands_over_one_message_after_the_other(bench: Bench) -> None:
    topic = bench.topic("orders.fifo", FifoTopic="true", ContentBasedDeduplication="true")
    url, arn = bench.queue("inbox.fifo", FifoQueue="true")
    bench.subscribe(topic, arn, RawMessageDelivery="true")

    for start in range(0, 100, 10):
        entries = [{"Id": str(i), "Message": str(i), "MessageGroupId": "a"} for i in range(start, start + 10)]
        bench.sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    bench.account.settle()

    assert [message["Body"] for message in bench.drain(url)] == [str(i) for i in range(100)]


@pytest.mark.parametrize(
    ("scope", "later_s", "heard"),
    [("Topic", 0, ["a"]), ("Topic", 301, ["a", "b"]), ("MessageGroup", 0, ["a", "b"])],
)
def test_a_fifo_topic_forgets_a_deduplication_id_after_five_minutes(
    bench: Bench, scope: str, later_s: int, heard: list[str]
) -> None:
    topic = bench.topic("orders.fifo", FifoTopic="true", FifoThroughputScope=scope)
    url, arn = bench.queue()
    bench.subscribe(topic, arn, RawMessageDelivery="true")

    bench.publish(topic, "a", MessageGroupId="1", MessageDeduplicationId="same")
    bench.account.advance(later_s)
    bench.publish(topic, "b", MessageGroupId="2", MessageDeduplicationId="same")

    assert sorted(message["Body"] for message in bench.messages(url)) == heard


def test_a_batch_is_delivered_message_by_message(bench: Bench) -> None:
    topic, (url, arn) = bench.topic(), bench.queue()
    bench.subscribe(topic, arn, RawMessageDelivery="true")
    entries = [{"Id": str(i), "Message": f"m{i}"} for i in range(3)]

    answer = bench.sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)
    bench.account.settle()

    assert len(answer["Successful"]) == 3
    assert sorted(message["Body"] for message in bench.messages(url)) == ["m0", "m1", "m2"]


def test_nothing_leaves_the_account_over_http(bench: Bench) -> None:
    topic = bench.topic()
    bench.subscribe(topic, "https://example.com/hook", "https")

    bench.publish(topic, "hello")

    [gap] = [event for event in bench.account.events("gap") if event.subject == "sns:https"]
    assert gap.detail["endpoint"] == "https://example.com/hook"
