"""Where a role's statement stands in the learner's own template. Pure.

A role that the Serverless transform made stands for the ``Policies`` of its function; a policy template
(``S3ReadPolicy``) stands for its statements.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from graders.iam.model import HeldPolicy, PolicySource, as_list
from sandbox.templates import TemplateText

Path = tuple[str | int, ...]
_POLICIES: Path = ("Properties", "Policies")


@dataclass(frozen=True, slots=True)
class Place:
    """A place in the template: ``path`` of keys and positions, and ``line`` as ``template.yaml:12``.

    ``whole`` is false where the template writes something else than the statement: a policy template, the
    name of a managed policy, or (``implied``) nothing at all, for the transform adds it by itself.
    """

    line: str
    path: Path
    whole: bool = True
    implied: bool = False


@dataclass(frozen=True)
class Places:
    """Finds statements in a template. ``resources`` are the stack's, each with logical and physical id."""

    template: TemplateText
    resources: tuple[Any, ...]

    def statement(self, role_name: str, policy: HeldPolicy, index: int) -> Place | None:
        """The place of a role's statement; None when the template does not have that role."""
        role = self._logical_id(role_name, "AWS::IAM::Role")
        if role is None:
            return None
        found = next(self._found(role, policy, index), None)
        return found or self._place((self._written_as(role),), whole=False, implied=True)

    def resource(self, logical_id: str) -> Place:
        """The place of a resource, or of what the transform made it from."""
        return self._place((self._written_as(logical_id),), whole=False)

    def _found(self, role: str, policy: HeldPolicy, index: int) -> Iterator[Place]:
        written = self.template.resources()
        if policy.source is PolicySource.CUSTOMER:
            managed = self._logical_id(policy.name, "AWS::IAM::ManagedPolicy")
            if managed in written:
                yield self._inside((managed, "Properties", "PolicyDocument"), index)
        if role in written:
            yield from self._of_role(role, policy, index)
            yield from self._attached(role, policy, index)
        else:
            yield from self._of_function(role, policy, index)

    def _of_role(self, role: str, policy: HeldPolicy, index: int) -> Iterator[Place]:
        entries = self._list(role, "Policies")
        for number, entry in enumerate(entries):
            if isinstance(entry, Mapping) and _may_be(entry.get("PolicyName"), policy.short_name):
                yield self._inside((role, *_POLICIES, number, "PolicyDocument"), index)
        for number, entry in enumerate(self._list(role, "ManagedPolicyArns")):
            if policy.source is not PolicySource.INLINE and _may_be(entry, policy.name):
                yield self._place((role, "Properties", "ManagedPolicyArns", number), whole=False)

    def _attached(self, role: str, policy: HeldPolicy, index: int) -> Iterator[Place]:
        """Policies that are resources of their own and name the role."""
        for logical_id, body in self.template.resources().items():
            properties = body.get("Properties")
            if body.get("Type") != "AWS::IAM::Policy" or not isinstance(properties, Mapping):
                continue
            named = any(_refers(entry, role) for entry in as_list(properties.get("Roles")))
            if named and _may_be(properties.get("PolicyName"), policy.short_name):
                yield self._inside((logical_id, "Properties", "PolicyDocument"), index)

    def _of_function(self, role: str, policy: HeldPolicy, index: int) -> Iterator[Place]:
        """Roles that the transform made: inline policies are numbered as their entries are."""
        function = role.removesuffix("Role")
        if function not in self.template.resources():
            return
        properties = self.template.resources()[function].get("Properties")
        several = isinstance(properties, Mapping) and isinstance(properties.get("Policies"), list)
        number = re.fullmatch(re.escape(role) + r"Policy(\d+)", policy.short_name)
        for position, entry in enumerate(self._list(function, "Policies")):
            path: Path = (function, *_POLICIES, position) if several else (function, *_POLICIES)
            if policy.source is PolicySource.INLINE:
                if number and int(number[1]) == position:
                    written = isinstance(entry, Mapping) and "Statement" in entry
                    yield self._inside(path, index) if written else self._place(path, whole=False)
            elif isinstance(entry, str) and policy.name.endswith(f"/{entry.rsplit('/', 1)[-1]}"):
                yield self._place(path, whole=False)

    def _inside(self, document: Path, index: int) -> Place:
        path: Path = (*document, "Statement")
        node = self.template.node("Resources", *path, index)
        return self._place((*path, index) if node is not None else path)

    def _place(self, path: Path, *, whole: bool = True, implied: bool = False) -> Place:
        full: Path = ("Resources", *path)
        return Place(
            self.template.line(*full), full, whole and self.template.node(*full) is not None, implied
        )

    def _list(self, logical_id: str, name: str) -> list[Any]:
        properties = self.template.resources().get(logical_id, {}).get("Properties")
        return as_list(properties.get(name)) if isinstance(properties, Mapping) else []

    def _logical_id(self, physical_id: str, resource_type: str) -> str | None:
        fitting = (
            item.logical_id
            for item in self.resources
            if item.type == resource_type and item.physical_id == physical_id
        )
        return next(fitting, None)

    def _written_as(self, logical_id: str) -> str:
        """The resource that the template writes for one of the stack: itself, or what it was made from."""
        written = self.template.resources()
        if logical_id in written:
            return logical_id
        return max((name for name in written if logical_id.startswith(name)), key=len, default=logical_id)


def _may_be(written: Any, name: str) -> bool:
    """Whether text of a template, functions included, may have become a name."""
    pattern = _pattern(written)
    return pattern is not None and re.fullmatch(pattern, name, re.DOTALL) is not None


def _pattern(written: Any) -> str | None:
    if isinstance(written, str):
        return re.escape(written)
    if isinstance(written, Mapping) and len(written) == 1:
        function, value = next(iter(written.items()))
        if function == "Fn::Sub":
            text = value[0] if isinstance(value, list) else value
            return ".*".join(map(re.escape, re.split(r"\$\{[^!][^}]*\}", str(text))))
        return ".*"
    return None


def _refers(entry: Any, logical_id: str) -> bool:
    return isinstance(entry, Mapping) and entry.get("Ref") == logical_id
