"""AWS::StepFunctions: state machines and activities."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

import yaml

from sandbox.emulator.cloudformation.resources.apigateway import fetch
from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    as_list,
    call,
    changed,
    exists_already,
    found,
    invalid,
    not_here,
    pick,
    stale,
    tags,
    text,
    unless_absent,
)

_ABSENT = "StateMachineDoesNotExist"
_DEFINITION = ("Definition", "DefinitionS3Location", "DefinitionString", "DefinitionSubstitutions")
# What a setting is once the template no longer has it.
_DEFAULTS: dict[str, Any] = {
    "LoggingConfiguration": {"Level": "OFF", "IncludeExecutionData": False},
    "TracingConfiguration": {"Enabled": False},
}


class StateMachine:
    """A state machine. ``Ref`` is its ARN."""

    type = "AWS::StepFunctions::StateMachine"
    properties = frozenset(
        {*_DEFINITION, *_DEFAULTS, "RoleArn", "StateMachineName", "StateMachineType", "Tags"}
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        machines = context.client("stepfunctions")
        name = properties.get("StateMachineName") or context.unique_name(80)
        arn = f"arn:{context.partition}:states:{context.region}:{context.account_id}:stateMachine:{name}"
        if found(lambda: machines.describe_state_machine(stateMachineArn=arn), _ABSENT):
            raise exists_already(self.type, arn)
        settings = pick(properties, ("RoleArn", *_DEFAULTS))
        call(
            machines,
            "CreateStateMachine",
            settings,
            name=name,
            type=properties.get("StateMachineType") or "STANDARD",
            definition=_definition(context, properties),
            tags=as_list(tags(context, properties.get("Tags")), "key", "value"),
        )
        return _machine(machines, arn)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        machines = context.client("stepfunctions")
        settings = {
            key: new.get(key, default) for key, default in _DEFAULTS.items() if changed(old, new, key)
        }
        if changed(old, new, *_DEFINITION):
            settings["Definition"] = _definition(context, new)
        if changed(old, new, "RoleArn"):
            settings["RoleArn"] = new["RoleArn"]
        if settings:
            call(machines, "UpdateStateMachine", settings, stateMachineArn=physical_id)
        listed = machines.list_tags_for_resource(resourceArn=physical_id).get("tags", [])
        current = {tag["key"]: tag["value"] for tag in listed}
        wanted = tags(context, new.get("Tags"))
        if gone := stale(current, wanted):
            machines.untag_resource(resourceArn=physical_id, tagKeys=gone)
        if wanted != current:
            machines.tag_resource(resourceArn=physical_id, tags=as_list(wanted, "key", "value"))
        return _machine(machines, physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("stepfunctions").delete_state_machine(stateMachineArn=physical_id)


def _machine(machines: Any, arn: str) -> Physical:
    described = machines.describe_state_machine(stateMachineArn=arn)
    attributes = {"Arn": arn, "Name": described["name"]}
    attributes["StateMachineRevisionId"] = described.get("revisionId") or "INITIAL"
    return Physical(arn, attributes)


def _definition(context: ResourceContext, properties: Mapping[str, Any]) -> str:
    """The definition as text, its ``${placeholders}`` filled in."""
    given = [key for key in _DEFINITION[:3] if properties.get(key) is not None]
    if len(given) != 1:
        raise invalid("#: Exactly one of Definition, DefinitionString and DefinitionS3Location must be given")
    if given == ["DefinitionS3Location"]:
        source = _as_json(fetch(context, properties["DefinitionS3Location"]).decode())
    else:
        source = text(properties[given[0]])
    values = properties.get("DefinitionSubstitutions") or {}

    def fill(match: re.Match[str]) -> str:
        return text(values[match[1]]) if match[1] in values else match[0]

    return re.sub(r"\$\{([^}]+)\}", fill, source)


def _as_json(source: str) -> str:
    """A file's definition, which may be YAML; what is neither is for the service to refuse."""
    if source.lstrip().startswith("{"):
        return source
    try:
        found = yaml.safe_load(source)
    except yaml.YAMLError as error:
        raise invalid(f"#/DefinitionS3Location: the file is neither JSON nor YAML: {error}") from None
    return json.dumps(found, default=str) if isinstance(found, Mapping) else source


