"""AWS::ApiGateway: what of a REST API is published, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.apigateway import ABSENT, escaped, patch, retag_rest
from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    call,
    changed,
    found,
    not_here,
    or_else,
    pick,
    tags,
    unless_absent,
)

Properties = Mapping[str, Any]
_CREATED_WITH = ("CacheClusterEnabled", "CacheClusterSize", "Description", "DocumentationVersion")
_TEXTS = {
    "CacheClusterEnabled": ("/cacheClusterEnabled", "false"),
    "DeploymentId": ("/deploymentId", None),
    "Description": ("/description", ""),
    "DocumentationVersion": ("/documentationVersion", ""),
    "TracingEnabled": ("/tracingEnabled", "false"),
}
_METHOD_SETTINGS = {
    "CacheDataEncrypted": "caching/dataEncrypted",
    "CacheTtlInSeconds": "caching/ttlInSeconds",
    "CachingEnabled": "caching/enabled",
    "DataTraceEnabled": "logging/dataTrace",
    "LoggingLevel": "logging/loglevel",
    "MetricsEnabled": "metrics/enabled",
    "ThrottlingBurstLimit": "throttling/burstLimit",
    "ThrottlingRateLimit": "throttling/rateLimit",
}
_DESCRIBED = (
    "AccessLogSetting",
    "CanarySetting",
    "CacheClusterEnabled",
    "CacheClusterSize",
    "Description",
    "DocumentationVersion",
    "MethodSettings",
    "TracingEnabled",
    "Variables",
)


class Stage:
    """A name under which a deployment answers. ``Ref`` is that name."""

    type = "AWS::ApiGateway::Stage"
    properties = frozenset({*_DESCRIBED, "DeploymentId", "RestApiId", "StageName", "Tags"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        labels = tags(context, properties.get("Tags"))
        _create(context, {"StageName": "default", **properties}, labels)
        return Physical(properties.get("StageName") or "default")

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        retag_rest(context, f"restapis/{new['RestApiId']}/stages/{physical_id}", old, new)
        _patch(context, new["RestApiId"], physical_id, list(_changes(old, new)))
        return Physical(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(ABSENT):
            context.client("apigateway").delete_stage(
                restApiId=properties["RestApiId"], stageName=physical_id
            )


def _create(context: ResourceContext, properties: Properties, labels: Mapping[str, str]) -> None:
    apis = context.client("apigateway")
    names = ("RestApiId", "StageName", "DeploymentId", "TracingEnabled", "Variables", *_CREATED_WITH)
    settings = pick(properties, names)
    call(apis, "CreateStage", settings, **({"Tags": labels} if labels else {}))
    where = properties["RestApiId"], properties["StageName"]
    with or_else(lambda: apis.delete_stage(restApiId=where[0], stageName=where[1])):
        _patch(context, *where, list(_changes(pick(properties, names), properties)))


def _patch(context: ResourceContext, api_id: str, stage: str, operations: list[dict[str, str]]) -> None:
    if operations:
        context.client("apigateway").update_stage(
            restApiId=api_id, stageName=stage, patchOperations=operations
        )


def _changes(old: Properties, new: Properties) -> Iterator[dict[str, str]]:
    for key, (path, default) in _TEXTS.items():
        if changed(old, new, key) and (value := new.get(key, default)) is not None:
            yield patch("replace", path, value)
    if changed(old, new, "CacheClusterSize") and new.get("CacheClusterSize"):
        yield patch("replace", "/cacheClusterSize", new["CacheClusterSize"])
    yield from _variables("/variables", old.get("Variables") or {}, new.get("Variables") or {})
    if changed(old, new, "CanarySetting", "DeploymentId"):
        yield from _canary(old.get("CanarySetting"), new.get("CanarySetting"), new.get("DeploymentId"))
    if changed(old, new, "AccessLogSetting"):
        yield from _access_log(new.get("AccessLogSetting"))
    yield from _method_settings(old.get("MethodSettings") or [], new.get("MethodSettings") or [])


def _variables(path: str, old: Properties, new: Properties) -> Iterator[dict[str, str]]:
    for name, value in new.items():
        if old.get(name) != value:
            yield patch("replace", f"{path}/{escaped(name)}", value)
    for name in old:
        if name not in new:
            yield patch("remove", f"{path}/{escaped(name)}")


def _canary(
    old: Properties | None, new: Properties | None, deployment: str | None
) -> Iterator[dict[str, str]]:
    """A canary that names no deployment serves its stage's, with other variables."""
    if not new:
        if old:
            yield patch("remove", "/canarySettings")
        return
    if named := new.get("DeploymentId") or deployment:
        yield patch("replace", "/canarySettings/deploymentId", named)
    yield patch("replace", "/canarySettings/percentTraffic", new.get("PercentTraffic", 0))
    yield patch("replace", "/canarySettings/useStageCache", new.get("UseStageCache", False))
    overrides = "StageVariableOverrides"
    yield from _variables(
        f"/canarySettings/{overrides[0].lower()}{overrides[1:]}",
        (old or {}).get(overrides) or {},
        new.get(overrides) or {},
    )


