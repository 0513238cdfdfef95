"""AWS::CloudWatch: alarms and dashboards."""

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
        settings = omit(properties, "AlarmName", "Tags")
        call(alarms, "PutMetricAlarm", settings, AlarmName=name, Tags=labels)
        return _alarm(context, name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        alarms = context.client("cloudwatch")
        made = _alarm(context, physical_id)
        call(alarms, "PutMetricAlarm", omit(new, "AlarmName", "Tags"), AlarmName=physical_id)
        arn, wanted = made.attributes["Arn"], tags(context, new.get("Tags"))
        listed = alarms.list_tags_for_resource(ResourceARN=arn).get("Tags", [])
        current = {tag["Key"]: tag["Value"] for tag in listed}
        if gone := stale(current, wanted):
            alarms.untag_resource(ResourceARN=arn, TagKeys=gone)
        if wanted != current:
            alarms.tag_resource(ResourceARN=arn, Tags=as_list(wanted))
        return made

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(*_ABSENT):
            context.client("cloudwatch").delete_alarms(AlarmNames=[physical_id])


def _alarm(context: ResourceContext, name: str) -> Physical:
    where = f"arn:{context.partition}:cloudwatch:{context.region}:{context.account_id}"
    return Physical(name, {"Arn": f"{where}:alarm:{name}"})


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


PROVIDERS = (Alarm(), Dashboard())
