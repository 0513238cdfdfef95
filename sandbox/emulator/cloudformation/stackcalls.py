"""The calls that create, update and delete stacks."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from sandbox.emulator.calls import AwsError, Call
from sandbox.emulator.cloudformation import capabilities
from sandbox.emulator.cloudformation.errors import invalid
from sandbox.emulator.cloudformation.execution import StackOperation
from sandbox.emulator.cloudformation.region import NOTHING, Region
from sandbox.emulator.cloudformation.stacks import Stack, Target

_NAME = re.compile(r"[a-zA-Z][-a-zA-Z0-9]*")
_UPDATABLE = (
    "CREATE_COMPLETE",
    "UPDATE_COMPLETE",
    "UPDATE_ROLLBACK_COMPLETE",
    "CREATE_FAILED",
    "UPDATE_FAILED",
)
USER = "User Initiated"


def check_name(name: str) -> None:
    """Refuse a name that a new stack can't have.

    Raises:
        AwsError: as the API's own validation words it.
    """
    if not _NAME.fullmatch(name):
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: "
            "Member must satisfy regular expression pattern: [a-zA-Z][-a-zA-Z0-9]*"
        )
    if len(name) > 128:
        raise invalid(
            f"1 validation error detected: Value '{name}' at 'stackName' failed to satisfy constraint: "
            "Member must have length less than or equal to 128"
        )


def check_updatable(stack: Stack) -> None:
    """Refuse to change a stack that is busy or beyond repair.

    Raises:
        AwsError: its status does not allow an update.
    """
    if stack.status not in _UPDATABLE:
        raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be updated.")


def new_stack(region: Region, call: Call) -> Stack:
    """An empty stack for a request's name."""
    name = call.params["StackName"]
    return Stack(
        name=name,
        id=region.store.new_id(name),
        account_id=region.store.account_id,
        region=region.store.region,
        created_at=region.now(),
        target=NOTHING,
        token=call.params.get("ClientRequestToken", ""),
        termination_protection=bool(call.params.get("EnableTerminationProtection", False)),
        timeout_minutes=call.params.get("TimeoutInMinutes"),
    )


def create_stack(region: Region, call: Call) -> dict[str, Any]:
    """Check everything that can be checked, then create the stack in the account's own time."""
    params = call.params
    name, token = params["StackName"], params.get("ClientRequestToken")
    check_name(name)
    found = region.store.find(name)
    if found is not None:
        if token and found.token == token:
            return {"StackId": found.id}
        raise AwsError("AlreadyExistsException", f"Stack [{name}] already exists", 400)
    if "DisableRollback" in params and "OnFailure" in params:
        raise invalid("You can specify either DisableRollback or OnFailure, but not both")
    draft = region.draft(call, None)
    refusal = capabilities.unexpanded(draft.target.template, draft.target.capabilities)
    if refusal is not None:
        raise refusal
    region.check_role(draft.target.role_arn, call.principal)
    target = region.process(draft)
    stack = new_stack(region, call)
    region.planner.plan(stack, target)
    region.store.add(stack)
    on_failure = params.get("OnFailure") or ("DO_NOTHING" if target.disable_rollback else "ROLLBACK")
    begin_create(region, call, stack, target, on_failure)
    return {"StackId": stack.id}


def begin_create(region: Region, call: Call, stack: Stack, target: Target, on_failure: str) -> None:
    stack.target = replace(target, disable_rollback=on_failure == "DO_NOTHING")
    stack.token = call.params.get("ClientRequestToken", "")
    stack.enter("CREATE_IN_PROGRESS", region.now(), USER)
    region.start(stack, call.principal, "create", lambda operation: operation.create(on_failure))


