"""Stacks as the service remembers them."""

from __future__ import annotations

import datetime as dt
import threading
import uuid
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from sandbox.emulator.calls import Principal
from sandbox.emulator.cloudformation.errors import invalid
from sandbox.emulator.cloudformation.parameters import Parameters
from sandbox.emulator.cloudformation.template import Template

_TICK = dt.timedelta(milliseconds=1)


@dataclass(frozen=True, slots=True)
class StackResource:
    """One resource of a stack.

    ``declared`` are its properties with dynamic references as written, which is what changes are
    judged by; ``applied`` are those its provider was given. ``secret``: its attributes are not shown.
    """

    logical_id: str
    type: str
    status: str
    updated_at: dt.datetime
    physical_id: str = ""
    reason: str = ""
    definition: Mapping[str, Any] = field(default_factory=dict)
    declared: Mapping[str, Any] = field(default_factory=dict)
    applied: Mapping[str, Any] = field(default_factory=dict)
    attributes: Mapping[str, Any] = field(default_factory=dict)
    secret: bool = False
    needs: frozenset[str] = frozenset()

    def policy(self, name: str) -> str:
        """``DeletionPolicy`` or ``UpdateReplacePolicy``."""
        return str(self.definition.get(name, "Delete"))


@dataclass(frozen=True, slots=True)
class Output:
    """One output; ``export`` is empty when it is not exported."""

    key: str
    value: str
    description: str = ""
    export: str = ""


@dataclass(frozen=True, slots=True)
class Target:
    """What a stack is, or is about to become."""

    text: str
    template: Template
    processed: Template
    parameters: Parameters
    tags: Mapping[str, str] = field(default_factory=dict)
    capabilities: tuple[str, ...] = ()
    role_arn: str = ""
    notification_arns: tuple[str, ...] = ()
    disable_rollback: bool = False


@dataclass(slots=True)
class ChangeSet:
    """A proposed change of a stack. ``changes`` are members of the API's ``Changes``."""

    name: str
    id: str
    kind: str
    created_at: dt.datetime
    target: Target | None
    changes: list[dict[str, Any]]
    status: str
    reason: str = ""
    execution_status: str = "AVAILABLE"
    description: str = ""
    on_failure: str = ""


@dataclass(slots=True)
class Stack:
    """One stack. ``operating`` is held by whoever creates, updates or deletes it."""

    name: str
    id: str
    account_id: str
    region: str
    created_at: dt.datetime
    target: Target
    status: str = ""
    reason: str = ""
    updated_at: dt.datetime | None = None
    deleted_at: dt.datetime | None = None
    termination_protection: bool = False
    timeout_minutes: int | None = None
    token: str = ""
    cancelled: bool = False
    change_set_id: str = ""
    parent_id: str = ""
    root_id: str = ""
    principal: Principal | None = None
    outputs: tuple[Output, ...] = ()
    imports: frozenset[str] = frozenset()
    resources: dict[str, StackResource] = field(default_factory=dict)
    events: list[dict[str, Any]] = field(default_factory=list)
    change_sets: dict[str, ChangeSet] = field(default_factory=dict)
    operating: threading.Lock = field(default_factory=threading.Lock)

    @property
    def in_progress(self) -> bool:
        return self.status.endswith("_IN_PROGRESS") and self.status != "REVIEW_IN_PROGRESS"

    @property
    def deleted(self) -> bool:
        return self.status == "DELETE_COMPLETE"

    def enter(self, status: str, at: dt.datetime, reason: str = "") -> None:
        """The stack itself comes into another status."""
        self.status, self.reason = status, reason
        self._event(self.name, self.id, "AWS::CloudFormation::Stack", status, at, reason)

    def record(self, resource: StackResource, properties: str = "") -> None:
        """A resource comes into another status."""
        self.resources[resource.logical_id] = resource
        self.note(resource, properties)

    def note(self, resource: StackResource, properties: str = "") -> None:
        """An event of a resource that is not, or no longer, the stack's current one."""
        self._event(
            resource.logical_id,
            resource.physical_id,
            resource.type,
            resource.status,
            resource.updated_at,
            resource.reason,
            properties,
        )

    def _event(
        self,
        logical_id: str,
        physical_id: str,
        kind: str,
        status: str,
        at: dt.datetime,
        reason: str,
        properties: str = "",
    ) -> None:
        # Clients order and tell events apart by time and id, so no two are of the same moment.
        if self.events:
            at = max(at, self.events[-1]["Timestamp"] + _TICK)
        stamp = at.isoformat(timespec="milliseconds").replace("+00:00", "Z")
        own = logical_id == self.name and physical_id == self.id
        event = {
            "StackId": self.id,
            "EventId": str(uuid.uuid4()) if own else f"{logical_id}-{status}-{stamp}",
            "StackName": self.name,
            "LogicalResourceId": logical_id,
            "PhysicalResourceId": physical_id,
            "ResourceType": kind,
            "Timestamp": at,
            "ResourceStatus": status,
        }
        if reason:
            event["ResourceStatusReason"] = reason
        if properties:
            event["ResourceProperties"] = properties
        if self.token:
            event["ClientRequestToken"] = self.token
        self.events.append(event)


@dataclass(slots=True)
class StackStore:
    """The stacks of one account in one region, deleted ones included."""

    account_id: str
    region: str
    stacks: dict[str, Stack] = field(default_factory=dict)

    def new_id(self, name: str) -> str:
        return f"arn:aws:cloudformation:{self.region}:{self.account_id}:stack/{name}/{uuid.uuid1()}"

    def add(self, stack: Stack) -> None:
        self.stacks[stack.id] = stack

    def find(self, name_or_id: str) -> Stack | None:
        """A stack by its id, or a stack that is not deleted by its name."""
        if name_or_id in self.stacks:
            return self.stacks[name_or_id]
        return next((s for s in self.stacks.values() if s.name == name_or_id and not s.deleted), None)

    def live(self) -> Iterator[Stack]:
        return (stack for stack in self.stacks.values() if not stack.deleted)

    def exports(self) -> dict[str, tuple[str, Stack]]:
        """Value and owner of each export by its name."""
        return {
            output.export: (output.value, stack)
            for stack in self.live()
            for output in stack.outputs
            if output.export
        }

    def importers(self, export: str) -> list[Stack]:
        """The stacks that use an export."""
        return [stack for stack in self.live() if export in stack.imports]

    def exported(self, name: str) -> str:
        """The value of an export.

        Raises:
            AwsError: nobody exports it.
        """
        found = self.exports().get(name)
        if found is None:
            raise invalid(f"No export named {name} found.")
        return found[0]


def marked(resource: StackResource, status: str, at: dt.datetime, reason: str = "") -> StackResource:
    """The resource in another status."""
    return replace(resource, status=status, updated_at=at, reason=reason)
