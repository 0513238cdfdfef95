"""Where moto would put a message into a queue, it goes to the mailroom.

moto's own senders (event buses, topics, buckets) all end in ``Queue.add_message``, which would
also run event source mappings there and then.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.emulator.fabric.sqs.mailroom import Mailroom
from sandbox.emulator.patches import replaces

_mailroom: Mailroom | None = None


def post_to(mailroom: Mailroom) -> None:
    """From now on moto's messages go to ``mailroom``; there is one in an account's process."""
    global _mailroom
    _mailroom = mailroom


@replaces(
    "moto.sqs.models",
    "Queue.add_message",
    source_sha256="f27c9231c1f2043382bc1435c4dfbab7b645389df642f050d9dda477f6535c35",
)
def _post(original: Callable[..., None]) -> Callable[..., None]:
    def add_message(queue: Any, message: Any) -> None:
        if _mailroom is None:  # the zygote warms moto up before there is an account
            original(queue, message)
            return
        header = message.system_attributes.get("AWSTraceHeader", {}).get("StringValue", "")
        delay_ms = message.delayed_until - (message.sent_timestamp or 0)
        _mailroom.send(
            queue,
            message.body,
            attributes=message.message_attributes,
            group=message.group_id or "",
            deduplication_id=message.deduplication_id or "",
            delay_s=max(0.0, round(delay_ms / 1000)),
            trace_header=header,
            message_id=message.id,
        )

    return add_message
