"""AWS::Events: connections, and the HTTP end points that rules call through them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import call, changed, not_here, pick, unless_absent

Properties = Mapping[str, Any]
_ABSENT = "ResourceNotFoundException"
_CONNECTION = ("AuthorizationType", "AuthParameters", "Description")
_DESTINATION = (
    *("ConnectionArn", "Description", "HttpMethod", "InvocationEndpoint"),
    "InvocationRateLimitPerSecond",
)


class Connection:
    """Who an end point is shown to be called by. ``Ref`` is its name."""

    type = "AWS::Events::Connection"
    properties = frozenset({*_CONNECTION, "InvocationConnectivityParameters", "Name"})
    replaces: frozenset[str] = frozenset({"Name"})

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        _check(properties)
        name = properties.get("Name") or context.unique_name(64)
        call(context.client("events"), "CreateConnection", pick(properties, _CONNECTION), Name=name)
        return _connection(context, name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        _check(new)
        if changed(old, new, *_CONNECTION):
            settings = {"Description": "", **pick(new, _CONNECTION)}
            call(context.client("events"), "UpdateConnection", settings, Name=physical_id)
        return _connection(context, physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(_ABSENT):
            context.client("events").delete_connection(Name=physical_id)


def _check(properties: Properties) -> None:
    if properties.get("InvocationConnectivityParameters"):
        raise not_here("InvocationConnectivityParameters (private end points) of a connection")


def _connection(context: ResourceContext, name: str) -> Physical:
    told = context.client("events").describe_connection(Name=name)
    arn = told["ConnectionArn"]
    attributes = {"Arn": arn, "ArnForPolicy": arn.rpartition("/")[0], "SecretArn": told["SecretArn"]}
    return Physical(name, attributes)


class ApiDestination:
    """An HTTP end point that rules may have as their target. ``Ref`` is its name."""

    type = "AWS::Events::ApiDestination"
    properties = frozenset({*_DESTINATION, "Name"})
    replaces: frozenset[str] = frozenset({"Name"})

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        name = properties.get("Name") or context.unique_name(64)
        call(context.client("events"), "CreateApiDestination", pick(properties, _DESTINATION), Name=name)
        return _destination(context, name)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        if changed(old, new, *_DESTINATION):
            settings = {"Description": "", **pick(new, _DESTINATION)}
            call(context.client("events"), "UpdateApiDestination", settings, Name=physical_id)
        return _destination(context, physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(_ABSENT):
            context.client("events").delete_api_destination(Name=physical_id)


def _destination(context: ResourceContext, name: str) -> Physical:
    arn = context.client("events").describe_api_destination(Name=name)["ApiDestinationArn"]
    return Physical(name, {"Arn": arn, "ArnForPolicy": arn.rpartition("/")[0]})


PROVIDERS = (Connection(), ApiDestination())