def update_stack(region: Region, call: Call) -> dict[str, Any]:
    """Check the change, then carry it out in the account's own time."""
    name = call.params["StackName"]
    stack = region.store.find(name)
    if stack is None or stack.deleted:
        raise invalid(f"Stack [{name}] does not exist")
    token = call.params.get("ClientRequestToken")
    if token and token == stack.token and stack.updated_at is not None:
        return {"StackId": stack.id}
    check_updatable(stack)
    draft = region.draft(call, stack)
    refusal = capabilities.unexpanded(draft.target.template, draft.target.capabilities)
    if refusal is not None:
        raise refusal
    region.check_role(draft.target.role_arn, call.principal)
    target = region.process(draft)
    if region.planner.plan(stack, target).empty:
        raise invalid("No updates are to be performed.")
    begin_update(region, call, stack, target, disable_rollback=target.disable_rollback)
    return {"StackId": stack.id}


def begin_update(region: Region, call: Call, stack: Stack, target: Target, *, disable_rollback: bool) -> None:
    stack.token = call.params.get("ClientRequestToken", "")
    stack.cancelled = False
    stack.updated_at = region.now()
    stack.enter("UPDATE_IN_PROGRESS", stack.updated_at, USER)
    wanted = replace(target, disable_rollback=disable_rollback)
    region.start(stack, call.principal, "update", lambda operation: operation.update(wanted))


def delete_stack(region: Region, call: Call) -> dict[str, Any]:
    """Delete a stack in the account's own time; one that is not there is fine."""
    params = call.params
    stack = region.store.find(params["StackName"])
    if stack is None or stack.deleted:
        return {}
    if stack.termination_protection:
        raise invalid(f"Stack [{stack.name}] cannot be deleted while TerminationProtection is enabled")
    retain = frozenset(params.get("RetainResources") or ())
    if retain and stack.status != "DELETE_FAILED":
        raise invalid(
            f"Invalid operation on stack [{stack.id}]. Specifying RetainResources is only allowed for stacks "
            "in the DELETE_FAILED state."
        )
    for output in stack.outputs:
        users = region.store.importers(output.export) if output.export else []
        if users:
            raise invalid(
                f"Export {output.export} cannot be deleted as it is in use by "
                f"{' and '.join(user.name for user in users)}"
            )
    if params.get("RoleARN"):
        region.check_role(params["RoleARN"], call.principal)
        stack.target = replace(stack.target, role_arn=params["RoleARN"])
    stack.token = params.get("ClientRequestToken", "")
    # Whatever runs on the stack is cancelled, and comes to its end before the deletion begins.
    stack.cancelled = busy = stack.in_progress
    if not busy:
        stack.enter("DELETE_IN_PROGRESS", region.now(), USER)

    def delete(operation: StackOperation) -> None:
        if busy:
            stack.enter("DELETE_IN_PROGRESS", region.now(), USER)
        operation.delete(retain)

    region.start(stack, call.principal, "delete", delete)
    return {}


def cancel_update_stack(region: Region, call: Call) -> dict[str, Any]:
    stack = region.store.find(call.params["StackName"])
    if stack is None:
        raise invalid(f"Stack [{call.params['StackName']}] does not exist")
    if stack.status != "UPDATE_IN_PROGRESS":
        raise invalid("CancelUpdateStack cannot be called from current stack status")
    stack.cancelled = True
    return {}


def continue_update_rollback(region: Region, call: Call) -> dict[str, Any]:
    stack = region.store.find(call.params["StackName"])
    if stack is None:
        raise invalid(f"Stack [{call.params['StackName']}] does not exist")
    if stack.status != "UPDATE_ROLLBACK_FAILED":
        raise invalid(f"Stack:{stack.id} is in {stack.status} state and can not be rolled back.")
    skip = frozenset(call.params.get("ResourcesToSkip") or ())
    stack.enter("UPDATE_ROLLBACK_IN_PROGRESS", region.now(), USER)
    region.start(stack, call.principal, "roll back", lambda operation: operation.continue_rollback(skip))
    return {}


def update_termination_protection(region: Region, call: Call) -> dict[str, Any]:
    name = call.params["StackName"]
    stack = region.store.find(name)
    if stack is None or stack.deleted:
        raise invalid(f"Stack [{name}] does not exist")
    stack.termination_protection = bool(call.params.get("EnableTerminationProtection", False))
    return {"StackId": stack.id}
