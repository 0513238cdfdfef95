"""AWS::Events: buses, who may put on them, rules and archives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext, ResourceFailed
from sandbox.emulator.cloudformation.resources.convert import (
    as_list,
    call,
    changed,
    exists_already,
    found,
    omit,
    or_else,
    pick,
    stale,
    tags,
    text,
    unless_absent,
)

_ABSENT = "ResourceNotFoundException"
_DEFAULT_BUS = "default"
_RULE = ("Description", "EventBusName", "EventPattern", "RoleArn", "ScheduleExpression", "State")


def bus_name(reference: str | None) -> str:
    """A bus's name, from its name or ARN."""
    return (reference or _DEFAULT_BUS).rsplit("/", 1)[-1]


class Rule:
    """A rule with its targets. ``Ref`` is its name, after the bus's name unless that is the default one."""

    type = "AWS::Events::Rule"
    properties = frozenset({*_RULE, "Name", "Tags", "Targets"})
    replaces = frozenset({"EventBusName"})

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        events = context.client("events")
        name = properties.get("Name") or context.unique_name(64)
        bus = bus_name(properties.get("EventBusName"))
        if found(lambda: events.describe_rule(Name=name, EventBusName=bus), _ABSENT):
            raise exists_already(self.type, name)
        labels = as_list(tags(context, properties.get("Tags")))
        arn = call(events, "PutRule", pick(properties, _RULE), Name=name, Tags=labels)["RuleArn"]
        with or_else(lambda: self._remove(events, bus, name)):
            _put_targets(events, name, bus, properties.get("Targets") or [])
        return _rule(name, bus, arn)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        events = context.client("events")
        bus, name = _split(physical_id)
        if changed(old, new, *_RULE):
            call(events, "PutRule", pick(new, _RULE), Name=name)
        wanted = {target["Id"] for target in new.get("Targets") or []}
        gone = [target["Id"] for target in old.get("Targets") or [] if target["Id"] not in wanted]
        if gone:
            events.remove_targets(Rule=name, EventBusName=bus, Ids=gone)
        if changed(old, new, "Targets"):
            _put_targets(events, name, bus, new.get("Targets") or [])
        arn = events.describe_rule(Name=name, EventBusName=bus)["Arn"]
        _retag(events, arn, tags(context, new.get("Tags")))
        return _rule(name, bus, arn)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            self._remove(context.client("events"), *_split(physical_id))

    def _remove(self, events: Any, bus: str, name: str) -> None:
        listed = events.list_targets_by_rule(Rule=name, EventBusName=bus)["Targets"]
        if ids := [target["Id"] for target in listed]:
            events.remove_targets(Rule=name, EventBusName=bus, Ids=ids)
        events.delete_rule(Name=name, EventBusName=bus)


def _rule(name: str, bus: str, arn: str) -> Physical:
    reference = name if bus == _DEFAULT_BUS else f"{bus}|{name}"
    return Physical(reference, {"Arn": arn, "RuleName": name})


def _split(physical_id: str) -> tuple[str, str]:
    bus, _, name = physical_id.rpartition("|")
    return bus or _DEFAULT_BUS, name


def _put_targets(events: Any, rule: str, bus: str, targets: list[Mapping[str, Any]]) -> None:
    if not targets:
        return
    answer = call(events, "PutTargets", {"Rule": rule, "EventBusName": bus, "Targets": targets})
    for entry in answer.get("FailedEntries") or []:
        raise ResourceFailed(entry.get("ErrorMessage", "A target was refused."), "InvalidRequest")


def _retag(events: Any, arn: str, wanted: Mapping[str, str]) -> None:
    listed = events.list_tags_for_resource(ResourceARN=arn).get("Tags", [])
    current = {tag["Key"]: tag["Value"] for tag in listed}
    if gone := stale(current, wanted):
        events.untag_resource(ResourceARN=arn, TagKeys=gone)
    if wanted != current:
        events.tag_resource(ResourceARN=arn, Tags=as_list(wanted))


