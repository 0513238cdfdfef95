"""AWS::SSM: parameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import as_list, call, omit, stale, tags, unless_absent

_ABSENT = "ParameterNotFound"


class Parameter:
    """A parameter of Parameter Store. ``Ref`` is its name."""

    type = "AWS::SSM::Parameter"
    properties = frozenset(
        {"AllowedPattern", "DataType", "Description", "Name", "Tags", "Tier", "Type", "Value"}
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        name = properties.get("Name") or context.unique_name(1011)
        labels = as_list(tags(context, properties.get("Tags")))
        call(context.client("ssm"), "PutParameter", omit(properties, "Name", "Tags"), Name=name, Tags=labels)
        return _parameter(context, name, properties)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        parameters = context.client("ssm")
        settings = omit(new, "Name", "Tags")
        call(parameters, "PutParameter", settings, Name=physical_id, Overwrite=True)
        where = {"ResourceType": "Parameter", "ResourceId": physical_id}
        current = {tag["Key"]: tag["Value"] for tag in parameters.list_tags_for_resource(**where)["TagList"]}
        wanted = tags(context, new.get("Tags"))
        if gone := stale(current, wanted):
            parameters.remove_tags_from_resource(**where, TagKeys=gone)
        if wanted != current:
            parameters.add_tags_to_resource(**where, Tags=as_list(wanted))
        return _parameter(context, physical_id, new)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("ssm").delete_parameter(Name=physical_id)


def _parameter(context: ResourceContext, name: str, properties: Mapping[str, Any]) -> Physical:
    path = name if name.startswith("/") else f"/{name}"
    arn = f"arn:{context.partition}:ssm:{context.region}:{context.account_id}:parameter{path}"
    return Physical(name, {"Arn": arn, "Type": properties["Type"], "Value": properties["Value"]})


PROVIDERS = (Parameter(),)
