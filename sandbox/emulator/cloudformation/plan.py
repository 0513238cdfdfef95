"""What would change: decided before anything is touched, and again for each resource in its turn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from sandbox.emulator.cloudformation import intrinsics
from sandbox.emulator.cloudformation.errors import invalid, not_emulated
from sandbox.emulator.cloudformation.evaluation import Evaluation, Place
from sandbox.emulator.cloudformation.resources.base import ResourceProvider, Settling, find_provider
from sandbox.emulator.cloudformation.schemas import Schemas, TypeSchema
from sandbox.emulator.cloudformation.stacks import Stack, StackResource, StackStore, Target

ATTRIBUTES = ("DeletionPolicy", "UpdateReplacePolicy", "UpdatePolicy", "CreationPolicy", "Metadata")


# A resource in one of these is made anew.
_ABSENT = ("CREATE_FAILED", "DELETE_COMPLETE")


class Action(StrEnum):
    ADD = "Add"
    MODIFY = "Modify"
    REMOVE = "Remove"


class Replacement(StrEnum):
    NEVER = "False"
    CONDITIONAL = "Conditional"
    ALWAYS = "True"


_RECREATION = {
    Replacement.NEVER: "Never",
    Replacement.CONDITIONAL: "Conditionally",
    Replacement.ALWAYS: "Always",
}


@dataclass(frozen=True, slots=True)
class PropertyChange:
    """One top-level property that differs. ``sources`` are why the new value is not known yet."""

    name: str
    replacement: Replacement
    sources: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Change:
    """One resource that would change. ``scope`` names parts of it: Properties, Tags, Metadata …

    ``asked``: whether it changes is only found out by asking it to.
    """

    action: Action
    logical_id: str
    type: str
    physical_id: str = ""
    properties: tuple[PropertyChange, ...] = ()
    scope: tuple[str, ...] = ()
    asked: bool = False

    @property
    def replacement(self) -> Replacement:
        found = {change.replacement for change in self.properties}
        for level in (Replacement.ALWAYS, Replacement.CONDITIONAL):
            if level in found:
                return level
        return Replacement.NEVER


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything that would change. ``others`` is true when outputs or tags of the stack do."""

    changes: tuple[Change, ...]
    others: bool

    @property
    def empty(self) -> bool:
        return not self.changes and not self.others


def differences(
    old: Mapping[str, Any], new: Mapping[str, Any], schema: TypeSchema, provider: ResourceProvider
) -> tuple[PropertyChange, ...]:
    """The top-level properties that differ, and what each means for the resource."""
    found = []
    for name in sorted(old.keys() | new.keys()):
        if name in old and name in new and old[name] == new[name]:
            continue
        sources = frozenset().union(*(leaf.sources for leaf in _unknowns(new.get(name))))
        replacement = Replacement.NEVER
        if name in provider.replaces or any(
            path[0] == name and _at(old, path) != _at(new, path) for path in schema.create_only
        ):
            replacement = Replacement.CONDITIONAL if sources else Replacement.ALWAYS
        found.append(PropertyChange(name, replacement, sources))
    return tuple(found)


def _unknowns(value: Any) -> list[intrinsics.Unknown]:
    return [leaf for leaf in intrinsics.leaves(value) if isinstance(leaf, intrinsics.Unknown)]


def _at(properties: Mapping[str, Any], path: Sequence[str]) -> Any:
    found: Any = properties
    for step in path:
        if isinstance(found, list) and step == "*":
            return found
        found = found.get(step) if isinstance(found, dict) else None
    return found


class Planner:
    """Plans changes of stacks of one account and region."""

    def __init__(
        self, store: StackStore, schemas: Schemas, providers: Mapping[str, ResourceProvider]
    ) -> None:
        self._store = store
        self._schemas = schemas
        self._providers = providers

    def plan(self, stack: Stack, target: Target) -> Plan:
        """What making ``stack`` into ``target`` would change.

        Raises:
            AwsError: the target can't be evaluated, or has something we do not emulate.
        """
        planning = _Planning(self._store, self._schemas, self._providers, stack, target)
        return planning.run()


