"""Change sets: a change proposed, looked at, and carried out."""

from __future__ import annotations

import uuid
from typing import Any

from sandbox.emulator.calls import AwsError, Call
from sandbox.emulator.cloudformation import stackcalls
from sandbox.emulator.cloudformation.describing import page, stack_named
from sandbox.emulator.cloudformation.errors import invalid
from sandbox.emulator.cloudformation.plan import described
from sandbox.emulator.cloudformation.region import Draft, Region
from sandbox.emulator.cloudformation.stacks import ChangeSet, Stack, Target

_NO_CHANGES = (
    "The submitted information didn't contain changes. Submit different information to create a change set."
)


def create_change_set(region: Region, call: Call) -> dict[str, Any]:
    """Propose a change; a stack that does not exist yet is created in review."""
    params = call.params
    name, kind = params["StackName"], params.get("ChangeSetType", "UPDATE")
    stack = region.store.find(name)
    if kind == "IMPORT":
        raise AwsError(
            "NotEmulated", "NotEmulated: importing resources is not emulated by this sandbox.", 501
        )
    _check_state(stack, name, kind, params["ChangeSetName"])
    draft = region.draft(call, stack)
    region.check_role(draft.target.role_arn, call.principal)
    early = None if draft.target.template.transforms else region.process(draft)
    if stack is None:
        stack = stackcalls.new_stack(region, call)
        stack.enter("REVIEW_IN_PROGRESS", region.now(), "User Initiated")
        region.store.add(stack)
    change_set = _proposed(region, stack, call, draft, early)
    stack.change_sets[change_set.name] = change_set
    return {"Id": change_set.id, "StackId": stack.id}


def _check_state(stack: Stack | None, name: str, kind: str, change_set: str) -> None:
    if kind == "CREATE":
        if stack is not None and stack.status != "REVIEW_IN_PROGRESS":
            raise invalid(
                f"Stack [{stack.name}] already exists and cannot be created again with the "
                f"changeSet [{change_set}]."
            )
        stackcalls.check_name(name if stack is None else stack.name)
    elif stack is None:
        raise invalid(f"Stack [{name}] does not exist")
    else:
        stackcalls.check_updatable(stack)
    known = stack.change_sets.get(change_set) if stack is not None else None
    # One that was executed gives its name back: `aws` names them by the second, and here two fit in one.
    if known is not None and not known.execution_status.startswith("EXECUTE"):
        raise AwsError("AlreadyExistsException", f"ChangeSet {known.id} already exists")


def _proposed(region: Region, stack: Stack, call: Call, draft: Draft, early: Target | None) -> ChangeSet:
    params = call.params
    name, where = params["ChangeSetName"], region.store
    change_set = ChangeSet(
        name=name,
        id=f"arn:aws:cloudformation:{where.region}:{where.account_id}:changeSet/{name}/{uuid.uuid4()}",
        kind=params.get("ChangeSetType", "UPDATE"),
        created_at=region.now(),
        target=draft.target,
        changes=[],
        status="CREATE_COMPLETE",
        description=params.get("Description", ""),
        on_failure=params.get("OnStackFailure", ""),
    )
    try:
        target = early if early is not None else region.process(draft)
        plan = region.planner.plan(stack, target)
    except AwsError as error:
        if error.code == "NotEmulated":
            raise
        return _failed(change_set, error.message)
    if plan.empty:
        return _failed(change_set, _NO_CHANGES)
    change_set.target = target
    change_set.changes = [described(change, target) for change in plan.changes]
    return change_set


def _failed(change_set: ChangeSet, reason: str) -> ChangeSet:
    change_set.status, change_set.reason, change_set.execution_status = "FAILED", reason, "UNAVAILABLE"
    return change_set


def _found(region: Region, call: Call) -> tuple[Stack, ChangeSet]:
    name, stack_name = call.params.get("ChangeSetName", ""), call.params.get("StackName")
    stacks = [stack_named(region, stack_name)] if stack_name else list(region.store.stacks.values())
    for stack in stacks:
        for change_set in stack.change_sets.values():
            if name in (change_set.name, change_set.id):
                return stack, change_set
    raise AwsError("ChangeSetNotFoundException", f"ChangeSet [{name}] does not exist", 404)


def describe_change_set(region: Region, call: Call) -> dict[str, Any]:
    stack, change_set = _found(region, call)
    target = change_set.target
    assert target is not None
    told: dict[str, Any] = {
        "ChangeSetName": change_set.name,
        "ChangeSetId": change_set.id,
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": change_set.description,
        "Parameters": target.parameters.described(),
        "CreationTime": change_set.created_at,
        "ExecutionStatus": change_set.execution_status,
        "Status": change_set.status,
        "StatusReason": change_set.reason,
        "NotificationARNs": list(target.notification_arns),
        "RollbackConfiguration": {},
        "Capabilities": list(target.capabilities),
        "Tags": [{"Key": key, "Value": value} for key, value in target.tags.items()],
        "IncludeNestedStacks": False,
        "OnStackFailure": change_set.on_failure,
        **page("Changes", change_set.changes, call.params),
    }
    return {key: value for key, value in told.items() if value not in (None, "")}


def list_change_sets(region: Region, call: Call) -> dict[str, Any]:
    stack = stack_named(region, call.params.get("StackName", ""))
    summaries = [
        {
            "StackId": stack.id,
            "StackName": stack.name,
            "ChangeSetId": item.id,
            "ChangeSetName": item.name,
            "ExecutionStatus": item.execution_status,
            "Status": item.status,
            "CreationTime": item.created_at,
            "IncludeNestedStacks": False,
            **({"StatusReason": item.reason} if item.reason else {}),
            **({"Description": item.description} if item.description else {}),
        }
        for item in stack.change_sets.values()
    ]
    return page("Summaries", summaries, call.params)


def delete_change_set(region: Region, call: Call) -> dict[str, Any]:
    stack, change_set = _found(region, call)
    if change_set.execution_status.startswith("EXECUTE"):
        raise AwsError(
            "InvalidChangeSetStatus",
            f"ChangeSet [{change_set.id}] cannot be deleted in its current execution status of "
            f"[{change_set.execution_status}]",
        )
    del stack.change_sets[change_set.name]
    return {}


def execute_change_set(region: Region, call: Call) -> dict[str, Any]:
    """Carry a change set out; the other ones of the stack are no longer of use."""
    stack, change_set = _found(region, call)
    if change_set.execution_status != "AVAILABLE" or change_set.target is None:
        raise AwsError(
            "InvalidChangeSetStatus",
            f"ChangeSet [{change_set.id}] cannot be executed in its current status of [{change_set.status}]",
        )
    if change_set.kind != "CREATE":
        stackcalls.check_updatable(stack)
    stack.change_sets = {change_set.name: change_set}
    stack.change_set_id = change_set.id
    change_set.execution_status = "EXECUTE_COMPLETE"
    disable = bool(call.params.get("DisableRollback", False)) or change_set.on_failure == "DO_NOTHING"
    if change_set.kind == "CREATE":
        on_failure = "DO_NOTHING" if disable else change_set.on_failure or "ROLLBACK"
        stackcalls.begin_create(region, call, stack, change_set.target, on_failure)
    else:
        stackcalls.begin_update(region, call, stack, change_set.target, disable_rollback=disable)
    return {}
