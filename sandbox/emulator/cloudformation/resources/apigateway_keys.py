"""AWS::ApiGateway: who may call how often: API keys and usage plans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.apigateway import ABSENT, patch, retag_rest
from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    call,
    changed,
    not_here,
    omit,
    tags,
    unless_absent,
)

Properties = Mapping[str, Any]
_PATCHED = {
    "CustomerId": ("/customerId", ""),
    "Description": ("/description", ""),
    "Enabled": ("/enabled", "false"),
}


class ApiKey:
    """A key that callers send. ``Ref`` is its id."""

    type = "AWS::ApiGateway::ApiKey"
    properties = frozenset(
        {
            "CustomerId",
            "Description",
            "Enabled",
            "GenerateDistinctId",
            "Name",
            "StageKeys",
            "Tags",
            "Value",
        }
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        settings = {"Name": context.unique_name(128), "Enabled": False, **omit(properties, "Tags")}
        labels = tags(context, properties.get("Tags"))
        made = call(context.client("apigateway"), "CreateApiKey", settings, Tags=labels)["id"]
        return Physical(made, {"APIKeyId": made})

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        if changed(old, new, "StageKeys"):
            raise not_here("changing StageKeys of an API key that exists")
        retag_rest(context, f"apikeys/{physical_id}", old, new)
        operations = [
            patch("replace", path, new.get(key, default))
            for key, (path, default) in _PATCHED.items()
            if changed(old, new, key)
        ]
        if operations:
            context.client("apigateway").update_api_key(apiKey=physical_id, patchOperations=operations)
        return Physical(physical_id, {"APIKeyId": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(ABSENT):
            context.client("apigateway").delete_api_key(apiKey=physical_id)


class UsagePlan:
    """How often, and how many times in all, holders of a key may call which stages. ``Ref`` is its id."""

    type = "AWS::ApiGateway::UsagePlan"
    properties = frozenset({"ApiStages", "Description", "Quota", "Tags", "Throttle", "UsagePlanName"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        plans = context.client("apigateway")
        name = properties.get("UsagePlanName") or context.unique_name(128)
        settings = omit(properties, "Tags", "UsagePlanName")
        labels = tags(context, properties.get("Tags"))
        made = call(plans, "CreateUsagePlan", settings, Name=name, Tags=labels)["id"]
        return Physical(made, {"Id": made})

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        retag_rest(context, f"usageplans/{physical_id}", old, new)
        operations = list(_plan_changes(old, new))
        if operations:
            context.client("apigateway").update_usage_plan(
                usagePlanId=physical_id, patchOperations=operations
            )
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        plans = context.client("apigateway")
        with unless_absent(ABSENT):
            # API Gateway lets no plan go that has stages.
            gone = [patch("remove", "/apiStages", stage) for stage in _stages(properties)]
            if gone:
                plans.update_usage_plan(usagePlanId=physical_id, patchOperations=gone)
            plans.delete_usage_plan(usagePlanId=physical_id)


def _stages(properties: Properties) -> dict[str, Any]:
    """A plan's stages as patches name them, with the limits of their methods."""
    given = properties.get("ApiStages") or []
    return {f"{entry['ApiId']}:{entry['Stage']}": entry.get("Throttle") for entry in given}


def _plan_changes(old: Properties, new: Properties) -> Iterator[dict[str, str]]:
    if changed(old, new, "UsagePlanName") and new.get("UsagePlanName"):
        yield patch("replace", "/name", new["UsagePlanName"])
    if changed(old, new, "Description"):
        yield patch("replace", "/description", new.get("Description", ""))
    for key, names in (("Throttle", ("BurstLimit", "RateLimit")), ("Quota", ("Limit", "Offset", "Period"))):
        before, after = old.get(key) or {}, new.get(key) or {}
        path = f"/{key.lower()}"
        if before and not after:
            yield patch("remove", path)
        elif before != after:
            for name in names:
                if after.get(name) is None:
                    continue
                if name == "RateLimit" and float(after[name]) != int(float(after[name])):
                    raise not_here("a RateLimit with decimals for a usage plan that exists")
                value = int(float(after[name])) if name == "RateLimit" else after[name]
                yield patch("replace", f"{path}/{name[0].lower()}{name[1:]}", value)
    before, after = _stages(old), _stages(new)
    if any(after[stage] != before.get(stage) and (after[stage] or before.get(stage)) for stage in after):
        raise not_here("other limits of methods for a usage plan that exists")
    yield from (patch("remove", "/apiStages", stage) for stage in before if stage not in after)
    yield from (patch("add", "/apiStages", stage) for stage in after if stage not in before)


class UsagePlanKey:
    """That a key is of a plan. ``Ref`` names both."""

    type = "AWS::ApiGateway::UsagePlanKey"
    properties = frozenset({"KeyId", "KeyType", "UsagePlanId"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        call(context.client("apigateway"), "CreateUsagePlanKey", properties)
        made = f"{properties['KeyId']}:{properties['UsagePlanId']}"
        return Physical(made, {"Id": made})

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        key, _, plan = physical_id.partition(":")
        with unless_absent(ABSENT):
            context.client("apigateway").delete_usage_plan_key(usagePlanId=plan, keyId=key)


PROVIDERS = (ApiKey(), UsagePlan(), UsagePlanKey())
