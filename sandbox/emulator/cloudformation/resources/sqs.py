"""AWS::SQS: queues and their policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    boolean,
    changed,
    exists_already,
    found,
    pick,
    stale,
    tags,
    text,
    unless_absent,
)

_ABSENT = ("AWS.SimpleQueueService.NonExistentQueue", "QueueDoesNotExist")
# What an attribute is once the template no longer has it.
_DEFAULTS = {
    "ContentBasedDeduplication": "false",
    "DeduplicationScope": "queue",
    "DelaySeconds": "0",
    "FifoThroughputLimit": "perQueue",
    "KmsDataKeyReusePeriodSeconds": "300",
    "KmsMasterKeyId": "",
    "MaximumMessageSize": "1048576",
    "MessageRetentionPeriod": "345600",
    "ReceiveMessageWaitTimeSeconds": "0",
    "RedriveAllowPolicy": "",
    "RedrivePolicy": "",
    "SqsManagedSseEnabled": "true",
    "VisibilityTimeout": "30",
}
_FIFO = ".fifo"


class Queue:
    """A standard or FIFO queue. ``Ref`` is its URL."""

    type = "AWS::SQS::Queue"
    properties = frozenset({*_DEFAULTS, "FifoQueue", "QueueName", "Tags"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        queues = context.client("sqs")
        fifo = boolean(properties.get("FifoQueue", False))
        name = properties.get("QueueName") or context.unique_name(80 - len(_FIFO)) + (_FIFO if fifo else "")
        if found(lambda: queues.get_queue_url(QueueName=name), *_ABSENT):
            raise exists_already(self.type, name)
        attributes = {key: text(value) for key, value in pick(properties, tuple(_DEFAULTS)).items()}
        if fifo:
            attributes["FifoQueue"] = "true"
        url = queues.create_queue(
            QueueName=name,
            Attributes=attributes,
            tags=tags(context, properties.get("Tags"), system=False),
        )["QueueUrl"]
        return _queue(context, url)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        queues = context.client("sqs")
        attributes = {
            key: text(new.get(key, default)) for key, default in _DEFAULTS.items() if changed(old, new, key)
        }
        if attributes:
            queues.set_queue_attributes(QueueUrl=physical_id, Attributes=attributes)
        current = queues.list_queue_tags(QueueUrl=physical_id).get("Tags") or {}
        wanted = tags(context, new.get("Tags"), system=False)
        if gone := stale(current, wanted):
            queues.untag_queue(QueueUrl=physical_id, TagKeys=gone)
        if wanted and wanted != current:
            queues.tag_queue(QueueUrl=physical_id, Tags=wanted)
        return _queue(context, physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(*_ABSENT):
            context.client("sqs").delete_queue(QueueUrl=physical_id)


def _queue(context: ResourceContext, url: str) -> Physical:
    name = url.rsplit("/", 1)[1]
    arn = f"arn:{context.partition}:sqs:{context.region}:{context.account_id}:{name}"
    return Physical(url, {"Arn": arn, "QueueName": name, "QueueUrl": url})


class QueuePolicy:
    """The resource policy of each queue it names."""

    type = "AWS::SQS::QueuePolicy"
    properties = frozenset({"PolicyDocument", "Queues"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        policy_id = context.unique_name(128)
        self._set(context, properties["Queues"], text(properties["PolicyDocument"]))
        return Physical(policy_id, {"Id": policy_id})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        self._set(context, new["Queues"], text(new["PolicyDocument"]))
        self._clear(context, [url for url in old["Queues"] if url not in new["Queues"]])
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        self._clear(context, properties["Queues"])

    def _set(self, context: ResourceContext, urls: list[str], policy: str) -> None:
        for url in urls:
            context.client("sqs").set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})

    def _clear(self, context: ResourceContext, urls: list[str]) -> None:
        for url in urls:
            with unless_absent(*_ABSENT):
                self._set(context, [url], "")


PROVIDERS = (Queue(), QueuePolicy())
