"""AWS::CloudWatch: alarms, of metrics and of other alarms, and dashboards."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    as_list,
    call,
    exists_already,
    omit,
    stale,
    tags,
    text,
    unless_absent,
)

_ABSENT = ("ResourceNotFound", "ResourceNotFoundException", "DashboardNotFoundError")
_APART = ("AlarmName", "Tags")


class Alarm:
    """An alarm on one metric, or on an expression of several. ``Ref`` is its name."""

    type = "AWS::CloudWatch::Alarm"
    properties = frozenset(
        {
            "ActionsEnabled",
            "AlarmActions",
            "AlarmDescription",
            "AlarmName",
            "ComparisonOperator",
            "DatapointsToAlarm",
            "Dimensions",
            "EvaluateLowSampleCountPercentile",
            "EvaluationPeriods",
            "ExtendedStatistic",
            "InsufficientDataActions",
            "MetricName",
            "Metrics",
            "Namespace",
            "OKActions",
            "Period",
            "Statistic",
            "Tags",
            "Threshold",
            "ThresholdMetricId",
            "TreatMissingData",
            "Unit",
        }
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        alarms = context.client("cloudwatch")
        name = properties.get("AlarmName") or context.unique_name(255)
        if alarms.describe_alarms(AlarmNames=[name])["MetricAlarms"]:
            raise exists_already(self.type, name)
        labels = as_list(tags(context, properties.get("Tags")))
        settings = omit(properties, *_APART)
        call(alarms, "PutMetricAlarm", settings, AlarmName=name, Tags=labels)
        return _alarm(context, name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        call(context.client("cloudwatch"), "PutMetricAlarm", omit(new, *_APART), AlarmName=physical_id)
        return _retagged(context, physical_id, new)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(*_ABSENT):
            context.client("cloudwatch").delete_alarms(AlarmNames=[physical_id])


def _alarm(context: ResourceContext, name: str) -> Physical:
    where = f"arn:{context.partition}:cloudwatch:{context.region}:{context.account_id}"
    return Physical(name, {"Arn": f"{where}:alarm:{name}"})


def _retagged(context: ResourceContext, name: str, properties: Mapping[str, Any]) -> Physical:
    """An alarm that has the tags of ``properties`` and no others."""
    alarms, made = context.client("cloudwatch"), _alarm(context, name)
    arn, wanted = made.attributes["Arn"], tags(context, properties.get("Tags"))
    listed = alarms.list_tags_for_resource(ResourceARN=arn).get("Tags", [])
    current = {tag["Key"]: tag["Value"] for tag in listed}
    if gone := stale(current, wanted):
        alarms.untag_resource(ResourceARN=arn, TagKeys=gone)
    if wanted != current:
        alarms.tag_resource(ResourceARN=arn, Tags=as_list(wanted))
    return made


class CompositeAlarm:
    """An alarm on other alarms. ``Ref`` is its name."""

    type = "AWS::CloudWatch::CompositeAlarm"
    properties = frozenset(
        {
            "ActionsEnabled",
            "AlarmActions",
            "AlarmDescription",
            "AlarmName",
            "AlarmRule",
            "InsufficientDataActions",
            "OKActions",
            "Tags",
        }
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        alarms = context.client("cloudwatch")
        name = properties.get("AlarmName") or context.unique_name(255)
        there = alarms.describe_alarms(AlarmNames=[name], AlarmTypes=["CompositeAlarm", "MetricAlarm"])
        if there.get("CompositeAlarms") or there.get("MetricAlarms"):
            raise exists_already(self.type, name)
        labels = as_list(tags(context, properties.get("Tags")))
        call(alarms, "PutCompositeAlarm", omit(properties, *_APART), AlarmName=name, Tags=labels)
        return _alarm(context, name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        call(context.client("cloudwatch"), "PutCompositeAlarm", omit(new, *_APART), AlarmName=physical_id)
        return _retagged(context, physical_id, new)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(*_ABSENT):
            context.client("cloudwatch").delete_alarms(AlarmNames=[physical_id])


class Dashboard:
    """A dashboard. ``Ref`` is its name."""

    type = "AWS::CloudWatch::Dashboard"
    properties = frozenset({"DashboardBody", "DashboardName"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        name = properties.get("DashboardName") or context.unique_name(255)
        body = text(properties["DashboardBody"])
        context.client("cloudwatch").put_dashboard(DashboardName=name, DashboardBody=body)
        return Physical(name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return self.create(context, {**new, "DashboardName": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(*_ABSENT):
            context.client("cloudwatch").delete_dashboards(DashboardNames=[physical_id])


PROVIDERS = (Alarm(), CompositeAlarm(), Dashboard())
