"""A template's values for one stack, as far as its resources exist."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.cloudformation import graph
from sandbox.emulator.cloudformation.errors import invalid, malformed, not_emulated
from sandbox.emulator.cloudformation.intrinsics import NO_VALUE, Resolver, Unknown, as_text
from sandbox.emulator.cloudformation.parameters import MASK
from sandbox.emulator.cloudformation.schemas import STACK, is_custom
from sandbox.emulator.cloudformation.stacks import Output, StackResource, Target

# A resource as it stands, or which of its values are not known yet.
Lookup = Callable[[str], StackResource | None]
_ZONES = "abc"


@dataclass(frozen=True, slots=True)
class Place:
    """Where a stack is: what the pseudo parameters answer."""

    stack_name: str
    stack_id: str
    account_id: str
    region: str


class Evaluation:
    """Resolves one target's resources and outputs.

    ``exported`` answers for exports of other stacks; the names asked for are kept in ``imports``.
    ``pending`` and ``changing`` are asked whether a resource will be another one, or have other attributes.
    """

    def __init__(
        self,
        place: Place,
        target: Target,
        *,
        resources: Mapping[str, StackResource],
        exported: Callable[[str], str],
        pending: Callable[[str], bool] = lambda _name: False,
        changing: Callable[[str], bool] = lambda _name: False,
    ) -> None:
        self._target = target
        self._resources = resources
        self._exported = exported
        self._pending = pending
        self._changing = changing
        self.imports: set[str] = set()
        names = {**_pseudo(place, target), **target.parameters.values}
        masked = names | dict.fromkeys(target.parameters.secret, MASK)
        self._resolver = self._resolving(place, names, self._attribute)
        self._masking = self._resolving(place, masked, self._masked)

    def _resolving(
        self, place: Place, names: Mapping[str, Any], attribute: Callable[[str, str], Any]
    ) -> Resolver:
        return Resolver(
            mappings=self._target.processed.mappings,
            conditions=self._target.processed.conditions,
            names=names,
            reference=self._reference,
            attribute=attribute,
            imported=self._imported,
            zones=lambda region: [f"{region or place.region}{zone}" for zone in _ZONES],
        )

    def active(self) -> dict[str, Mapping[str, Any]]:
        """The resources whose condition holds, each after what it depends on."""
        resources = self._target.processed.resources
        order = graph.ordered(graph.dependencies(resources))
        return {name: resources[name] for name in order if self._holds(resources[name])}

    def properties(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """A resource's properties without intrinsics."""
        found: dict[str, Any] = self._resolver.resolve(resource.get("Properties", {}))
        return found

    def shown(self, resource: Mapping[str, Any]) -> dict[str, Any]:
        """A resource's properties as events tell them: what is not to be echoed is masked."""
        found: dict[str, Any] = self._masking.resolve(resource.get("Properties", {}))
        return found

    def value(self, value: Any) -> Any:
        """Any value without intrinsics."""
        return self._resolver.resolve(value)

    def outputs(self) -> Iterator[Output]:
        """The outputs whose condition holds.

        Raises:
            AwsError: one is not text.
        """
        for key, output in self._target.processed.outputs.items():
            if not self._holds(output):
                continue
            value = self._resolver.resolve(output["Value"])
            if isinstance(value, dict | list):
                raise malformed("Every Value member must be a string.")
            export = self._resolver.resolve(output.get("Export", {}).get("Name", ""))
            yield Output(
                key,
                "" if isinstance(value, Unknown) else as_text(value),
                str(output.get("Description", "")),
                "" if isinstance(export, Unknown) else as_text(export),
            )

    def _holds(self, item: Mapping[str, Any]) -> bool:
        condition = item.get("Condition")
        return not isinstance(condition, str) or self._resolver.condition(condition)

    def _reference(self, name: str) -> Any:
        if self._pending(name):
            return Unknown(frozenset({name}))
        return self._existing(name).physical_id

    def _attribute(self, name: str, attribute: str) -> Any:
        if self._pending(name) or self._changing(name):
            return Unknown(frozenset({f"{name}.{attribute}"}))
        resource = self._existing(name)
        if attribute in resource.attributes:
            return resource.attributes[attribute]
        if is_custom(resource.type):
            raise invalid(
                f"CustomResource attribute error: Vendor response doesn't contain {attribute} attribute "
                f"in object {resource.physical_id}"
            )
        if resource.type == STACK:
            output = attribute.removeprefix("Outputs.")
            raise invalid(f"Output '{output}' not found in stack {resource.physical_id}")
        found: Any = resource.applied
        for step in attribute.split("."):
            found = found.get(step, NO_VALUE) if isinstance(found, dict) else NO_VALUE
        if found is NO_VALUE:
            raise not_emulated(f"the attribute {attribute} of {resource.type} ({name})")
        return found

    def _masked(self, name: str, attribute: str) -> Any:
        found = self._attribute(name, attribute)
        return MASK if self._existing(name).secret else found

    def _existing(self, name: str) -> StackResource:
        resource = self._resources.get(name)
        if resource is None:
            raise malformed(
                f"Unresolved resource dependencies [{name}] in the Resources block of the template"
            )
        return resource

    def _imported(self, name: str) -> str:
        value = self._exported(name)
        self.imports.add(name)
        return value


def _pseudo(place: Place, target: Target) -> dict[str, Any]:
    return {
        "AWS::AccountId": place.account_id,
        "AWS::Region": place.region,
        "AWS::Partition": "aws",
        "AWS::URLSuffix": "amazonaws.com",
        "AWS::StackName": place.stack_name,
        "AWS::StackId": place.stack_id,
        "AWS::NotificationARNs": list(target.notification_arns),
    }


def refuse_unknown(value: Any) -> None:
    """Fail when a value still hangs on something that does not exist.

    Raises:
        AwsError: it does.
    """
    if isinstance(value, Unknown):
        raise invalid(f"Unresolved resource dependencies [{', '.join(sorted(value.sources))}]")
