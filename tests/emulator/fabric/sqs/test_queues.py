"""What queues accept as attributes."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def attributes(sqs: Any, url: str) -> dict[str, str]:
    found: dict[str, str] = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    return found


def test_setting_one_attribute_keeps_the_policy(sqs: Any) -> None:
    statement = {"Effect": "Allow", "Principal": "*", "Action": "sqs:*", "Resource": "*"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    url = sqs.create_queue(QueueName="orders", Attributes={"Policy": policy})["QueueUrl"]

    sqs.set_queue_attributes(QueueUrl=url, Attributes={"VisibilityTimeout": "60"})

    found = attributes(sqs, url)
    assert found["VisibilityTimeout"] == "60"
    assert json.loads(found["Policy"]) == json.loads(policy)


def test_creating_the_same_queue_again_answers_its_url(sqs: Any) -> None:
    first = sqs.create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "60"})

    assert sqs.create_queue(QueueName="orders")["QueueUrl"] == first["QueueUrl"]
    with pytest.raises(ClientError, match="different value for attribute VisibilityTimeout"):
        sqs.create_queue(QueueName="orders", Attributes={"VisibilityTimeout": "61"})


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        ({"VisibilityTimeout": "43201"}, "Invalid value for the parameter VisibilityTimeout"),
        ({"VisibilityTimeOut": "1"}, "Unknown Attribute VisibilityTimeOut"),
        ({"MessageRetentionPeriod": "59"}, "Invalid value for the parameter MessageRetentionPeriod"),
        ({"Policy": "{"}, "Invalid value for the parameter Policy"),
        ({"RedrivePolicy": "{}x"}, "Invalid value for the parameter RedrivePolicy"),
        ({"RedrivePolicy": '{"maxReceiveCount": 1}'}, "mandatory attribute: deadLetterTargetArn"),
        (
            {"RedrivePolicy": '{"maxReceiveCount": 0, "deadLetterTargetArn": "arn:aws:sqs:x:1:y"}'},
            "valid values are from 1 to 1000",
        ),
        (
            {
                "RedrivePolicy": json.dumps(
                    {"maxReceiveCount": 3, "deadLetterTargetArn": "arn:aws:sqs:eu-north-1:111122223333:no"}
                )
            },
            "Dead letter target does not exist",
        ),
    ],
)
def test_attributes_sqs_refuses(sqs: Any, given: dict[str, str], reason: str) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]

    with pytest.raises(ClientError, match=reason):
        sqs.set_queue_attributes(QueueUrl=url, Attributes=given)
    with pytest.raises(ClientError, match=reason):
        sqs.create_queue(QueueName="others", Attributes=given)


def test_a_fifo_queue_wants_its_suffix(sqs: Any) -> None:
    with pytest.raises(ClientError, match=r"must end with \.fifo suffix"):
        sqs.create_queue(QueueName="orders", Attributes={"FifoQueue": "true"})


def test_a_deleted_queue_is_gone_with_its_messages(sqs: Any) -> None:
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody="x")

    sqs.delete_queue(QueueUrl=url)

    with pytest.raises(ClientError, match="The specified queue does not exist"):
        sqs.send_message(QueueUrl=url, MessageBody="x")
    sqs.create_queue(QueueName="orders")
    assert "Messages" not in sqs.receive_message(QueueUrl=url)
