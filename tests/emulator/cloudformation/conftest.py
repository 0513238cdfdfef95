"""Accounts whose CloudFormation works with resource types of the tests' own, or with all that there are."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest
from werkzeug.test import Client

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext, ResourceFailed
from sandbox.emulator.cloudformation.service import CloudFormation
from tests.emulator.cloudformation.engine import Engine, Vendor


@dataclass
class Shelf:
    """A provider that keeps its resources in memory and fails when told to.

    ``fail`` maps a logical id to what must not work: ``create``, ``update`` or ``delete``.
    ``log`` has every call as ``verb logical-id``.
    """

    type: str
    properties: frozenset[str]
    named_by: str
    replaces: frozenset[str] = frozenset()
    items: dict[str, dict[str, Any]] = field(default_factory=dict)
    fail: dict[str, str] = field(default_factory=dict)
    log: list[str] = field(default_factory=list)
    during: Callable[[], None] | None = None

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        self._note("create", context)
        name = str(properties.get(self.named_by) or context.unique_name())
        if name in self.items:
            raise ResourceFailed(f"{name} already exists", "AlreadyExists")
        self.items[name] = dict(properties)
        return self._physical(context, name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        self._note("update", context)
        self.items[physical_id] = dict(new)
        return self._physical(context, physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        self._note("delete", context)
        self.items.pop(physical_id, None)

    def _note(self, verb: str, context: ResourceContext) -> None:
        self.log.append(f"{verb} {context.logical_id}")
        if self.during is not None:
            self.during()
        if self.fail.get(context.logical_id) == verb:
            raise ResourceFailed(f"{verb} of {context.logical_id} does not work")

    def _physical(self, context: ResourceContext, name: str) -> Physical:
        arn = f"arn:aws:test:{context.region}:{context.account_id}:{name}"
        return Physical(name, {"Arn": arn, "TopicArn": arn, "QueueName": name})


@dataclass
class Stacks:
    """CloudFormation of one account, with queues, topics and logs that only the tests know."""

    account: Any
    queues: Shelf
    topics: Shelf
    groups: Shelf
    client: Any

    def create(self, name: str, template: Any, **more: Any) -> Any:
        """Create a stack and wait until it is finished; returns it as described."""
        stack_id = self.client.create_stack(StackName=name, TemplateBody=as_body(template), **more)["StackId"]
        return self.finished(stack_id)

    def update(self, name: str, template: Any, **more: Any) -> Any:
        stack_id = self.client.update_stack(StackName=name, TemplateBody=as_body(template), **more)["StackId"]
        return self.finished(stack_id)

    def delete(self, name: str, **more: Any) -> Any:
        stack_id = self.described(name)["StackId"]
        self.client.delete_stack(StackName=name, **more)
        return self.finished(stack_id)

    def finished(self, stack_id: str) -> Any:
        self.account.settle()
        return self.described(stack_id)

    def described(self, name: str) -> Any:
        return self.client.describe_stacks(StackName=name)["Stacks"][0]

    def outputs(self, name: str) -> dict[str, str]:
        return {item["OutputKey"]: item["OutputValue"] for item in self.described(name)["Outputs"]}

    def events(self, name: str) -> list[str]:
        """``LogicalId STATUS`` of each event, oldest first."""
        pages = self.client.get_paginator("describe_stack_events").paginate(StackName=name)
        found = [event for page in pages for event in page["StackEvents"]]
        return [f"{event['LogicalResourceId']} {event['ResourceStatus']}" for event in found[::-1]]

    def reasons(self, name: str) -> dict[str, str]:
        """The reason of each failed resource."""
        found = self.client.describe_stack_events(StackName=name)["StackEvents"]
        return {
            event["LogicalResourceId"]: event["ResourceStatusReason"]
            for event in found
            if event["ResourceStatus"].endswith("_FAILED")
        }


def as_body(template: Any) -> str:
    return template if isinstance(template, str) else json.dumps(template)


@pytest.fixture
def stacks(account: Any) -> Stacks:
    queues = Shelf(
        "AWS::SQS::Queue", frozenset({"QueueName", "FifoQueue", "VisibilityTimeout", "Tags"}), "QueueName"
    )
    topics = Shelf("AWS::SNS::Topic", frozenset({"TopicName", "DisplayName", "Tags"}), "TopicName")
    groups = Shelf("AWS::Logs::LogGroup", frozenset({"LogGroupName", "RetentionInDays"}), "LogGroupName")
    service = CloudFormation(account.core, {shelf.type: shelf for shelf in (queues, topics, groups)})
    account.add(service.handlers())
    return Stacks(account, queues, topics, groups, account.client("cloudformation"))


@pytest.fixture
def engine(account: Any) -> Engine:
    service = CloudFormation(account.core)
    account.gateway.data_planes.append(service.callbacks)
    account.add(service.handlers())
    vendor = Vendor(account, Client(account.gateway.application()))
    # Beside functions that really run there are topics that really deliver.
    account.gateway.handlers.setdefault(("sns", "Publish"), vendor.publish)
    return Engine(account, account.client("cloudformation"), vendor)
