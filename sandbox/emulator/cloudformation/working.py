"""Makes, changes and removes one resource at a time, with the events that tell of it."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from sandbox.emulator.calls import Principal
from sandbox.emulator.cloudformation import failures
from sandbox.emulator.cloudformation.backstage import Backstage
from sandbox.emulator.cloudformation.dynamic import DynamicReferences
from sandbox.emulator.cloudformation.evaluation import Evaluation
from sandbox.emulator.cloudformation.failures import Failed
from sandbox.emulator.cloudformation.plan import ATTRIBUTES, Replacement, differences
from sandbox.emulator.cloudformation.resources.base import (
    Physical,
    ResourceContext,
    ResourceFailed,
    ResourceProvider,
    Settling,
    find_provider,
)
from sandbox.emulator.cloudformation.schemas import Schemas
from sandbox.emulator.cloudformation.stacks import Stack, StackResource, marked
from sandbox.emulator.core import AccountCore

_INITIATED = "Resource creation Initiated"
_REPLACING = "Requested update requires the creation of a new physical resource; hence creating one."


@dataclass(frozen=True, slots=True)
class Workplace:
    """What every operation on the stacks of one account and region works with."""

    core: AccountCore
    schemas: Schemas
    providers: Mapping[str, ResourceProvider]


@dataclass(frozen=True, slots=True)
class Updated:
    """What an update made of a resource: ``replaced`` when it is another one now."""

    resource: StackResource
    replaced: bool = False
    touched: bool = True


class Worker:
    """Works on one stack's resources, acting as ``principal``."""

    def __init__(self, place: Workplace, stack: Stack, principal: Principal, backstage: Backstage) -> None:
        self._place = place
        self._stack = stack
        self._principal = principal
        self._backstage = backstage
        self._dynamic = DynamicReferences(self._client)

    @property
    def overdue(self) -> bool:
        """Whether the whole operation has taken as long as it may."""
        return self._backstage.errand.overdue

    def now(self) -> dt.datetime:
        return self._place.core.clock.now()

    def make(
        self, name: str, definition: Mapping[str, Any], needs: frozenset[str], evaluation: Evaluation
    ) -> StackResource:
        """Create a resource.

        Raises:
            Failed: it could not be made; the events say so already.
        """
        fresh = StackResource(
            name, definition["Type"], "CREATE_IN_PROGRESS", self.now(), definition=definition, needs=needs
        )
        self._stack.record(fresh)
        prepared = fresh
        try:
            prepared = self._prepared(fresh, evaluation)
            made = self._created(prepared)
        except Exception as error:
            left = error.left if isinstance(error, ResourceFailed) else ""
            raise self._fail(replace(prepared, physical_id=left), "CREATE_FAILED", error) from error
        shown = self._shown(prepared, evaluation)
        self._stack.record(marked(made, "CREATE_IN_PROGRESS", self.now(), _INITIATED), shown)
        done = marked(made, "CREATE_COMPLETE", self.now())
        self._stack.record(done, shown)
        return done

    def change(
        self,
        old: StackResource,
        definition: Mapping[str, Any],
        needs: frozenset[str],
        evaluation: Evaluation,
        *,
        retagged: bool,
    ) -> Updated:
        """Bring a resource to another definition: leave it, update it in place, or replace it.

        Raises:
            Failed: it could not be changed; the events say so already.
        """
        provider = self._provider(old)
        wanted = replace(old, definition=definition, needs=needs)
        try:
            prepared = self._prepared(wanted, evaluation)
        except Exception as error:
            self._stack.record(marked(old, "UPDATE_IN_PROGRESS", self.now()))
            raise self._fail(old, "UPDATE_FAILED", error) from error
        schema = self._place.schemas.get(old.type)
        changed = differences(old.declared, prepared.declared, schema, provider)
        asked = isinstance(provider, Settling) or (retagged and "Tags" in provider.properties)
        if not changed and not asked:
            return self._unchanged(old, wanted)
        if any(change.replacement is not Replacement.NEVER for change in changed):
            return self._replaced(old, prepared, evaluation)
        self._stack.record(marked(old, "UPDATE_IN_PROGRESS", self.now()))
        try:
            policy = evaluation.value(definition.get("UpdatePolicy") or {})
            context = replace(self._context(old), update_policy=policy)
            physical = provider.update(context, old.physical_id, dict(old.applied), dict(prepared.applied))
        except Exception as error:
            failed = self._fail(old, "UPDATE_FAILED", error)
            failed.attempted = prepared.applied
            raise failed from error
        done = _holding(marked(prepared, "UPDATE_COMPLETE", self.now()), physical)
        self._stack.record(done, self._shown(prepared, evaluation))
        return Updated(done, replaced=physical.supersedes)

    def restore(self, old: StackResource, *, from_applied: Mapping[str, Any]) -> None:
        """Put a resource that was updated in place back to what it was.

        Raises:
            Failed: that did not work; the events say so already.
        """
        self._stack.record(marked(old, "UPDATE_IN_PROGRESS", self.now()))
        provider, context = self._provider(old), self._context(old)
        try:
            if isinstance(provider, Settling):
                physical = provider.undo(context, old.physical_id)
            else:
                physical = provider.update(context, old.physical_id, dict(from_applied), dict(old.applied))
        except Exception as error:
            raise self._fail(old, "UPDATE_FAILED", error) from error
        self._stack.record(_holding(marked(old, "UPDATE_COMPLETE", self.now()), physical))

    def settle(self, resource: StackResource) -> None:
        """The update of which this resource's was a part has succeeded: nothing will be undone."""
        provider = self._provider(resource)
        if isinstance(provider, Settling):
            provider.settle(self._context(resource), resource.physical_id)

    def remove(self, resource: StackResource, *, skipped: bool = False, current: bool = True) -> None:
        """Delete a resource, or only let go of it when ``skipped``.

        ``current`` is false for one that the stack has replaced already.

        Raises:
            Failed: it could not be deleted; the events say so already.
        """
        record = self._stack.record if current else self._stack.note
        if skipped:
            record(marked(resource, "DELETE_SKIPPED", self.now()))
            return
        record(marked(resource, "DELETE_IN_PROGRESS", self.now()))
        if resource.physical_id:
            try:
                self._provider(resource).delete(
                    self._context(resource), resource.physical_id, dict(resource.applied)
                )
            except Exception as error:
                raise self._fail(resource, "DELETE_FAILED", error, current=current) from error
        record(marked(resource, "DELETE_COMPLETE", self.now()))

    def _unchanged(self, old: StackResource, wanted: StackResource) -> Updated:
        """Nothing to do for the provider; the template's own attributes may still be new."""
        self._stack.resources[old.logical_id] = wanted
        same = all(old.definition.get(part) == wanted.definition.get(part) for part in ATTRIBUTES)
        if same:
            return Updated(wanted, touched=False)
        self._stack.record(marked(wanted, "UPDATE_IN_PROGRESS", self.now()))
        done = marked(wanted, "UPDATE_COMPLETE", self.now())
        self._stack.record(done)
        return Updated(done)

    def _replaced(self, old: StackResource, prepared: StackResource, evaluation: Evaluation) -> Updated:
        self._stack.record(marked(old, "UPDATE_IN_PROGRESS", self.now(), _REPLACING))
        try:
            self._refuse_same_name(old, prepared)
            made = self._created(prepared)
        except Exception as error:
            raise self._fail(old, "UPDATE_FAILED", error) from error
        shown = self._shown(prepared, evaluation)
        self._stack.record(marked(made, "UPDATE_IN_PROGRESS", self.now(), _INITIATED), shown)
        done = marked(made, "UPDATE_COMPLETE", self.now())
        self._stack.record(done, shown)
        return Updated(done, replaced=True)

    def _refuse_same_name(self, old: StackResource, prepared: StackResource) -> None:
        """The new one is made before the old one goes, so both can't have the same given name."""
        names = self._place.schemas.get(old.type).identifiers
        given = bool(names) and names <= prepared.declared.keys() & old.declared.keys()
        if given and all(prepared.declared[name] == old.declared[name] for name in names):
            raise Failed(
                "CloudFormation cannot update a stack when a custom-named resource requires replacing. "
                f"Rename {old.physical_id} and update the stack again."
            )

    def _prepared(self, resource: StackResource, evaluation: Evaluation) -> StackResource:
        """The resource with its properties resolved and found valid."""
        schema = self._place.schemas.get(resource.type)
        declared = schema.coerced(evaluation.properties(resource.definition))
        applied = schema.coerced(self._dynamic.resolve(declared))
        problems = schema.problems(applied)
        if problems:
            told = "\n".join(problems)
            raise Failed(
                f"Properties validation failed for resource {resource.logical_id} with message:\n{told}"
            )
        return replace(resource, declared=declared, applied=applied)

    def _created(self, prepared: StackResource) -> StackResource:
        physical = self._provider(prepared).create(self._context(prepared), dict(prepared.applied))
        return _holding(prepared, physical)

    def _shown(self, prepared: StackResource, evaluation: Evaluation) -> str:
        schema = self._place.schemas.get(prepared.type)
        return json.dumps(schema.coerced(evaluation.shown(prepared.definition)), default=str)

    def _fail(
        self, resource: StackResource, status: str, error: Exception, *, current: bool = True
    ) -> Failed:
        failed = failures.explain(error, resource.type)
        if failed.gap:
            self._place.core.timeline.add(
                "gap",
                f"cloudformation:{resource.type}",
                account_id=self._stack.account_id,
                region=self._stack.region,
                outcome="not-emulated",
                reason=failed.reason,
                stack=self._stack.name,
            )
        told = marked(resource, status, self.now(), failed.reason)
        (self._stack.record if current else self._stack.note)(told)
        return failed

    def _provider(self, resource: StackResource) -> ResourceProvider:
        provider = find_provider(self._place.providers, resource.type)
        if provider is None:
            raise Failed(f"NotEmulated: the resource type {resource.type} is not emulated by this sandbox.")
        return provider

    def _client(self, service: str) -> Any:
        return self._place.core.clients.client(service, region=self._stack.region, principal=self._principal)

    def _context(self, resource: StackResource) -> ResourceContext:
        stack, logical_id = self._stack, resource.logical_id
        return ResourceContext(
            account_id=stack.account_id,
            region=stack.region,
            stack_name=stack.name,
            stack_id=stack.id,
            logical_id=logical_id,
            tags={
                **stack.target.tags,
                "aws:cloudformation:stack-name": stack.name,
                "aws:cloudformation:stack-id": stack.id,
                "aws:cloudformation:logical-id": logical_id,
            },
            clients=self._place.core.clients,
            principal=self._principal,
            gateway_port=self._place.core.gateway_port,
            kind=resource.type,
            backstage=self._backstage,
        )


def _holding(resource: StackResource, physical: Physical) -> StackResource:
    """The resource as its provider has just made it."""
    return replace(
        resource,
        physical_id=physical.physical_id,
        attributes=physical.attributes,
        secret=physical.secret,
    )
