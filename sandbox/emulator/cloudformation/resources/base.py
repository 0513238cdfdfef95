"""What the CloudFormation engine asks of a resource type, and what it gives each resource.

A provider makes, changes and removes resources of one type through ordinary AWS calls. The engine
does everything that is the same for all types: intrinsics, order, events, rollback, replacement.
"""

from __future__ import annotations

import secrets
import string
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from sandbox.emulator.calls import Principal
from sandbox.emulator.cloudformation.backstage import Backstage
from sandbox.emulator.core import Clients

CUSTOM = "AWS::CloudFormation::CustomResource"

_RANDOM = string.ascii_letters + string.digits
RANDOM_LENGTH = 12


@dataclass(frozen=True, slots=True)
class Physical:
    """A resource that exists: what ``Ref`` gives, and what ``Fn::GetAtt`` can read of it.

    Nested attributes have dotted keys (``Endpoint.Address``). ``secret``: attributes are not shown in
    events. ``supersedes``: an update made another one, and the old one is to be deleted once the whole
    update has succeeded.
    """

    physical_id: str
    attributes: Mapping[str, Any] = field(default_factory=dict)
    secret: bool = False
    supersedes: bool = False


class ResourceFailed(Exception):
    """A resource could not be made, changed or removed; ``reason`` becomes its ResourceStatusReason.

    ``code`` is one of CloudFormation's handler error codes; ``NotUpdatable`` says that nothing was touched.
    ``left`` is the physical id of what was made all the same, and has to be deleted.
    """

    def __init__(self, reason: str, code: str = "GeneralServiceException", *, left: str = "") -> None:
        super().__init__(reason)
        self.reason = reason
        self.code = code
        self.left = left


@dataclass(frozen=True, slots=True)
class ResourceContext:
    """One resource of one stack, during one operation on the stack.

    ``tags`` are the stack's tags plus the three that CloudFormation adds (``aws:cloudformation:…``);
    the template's own ``Tags`` property is among the properties and wins. ``token`` is the random
    part of generated names: the same throughout one operation, another for a replacement. ``kind`` is
    the type as the template has it (``Custom::Thing``). ``update_policy`` is the template's
    ``UpdatePolicy`` while the resource is updated, and empty while that is undone.
    """

    account_id: str
    region: str
    stack_name: str
    stack_id: str
    logical_id: str
    tags: Mapping[str, str]
    clients: Clients
    principal: Principal
    gateway_port: int
    partition: str = "aws"
    kind: str = ""
    backstage: Backstage | None = None
    update_policy: Mapping[str, Any] = field(default_factory=dict)
    token: str = field(default_factory=lambda: "".join(secrets.choice(_RANDOM) for _ in range(RANDOM_LENGTH)))

    def client(self, service: str, *, region: str = "") -> Any:
        """A client that acts as whoever deploys the stack, in its region unless told otherwise."""
        return self.clients.client(service, region=region or self.region, principal=self.principal)

    def behind(self) -> Backstage:
        """What CloudFormation's own types work with."""
        assert self.backstage is not None, "only the engine makes resources of CloudFormation itself"
        return self.backstage

    def unique_name(self, limit: int = 64, lower: bool = False) -> str:
        """``Stack-LogicalId-RANDOM12`` as CloudFormation names what the template leaves unnamed.

        The stack's name and the logical id are shortened in equal parts to fit ``limit``
        characters. With ``lower`` all is lower case, for buckets and their like.
        """
        room = limit - RANDOM_LENGTH - 2
        stack, logical = self.stack_name, self.logical_id
        if len(stack) + len(logical) > room:
            logical = logical[: max(room - len(stack), room // 2)]
            stack = stack[: room - len(logical)].rstrip("-")
        name = f"{stack}-{logical}-{self.token}"
        return name.lower() if lower else name


class ResourceProvider(Protocol):
    """Makes, changes and removes resources of one type.

    ``properties`` are the top-level properties it honours; the engine refuses the others as our
    gap. A change of a property that the type's schema calls create-only, or that ``replaces``
    names, makes the engine replace the resource instead of calling :meth:`update`. Failures are
    ``ResourceFailed``; botocore's ClientError may pass through, the engine words it as AWS does.
    """

    type: str
    properties: frozenset[str]
    replaces: frozenset[str]

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        """Make the resource of resolved ``properties``."""

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        """Change the resource in place, from properties ``old`` to ``new``."""

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        """Remove the resource; one that is already gone is fine."""


@runtime_checkable
class Settling(Protocol):
    """A provider whose updates stay undone-able until the whole stack's update has come out well.

    The engine has it asked for an update each time, whether or not its properties changed.
    """

    def settle(self, context: ResourceContext, physical_id: str) -> None:
        """The update of the whole stack has succeeded: nothing will be undone."""

    def undo(self, context: ResourceContext, physical_id: str) -> Physical:
        """The update of the whole stack has failed: go back to what was before.

        Raises:
            ResourceFailed: that did not work.
        """


def find_provider(providers: Mapping[str, ResourceProvider], kind: str) -> ResourceProvider | None:
    """The provider of a type, if there is one; all ``Custom::`` types have the same."""
    return providers.get(CUSTOM if kind.startswith("Custom::") else kind)
