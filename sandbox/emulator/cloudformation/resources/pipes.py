"""AWS::Pipes: pipes from a source to a target."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    call,
    exists_already,
    found,
    omit,
    stabilised,
    stale,
    tags,
    unless_absent,
)

Properties = Mapping[str, Any]
_ABSENT = "NotFoundException"
_PIPE = (
    "Description",
    "DesiredState",
    "Enrichment",
    "EnrichmentParameters",
    "RoleArn",
    "SourceParameters",
    "Target",
    "TargetParameters",
)
# What can't be set again on a pipe that exists.
_STARTING = ("StartingPosition", "StartingPositionTimestamp")
_AT_REST = ("RUNNING", "STOPPED")


class Pipe:
    """A pipe. ``Ref`` is its name."""

    type = "AWS::Pipes::Pipe"
    properties = frozenset({*_PIPE, "Name", "Source", "Tags"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        pipes = context.client("pipes")
        name = properties.get("Name") or context.unique_name(64)
        if found(lambda: pipes.describe_pipe(Name=name), _ABSENT):
            raise exists_already(self.type, name)
        labels = tags(context, properties.get("Tags"))
        call(pipes, "CreatePipe", omit(properties, "Name", "Tags"), Name=name, Tags=labels)
        return _pipe(pipes, name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        pipes = context.client("pipes")
        settings = omit(new, "Name", "Source", "SourceParameters", "Tags")
        source = {
            key: omit(value, *_STARTING) if isinstance(value, Mapping) else value
            for key, value in (new.get("SourceParameters") or {}).items()
        }
        if source:
            settings["SourceParameters"] = source
        call(pipes, "UpdatePipe", settings, Name=physical_id)
        made = _pipe(pipes, physical_id)
        arn, wanted = made.attributes["Arn"], tags(context, new.get("Tags"))
        current = pipes.list_tags_for_resource(resourceArn=arn).get("tags", {})
        if gone := stale(current, wanted):
            pipes.untag_resource(resourceArn=arn, tagKeys=gone)
        if wanted != current:
            pipes.tag_resource(resourceArn=arn, tags=wanted)
        return made

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(_ABSENT):
            context.client("pipes").delete_pipe(Name=physical_id)


def _pipe(pipes: Any, name: str) -> Physical:
    """A pipe once it has come to rest."""
    stabilised(lambda: pipes.describe_pipe(Name=name)["CurrentState"] in _AT_REST, f"The pipe {name}")
    told = pipes.describe_pipe(Name=name)
    return Physical(name, {"Arn": told["Arn"], "CurrentState": told["CurrentState"]})


PROVIDERS = (Pipe(),)
