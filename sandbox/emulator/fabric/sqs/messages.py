"""One message: its digests, its limits and how a consumer sees it."""

from __future__ import annotations

import hashlib
import re
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sandbox.emulator.calls import AwsError

# Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/quotas-messages.html
LIMIT_BYTES = 1_048_576
_UNWANTED = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ATTRIBUTE_NAME = re.compile(r"[A-Za-z0-9_.\-]{1,256}")


class State(StrEnum):
    READY = "ready"
    DELAYED = "delayed"
    IN_FLIGHT = "in-flight"


@dataclass(slots=True, eq=False)
class Message:
    """A stored message. Times are seconds since the epoch; ``epoch`` outdates heap entries.

    ``sent_during`` is the request id of the API call that sent it, if one did.
    """

    id: str
    body: str
    sent_at: float
    sender_id: str
    order: int = 0
    attributes: dict[str, Any] = field(default_factory=dict)
    group: str = ""
    deduplication_id: str = ""
    sequence_number: str = ""
    trace_header: str = ""
    sent_during: str = ""
    state: State = State.READY
    epoch: int = 0
    receives: int = 0
    first_received_at: float = 0.0
    receipt: str = ""
    dead_letter_source: str = ""
    repeated: bool = False
    """It was deleted once already, and came again."""

    def system_attributes(self) -> dict[str, str]:
        """The attributes SQS itself keeps, all of them strings."""
        found = {
            "SenderId": self.sender_id,
            "SentTimestamp": str(int(self.sent_at * 1000)),
            "ApproximateReceiveCount": str(self.receives),
            "ApproximateFirstReceiveTimestamp": str(int(self.first_received_at * 1000)),
            "SequenceNumber": self.sequence_number,
            "MessageDeduplicationId": self.deduplication_id,
            "MessageGroupId": self.group,
            "AWSTraceHeader": self.trace_header,
            "DeadLetterQueueSourceArn": self.dead_letter_source,
        }
        return {name: value for name, value in found.items() if value}


def body_digest(body: str) -> str:
    """MD5 of the body, as SDKs verify it."""
    return hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()


def attributes_digest(attributes: Mapping[str, Any]) -> str:
    """MD5 of the attributes by SQS's own length-prefixed encoding; empty without attributes.

    Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-message-metadata.html
    """
    if not attributes:
        return ""
    digest = hashlib.md5(usedforsecurity=False)
    for name in sorted(attributes):
        value = attributes[name]
        binary = value["DataType"].startswith("Binary")
        content = value["BinaryValue"] if binary else value["StringValue"].encode()
        for part in (name.encode(), value["DataType"].encode()):
            digest.update(struct.pack("!I", len(part)) + part)
        digest.update((b"\x02" if binary else b"\x01") + struct.pack("!I", len(content)) + content)
    return digest.hexdigest()


def size_bytes(body: str, attributes: Mapping[str, Any]) -> int:
    """What counts against the limit: the body and every attribute's name, type and value."""
    total = len(body.encode())
    for name, value in attributes.items():
        content = value.get("BinaryValue") or value.get("StringValue", "").encode()
        total += len(name.encode()) + len(value["DataType"].encode()) + len(content)
    return total


def validate(body: str, attributes: Mapping[str, Any], *, limit_bytes: int) -> None:
    """Refuse what SQS refuses in a message's content.

    Raises:
        AwsError: the message is empty, too long, or has forbidden characters or attributes.
    """
    if not body:
        raise AwsError("MissingParameter", "The request must contain the parameter MessageBody.")
    if _UNWANTED.search(body):
        raise AwsError("InvalidMessageContents", "Invalid characters found in message body.")
    if len(attributes) > 10:
        raise AwsError(
            "InvalidParameterValue",
            f"Number of message attributes [{len(attributes)}] exceeds the allowed maximum [10].",
        )
    for name, value in attributes.items():
        _validate_attribute(name, value)
    if size_bytes(body, attributes) > limit_bytes:
        raise AwsError(
            "InvalidParameterValue",
            f"One or more parameters are invalid. Reason: Message must be shorter than {limit_bytes} bytes.",
        )


def _validate_attribute(name: str, value: Mapping[str, Any]) -> None:
    kind = value.get("DataType", "")
    if not _ATTRIBUTE_NAME.fullmatch(name):
        raise AwsError("InvalidParameterValue", f"Invalid attribute name: {name}.")
    if kind.split(".")[0] not in ("String", "Number", "Binary"):
        raise AwsError(
            "InvalidParameterValue",
            f"The type of message (user) attribute '{name}' is invalid. "
            "You must use only the following supported type prefixes: Binary, Number, String.",
        )
    member = "BinaryValue" if kind.startswith("Binary") else "StringValue"
    if not value.get(member):
        raise AwsError(
            "InvalidParameterValue",
            f"The message (user) attribute '{name}' must contain a non-empty value of type '{kind}'.",
        )