def _access_log(given: Properties | None) -> Iterator[dict[str, str]]:
    if not given:
        yield patch("remove", "/accessLogSettings")
        return
    for key, name in (("DestinationArn", "destinationArn"), ("Format", "format")):
        if given.get(key):
            yield patch("replace", f"/accessLogSettings/{name}", given[key])


def _method_settings(old: list[Properties], new: list[Properties]) -> Iterator[dict[str, str]]:
    before = {_setting_path(entry): entry for entry in old}
    after = {_setting_path(entry): entry for entry in new}
    for path, entry in before.items():
        if after.get(path) != entry:
            yield patch("remove", path)
    for path, entry in after.items():
        if before.get(path) == entry:
            continue
        for key, name in _METHOD_SETTINGS.items():
            if entry.get(key) is not None:
                yield patch("replace", f"{path}/{name}", entry[key])


def _setting_path(given: Properties) -> str:
    resource = given.get("ResourcePath", "/*")
    part = "*" if resource in ("/*", "*") else escaped(resource)
    return f"/{part}/{given.get('HttpMethod', '*')}"


class Deployment:
    """A REST API as it was at that moment, with a stage of its own if it has a ``StageName``."""

    type = "AWS::ApiGateway::Deployment"
    properties = frozenset(
        {"DeploymentCanarySettings", "Description", "RestApiId", "StageDescription", "StageName"}
    )
    replaces: frozenset[str] = frozenset({"DeploymentCanarySettings"})

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        apis = context.client("apigateway")
        api_id = properties["RestApiId"]
        settings = pick(properties, ("RestApiId", "Description"))
        if canary := properties.get("DeploymentCanarySettings"):
            settings |= {"StageName": properties.get("StageName") or "", "CanarySettings": canary}
        made = call(apis, "CreateDeployment", settings)["id"]
        if canary:
            return Physical(made, {"DeploymentId": made})
        if stage := properties.get("StageName"):
            with or_else(lambda: apis.delete_deployment(restApiId=api_id, deploymentId=made)):
                self._publish(context, made, stage, properties)
        return Physical(made, {"DeploymentId": made})

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        apis = context.client("apigateway")
        if changed(old, new, "Description"):
            operation = patch("replace", "/description", new.get("Description", ""))
            apis.update_deployment(
                restApiId=new["RestApiId"], deploymentId=physical_id, patchOperations=[operation]
            )
        if changed(old, new, "StageName"):
            self._unpublish(context, physical_id, old)
        if new.get("StageName") and changed(old, new, "StageName", "StageDescription"):
            self._publish(context, physical_id, new["StageName"], new, old)
        return Physical(physical_id, {"DeploymentId": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(ABSENT):
            self._unpublish(context, physical_id, properties)
            context.client("apigateway").delete_deployment(
                restApiId=properties["RestApiId"], deploymentId=physical_id
            )

    def _publish(
        self,
        context: ResourceContext,
        deployment: str,
        stage: str,
        properties: Properties,
        old: Properties | None = None,
    ) -> None:
        described = properties.get("StageDescription") or {}
        if unknown := set(described) - set(_DESCRIBED):
            raise not_here(f"StageDescription.{sorted(unknown)[0]} of a deployment")
        api_id = properties["RestApiId"]
        if self._serves(context, api_id, stage) is None:
            made = {**described, "RestApiId": api_id, "StageName": stage, "DeploymentId": deployment}
            _create(context, made, {})
            return
        before = (old or {}).get("StageDescription") or {}
        pointed = patch("replace", "/deploymentId", deployment)
        _patch(context, api_id, stage, [pointed, *_changes(before, described)])

    def _unpublish(self, context: ResourceContext, deployment: str, properties: Properties) -> None:
        """Its own stage goes with it, unless the stage has moved on to another deployment.

        One that was a canary's leaves the stage without that canary.
        """
        stage, api_id = properties.get("StageName"), properties["RestApiId"]
        if stage and properties.get("DeploymentCanarySettings"):
            serving = _stage(context, api_id, stage) or {}
            if (serving.get("canarySettings") or {}).get("deploymentId") == deployment:
                _patch(context, api_id, stage, [patch("remove", "/canarySettings")])
        elif stage and self._serves(context, api_id, stage) == deployment:
            context.client("apigateway").delete_stage(restApiId=api_id, stageName=stage)

    def _serves(self, context: ResourceContext, api_id: str, stage: str) -> str | None:
        """The deployment that a stage points to; None if there is no such stage."""
        answer = _stage(context, api_id, stage)
        return answer["deploymentId"] if answer else None


def _stage(context: ResourceContext, api_id: str, stage: str) -> dict[str, Any] | None:
    apis = context.client("apigateway")
    answer: dict[str, Any] | None = found(lambda: apis.get_stage(restApiId=api_id, stageName=stage), ABSENT)
    return answer


PROVIDERS = (Stage(), Deployment())
