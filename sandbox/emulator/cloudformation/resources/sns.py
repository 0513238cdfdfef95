"""AWS::SNS: topics, subscriptions and topic policies."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    as_list,
    boolean,
    changed,
    exists_already,
    found,
    or_else,
    pick,
    stale,
    tags,
    text,
    unless_absent,
)

_ABSENT = ("NotFound", "NotFoundException", "ResourceNotFound", "ResourceNotFoundException")
# What an attribute is once the template no longer has it.
_TOPIC = {
    "ContentBasedDeduplication": "false",
    "DisplayName": "",
    "KmsMasterKeyId": "",
}
_SUBSCRIPTION = {
    "DeliveryPolicy": "",
    "FilterPolicy": "{}",
    "FilterPolicyScope": "MessageAttributes",
    "RawMessageDelivery": "false",
    "RedrivePolicy": "",
    "SubscriptionRoleArn": "",
}
_FIFO = ".fifo"
_OWNER_ACTIONS = (
    "GetTopicAttributes",
    "SetTopicAttributes",
    "AddPermission",
    "RemovePermission",
    "DeleteTopic",
    "Subscribe",
    "ListSubscriptionsByTopic",
    "Publish",
)


class Topic:
    """A topic, with the subscriptions that stand in it. ``Ref`` is its ARN."""

    type = "AWS::SNS::Topic"
    properties = frozenset({*_TOPIC, "FifoTopic", "Subscription", "Tags", "TopicName"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        topics = context.client("sns")
        fifo = boolean(properties.get("FifoTopic", False))
        name = properties.get("TopicName") or context.unique_name(256 - len(_FIFO)) + (_FIFO if fifo else "")
        arn = f"arn:{context.partition}:sns:{context.region}:{context.account_id}:{name}"
        if found(lambda: topics.get_topic_attributes(TopicArn=arn), *_ABSENT):
            raise exists_already(self.type, arn)
        attributes = {key: text(value) for key, value in pick(properties, tuple(_TOPIC)).items()}
        if fifo:
            attributes["FifoTopic"] = "true"
        labels = as_list(tags(context, properties.get("Tags")))
        topics.create_topic(Name=name, Attributes=attributes, Tags=labels)
        with or_else(lambda: topics.delete_topic(TopicArn=arn)):
            for protocol, endpoint in _endpoints(properties):
                topics.subscribe(TopicArn=arn, Protocol=protocol, Endpoint=endpoint)
        return _topic(arn)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        topics = context.client("sns")
        for key, default in _TOPIC.items():
            if changed(old, new, key):
                topics.set_topic_attributes(
                    TopicArn=physical_id, AttributeName=key, AttributeValue=text(new.get(key, default))
                )
        before, after = _endpoints(old), _endpoints(new)
        for protocol, endpoint in after:
            if (protocol, endpoint) not in before:
                topics.subscribe(TopicArn=physical_id, Protocol=protocol, Endpoint=endpoint)
        _unsubscribe(topics, physical_id, [pair for pair in before if pair not in after])
        listed = topics.list_tags_for_resource(ResourceArn=physical_id).get("Tags", [])
        current = {tag["Key"]: tag["Value"] for tag in listed}
        wanted = tags(context, new.get("Tags"))
        if gone := stale(current, wanted):
            topics.untag_resource(ResourceArn=physical_id, TagKeys=gone)
        if wanted != current:
            topics.tag_resource(ResourceArn=physical_id, Tags=as_list(wanted))
        return _topic(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        topics = context.client("sns")
        with unless_absent(*_ABSENT):
            _unsubscribe(topics, physical_id, _endpoints(properties))
            topics.delete_topic(TopicArn=physical_id)


def _topic(arn: str) -> Physical:
    return Physical(arn, {"TopicArn": arn, "TopicName": arn.rsplit(":", 1)[1]})


def _endpoints(properties: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(entry["Protocol"], entry["Endpoint"]) for entry in properties.get("Subscription") or []]


def _unsubscribe(topics: Any, arn: str, gone: list[tuple[str, str]]) -> None:
    if not gone:
        return
    pages = topics.get_paginator("list_subscriptions_by_topic").paginate(TopicArn=arn)
    for entry in [entry for page in pages for entry in page["Subscriptions"]]:
        if (entry["Protocol"], entry["Endpoint"]) in gone:
            with unless_absent(*_ABSENT):
                topics.unsubscribe(SubscriptionArn=entry["SubscriptionArn"])


class Subscription:
    """One endpoint of a topic, which may be in another region. ``Ref`` is the subscription's ARN."""

    type = "AWS::SNS::Subscription"
    properties = frozenset({*_SUBSCRIPTION, "Endpoint", "Protocol", "Region", "TopicArn"})
    replaces = frozenset({"Region"})

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        given = pick(properties, tuple(_SUBSCRIPTION))
        arn = self._topics(context, properties).subscribe(
            **pick(properties, ("TopicArn", "Protocol", "Endpoint")),
            Attributes={key: text(value) for key, value in given.items()},
            ReturnSubscriptionArn=True,
        )["SubscriptionArn"]
        return Physical(arn, {"Arn": arn})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        for key, default in _SUBSCRIPTION.items():
            if changed(old, new, key):
                self._topics(context, new).set_subscription_attributes(
                    SubscriptionArn=physical_id, AttributeName=key, AttributeValue=text(new.get(key, default))
                )
        return Physical(physical_id, {"Arn": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(*_ABSENT):
            self._topics(context, properties).unsubscribe(SubscriptionArn=physical_id)

    def _topics(self, context: ResourceContext, properties: Mapping[str, Any]) -> Any:
        return context.client("sns", region=properties.get("Region") or "")


class TopicPolicy:
    """The resource policy of each topic it names; without it a topic has the one it began with."""

    type = "AWS::SNS::TopicPolicy"
    properties = frozenset({"PolicyDocument", "Topics"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        policy_id = context.unique_name(128)
        for arn in properties["Topics"]:
            _set_policy(context, arn, text(properties["PolicyDocument"]))
        return Physical(policy_id, {"Id": policy_id})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        for arn in new["Topics"]:
            _set_policy(context, arn, text(new["PolicyDocument"]))
        self._restore(context, [arn for arn in old["Topics"] if arn not in new["Topics"]])
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        self._restore(context, properties["Topics"])

    def _restore(self, context: ResourceContext, arns: list[str]) -> None:
        for arn in arns:
            with unless_absent(*_ABSENT):
                _set_policy(context, arn, json.dumps(_first_policy(arn)))


def _set_policy(context: ResourceContext, arn: str, policy: str) -> None:
    context.client("sns").set_topic_attributes(TopicArn=arn, AttributeName="Policy", AttributeValue=policy)


def _first_policy(arn: str) -> dict[str, Any]:
    """What a topic's policy is when nobody has set one: its account may do everything."""
    statement = {
        "Sid": "__default_statement_ID",
        "Effect": "Allow",
        "Principal": {"AWS": "*"},
        "Action": [f"SNS:{action}" for action in _OWNER_ACTIONS],
        "Resource": arn,
        "Condition": {"StringEquals": {"AWS:SourceOwner": arn.split(":")[4]}},
    }
    return {"Version": "2008-10-17", "Id": "__default_policy_ID", "Statement": [statement]}


PROVIDERS = (Topic(), Subscription(), TopicPolicy())
