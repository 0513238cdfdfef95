"""AWS::Logs: log groups, and what watches them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    call,
    changed,
    not_here,
    omit,
    or_else,
    pick,
    stale,
    tags,
    text,
    unless_absent,
)

_ABSENT = "ResourceNotFoundException"


class LogGroup:
    """A log group. ``Ref`` is its name."""

    type = "AWS::Logs::LogGroup"
    properties = frozenset({"KmsKeyId", "LogGroupName", "RetentionInDays", "Tags"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        logs = context.client("logs")
        name = properties.get("LogGroupName") or context.unique_name(512)
        labels = tags(context, properties.get("Tags"))
        key = pick(properties, ("KmsKeyId",))
        call(logs, "CreateLogGroup", key, logGroupName=name, tags=labels)
        if days := properties.get("RetentionInDays"):
            with or_else(lambda: logs.delete_log_group(logGroupName=name)):
                _keep(logs, name, days)
        return _group(context, name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        logs = context.client("logs")
        if changed(old, new, "RetentionInDays"):
            if days := new.get("RetentionInDays"):
                _keep(logs, physical_id, days)
            else:
                logs.delete_retention_policy(logGroupName=physical_id)
        if changed(old, new, "KmsKeyId"):
            raise not_here("another KMS key for a log group that exists")
        made = _group(context, physical_id)
        arn = made.attributes["Arn"].removesuffix(":*")
        current = logs.list_tags_for_resource(resourceArn=arn).get("tags") or {}
        wanted = tags(context, new.get("Tags"))
        if gone := stale(current, wanted):
            logs.untag_resource(resourceArn=arn, tagKeys=gone)
        if wanted != current:
            logs.tag_resource(resourceArn=arn, tags=wanted)
        return made

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("logs").delete_log_group(logGroupName=physical_id)


def _keep(logs: Any, name: str, days: Any) -> None:
    call(logs, "PutRetentionPolicy", {"RetentionInDays": days}, logGroupName=name)


def _group(context: ResourceContext, name: str) -> Physical:
    where = f"arn:{context.partition}:logs:{context.region}:{context.account_id}"
    return Physical(name, {"Arn": f"{where}:log-group:{name}:*"})


class MetricFilter:
    """Metrics counted from log events."""

    type = "AWS::Logs::MetricFilter"
    properties = frozenset({"FilterName", "FilterPattern", "LogGroupName", "MetricTransformations"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        name = properties.get("FilterName") or context.unique_name(512)
        settings = omit(properties, "FilterName", "MetricTransformations")
        made = [_transformation(entry) for entry in properties["MetricTransformations"]]
        logs = context.client("logs")
        call(logs, "PutMetricFilter", settings, FilterName=name, MetricTransformations=made)
        return Physical(name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        self.delete(context, physical_id, old)
        return self.create(context, {**new, "FilterName": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("logs").delete_metric_filter(
                logGroupName=properties["LogGroupName"], filterName=physical_id
            )


def _transformation(given: Mapping[str, Any]) -> dict[str, Any]:
    dimensions = {entry["Key"]: entry["Value"] for entry in given.get("Dimensions") or []}
    return {**omit(given, "Dimensions"), **({"Dimensions": dimensions} if dimensions else {})}


class SubscriptionFilter:
    """Where matching log events are sent as they come in."""

    type = "AWS::Logs::SubscriptionFilter"
    properties = frozenset({"DestinationArn", "FilterName", "FilterPattern", "LogGroupName", "RoleArn"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        name = properties.get("FilterName") or context.unique_name(512)
        settings = omit(properties, "FilterName")
        call(context.client("logs"), "PutSubscriptionFilter", settings, FilterName=name)
        return Physical(name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return self.create(context, {**new, "FilterName": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("logs").delete_subscription_filter(
                logGroupName=properties["LogGroupName"], filterName=physical_id
            )


class ResourcePolicy:
    """Which services may write to the account's log groups. ``Ref`` is its name."""

    type = "AWS::Logs::ResourcePolicy"
    properties = frozenset({"PolicyDocument", "PolicyName"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        name, document = properties["PolicyName"], text(properties["PolicyDocument"])
        context.client("logs").put_resource_policy(policyName=name, policyDocument=document)
        return Physical(name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return self.create(context, {**new, "PolicyName": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("logs").delete_resource_policy(policyName=physical_id)


class QueryDefinition:
    """A query of Logs Insights kept under a name. ``Ref`` is its id."""

    type = "AWS::Logs::QueryDefinition"
    properties = frozenset({"LogGroupNames", "Name", "QueryLanguage", "QueryString"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        return self._put(context, properties)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return self._put(context, new, QueryDefinitionId=physical_id)

    def _put(self, context: ResourceContext, properties: Mapping[str, Any], **known: str) -> Physical:
        made = call(context.client("logs"), "PutQueryDefinition", properties, **known)["queryDefinitionId"]
        return Physical(made, {"QueryDefinitionId": made})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("logs").delete_query_definition(queryDefinitionId=physical_id)


PROVIDERS = (LogGroup(), MetricFilter(), SubscriptionFilter(), ResourcePolicy(), QueryDefinition())