class _Planning:
    def __init__(
        self,
        store: StackStore,
        schemas: Schemas,
        providers: Mapping[str, ResourceProvider],
        stack: Stack,
        target: Target,
    ) -> None:
        self._schemas = schemas
        self._providers = providers
        self._stack = stack
        self._target = target
        self._changes: dict[str, Change] = {}
        self._gaps: list[str] = []
        self._evaluation = Evaluation(
            Place(stack.name, stack.id, stack.account_id, stack.region),
            target,
            resources=stack.resources,
            exported=store.exported,
            pending=self._is_pending,
            changing=self._is_changing,
        )

    def run(self) -> Plan:
        active = self._evaluation.active()
        self._refuse_other_types(active)
        for name, definition in active.items():
            change = self._change(name, definition)
            if change is not None:
                self._changes[name] = change
        if self._gaps:
            raise not_emulated("; ".join(self._gaps))
        removed = [
            Change(Action.REMOVE, name, resource.type, resource.physical_id)
            for name, resource in self._existing().items()
            if name not in active
        ]
        return Plan((*self._changes.values(), *removed), self._others())

    def _existing(self) -> Mapping[str, StackResource]:
        return {n: r for n, r in self._stack.resources.items() if r.status not in _ABSENT}

    def _refuse_other_types(self, active: Mapping[str, Mapping[str, Any]]) -> None:
        changed = [
            name
            for name, resource in self._existing().items()
            if name in active and active[name]["Type"] != resource.type
        ]
        if changed:
            raise invalid(
                "Update of resource type is not permitted. The new template modifies resource type of the "
                f"following resources: [{', '.join(changed)}]"
            )

    def _note_gaps(self, name: str, kind: str, properties: Mapping[str, Any]) -> None:
        provider = find_provider(self._providers, kind)
        if provider is None:
            self._gaps.append(f"the resource type {kind} ({name})")
            return
        schema = self._schemas.get(kind)
        self._gaps += [
            f"the property {prop} of {kind} ({name})"
            for prop in properties
            if prop in schema.properties and prop not in schema.read_only | provider.properties
        ]

    def _change(self, name: str, definition: Mapping[str, Any]) -> Change | None:
        kind = definition["Type"]
        schema, provider = self._schemas.get(kind), find_provider(self._providers, kind)
        properties = schema.coerced(self._evaluation.properties(definition))
        self._note_gaps(name, kind, properties)
        resource = self._existing().get(name)
        if resource is None or provider is None:
            return Change(Action.ADD, name, kind)
        changed = differences(resource.declared, properties, schema, provider)
        scope = [part for part in ATTRIBUTES if definition.get(part) != resource.definition.get(part)]
        if any(change.name != "Tags" for change in changed):
            scope.insert(0, "Properties")
        own_tags = any(change.name == "Tags" for change in changed)
        if own_tags or (self._retagged() and "Tags" in provider.properties):
            scope.append("Tags")
        asked = isinstance(provider, Settling)
        if asked and not scope:
            scope.append("Properties")
        if not scope:
            return None
        return Change(Action.MODIFY, name, kind, resource.physical_id, changed, tuple(scope), asked)

    def _retagged(self) -> bool:
        return dict(self._target.tags) != dict(self._stack.target.tags)

    def _others(self) -> bool:
        if self._retagged():
            return True
        old, new = self._stack.target.processed, self._target.processed
        return bool(old.outputs != new.outputs) or tuple(self._evaluation.outputs()) != self._stack.outputs

    def _is_pending(self, name: str) -> bool:
        change = self._changes.get(name)
        return change is not None and (
            change.action is Action.ADD or change.replacement is not Replacement.NEVER
        )

    def _is_changing(self, name: str) -> bool:
        change = self._changes.get(name)
        return change is not None and (bool(change.properties) or change.asked)


def described(change: Change, target: Target) -> dict[str, Any]:
    """A change as DescribeChangeSet shows it."""
    told: dict[str, Any] = {
        "Action": str(change.action),
        "LogicalResourceId": change.logical_id,
        "ResourceType": change.type,
        "Scope": list(change.scope),
        "Details": [],
    }
    if change.physical_id:
        told["PhysicalResourceId"] = change.physical_id
    if change.action is Action.MODIFY:
        told["Replacement"] = str(change.replacement)
        written = target.processed.resources[change.logical_id].get("Properties", {})
        told["Details"] = (
            [
                detail
                for prop in change.properties
                for detail in _details(prop, written.get(prop.name), target)
            ]
            + [
                {
                    "Target": {"Attribute": "Properties", "RequiresRecreation": "Never"},
                    "Evaluation": "Dynamic",
                    "ChangeSource": "Automatic",
                }
                for _ in range(change.asked)
            ]
            + [
                {
                    "Target": {"Attribute": part, "RequiresRecreation": "Never"},
                    "Evaluation": "Static",
                    "ChangeSource": "DirectModification",
                }
                for part in change.scope
                if part in ATTRIBUTES
            ]
        )
    return {"Type": "Resource", "ResourceChange": told}


def _details(prop: PropertyChange, written: Any, target: Target) -> list[dict[str, Any]]:
    where = {
        "Attribute": "Tags" if prop.name == "Tags" else "Properties",
        "Name": prop.name,
        "RequiresRecreation": _RECREATION[prop.replacement],
    }
    if prop.name == "Tags":
        del where["Name"]
    details: list[dict[str, Any]] = [
        {
            "Target": where,
            "Evaluation": "Dynamic",
            "ChangeSource": "ResourceAttribute" if "." in source else "ResourceReference",
            "CausingEntity": source,
        }
        for source in sorted(prop.sources)
    ]
    parameters = {
        mention.name for mention in intrinsics.references(written) if mention.name in target.parameters.values
    }
    details += [
        {
            "Target": where,
            "Evaluation": "Static",
            "ChangeSource": "ParameterReference",
            "CausingEntity": name,
        }
        for name in sorted(parameters)
    ]
    if not prop.sources:
        direct = "Dynamic" if parameters else "Static"
        details.append({"Target": where, "Evaluation": direct, "ChangeSource": "DirectModification"})
    return details
