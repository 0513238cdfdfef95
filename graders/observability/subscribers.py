"""A queue of our own that hears what is published to a learner's topic."""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from graders.errors import ResourceNotFound
from graders.evidence.aws import is_missing
from sandbox.account import Account


@dataclass(slots=True)
class Subscriber:
    """Another subscriber of a topic, by a queue; what it heard is kept in order."""

    account: Account
    url: str
    arn: str
    heard: list[str] = field(default_factory=list)

    def listen(self) -> list[str]:
        """The bodies of everything heard so far, as they were published."""
        client = self.account.client("sqs")
        while messages := client.receive_message(QueueUrl=self.url, MaxNumberOfMessages=10).get("Messages"):
            self.heard += [message["Body"] for message in messages]
            client.delete_message_batch(
                QueueUrl=self.url,
                Entries=[
                    {"Id": str(place), "ReceiptHandle": message["ReceiptHandle"]}
                    for place, message in enumerate(messages)
                ],
            )
        return self.heard


@contextmanager
def subscriber(account: Account, topic_arn: str) -> Iterator[Subscriber]:
    """Subscribe a new queue to a topic, FIFO or not, for the time of the block.

    Raises:
        ResourceNotFound: there is no such topic.
    """
    sqs, sns = account.client("sqs"), account.client("sns")
    fifo = topic_arn.endswith(".fifo")
    # Not drawn from the seed: nobody shall know it beforehand.
    name = f"team-{secrets.token_hex(6)}{'.fifo' if fifo else ''}"
    url = sqs.create_queue(QueueName=name, Attributes={"FifoQueue": "true"} if fifo else {})["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": arn,
        "Condition": {"ArnEquals": {"aws:SourceArn": topic_arn}},
    }
    policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
    sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
    try:
        subscription = sns.subscribe(
            TopicArn=topic_arn,
            Protocol="sqs",
            Endpoint=arn,
            Attributes={"RawMessageDelivery": "true"},
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        try:
            yield Subscriber(account, url, arn)
        finally:
            sns.unsubscribe(SubscriptionArn=subscription)
    except Exception as error:
        if is_missing(error):
            raise ResourceNotFound(
                f"There is no topic `{topic_arn}`.", look=("Outputs in template.yaml",)
            ) from error
        raise
    finally:
        sqs.delete_queue(QueueUrl=url)
