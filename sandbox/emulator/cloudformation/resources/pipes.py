"""AWS::Pipes: from a source to a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import call, omit, tags, unless_absent

_ABSENT = "NotFoundException"


class Pipe:
    """A pipe. ``Ref`` is its name."""

    type = "AWS::Pipes::Pipe"
    properties = frozenset(
        {
            "Description",
            "DesiredState",
            "Enrichment",
            "EnrichmentParameters",
            "Name",
            "RoleArn",
            "Source",
            "SourceParameters",
            "Tags",
            "Target",
            "TargetParameters",
        }
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        name = properties.get("Name") or context.unique_name(64)
        labels = tags(context, properties.get("Tags"))
        settings = omit(properties, "Name", "Tags")
        made = call(context.client("pipes"), "CreatePipe", settings, Name=name, Tags=labels)
        return _pipe(name, made)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        settings = omit(new, "Name", "Tags", "Source")
        return _pipe(physical_id, call(context.client("pipes"), "UpdatePipe", settings, Name=physical_id))

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("pipes").delete_pipe(Name=physical_id)


def _pipe(name: str, made: Mapping[str, Any]) -> Physical:
    told = {"CreationTime": str(made["CreationTime"]), "LastModifiedTime": str(made["LastModifiedTime"])}
    return Physical(name, {"Arn": made["Arn"], "CurrentState": made["CurrentState"], **told})


PROVIDERS = (Pipe(),)
