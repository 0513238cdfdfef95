"""AWS::CodeDeploy: what functions are deployed by: applications, groups, ways to shift traffic."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import as_list, call, omit, stale, tags

Properties = Mapping[str, Any]
# What a setting of a group is once the template no longer has it.
_DEFAULTS: Mapping[str, Any] = {
    "AlarmConfiguration": {"Enabled": False, "Alarms": []},
    "AutoRollbackConfiguration": {"Enabled": False, "Events": []},
    "DeploymentConfigName": "CodeDeployDefault.LambdaAllAtOnce",
    "TriggerConfigurations": [],
}


class Application:
    """``Ref`` is its name."""

    type = "AWS::CodeDeploy::Application"
    properties = frozenset({"ApplicationName", "ComputePlatform", "Tags"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        name = properties.get("ApplicationName") or context.unique_name(100)
        labels = as_list(tags(context, properties.get("Tags")))
        settings = omit(properties, "ApplicationName", "Tags")
        call(context.client("codedeploy"), "CreateApplication", settings, ApplicationName=name, Tags=labels)
        return Physical(name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        _retag(context, f"application:{physical_id}", new)
        return Physical(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        context.client("codedeploy").delete_application(applicationName=physical_id)


class DeploymentGroup:
    """``Ref`` is its name."""

    type = "AWS::CodeDeploy::DeploymentGroup"
    properties = frozenset(
        {
            *_DEFAULTS,
            "ApplicationName",
            "DeploymentGroupName",
            "DeploymentStyle",
            "OutdatedInstancesStrategy",
            "ServiceRoleArn",
            "Tags",
        }
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        name = properties.get("DeploymentGroupName") or context.unique_name(100)
        labels = as_list(tags(context, properties.get("Tags")))
        settings = omit(properties, "DeploymentGroupName", "Tags")
        client = context.client("codedeploy")
        call(client, "CreateDeploymentGroup", settings, DeploymentGroupName=name, Tags=labels)
        return Physical(name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        settings = {**_DEFAULTS, **omit(new, "DeploymentGroupName", "Tags")}
        client = context.client("codedeploy")
        call(client, "UpdateDeploymentGroup", settings, CurrentDeploymentGroupName=physical_id)
        _retag(context, f"deploymentgroup:{new['ApplicationName']}/{physical_id}", new)
        return Physical(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        context.client("codedeploy").delete_deployment_group(
            applicationName=properties["ApplicationName"], deploymentGroupName=physical_id
        )


class DeploymentConfig:
    """``Ref`` is its name. Every change makes another one."""

    type = "AWS::CodeDeploy::DeploymentConfig"
    properties = frozenset({"ComputePlatform", "DeploymentConfigName", "TrafficRoutingConfig"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        name = properties.get("DeploymentConfigName") or context.unique_name(100)
        settings = omit(properties, "DeploymentConfigName")
        call(context.client("codedeploy"), "CreateDeploymentConfig", settings, DeploymentConfigName=name)
        return Physical(name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        return Physical(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        context.client("codedeploy").delete_deployment_config(deploymentConfigName=physical_id)


def _retag(context: ResourceContext, resource: str, properties: Properties) -> None:
    client = context.client("codedeploy")
    arn = f"arn:{context.partition}:codedeploy:{context.region}:{context.account_id}:{resource}"
    wanted = tags(context, properties.get("Tags"))
    current = {tag["Key"]: tag["Value"] for tag in client.list_tags_for_resource(ResourceArn=arn)["Tags"]}
    if gone := stale(current, wanted):
        client.untag_resource(ResourceArn=arn, TagKeys=gone)
    if wanted != current:
        client.tag_resource(ResourceArn=arn, Tags=as_list(wanted))


PROVIDERS = (Application(), DeploymentGroup(), DeploymentConfig())
