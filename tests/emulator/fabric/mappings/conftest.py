"""An account with a queue, a function, and mappings between them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, field
from typing import Any

import pytest

from sandbox.emulator.fabric.mappings import EventSourceMappings
from sandbox.emulator.fabric.sqs import SqsService
from tests.emulator.fabric.fakes import RecordingFunctions, create_function


@dataclass
class Bench:
    """What a test of mappings works with."""

    account: Any
    sqs: Any
    lambda_: Any
    functions: RecordingFunctions
    service: SqsService
    numbers: Any = field(default_factory=itertools.count)

    def queue(self, name: str = "orders", **attributes: Any) -> tuple[str, str]:
        """A queue's URL and ARN."""
        given = {key: str(value) for key, value in attributes.items()}
        url = self.sqs.create_queue(QueueName=name, Attributes=given)["QueueUrl"]
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])
        return url, found["Attributes"]["QueueArn"]

    def map(self, arn: str, function: str = "worker", **options: Any) -> str:
        """A mapping that is enabled; its UUID."""
        made = self.lambda_.create_event_source_mapping(EventSourceArn=arn, FunctionName=function, **options)
        self.account.settle()
        return str(made["UUID"])

    def send(self, url: str, *bodies: str, **options: Any) -> None:
        """Send all of them at once."""
        entries = [{"Id": str(i), "MessageBody": body, **options} for i, body in enumerate(bodies)]
        assert not self.sqs.send_message_batch(QueueUrl=url, Entries=entries).get("Failed")

    def count(self, url: str) -> tuple[int, int]:
        """Messages ready and in flight."""
        found = self.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
        ready, hidden = "ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"
        return int(found[ready]), int(found[hidden])

    def batches(self) -> list[list[str]]:
        """The bodies of each invocation's records."""
        return [[record["body"] for record in event["Records"]] for event in self.functions.events]

    def outcomes(self) -> list[str]:
        """How deliveries from queues ended."""
        return [event.outcome for event in self.account.events("delivery")]


@pytest.fixture
def bench(account: Any) -> Bench:
    functions = RecordingFunctions()
    service = SqsService(account.core)
    account.add(service.handlers())
    account.add(EventSourceMappings(account.core, functions, service.mailroom).handlers())
    made = Bench(account, account.client("sqs"), account.client("lambda"), functions, service)
    create_function(account, "worker")
    return made
