"""Queues themselves: finding one, its URL, and attributes held to SQS's rules."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from moto.core.utils import camelcase_to_underscores
from moto.sqs.models import Queue, sqs_backends

from sandbox.emulator.calls import AwsError, Call
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.fabric.sqs.errors import (
    invalid_value,
    missing_parameter,
    queue_does_not_exist,
    with_shape_code,
)
from sandbox.emulator.fabric.sqs.mailroom import Mailroom
from sandbox.emulator.fabric.sqs.messages import State

# Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/APIReference/API_SetQueueAttributes.html
_RANGES = {
    "DelaySeconds": (0, 900),
    "MaximumMessageSize": (1024, 1_048_576),
    "MessageRetentionPeriod": (60, 1_209_600),
    "ReceiveMessageWaitTimeSeconds": (0, 20),
    "VisibilityTimeout": (0, 43_200),
    "KmsDataKeyReusePeriodSeconds": (60, 86_400),
}
_SETTABLE = {
    *_RANGES,
    "ContentBasedDeduplication",
    "DeduplicationScope",
    "FifoQueue",
    "FifoThroughputLimit",
    "KmsMasterKeyId",
    "Policy",
    "RedriveAllowPolicy",
    "RedrivePolicy",
    "SqsManagedSseEnabled",
}
_COUNTS = {
    "ApproximateNumberOfMessages": State.READY,
    "ApproximateNumberOfMessagesDelayed": State.DELAYED,
    "ApproximateNumberOfMessagesNotVisible": State.IN_FLIGHT,
}
_READABLE = _SETTABLE | {*_COUNTS, "All", "CreatedTimestamp", "LastModifiedTimestamp", "QueueArn"}


class Queues:
    """Creates, finds and describes queues."""

    def __init__(self, core: AccountCore, mailroom: Mailroom) -> None:
        self._core = core
        self._mailroom = mailroom

    def url(self, account_id: str, name: str) -> str:
        """Where the gateway answers for a queue."""
        return f"http://127.0.0.1:{self._core.gateway_port}/{account_id}/{name}"

    def get(self, call: Call) -> Queue:
        """The queue that a call's ``QueueUrl`` names: any URL ending in ``account/name``, or a name.

        Raises:
            AwsError: there is no such queue.
        """
        if not (url := call.params.get("QueueUrl")):
            raise missing_parameter("QueueUrl")
        account_id, name = ["", *urlsplit(str(url)).path.strip("/").split("/")][-2:]
        return self._queue(account_id if account_id.isdigit() else call.account_id, call.region, name)

    def create_queue(self, call: Call) -> dict[str, Any]:
        name, attributes = call.params.get("QueueName", ""), call.params.get("Attributes") or {}
        fifo = str(attributes.get("FifoQueue", "false")).lower() == "true"
        if fifo and not name.endswith(".fifo"):
            raise AwsError(
                "InvalidParameterValue",
                "The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, "
                "must end with .fifo suffix and be 1 to 80 in length.",
            )
        if "FifoQueue" in attributes and not fifo:
            # SQS knows FIFO queues and queues that don't mention it.
            raise AwsError("InvalidAttributeName", "Unknown Attribute FifoQueue.")
        with self._core.dispatch_lock:
            backend = sqs_backends[call.account_id][call.region]
            existing = backend.queues.get(name)
            if existing is not None:
                self._refuse_difference(existing, attributes)
                return {"QueueUrl": self.url(existing.account_id, existing.name)}
            self._validate(attributes, call.account_id, call.region, fifo=fifo)
            self._moto(call)
        return {"QueueUrl": self.url(call.account_id, name)}

    def delete_queue(self, call: Call) -> dict[str, Any]:
        queue = self.get(call)
        with self._core.dispatch_lock:
            sqs_backends[queue.account_id][queue.region].queues.pop(queue.name, None)
        self._mailroom.purge(queue)
        return {}

    def get_queue_url(self, call: Call) -> dict[str, Any]:
        owner = call.params.get("QueueOwnerAWSAccountId") or call.account_id
        queue = self._queue(owner, call.region, call.params.get("QueueName", ""))
        return {"QueueUrl": self.url(queue.account_id, queue.name)}

    def list_queues(self, call: Call) -> dict[str, Any]:
        return self._with_our_urls(call, "QueueUrls")

    def list_dead_letter_source_queues(self, call: Call) -> dict[str, Any]:
        return self._with_our_urls(call, "queueUrls")

    def get_queue_attributes(self, call: Call) -> dict[str, Any]:
        queue, wanted = self.get(call), call.params.get("AttributeNames") or []
        for name in wanted:
            if name not in _READABLE:
                raise AwsError("InvalidAttributeName", f"Unknown Attribute {name}.")
        counts = self._mailroom.counts(queue)
        with self._core.dispatch_lock:
            known = _attributes(queue)
        known |= {name: str(counts[state]) for name, state in _COUNTS.items()}
        return {"Attributes": {name: v for name, v in known.items() if name in wanted or "All" in wanted}}

    def set_queue_attributes(self, call: Call) -> dict[str, Any]:
        queue, attributes = self.get(call), dict(call.params.get("Attributes") or {})
        with self._core.dispatch_lock:
            self._validate(attributes, queue.account_id, queue.region, fifo=queue.fifo_queue)
            if "FifoQueue" in attributes and not queue.fifo_queue:
                raise AwsError("InvalidAttributeName", "Unknown Attribute FifoQueue.")
            # moto forgets the policy when it is not sent again.
            attributes.setdefault("Policy", queue.policy or "")
            queue._set_attributes(attributes)
        return {}

    def _queue(self, account_id: str, region: str, name: str) -> Queue:
        with self._core.dispatch_lock:
            queue = sqs_backends[account_id][region].queues.get(name)
        if queue is None:
            raise queue_does_not_exist()
        return queue

    def _moto(self, call: Call) -> dict[str, Any]:
        try:
            return self._core.moto(call)
        except AwsError as error:
            raise with_shape_code(error) from error

    def _with_our_urls(self, call: Call, member: str) -> dict[str, Any]:
        result = self._moto(call)
        names = [urlsplit(url).path.strip("/").split("/")[-2:] for url in result.get(member) or ()]
        return {**result, member: [self.url(*name) for name in names]} if names else result

    def _refuse_difference(self, queue: Queue, attributes: Mapping[str, str]) -> None:
        known = _attributes(queue)
        for name, value in attributes.items():
            if _comparable(known.get(name, "")) != _comparable(str(value)):
                raise AwsError(
                    "QueueNameExists",
                    "A queue already exists with the same name and a different value for attribute " + name,
                )

    def _validate(self, attributes: Mapping[str, Any], account_id: str, region: str, *, fifo: bool) -> None:
        for name, value in attributes.items():
            if name not in _SETTABLE:
                raise AwsError("InvalidAttributeName", f"Unknown Attribute {name}.")
            if name in _RANGES and not _within(value, *_RANGES[name]):
                raise AwsError("InvalidAttributeValue", f"Invalid value for the parameter {name}.")
        if not fifo and attributes.keys() & {
            "ContentBasedDeduplication",
            "DeduplicationScope",
            "FifoThroughputLimit",
        }:
            name = next(name for name in attributes if name in Queue.FIFO_ATTRIBUTES)
            raise AwsError(
                "InvalidAttributeName", f"You can specify the {name} only when FifoQueue is set to true."
            )
        if policy := attributes.get("Policy"):
            _parse_json(policy, "Policy")
        if redrive := attributes.get("RedrivePolicy"):
            self._validate_redrive(redrive, account_id, region, fifo=fifo)

    def _validate_redrive(self, text: str, account_id: str, region: str, *, fifo: bool) -> None:
        policy = _parse_json(text, "RedrivePolicy")
        if not policy:
            return
        for member in ("deadLetterTargetArn", "maxReceiveCount"):
            if member not in policy:
                reason = f"Redrive policy does not contain mandatory attribute: {member}."
                raise invalid_value(text, "RedrivePolicy", reason)
        if not _within(policy["maxReceiveCount"], 1, 1000):
            reason = (
                f"Invalid value for maxReceiveCount: {policy['maxReceiveCount']}, "
                "valid values are from 1 to 1000 both inclusive."
            )
            raise invalid_value(text, "RedrivePolicy", reason)
        try:
            arn = Arn.parse(str(policy["deadLetterTargetArn"]))
        except ValueError:
            raise invalid_value(text, "RedrivePolicy", "Invalid value for deadLetterTargetArn.") from None
        target = self._mailroom.find_queue(str(arn))
        if target is None or (arn.account_id, arn.region) != (account_id, region):
            raise invalid_value(text, "RedrivePolicy", "Dead letter target does not exist.")
        if target.fifo_queue != fifo:
            reason = "Dead-letter queue must be same type of queue as the source."
            raise invalid_value(text, "RedrivePolicy", reason)


def _attributes(queue: Queue) -> dict[str, str]:
    """moto's record as SQS answers it: texts only, times in whole seconds, unset ones left out."""
    found: dict[str, Any] = {k: v for k, v in queue.attributes.items() if v is not None and k not in _COUNTS}
    for name in ("CreatedTimestamp", "LastModifiedTimestamp"):
        found[name] = int(found[name])
    if allowed := getattr(queue, camelcase_to_underscores("RedriveAllowPolicy"), None):
        found["RedriveAllowPolicy"] = allowed
    return {name: str(value) for name, value in found.items()}


def _comparable(value: str) -> Any:
    try:
        parsed = json.loads(value)
    except ValueError:
        return value
    return {k: str(v) for k, v in parsed.items()} if isinstance(parsed, dict) else str(parsed).lower()


def _parse_json(text: Any, attribute: str) -> dict[str, Any]:
    try:
        parsed = json.loads(text)
    except (TypeError, ValueError):
        parsed = None
    if not isinstance(parsed, dict):
        raise AwsError("InvalidAttributeValue", f"Invalid value for the parameter {attribute}.")
    return parsed


def _within(value: Any, least: int, most: int) -> bool:
    try:
        return least <= int(value) <= most
    except (TypeError, ValueError):
        return False
