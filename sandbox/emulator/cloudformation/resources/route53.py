"""AWS::Route53: zones, records and health checks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from botocore.exceptions import ClientError

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext, ResourceFailed
from sandbox.emulator.cloudformation.resources.convert import (
    as_list,
    call,
    changed,
    omit,
    or_else,
    pick,
    stale,
    tags,
    unless_absent,
)

Properties = Mapping[str, Any]
_RECORD = (
    "AliasTarget",
    "Failover",
    "GeoLocation",
    "HealthCheckId",
    "MultiValueAnswer",
    "Name",
    "Region",
    "ResourceRecords",
    "SetIdentifier",
    "TTL",
    "Type",
    "Weight",
)
_ZONE = ("Comment", "HostedZoneId", "HostedZoneName")


def _retag(zones: Any, kind: str, identifier: str, wanted: Mapping[str, str]) -> None:
    where = {"ResourceType": kind, "ResourceId": identifier}
    listed = zones.list_tags_for_resource(**where)["ResourceTagSet"]["Tags"]
    current = {tag["Key"]: tag["Value"] for tag in listed}
    if gone := stale(current, wanted):
        zones.change_tags_for_resource(**where, RemoveTagKeys=gone)
    if wanted and wanted != current:
        zones.change_tags_for_resource(**where, AddTags=as_list(wanted))


class HostedZone:
    """A public zone. ``Ref`` is its id."""

    type = "AWS::Route53::HostedZone"
    properties = frozenset({"HostedZoneConfig", "HostedZoneTags", "Name"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        zones = context.client("route53")
        settings = pick(properties, ("HostedZoneConfig", "Name"))
        made = call(zones, "CreateHostedZone", settings, CallerReference=context.unique_name(128))
        zone_id = made["HostedZone"]["Id"].rpartition("/")[2]
        labels = tags(context, properties.get("HostedZoneTags"), system=False)
        with or_else(lambda: zones.delete_hosted_zone(Id=zone_id)):
            _retag(zones, "hostedzone", zone_id, labels)
        return self._zone(zones, zone_id)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        zones = context.client("route53")
        if changed(old, new, "HostedZoneConfig"):
            comment = (new.get("HostedZoneConfig") or {}).get("Comment", "")
            zones.update_hosted_zone_comment(Id=physical_id, Comment=comment)
        _retag(zones, "hostedzone", physical_id, tags(context, new.get("HostedZoneTags"), system=False))
        return self._zone(zones, physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent("NoSuchHostedZone"):
            context.client("route53").delete_hosted_zone(Id=physical_id)

    def _zone(self, zones: Any, zone_id: str) -> Physical:
        found = zones.get_hosted_zone(Id=zone_id)
        servers = (found.get("DelegationSet") or {}).get("NameServers", [])
        return Physical(zone_id, {"Id": zone_id, "NameServers": servers})


class _Records:
    """What the two types of records share: a batch of changes in one zone."""

    def _change(
        self, context: ResourceContext, properties: Properties, changes: list[tuple[str, Properties]]
    ) -> None:
        zones = context.client("route53")
        zone = self._zone_of(zones, properties)
        batch = [{"Action": verb, "ResourceRecordSet": _record(entry)} for verb, entry in changes]
        comment = pick(properties, ("Comment",))
        call(
            zones,
            "ChangeResourceRecordSets",
            {},
            HostedZoneId=zone,
            ChangeBatch={**comment, "Changes": batch},
        )

    def _zone_of(self, zones: Any, properties: Properties) -> str:
        if zone := properties.get("HostedZoneId"):
            return str(zone)
        name = str(properties.get("HostedZoneName") or "")
        if not name:
            raise ResourceFailed("HostedZoneId or HostedZoneName must be specified.", "InvalidRequest")
        pages = zones.get_paginator("list_hosted_zones").paginate()
        found = [zone["Id"] for page in pages for zone in page["HostedZones"] if zone["Name"] == name]
        if len(found) != 1:
            what = "No" if not found else "More than one"
            raise ResourceFailed(f"{what} hosted zone named {name} found", "NotFound")
        return str(found[0]).rpartition("/")[2]

    def _remove(self, context: ResourceContext, properties: Properties, entries: list[Properties]) -> None:
        try:
            self._change(context, properties, [("DELETE", entry) for entry in entries])
        except ClientError as error:
            told = error.response["Error"]
            if told.get("Code") != "NoSuchHostedZone" and "not found" not in told.get("Message", ""):
                raise


def _record(given: Properties) -> dict[str, Any]:
    """A record set as the API has it: a template lists bare values."""
    made = omit(given, "ResourceRecords", "AliasTarget", *_ZONE)
    if alias := given.get("AliasTarget"):
        made["AliasTarget"] = {"EvaluateTargetHealth": False, **alias}
    if values := given.get("ResourceRecords"):
        made["ResourceRecords"] = [{"Value": value} for value in values]
    return made


def _identity(entry: Properties) -> tuple[Any, Any, Any]:
    return entry["Name"], entry["Type"], entry.get("SetIdentifier")


class RecordSet(_Records):
    """One record set. ``Ref`` is its domain name."""

    type = "AWS::Route53::RecordSet"
    properties = frozenset({*_RECORD, *_ZONE})
    replaces = frozenset({"Name"})

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        self._change(context, properties, [("CREATE", properties)])
        return Physical(properties["Name"])

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        gone = [("DELETE", old)] if _identity(old) != _identity(new) else []
        self._change(context, new, [*gone, ("UPSERT", new)])
        return Physical(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        self._remove(context, properties, [properties])


class RecordSetGroup(_Records):
    """Record sets that change together. ``Ref`` is a name of its own."""

    type = "AWS::Route53::RecordSetGroup"
    properties = frozenset({*_ZONE, "RecordSets"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        entries = properties.get("RecordSets") or []
        self._change(context, properties, [("CREATE", entry) for entry in entries])
        made = context.unique_name(128)
        return Physical(made, {"Id": made})

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        before = {_identity(entry): entry for entry in old.get("RecordSets") or []}
        after = {_identity(entry): entry for entry in new.get("RecordSets") or []}
        gone = [("DELETE", entry) for name, entry in before.items() if name not in after]
        here = [("UPSERT", entry) for name, entry in after.items() if before.get(name) != entry]
        if gone or here:
            self._change(context, new, [*gone, *here])
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        self._remove(context, properties, list(properties.get("RecordSets") or []))


class HealthCheck:
    """A check of an endpoint. ``Ref`` is its id."""

    type = "AWS::Route53::HealthCheck"
    properties = frozenset({"HealthCheckConfig", "HealthCheckTags"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        zones = context.client("route53")
        settings = pick(properties, ("HealthCheckConfig",))
        made = call(zones, "CreateHealthCheck", settings, CallerReference=context.unique_name(64))
        check_id = made["HealthCheck"]["Id"]
        labels = tags(context, properties.get("HealthCheckTags"), system=False)
        with or_else(lambda: zones.delete_health_check(HealthCheckId=check_id)):
            _retag(zones, "healthcheck", check_id, labels)
        return Physical(check_id, {"HealthCheckId": check_id})

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        zones = context.client("route53")
        if changed(old, new, "HealthCheckConfig"):
            settings = omit(new["HealthCheckConfig"], "Type", "RequestInterval", "MeasureLatency")
            call(zones, "UpdateHealthCheck", settings, HealthCheckId=physical_id)
        labels = tags(context, new.get("HealthCheckTags"), system=False)
        _retag(zones, "healthcheck", physical_id, labels)
        return Physical(physical_id, {"HealthCheckId": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent("NoSuchHealthCheck"):
            context.client("route53").delete_health_check(HealthCheckId=physical_id)


PROVIDERS = (HostedZone(), RecordSet(), RecordSetGroup(), HealthCheck())
