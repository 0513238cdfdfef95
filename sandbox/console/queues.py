"""Messages of a queue."""

from __future__ import annotations

import uuid
from dataclasses import dataclass, field
from typing import Any

from sandbox.console.refusals import Refused, asks
from sandbox.providers.emulated import EmulatedAccount
from sandbox.supervisor.wire import BadRequest

SHOWN = 100


@dataclass(frozen=True, slots=True)
class Queue:
    """A queue, with its first messages as they are, none of them received."""

    url: str
    arn: str
    attributes: dict[str, str]
    messages: list[dict[str, Any]] = field(repr=False)

    @property
    def is_fifo(self) -> bool:
        """Whether its messages have groups."""
        return self.url.endswith(".fifo")


@asks
def read(account: EmulatedAccount, url: str) -> Queue:
    """A queue, without touching what is in it."""
    found = account.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    try:
        messages = account.messages(found["QueueArn"], SHOWN)
    except BadRequest as error:
        raise Refused(str(error)) from error
    return Queue(url, found["QueueArn"], found, messages)


@asks
def send(account: EmulatedAccount, url: str, body: str, group: str = "") -> None:
    """Send a message."""
    more: dict[str, str] = {}
    if url.endswith(".fifo"):
        more = {"MessageGroupId": group or "console", "MessageDeduplicationId": str(uuid.uuid4())}
    account.client("sqs").send_message(QueueUrl=url, MessageBody=body, **more)


@asks
def purge(account: EmulatedAccount, url: str) -> None:
    """Delete every message."""
    account.client("sqs").purge_queue(QueueUrl=url)
