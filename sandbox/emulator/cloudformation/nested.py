"""Stacks within stacks: made, changed and removed on the thread of the operation that wants them.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/UserGuide/using-cfn-nested-stacks.html
"""

from __future__ import annotations

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from sandbox.emulator.calls import Call, Principal
from sandbox.emulator.cloudformation import capabilities, stackcalls
from sandbox.emulator.cloudformation.errands import Errand
from sandbox.emulator.cloudformation.execution import StackOperation
from sandbox.emulator.cloudformation.resources.base import ResourceFailed
from sandbox.emulator.cloudformation.stacks import Stack, Target

if TYPE_CHECKING:
    from sandbox.emulator.cloudformation.region import Region

_ACKNOWLEDGED = "CREATE_COMPLETE", "UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE"


@dataclass(frozen=True, slots=True)
class Nesting:
    """The stacks inside ``parent``, worked on during ``errand``; implements ``backstage.NestedStacks``."""

    region: Region
    parent: Stack
    principal: Principal
    errand: Errand

    def create(self, name: str, request: Mapping[str, Any]) -> tuple[str, Mapping[str, str]]:
        """A new stack; one that fails goes back, or stays as it is where its parent would."""
        call = self._call("CreateStack", {**request, "StackName": name})
        stack = stackcalls.new_stack(self.region, call)
        stack.parent_id = self.parent.id
        stack.root_id = self.parent.root_id or self.parent.id
        target = self._target(call, None)
        self.region.planner.plan(stack, target)
        kept = self.parent.target.disable_rollback
        stack.target = replace(target, disable_rollback=kept)
        self.region.store.add(stack)
        stack.enter("CREATE_IN_PROGRESS", self.region.now(), stackcalls.USER)
        self._run(stack, lambda operation: operation.create("DO_NOTHING" if kept else "ROLLBACK"))
        if stack.status != "CREATE_COMPLETE":
            raise ResourceFailed(
                f"Embedded stack {stack.id} was not successfully created: {_first_failure(stack)}",
                left=stack.id,
            )
        return stack.id, _outputs(stack)

    def update(self, stack_id: str, request: Mapping[str, Any]) -> Mapping[str, str]:
        """Change a stack; what it no longer needs is deleted when the parent is done."""
        stack = self._stack(stack_id)
        stackcalls.check_updatable(stack)
        call = self._call("UpdateStack", {**request, "StackName": stack.id})
        target = self._target(call, stack)
        if self.region.planner.plan(stack, target).empty:
            return _outputs(stack)
        stack.updated_at = self.region.now()
        stack.cancelled = False
        stack.enter("UPDATE_IN_PROGRESS", stack.updated_at, stackcalls.USER)
        wanted = replace(target, disable_rollback=self.parent.target.disable_rollback)

        def attempt(operation: StackOperation) -> None:
            made = operation.attempt(wanted)
            if made is not None:
                self.region.attempts[stack.id] = made

        self._run(stack, attempt)
        if stack.id not in self.region.attempts:
            failed = "UPDATE_FAILED" if wanted.disable_rollback else "UPDATE_ROLLBACK_IN_PROGRESS"
            raise ResourceFailed(
                f"Embedded stack {stack.id} was not successfully updated. Currently in {failed} with reason: "
                f"{_first_failure(stack)}"
            )
        return _outputs(stack)

    def settle(self, stack_id: str) -> None:
        """Delete what an update of a stack no longer needs."""
        attempt = self.region.attempts.pop(stack_id, None)
        if attempt is not None:
            self._run(self._stack(stack_id), lambda operation: operation.settle(attempt))

    def undo(self, stack_id: str) -> Mapping[str, str]:
        """Take a stack back to where it was; one whose own update failed is there already."""
        stack = self._stack(stack_id)
        attempt = self.region.attempts.pop(stack_id, None)
        if attempt is not None:
            self._run(stack, lambda operation: operation.undo(attempt))
        elif stack.status == "UPDATE_ROLLBACK_FAILED":
            stack.enter("UPDATE_ROLLBACK_IN_PROGRESS", self.region.now(), stackcalls.USER)
            self._run(stack, lambda operation: operation.continue_rollback(frozenset()))
        if stack.status not in _ACKNOWLEDGED:
            raise ResourceFailed(
                f"Embedded stack {stack.id} was not successfully updated. Currently in {stack.status} with "
                f"reason: {stack.reason}"
            )
        return _outputs(stack)

    def delete(self, stack_id: str) -> None:
        """Remove a stack; one that is gone is fine."""
        stack = self.region.store.find(stack_id)
        if stack is None or stack.deleted:
            return
        self.region.attempts.pop(stack_id, None)
        stack.enter("DELETE_IN_PROGRESS", self.region.now(), stackcalls.USER)
        self._run(stack, lambda operation: operation.delete(frozenset()))
        if not stack.deleted:
            raise ResourceFailed(f"Embedded stack {stack.id} was not successfully deleted: {stack.reason}")

    def _stack(self, stack_id: str) -> Stack:
        stack = self.region.store.find(stack_id)
        if stack is None or stack.deleted:
            raise ResourceFailed(f"Stack [{stack_id}] does not exist", "NotFound")
        return stack

    def _call(self, operation: str, params: Mapping[str, Any]) -> Call:
        """A call as whoever works on the parent would make it, for a stack of the same kind."""
        parent = self.parent.target
        more = {"Capabilities": list(parent.capabilities), "RoleARN": parent.role_arn}
        return Call(
            service="cloudformation",
            operation=operation,
            params={**params, **more},
            principal=self.principal,
            account_id=self.region.store.account_id,
            region=self.region.store.region,
            request_id=str(uuid.uuid4()),
        )

    def _target(self, call: Call, stack: Stack | None) -> Target:
        draft = self.region.draft(call, stack)
        refusal = capabilities.unexpanded(draft.target.template, draft.target.capabilities)
        if refusal is not None:
            raise refusal
        return self.region.process(draft)

    def _run(self, stack: Stack, operate: Callable[[StackOperation], None]) -> None:
        with stack.operating:
            operate(self.region.operation(stack, self.principal, self.errand))
        self.region.tell(stack)


def _outputs(stack: Stack) -> dict[str, str]:
    return {output.key: output.value for output in stack.outputs}


def _first_failure(stack: Stack) -> str:
    """Why a stack's last operation went wrong: what the stack itself said first about it."""
    said = ""
    for event in reversed(stack.events):
        if event["PhysicalResourceId"] != stack.id:
            continue
        reason = str(event.get("ResourceStatusReason", ""))
        if reason == stackcalls.USER:
            break
        said = reason or said
    return said.removesuffix(" Rollback requested by user.")
