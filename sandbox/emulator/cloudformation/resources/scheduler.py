"""AWS::Scheduler: schedules and their groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import as_list, call, omit, tags, unless_absent

_ABSENT = "ResourceNotFoundException"


class Schedule:
    """A schedule. ``Ref`` is its name."""

    type = "AWS::Scheduler::Schedule"
    properties = frozenset(
        {
            "Description",
            "EndDate",
            "FlexibleTimeWindow",
            "GroupName",
            "KmsKeyArn",
            "Name",
            "ScheduleExpression",
            "ScheduleExpressionTimezone",
            "StartDate",
            "State",
            "Target",
        }
    )
    replaces: frozenset[str] = frozenset({"GroupName"})

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        name = properties.get("Name") or context.unique_name(64)
        made = call(context.client("scheduler"), "CreateSchedule", omit(properties, "Name"), Name=name)
        return Physical(name, {"Arn": made["ScheduleArn"]})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        settings = omit(new, "Name")
        made = call(context.client("scheduler"), "UpdateSchedule", settings, Name=physical_id)
        return Physical(physical_id, {"Arn": made["ScheduleArn"]})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        group = {"GroupName": properties["GroupName"]} if properties.get("GroupName") else {}
        with unless_absent(_ABSENT):
            context.client("scheduler").delete_schedule(Name=physical_id, **group)


class ScheduleGroup:
    """A group of schedules. ``Ref`` is its name."""

    type = "AWS::Scheduler::ScheduleGroup"
    properties = frozenset({"Name", "Tags"})
    replaces: frozenset[str] = frozenset({"Tags"})

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        name = properties.get("Name") or context.unique_name(64)
        labels = as_list(tags(context, properties.get("Tags")))
        scheduler = context.client("scheduler")
        made = call(scheduler, "CreateScheduleGroup", {"Name": name, "Tags": labels})
        found = scheduler.get_schedule_group(Name=name)
        return Physical(
            name,
            {
                "Arn": made["ScheduleGroupArn"],
                "State": found["State"],
                "CreationDate": str(found.get("CreationDate", "")),
                "LastModificationDate": str(found.get("LastModificationDate", "")),
            },
        )

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        found = context.client("scheduler").get_schedule_group(Name=physical_id)
        return Physical(physical_id, {"Arn": found["Arn"], "State": found["State"]})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("scheduler").delete_schedule_group(Name=physical_id)


PROVIDERS = (Schedule(), ScheduleGroup())