class StateMachineVersion:
    """A machine as it was at that moment. ``Ref`` is its ARN."""

    type = "AWS::StepFunctions::StateMachineVersion"
    properties = frozenset({"Description", "StateMachineArn", "StateMachineRevisionId"})
    replaces = properties

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        names = {"StateMachineArn": "StateMachineArn", "StateMachineRevisionId": "RevisionId"}
        given = {names.get(key, key): value for key, value in properties.items()}
        machines = context.client("stepfunctions")
        if given.get("RevisionId") == "INITIAL":
            del given["RevisionId"]
        arn = call(machines, "PublishStateMachineVersion", given)["stateMachineVersionArn"]
        return Physical(arn, {"Arn": arn})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return Physical(physical_id, {"Arn": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("stepfunctions").delete_state_machine_version(stateMachineVersionArn=physical_id)


class StateMachineAlias:
    """A name for one or two versions of a machine. ``Ref`` is its ARN."""

    type = "AWS::StepFunctions::StateMachineAlias"
    properties = frozenset({"DeploymentPreference", "Description", "Name", "RoutingConfiguration"})
    replaces = frozenset({"Name"})

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        name = properties.get("Name") or context.unique_name(80)
        given = {**pick(properties, ("Description",)), "RoutingConfiguration": _routes(properties)}
        machines = context.client("stepfunctions")
        arn = call(machines, "CreateStateMachineAlias", given, Name=name)["stateMachineAliasArn"]
        return Physical(arn, {"Arn": arn})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        preference = new.get("DeploymentPreference") or {}
        if changed(old, new, "DeploymentPreference") and preference.get("Type") not in (None, "ALL_AT_ONCE"):
            raise not_here(
                f"a DeploymentPreference of the type {preference['Type']} of a state machine's alias"
            )
        given = {"Description": new.get("Description", ""), "RoutingConfiguration": _routes(new)}
        machines = context.client("stepfunctions")
        call(machines, "UpdateStateMachineAlias", given, StateMachineAliasArn=physical_id)
        return Physical(physical_id, {"Arn": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT, "ResourceNotFound"):
            context.client("stepfunctions").delete_state_machine_alias(stateMachineAliasArn=physical_id)


def _routes(properties: Mapping[str, Any]) -> Any:
    """An alias's versions with their weights; the first deployment always goes to one at once."""
    if preference := properties.get("DeploymentPreference"):
        return [{"StateMachineVersionArn": preference["StateMachineVersionArn"], "Weight": 100}]
    return properties.get("RoutingConfiguration") or []


class Activity:
    """An activity, whose tasks workers fetch. ``Ref`` is its ARN."""

    type = "AWS::StepFunctions::Activity"
    properties = frozenset({"Name", "Tags"})
    replaces = frozenset({"Name"})

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        activities = context.client("stepfunctions")
        name = properties.get("Name") or context.unique_name(80)
        arn = f"arn:{context.partition}:states:{context.region}:{context.account_id}:activity:{name}"
        if found(lambda: activities.describe_activity(activityArn=arn), "ActivityDoesNotExist"):
            raise exists_already(self.type, arn)
        labels = as_list(tags(context, properties.get("Tags")), "key", "value")
        call(activities, "CreateActivity", {}, name=name, tags=labels)
        return Physical(arn, {"Arn": arn, "Name": name})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        activities = context.client("stepfunctions")
        listed = activities.list_tags_for_resource(resourceArn=physical_id).get("tags", [])
        current = {tag["key"]: tag["value"] for tag in listed}
        wanted = tags(context, new.get("Tags"))
        if gone := stale(current, wanted):
            activities.untag_resource(resourceArn=physical_id, tagKeys=gone)
        if wanted != current:
            activities.tag_resource(resourceArn=physical_id, tags=as_list(wanted, "key", "value"))
        return Physical(physical_id, {"Arn": physical_id, "Name": physical_id.rsplit(":", 1)[-1]})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent("ActivityDoesNotExist"):
            context.client("stepfunctions").delete_activity(activityArn=physical_id)


PROVIDERS = (StateMachine(), StateMachineVersion(), StateMachineAlias(), Activity())
