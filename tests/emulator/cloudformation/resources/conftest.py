"""A stack of one's own: providers are driven as the engine drives them, without an engine."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

import sandbox.emulator.aws_policies
import sandbox.emulator.bucket_defaults  # noqa: F401 (both register patches)
from sandbox.emulator.cloudformation.resources import providers
from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.fabric.apigateway.service import ApiGateway
from sandbox.emulator.fabric.eventbridge.service import EventBridge
from sandbox.emulator.fabric.mappings.service import EventSourceMappings
from sandbox.emulator.fabric.s3.notifications import Notifications
from sandbox.emulator.fabric.scheduler import Scheduler
from sandbox.emulator.fabric.sqs.service import SqsService
from sandbox.emulator.functions.service import FunctionService
from sandbox.isolation.spec import IsolationLevel

SYSTEM_TAGS = {
    "aws:cloudformation:stack-name": "shop",
    "aws:cloudformation:stack-id": "arn:aws:cloudformation:eu-north-1:111122223333:stack/shop/1",
}


class Stack:
    """Makes, changes and removes resources of the stack ``shop``."""

    def __init__(self, account: Any) -> None:
        self.account = account
        self.region = account.core.region

    def client(self, service: str) -> Any:
        """A client of the account's owner."""
        return self.account.client(service)

    def context(self, logical_id: str, tags: Mapping[str, str] | None = None) -> ResourceContext:
        """What the engine would give the provider."""
        core = self.account.core
        return ResourceContext(
            account_id=core.account_id,
            region=core.region,
            stack_name="shop",
            stack_id=SYSTEM_TAGS["aws:cloudformation:stack-id"],
            logical_id=logical_id,
            tags={**(tags or {}), **SYSTEM_TAGS, "aws:cloudformation:logical-id": logical_id},
            clients=core.clients,
            principal=core.owner,
            gateway_port=core.gateway_port,
        )

    def create(self, kind: str, properties: Mapping[str, Any], logical_id: str = "Thing") -> Physical:
        """Make a resource, insisting that the provider claims each property."""
        provider = self.provider(kind, properties)
        return provider.create(self.context(logical_id), properties)

    def update(
        self, kind: str, physical: Physical, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        """Change a resource in place."""
        provider = self.provider(kind, new)
        return provider.update(self.context("Thing"), physical.physical_id, old, new)

    def delete(self, kind: str, physical: Physical, properties: Mapping[str, Any]) -> None:
        """Remove a resource, then once more: a repeated deletion must do no harm."""
        provider = self.provider(kind, properties)
        for _ in range(2):
            provider.delete(self.context("Thing"), physical.physical_id, properties)

    def provider(self, kind: str, properties: Mapping[str, Any]) -> Any:
        """The provider of a type, once it is sure that it honours all ``properties``."""
        provider = providers()[f"AWS::{kind}"]
        unsupported = set(properties) - provider.properties
        assert not unsupported, unsupported
        return provider

    def role(self, name: str = "worker", service: str = "lambda.amazonaws.com") -> str:
        """A role that a service may take on; its ARN."""
        trust = {
            "Version": "2012-10-17",
            "Statement": [{"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}],
        }
        rights = {
            "Version": "2012-10-17",
            "Statement": [
                {"Effect": "Allow", "Action": ["dynamodb:*", "kinesis:*", "sqs:*"], "Resource": "*"}
            ],
        }
        made = self.create(
            "IAM::Role",
            {
                "RoleName": name,
                "AssumeRolePolicyDocument": trust,
                "Policies": [{"PolicyName": "work", "PolicyDocument": rights}],
            },
        )
        arn: str = made.attributes["Arn"]
        return arn


class NoSpawner:
    """No code runs here: resources are made, not used."""

    level = IsolationLevel.LANDLOCK
    has_clocks = has_names = False

    def __getattr__(self, name: str) -> Any:
        raise AssertionError(f"nothing here may ask the spawner for {name}")


@pytest.fixture
def stack(account: Any) -> Iterator[Stack]:
    """The stack ``shop`` in an empty account that has our own services in front of moto."""
    core = account.core
    functions = FunctionService(core, NoSpawner(), lambda _: pytest.fail("no environment"))  # type: ignore[arg-type]
    queues = SqsService(core)
    events = EventBridge(core, functions, queues.mailroom)
    for service in (
        functions,
        queues,
        events,
        Scheduler(core),
        ApiGateway(core, functions),
        EventSourceMappings(core, functions, queues.mailroom),
        Notifications(core, functions, queues.mailroom, events),
    ):
        account.add(service.handlers())
    yield Stack(account)
    functions.close()