class EventBus:
    """A bus of one's own. ``Ref`` is its name."""

    type = "AWS::Events::EventBus"
    properties = frozenset({"Description", "Name", "Policy", "Tags"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        events = context.client("events")
        name = properties["Name"]
        settings = omit(properties, "Policy", "Tags")
        labels = as_list(tags(context, properties.get("Tags")))
        arn = call(events, "CreateEventBus", settings, Tags=labels)["EventBusArn"]
        if policy := properties.get("Policy"):
            with or_else(lambda: events.delete_event_bus(Name=name)):
                events.put_permission(EventBusName=name, Policy=text(policy))
        return self._bus(name, arn)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        events = context.client("events")
        if changed(old, new, "Description"):
            events.update_event_bus(Name=physical_id, Description=new.get("Description", ""))
        if changed(old, new, "Policy"):
            if policy := new.get("Policy"):
                events.put_permission(EventBusName=physical_id, Policy=text(policy))
            else:
                events.remove_permission(EventBusName=physical_id, RemoveAllPermissions=True)
        arn = events.describe_event_bus(Name=physical_id)["Arn"]
        _retag(events, arn, tags(context, new.get("Tags")))
        return self._bus(physical_id, arn)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("events").delete_event_bus(Name=physical_id)

    def _bus(self, name: str, arn: str) -> Physical:
        return Physical(name, {"Arn": arn, "Name": name})


class EventBusPolicy:
    """One statement of a bus's policy."""

    type = "AWS::Events::EventBusPolicy"
    properties = frozenset({"Action", "Condition", "EventBusName", "Principal", "Statement", "StatementId"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        events = context.client("events")
        bus = bus_name(properties.get("EventBusName"))
        if statement := properties.get("Statement"):
            self._put_statement(events, bus, {**statement, "Sid": properties["StatementId"]})
        else:
            settings = omit(properties, "Statement", "EventBusName")
            call(events, "PutPermission", settings, EventBusName=bus)
        return Physical(f"{bus}|{properties['StatementId']}")

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        self.delete(context, physical_id, old)
        return self.create(context, new)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        bus, statement = physical_id.split("|", 1)
        with unless_absent(_ABSENT):
            context.client("events").remove_permission(EventBusName=bus, StatementId=statement)

    def _put_statement(self, events: Any, bus: str, statement: Mapping[str, Any]) -> None:
        """The API takes whole policies, so the statement joins those that are there."""
        policy = json.loads(events.describe_event_bus(Name=bus).get("Policy") or "{}")
        others = [entry for entry in policy.get("Statement", []) if entry.get("Sid") != statement["Sid"]]
        document = {"Version": "2012-10-17", "Statement": [*others, statement]}
        events.put_permission(EventBusName=bus, Policy=text(document))


class Archive:
    """What a bus has carried, kept for replay. ``Ref`` is its name."""

    type = "AWS::Events::Archive"
    properties = frozenset({"ArchiveName", "Description", "EventPattern", "RetentionDays", "SourceArn"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        name = properties.get("ArchiveName") or context.unique_name(48)
        settings = omit(properties, "ArchiveName", "SourceArn")
        arn = call(
            context.client("events"),
            "CreateArchive",
            settings,
            ArchiveName=name,
            EventSourceArn=properties["SourceArn"],
        )["ArchiveArn"]
        return Physical(name, {"Arn": arn, "ArchiveName": name})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        settings = {"Description": "", "RetentionDays": 0, **omit(new, "ArchiveName", "SourceArn")}
        events = context.client("events")
        arn = call(events, "UpdateArchive", settings, ArchiveName=physical_id)["ArchiveArn"]
        return Physical(physical_id, {"Arn": arn, "ArchiveName": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("events").delete_archive(ArchiveName=physical_id)


PROVIDERS = (Rule(), EventBus(), EventBusPolicy(), Archive())
