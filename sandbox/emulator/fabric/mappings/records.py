"""What a function is given of a batch, and how its answer is read."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.filters import Pattern, matches
from sandbox.emulator.fabric.sqs.messages import Message, attributes_digest, body_digest

# Source: https://docs.aws.amazon.com/lambda/latest/dg/gettingstarted-limits.html
PAYLOAD_LIMIT_BYTES = 6 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class Received:
    """A message as one receive returned it, with the record that the function sees."""

    id: str
    receipt: str
    trace_header: str
    sent_during: str
    record: dict[str, Any]


def receive(message: Message, source: Arn) -> Received:
    """A message's event record.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/with-sqs.html#example-standard-queue-message-event
    """
    record: dict[str, Any] = {
        "messageId": message.id,
        "receiptHandle": message.receipt,
        "body": message.body,
        "attributes": message.system_attributes(),
        "messageAttributes": {name: _attribute(value) for name, value in message.attributes.items()},
        "md5OfBody": body_digest(message.body),
        "eventSource": "aws:sqs",
        "eventSourceARN": str(source),
        "awsRegion": source.region,
    }
    if digest := attributes_digest(message.attributes):
        record["md5OfMessageAttributes"] = digest
    return Received(message.id, message.receipt, message.trace_header, message.sent_during, record)


def wanted(record: dict[str, Any], patterns: Sequence[Pattern], payload: str = "body") -> bool:
    """Whether one of ``patterns`` lets a record through; without patterns every record passes.

    ``payload`` names the member whose text may be JSON: a queue's ``body``, a stream's ``data``.
    """
    return not patterns or any(_passes(record, pattern, payload) for pattern in patterns)


class _HasRecord(Protocol):
    @property
    def record(self) -> dict[str, Any]: ...


_Item = TypeVar("_Item", bound=_HasRecord)


def payloads(batch: Iterable[_Item]) -> Iterator[tuple[list[_Item], bytes]]:
    """The batch as invocations: one, unless it is more than Lambda takes at once."""
    part: list[_Item] = []
    texts: list[str] = []
    size = 0
    for received in batch:
        text = json.dumps(received.record, separators=(",", ":"))
        if part and size + len(text) + 1 > PAYLOAD_LIMIT_BYTES - len('{"Records":[]}'):
            yield part, _payload(texts)
            part, texts, size = [], [], 0
        part.append(received)
        texts.append(text)
        size += len(text) + 1
    if part:
        yield part, _payload(texts)


def failed_ids(payload: bytes, ids: Sequence[str]) -> list[str]:
    """Which of ``ids`` a function reports as failed; an answer that makes no sense means all.

    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-sqs-errorhandling.html#services-sqs-batchfailurereporting
    """
    try:
        answer = json.loads(payload) if payload.strip() else None
    except ValueError:
        return list(ids)
    if answer is None:
        return []
    if not isinstance(answer, dict):
        return list(ids)
    failures = answer.get("batchItemFailures")
    if failures is None:
        return []
    if not isinstance(failures, list):
        return list(ids)
    named = [each.get("itemIdentifier") if isinstance(each, dict) else None for each in failures]
    if not all(isinstance(name, str) and name in ids for name in named):
        return list(ids)
    return [each for each in ids if each in named]


def _attribute(value: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = {"stringListValues": [], "binaryListValues": [], "dataType": value["DataType"]}
    if value["DataType"].startswith("Binary"):
        return {"binaryValue": base64.b64encode(value["BinaryValue"]).decode(), **found}
    return {"stringValue": value["StringValue"], **found}


def _passes(record: dict[str, Any], pattern: Pattern, payload: str) -> bool:
    if not isinstance(pattern.get(payload), dict):
        return matches(pattern, record)
    # A pattern for JSON drops what is no JSON object.
    try:
        body = json.loads(record[payload])
    except ValueError:
        return False
    return isinstance(body, dict) and matches(pattern, {**record, payload: body})


def _payload(texts: Sequence[str]) -> bytes:
    return ('{"Records":[' + ",".join(texts) + "]}").encode()
