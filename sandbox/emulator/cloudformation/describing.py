"""Stacks and templates as the API shows them; nothing here changes anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any, TypeVar

from sandbox.emulator.calls import Call
from sandbox.emulator.cloudformation import capabilities, documents, parameters, template
from sandbox.emulator.cloudformation.errors import invalid, no_such_stack
from sandbox.emulator.cloudformation.intrinsics import as_text
from sandbox.emulator.cloudformation.loops import without_loops
from sandbox.emulator.cloudformation.region import Region
from sandbox.emulator.cloudformation.sources import read_template
from sandbox.emulator.cloudformation.stacks import Stack, StackResource
from sandbox.emulator.cloudformation.template import LANGUAGE_EXTENSIONS, Template

_PAGE = 100
_SUMMARY = (
    ("MaxLength", "MaxLength"),
    ("MinLength", "MinLength"),
    ("AllowedPattern", "AllowedPattern"),
    ("MinValue", "MinValue"),
    ("MaxValue", "MaxValue"),
)
T = TypeVar("T")


def page(key: str, items: Sequence[T], params: dict[str, Any], size: int = _PAGE) -> dict[str, Any]:
    """One page of a list, and the token of the next.

    Raises:
        AwsError: the token is not one of ours.
    """
    token = params.get("NextToken") or "0"
    if not token.isdigit():
        raise invalid("Invalid NextToken.")
    start = int(token)
    found: dict[str, Any] = {key: list(items[start : start + size])}
    if start + size < len(items):
        found["NextToken"] = str(start + size)
    return found


def stack_named(region: Region, name: str) -> Stack:
    """A stack by name or id, deleted ones by id.

    Raises:
        AwsError: there is none.
    """
    stack = region.store.find(name)
    if stack is None:
        raise no_such_stack(name)
    return stack


def describe_stacks(region: Region, call: Call) -> dict[str, Any]:
    name = call.params.get("StackName")
    stacks = [stack_named(region, name)] if name else list(region.store.live())[::-1]
    return page("Stacks", [_described(stack) for stack in stacks], call.params)


def _described(stack: Stack) -> dict[str, Any]:
    target = stack.target
    told: dict[str, Any] = {
        "StackId": stack.id,
        "StackName": stack.name,
        "Description": target.processed.description or target.template.description,
        "Parameters": target.parameters.described(),
        "CreationTime": stack.created_at,
        "LastUpdatedTime": stack.updated_at,
        "DeletionTime": stack.deleted_at,
        "RollbackConfiguration": {},
        "StackStatus": stack.status,
        "StackStatusReason": stack.reason,
        "DisableRollback": target.disable_rollback,
        "NotificationARNs": list(target.notification_arns),
        "TimeoutInMinutes": stack.timeout_minutes,
        "Capabilities": list(target.capabilities),
        "ChangeSetId": stack.change_set_id,
        "RoleARN": target.role_arn,
        "ParentId": stack.parent_id,
        "RootId": stack.root_id,
        "Outputs": [
            {
                "OutputKey": output.key,
                "OutputValue": output.value,
                **({"Description": output.description} if output.description else {}),
                **({"ExportName": output.export} if output.export else {}),
            }
            for output in stack.outputs
        ],
        "Tags": [{"Key": key, "Value": value} for key, value in target.tags.items()],
        "EnableTerminationProtection": stack.termination_protection,
        "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
    }
    return {key: value for key, value in told.items() if value not in (None, "")}


def list_stacks(region: Region, call: Call) -> dict[str, Any]:
    wanted = call.params.get("StackStatusFilter") or ()
    summaries = [
        {
            "StackId": stack.id,
            "StackName": stack.name,
            "StackStatus": stack.status,
            "CreationTime": stack.created_at,
            **({"TemplateDescription": stack.target.template.description} if stack.target.text else {}),
            **({"LastUpdatedTime": stack.updated_at} if stack.updated_at else {}),
            **({"DeletionTime": stack.deleted_at} if stack.deleted_at else {}),
            **({"StackStatusReason": stack.reason} if stack.reason else {}),
            **({"ParentId": stack.parent_id, "RootId": stack.root_id} if stack.parent_id else {}),
            "DriftInformation": {"StackDriftStatus": "NOT_CHECKED"},
        }
        for stack in reversed(region.store.stacks.values())
        if not wanted or stack.status in wanted
    ]
    return page("StackSummaries", summaries, call.params)


def describe_stack_events(region: Region, call: Call) -> dict[str, Any]:
    name = call.params.get("StackName", "")
    stack = region.store.find(name)
    if stack is None:
        raise invalid(f"Stack [{name}] does not exist")
    return page("StackEvents", stack.events[::-1], call.params)


def _resources(stack: Stack) -> list[StackResource]:
    return [stack.resources[name] for name in sorted(stack.resources)]


def _resource(stack: Stack, resource: StackResource, time_key: str) -> dict[str, Any]:
    told: dict[str, Any] = {
        "LogicalResourceId": resource.logical_id,
        "PhysicalResourceId": resource.physical_id,
        "ResourceType": resource.type,
        time_key: resource.updated_at,
        "ResourceStatus": resource.status,
        "ResourceStatusReason": resource.reason,
        "DriftInformation": {"StackResourceDriftStatus": "NOT_CHECKED"},
    }
    return {key: value for key, value in told.items() if value != ""}


def list_stack_resources(region: Region, call: Call) -> dict[str, Any]:
    stack = stack_named(region, call.params.get("StackName", ""))
    summaries = [_resource(stack, r, "LastUpdatedTimestamp") for r in _resources(stack)]
    return page("StackResourceSummaries", summaries, call.params)


def describe_stack_resources(region: Region, call: Call) -> dict[str, Any]:
    params = call.params
    physical, logical = params.get("PhysicalResourceId"), params.get("LogicalResourceId")
    if params.get("StackName"):
        stacks = [stack_named(region, params["StackName"])]
    else:
        stacks = [
            s for s in region.store.live() if any(r.physical_id == physical for r in s.resources.values())
        ]
        if not stacks:
            raise invalid(f"Stack for {physical} does not exist")
    found = [
        {"StackName": s.name, "StackId": s.id, **_resource(s, r, "Timestamp")}
        for s in stacks
        for r in _resources(s)
        if logical in (None, r.logical_id)
    ]
    return {"StackResources": found[:_PAGE]}


def describe_stack_resource(region: Region, call: Call) -> dict[str, Any]:
    name, logical = call.params.get("StackName", ""), call.params.get("LogicalResourceId", "")
    stack = region.store.find(name)
    if stack is None:
        raise invalid(f"Stack '{name}' does not exist")
    resource = stack.resources.get(logical)
    if resource is None:
        raise invalid(f"Resource {logical} does not exist for stack {stack.name}")
    detail = {
        "StackName": stack.name,
        "StackId": stack.id,
        **_resource(stack, resource, "LastUpdatedTimestamp"),
        "Metadata": json.dumps(resource.definition.get("Metadata", {}), default=str),
    }
    return {"StackResourceDetail": detail}


def get_template(region: Region, call: Call) -> dict[str, Any]:
    params = call.params
    stack = stack_named(region, params.get("StackName", "")) if params.get("StackName") else None
    target = stack.target if stack is not None else None
    if params.get("ChangeSetName"):
        for owner in [stack] if stack is not None else list(region.store.live()):
            for change_set in owner.change_sets.values():
                if params["ChangeSetName"] in (change_set.name, change_set.id) and change_set.target:
                    target = change_set.target
    if target is None:
        raise invalid("Either StackName or ChangeSetName must be specified.")
    if not target.text:
        raise invalid(f"Template for stack {params.get('StackName')} is not available.")
    processed = params.get("TemplateStage") == "Processed"
    text = target.text
    if processed and target.template.transforms:
        text = json.dumps(target.processed.values, default=str)
    return {"TemplateBody": text, "StagesAvailable": ["Original", "Processed"]}


def validate_template(region: Region, call: Call) -> dict[str, Any]:
    written = _read(region, call)
    plain = Template({**written.values, "Resources": without_loops(written.resources)})
    wanted, reason = _capabilities(plain)
    told: dict[str, Any] = {
        "Description": written.description,
        "Parameters": [
            {
                "ParameterKey": name,
                "NoEcho": as_text(rules.get("NoEcho", "")) == "true",
                **({"DefaultValue": as_text(rules["Default"])} if "Default" in rules else {}),
                **({"Description": str(rules["Description"])} if "Description" in rules else {}),
            }
            for name, rules in written.parameters.items()
        ],
        "Capabilities": wanted,
        "CapabilitiesReason": reason,
        "DeclaredTransforms": list(written.transforms),
    }
    return {key: value for key, value in told.items() if value or key == "Parameters"}


def get_template_summary(region: Region, call: Call) -> dict[str, Any]:
    if call.params.get("StackName"):
        written = stack_named(region, call.params["StackName"]).target.template
    else:
        written = _read(region, call)
    plain = Template({**written.values, "Resources": without_loops(written.resources)})
    wanted, reason = _capabilities(plain)
    metadata = written.section("Metadata")
    told: dict[str, Any] = {
        "Parameters": [_parameter_summary(name, rules) for name, rules in written.parameters.items()],
        "Description": written.description,
        "Capabilities": wanted,
        "CapabilitiesReason": reason,
        "ResourceTypes": sorted({str(item.get("Type")) for item in plain.resources.values()}),
        "Version": str(written.values.get("AWSTemplateFormatVersion", "")),
        "Metadata": json.dumps(metadata, default=str) if metadata else "",
        "DeclaredTransforms": list(written.transforms),
    }
    return {key: value for key, value in told.items() if value or key == "Parameters"}


def _parameter_summary(name: str, rules: Any) -> dict[str, Any]:
    limits: dict[str, Any] = {key: as_text(rules[own]) for own, key in _SUMMARY if own in rules}
    if "AllowedValues" in rules:
        limits["AllowedValues"] = [as_text(value) for value in rules["AllowedValues"]]
    told = {
        "ParameterKey": name,
        "ParameterType": str(rules.get("Type", "String")),
        "NoEcho": as_text(rules.get("NoEcho", "")) == "true",
        "ParameterConstraints": limits,
    }
    if "Default" in rules:
        told["DefaultValue"] = as_text(rules["Default"])
    if "Description" in rules:
        told["Description"] = str(rules["Description"])
    return told


def _capabilities(written: Template) -> tuple[list[str], str]:
    macros = [name for name in written.transforms if name != LANGUAGE_EXTENSIONS]
    if macros:
        return ["CAPABILITY_AUTO_EXPAND"], f"The following transform(s) require capabilities: {macros}"
    return capabilities.needed(written)


def _read(region: Region, call: Call) -> Template:
    text = read_template(call.params, region.client("s3", call.principal), None)
    written = Template(documents.parse(text))
    template.check_form(written)
    parameters.check_declared(written.parameters)
    if not written.transforms:
        template.check(written, region.place.schemas)
    return written


def list_exports(region: Region, call: Call) -> dict[str, Any]:
    exports = [
        {"ExportingStackId": owner.id, "Name": name, "Value": value}
        for name, (value, owner) in sorted(region.store.exports().items())
    ]
    return page("Exports", exports, call.params)


def list_imports(region: Region, call: Call) -> dict[str, Any]:
    name = call.params.get("ExportName", "")
    users = [stack.name for stack in region.store.importers(name)]
    if not users:
        raise invalid(f"Export '{name}' is not imported by any stack.")
    return page("Imports", users, call.params)
