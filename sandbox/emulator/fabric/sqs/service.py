"""The SQS API for messages; what a queue is, moto knows."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from moto.sqs.models import Queue

from sandbox.emulator.calls import AwsError, Call, Handlers, trace_header
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.principals import unique_id
from sandbox.emulator.fabric.sqs import patches
from sandbox.emulator.fabric.sqs.errors import invalid_value, missing_parameter
from sandbox.emulator.fabric.sqs.mailroom import Mailroom
from sandbox.emulator.fabric.sqs.messages import (
    LIMIT_BYTES,
    Message,
    attributes_digest,
    body_digest,
    size_bytes,
    validate,
)
from sandbox.emulator.fabric.sqs.moves import MoveTasks
from sandbox.emulator.fabric.sqs.queues import Queues

_VISIBILITY_LIMIT_S = 43_200
_PURGE_EVERY_S = 60.0
_BATCH_ID = re.compile(r"[\w-]{1,80}", re.ASCII)


class SqsService:
    """Sends, receives and deletes as SQS does, on the account's clock."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self.mailroom = Mailroom(core)
        self.queues = Queues(core, self.mailroom)
        self._moves = MoveTasks(core, self.mailroom)
        self._purged_at: dict[str, float] = {}
        patches.post_to(self.mailroom)

    def handlers(self) -> Handlers:
        """The operations taken over from moto."""
        taken: dict[str, Callable[[Call], dict[str, Any]]] = {
            "CreateQueue": self.queues.create_queue,
            "DeleteQueue": self.queues.delete_queue,
            "GetQueueUrl": self.queues.get_queue_url,
            "ListQueues": self.queues.list_queues,
            "ListDeadLetterSourceQueues": self.queues.list_dead_letter_source_queues,
            "GetQueueAttributes": self.queues.get_queue_attributes,
            "SetQueueAttributes": self.queues.set_queue_attributes,
            "SendMessage": self.send_message,
            "SendMessageBatch": self.send_message_batch,
            "ReceiveMessage": self.receive_message,
            "DeleteMessage": self.delete_message,
            "DeleteMessageBatch": self.delete_message_batch,
            "ChangeMessageVisibility": self.change_message_visibility,
            "ChangeMessageVisibilityBatch": self.change_message_visibility_batch,
            "PurgeQueue": self.purge_queue,
            "StartMessageMoveTask": self._moves.start,
            "CancelMessageMoveTask": self._moves.cancel,
            "ListMessageMoveTasks": self._moves.list,
        }
        return {("sqs", name): handler for name, handler in taken.items()}

    def send_message(self, call: Call) -> dict[str, Any]:
        return self._send(self.queues.get(call), call.params, unique_id(self._core, call.principal))

    def send_message_batch(self, call: Call) -> dict[str, Any]:
        queue, sender = self.queues.get(call), unique_id(self._core, call.principal)
        entries = _batch(call, "SendMessageBatch")
        total = sum(
            size_bytes(entry.get("MessageBody", ""), entry.get("MessageAttributes") or {})
            for entry in entries
        )
        if total > LIMIT_BYTES:
            raise AwsError(
                "BatchRequestTooLong",
                f"Batch requests cannot be longer than {LIMIT_BYTES} bytes. You have sent {total} bytes.",
            )
        with self.mailroom.together():
            return _each(entries, lambda entry: self._send(queue, entry, sender))

    def receive_message(self, call: Call) -> dict[str, Any]:
        queue, params = self.queues.get(call), call.params
        count = _ranged(params, "MaxNumberOfMessages", 1, 10, "Must be between 1 and 10, if provided.")
        wait_s = _ranged(params, "WaitTimeSeconds", 0, 20, "Must be >= 0 and <= 20, if provided.")
        hide_s = _ranged(
            params, "VisibilityTimeout", 0, _VISIBILITY_LIMIT_S, "Must be between 0 and 43200, if provided."
        )
        messages = self.mailroom.receive_waiting(
            queue,
            1 if count is None else count,
            visibility_s=hide_s,
            wait_s=queue.receive_message_wait_time_seconds if wait_s is None else wait_s,
        )
        return {"Messages": [_shown(message, params) for message in messages]} if messages else {}

    def delete_message(self, call: Call) -> dict[str, Any]:
        return self._delete(self.queues.get(call), call.params)

    def delete_message_batch(self, call: Call) -> dict[str, Any]:
        queue = self.queues.get(call)
        return _each(_batch(call, "DeleteMessageBatch"), lambda entry: self._delete(queue, entry))

    def change_message_visibility(self, call: Call) -> dict[str, Any]:
        return self._change_visibility(self.queues.get(call), call.params)

    def change_message_visibility_batch(self, call: Call) -> dict[str, Any]:
        queue, entries = self.queues.get(call), _batch(call, "ChangeMessageVisibilityBatch")
        return _each(entries, lambda entry: self._change_visibility(queue, entry))

    def purge_queue(self, call: Call) -> dict[str, Any]:
        queue, now = self.queues.get(call), self._core.clock.time()
        if now - self._purged_at.get(queue.queue_arn, float("-inf")) < _PURGE_EVERY_S:
            raise AwsError(
                "PurgeQueueInProgress",
                f"Only one PurgeQueue operation on {queue.name} is allowed every 60 seconds.",
                403,
            )
        self._purged_at[queue.queue_arn] = now
        self.mailroom.purge(queue)
        return {}

    def _send(self, queue: Queue, entry: Mapping[str, Any], sender: str) -> dict[str, Any]:
        body, attributes = entry.get("MessageBody", ""), entry.get("MessageAttributes") or {}
        validate(body, attributes, limit_bytes=int(queue.maximum_message_size))
        delay_s = _ranged(entry, "DelaySeconds", 0, 900, "DelaySeconds must be >= 0 and <= 900.")
        _validate_order(queue, entry)
        trace = (entry.get("MessageSystemAttributes") or {}).get("AWSTraceHeader", {})
        message = self.mailroom.send(
            queue,
            body,
            attributes=attributes,
            group=entry.get("MessageGroupId") or "",
            deduplication_id=entry.get("MessageDeduplicationId") or "",
            delay_s=delay_s,
            sender_id=sender,
            trace_header=trace.get("StringValue") or trace_header(),
        )
        sent = {
            "MessageId": message.id,
            "MD5OfMessageBody": body_digest(body),
            "MD5OfMessageAttributes": attributes_digest(attributes),
            "SequenceNumber": message.sequence_number,
        }
        return {name: value for name, value in sent.items() if value}

    def _delete(self, queue: Queue, entry: Mapping[str, Any]) -> dict[str, Any]:
        self.mailroom.delete(queue, _receipt(entry))
        return {}

    def _change_visibility(self, queue: Queue, entry: Mapping[str, Any]) -> dict[str, Any]:
        visibility_s = _ranged(
            entry, "VisibilityTimeout", 0, _VISIBILITY_LIMIT_S, "Must be between 0 and 43200, if provided."
        )
        if visibility_s is None:
            raise missing_parameter("VisibilityTimeout")
        self.mailroom.change_visibility(queue, _receipt(entry), visibility_s)
        return {}


