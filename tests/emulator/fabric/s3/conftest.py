"""An account with a bucket whose notifications are ours."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.emulator.fabric.s3 import Notifications
from sandbox.emulator.fabric.sns import Sns
from sandbox.emulator.fabric.sqs import SqsService
from tests.emulator.fabric.fakes import RecordingFunctions, create_function, take_bodies

BUCKET_ARN = "arn:aws:s3:::uploads"


class RecordingBus:
    """A default event bus that remembers what was put on it."""

    def __init__(self) -> None:
        self.events: list[Any] = []

    def put(self, account_id: str, region: str, event: Any) -> None:
        assert event["account"] == account_id
        assert event["region"] == region
        self.events.append(event)


@dataclass
class Bench:
    """What a test of notifications works with; the bucket is called ``uploads``."""

    account: Any
    s3: Any
    sqs: Any
    sns: Any
    functions: RecordingFunctions
    bus: RecordingBus = field(default_factory=RecordingBus)

    def function(self, name: str = "intake", *, allowed: bool = True) -> str:
        """A function that S3 may invoke for the bucket."""
        arn = create_function(self.account, name)
        if allowed:
            self.account.client("lambda").add_permission(
                FunctionName=name,
                StatementId="s3",
                Action="lambda:InvokeFunction",
                Principal="s3.amazonaws.com",
                SourceArn=BUCKET_ARN,
                SourceAccount=self.account.core.account_id,
            )
        return arn

    def queue(self, name: str = "arrivals", *, allowed: bool = True) -> tuple[str, str]:
        """URL and ARN of a queue that S3 may send to."""
        url = self.sqs.create_queue(QueueName=name)["QueueUrl"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        arn = found["Attributes"]["QueueArn"]
        if allowed:
            self.sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy("sqs:SendMessage", arn)})
        return url, arn

    def notify(self, **configurations: Any) -> None:
        """Give the bucket its configuration."""
        self.s3.put_bucket_notification_configuration(
            Bucket="uploads", NotificationConfiguration=configurations
        )
        self.account.settle()

    def put(self, key: str, body: bytes = b"x") -> None:
        self.s3.put_object(Bucket="uploads", Key=key, Body=body)
        self.account.settle()

    def bodies(self, url: str) -> list[Any]:
        """The messages of a queue, parsed; they are deleted."""
        return [json.loads(body) for body in take_bodies(self.sqs, url)]

    def records(self) -> list[Any]:
        """The records that functions were invoked with."""
        return [record for event in self.functions.events for record in event["Records"]]


def policy(action: str, resource: str) -> str:
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "s3.amazonaws.com"},
        "Action": action,
        "Resource": resource,
        "Condition": {"ArnLike": {"aws:SourceArn": BUCKET_ARN}},
    }
    return json.dumps({"Version": "2012-10-17", "Statement": [statement]})


@pytest.fixture
def bench(account: Any) -> Bench:
    functions, bus = RecordingFunctions(), RecordingBus()
    queues = SqsService(account.core)
    account.add(queues.handlers())
    account.add(Sns(account.core, functions, queues.mailroom).handlers())
    account.add(Notifications(account.core, functions, queues.mailroom, bus).handlers())
    made = Bench(account, account.client("s3"), account.client("sqs"), account.client("sns"), functions, bus)
    made.s3.create_bucket(
        Bucket="uploads", CreateBucketConfiguration={"LocationConstraint": account.core.region}
    )
    return made