def _shown(message: Message, params: Mapping[str, Any]) -> dict[str, Any]:
    """A received message with the attributes the caller asked for."""
    wanted = {*(params.get("AttributeNames") or ()), *(params.get("MessageSystemAttributeNames") or ())}
    system = {k: v for k, v in message.system_attributes().items() if k in wanted or "All" in wanted}
    chosen = _chosen(message.attributes, params.get("MessageAttributeNames") or ())
    shown = {
        "MessageId": message.id,
        "ReceiptHandle": message.receipt,
        "MD5OfBody": body_digest(message.body),
        "Body": message.body,
        "Attributes": system,
        "MessageAttributes": chosen,
        "MD5OfMessageAttributes": attributes_digest(chosen),
    }
    return {name: value for name, value in shown.items() if value or name == "Body"}


def _chosen(attributes: Mapping[str, Any], patterns: Any) -> dict[str, Any]:
    prefixes = tuple(pattern[:-2] for pattern in patterns if pattern.endswith(".*"))
    everything = "All" in patterns
    return {
        name: value
        for name, value in attributes.items()
        if everything or name in patterns or (prefixes and name.startswith(prefixes))
    }


def _validate_order(queue: Queue, entry: Mapping[str, Any]) -> None:
    group, deduplication_id = entry.get("MessageGroupId"), entry.get("MessageDeduplicationId")
    if not queue.fifo_queue:
        if deduplication_id:
            raise invalid_value(
                deduplication_id,
                "MessageDeduplicationId",
                "The request includes a parameter that is not valid for this queue type.",
            )
        return
    if not group:
        raise missing_parameter("MessageGroupId")
    if not deduplication_id and not queue.content_based_deduplication:
        raise AwsError(
            "InvalidParameterValue",
            "The queue should either have ContentBasedDeduplication enabled or "
            "MessageDeduplicationId provided explicitly",
        )
    if entry.get("DelaySeconds"):
        raise invalid_value(
            entry["DelaySeconds"],
            "DelaySeconds",
            "The request include parameter that is not valid for this queue type.",
        )


def _receipt(entry: Mapping[str, Any]) -> str:
    if not (receipt := entry.get("ReceiptHandle")):
        raise missing_parameter("ReceiptHandle")
    return str(receipt)


def _ranged(params: Mapping[str, Any], name: str, least: int, most: int, reason: str) -> int | None:
    value = params.get(name)
    if value is not None and not least <= int(value) <= most:
        raise invalid_value(value, name, reason)
    return None if value is None else int(value)


def _batch(call: Call, operation: str) -> list[dict[str, Any]]:
    """A batch's entries, held to the rules every SQS batch has."""
    entries: list[dict[str, Any]] = call.params.get("Entries") or []
    if not entries:
        raise AwsError(
            "EmptyBatchRequest", f"There should be at least one {operation}RequestEntry in the request."
        )
    if len(entries) > 10:
        raise AwsError(
            "TooManyEntriesInBatchRequest",
            f"Maximum number of entries per request are 10. You have sent {len(entries)}.",
        )
    seen: set[str] = set()
    for entry in entries:
        entry_id = entry.get("Id", "")
        if not _BATCH_ID.fullmatch(entry_id):
            raise AwsError(
                "InvalidBatchEntryId",
                "A batch entry id can only contain alphanumeric characters, hyphens and underscores. "
                "It can be at most 80 letters long.",
            )
        if entry_id in seen:
            raise AwsError("BatchEntryIdsNotDistinct", f"Id {entry_id} repeated.")
        seen.add(entry_id)
    return entries


def _each(
    entries: list[dict[str, Any]], action: Callable[[dict[str, Any]], dict[str, Any]]
) -> dict[str, Any]:
    """Do each entry by itself; what one is refused with does not touch the others."""
    successful, failed = [], []
    for entry in entries:
        try:
            successful.append({"Id": entry["Id"], **action(entry)})
        except AwsError as error:
            failed.append(
                {"Id": entry["Id"], "SenderFault": True, "Code": error.code, "Message": error.message}
            )
    return {"Successful": successful, "Failed": failed} if failed else {"Successful": successful}
