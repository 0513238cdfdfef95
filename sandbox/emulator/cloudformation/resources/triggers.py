"""AWS::Lambda: who may call a function, what feeds it, and what becomes of asynchronous calls."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    call,
    changed,
    found,
    omit,
    pick,
    stabilised,
    unless_absent,
)

_ABSENT = "ResourceNotFoundException"
_QUALIFIED_PARTS = {8: 7, 2: 1}


def split_qualifier(function: str) -> tuple[str, str]:
    """A function's name or ARN, and the qualifier it ends in, or an empty text."""
    parts = function.split(":")
    if (cut := _QUALIFIED_PARTS.get(len(parts))) is None:
        return function, ""
    return ":".join(parts[:cut]), parts[cut]


class Permission:
    """One statement of a function's resource policy."""

    type = "AWS::Lambda::Permission"
    properties = frozenset(
        {
            "Action",
            "EventSourceToken",
            "FunctionName",
            "FunctionUrlAuthType",
            "InvokedViaFunctionUrl",
            "Principal",
            "PrincipalOrgID",
            "SourceAccount",
            "SourceArn",
        }
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        statement = context.unique_name(100)
        settings = omit(properties, "FunctionName")
        call(
            context.client("lambda"),
            "AddPermission",
            settings,
            StatementId=statement,
            **_function(properties["FunctionName"]),
        )
        return Physical(statement, {"Id": statement})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("lambda").remove_permission(
                StatementId=physical_id, **_function(properties["FunctionName"])
            )


def _function(reference: str) -> dict[str, str]:
    name, qualifier = split_qualifier(reference)
    return {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}


# What a setting is once the template no longer has it.
_MAPPING_DEFAULTS: dict[str, Any] = {
    "BisectBatchOnFunctionError": False,
    "DestinationConfig": {},
    "Enabled": True,
    "FilterCriteria": {},
    "FunctionResponseTypes": [],
    "MaximumBatchingWindowInSeconds": 0,
    "MaximumRecordAgeInSeconds": -1,
    "MaximumRetryAttempts": -1,
    "MetricsConfig": {"Metrics": []},
    "ParallelizationFactor": 1,
    "ScalingConfig": {},
    "TumblingWindowInSeconds": 0,
}
_STREAM_BATCH, _QUEUE_BATCH = 100, 10


class EventSourceMapping:
    """A poller that feeds a function from a queue or a stream."""

    type = "AWS::Lambda::EventSourceMapping"
    properties = frozenset(
        {
            *_MAPPING_DEFAULTS,
            "BatchSize",
            "EventSourceArn",
            "FunctionName",
            "StartingPosition",
            "StartingPositionTimestamp",
        }
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        made = call(context.client("lambda"), "CreateEventSourceMapping", properties)
        _wait(context, made["UUID"])
        return _mapping(context, made["UUID"])

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        functions = context.client("lambda")
        batch = _QUEUE_BATCH if ":sqs:" in str(new.get("EventSourceArn")) else _STREAM_BATCH
        defaults = {**_MAPPING_DEFAULTS, "BatchSize": batch, "FunctionName": None}
        settings = {key: new.get(key, value) for key, value in defaults.items() if changed(old, new, key)}
        if settings:
            call(functions, "UpdateEventSourceMapping", settings, UUID=physical_id)
            _wait(context, physical_id)
        return _mapping(context, physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("lambda").delete_event_source_mapping(UUID=physical_id)
            _wait(context, physical_id)


def _wait(context: ResourceContext, uuid: str) -> None:
    """Until the mapping has come to rest, or is gone."""
    functions = context.client("lambda")

    def rests() -> bool:
        answer = found(lambda: functions.get_event_source_mapping(UUID=uuid), _ABSENT)
        return answer is None or answer["State"] in ("Enabled", "Disabled")

    stabilised(rests, f"The event source mapping {uuid}")


def _mapping(context: ResourceContext, uuid: str) -> Physical:
    where = f"arn:{context.partition}:lambda:{context.region}:{context.account_id}"
    arn = f"{where}:event-source-mapping:{uuid}"
    return Physical(uuid, {"Id": uuid, "EventSourceMappingArn": arn})


class EventInvokeConfig:
    """Retries, age and destinations of asynchronous invocations."""

    type = "AWS::Lambda::EventInvokeConfig"
    properties = frozenset(
        {"DestinationConfig", "FunctionName", "MaximumEventAgeInSeconds", "MaximumRetryAttempts", "Qualifier"}
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        self._put(context, properties)
        return Physical(f"{properties['FunctionName']}|{properties['Qualifier']}")

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        self._put(context, new)
        return Physical(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        where = pick(properties, ("FunctionName", "Qualifier"))
        with unless_absent(_ABSENT):
            context.client("lambda").delete_function_event_invoke_config(**where)

    def _put(self, context: ResourceContext, properties: Mapping[str, Any]) -> None:
        call(context.client("lambda"), "PutFunctionEventInvokeConfig", properties)


class Url:
    """A function's own HTTPS address."""

    type = "AWS::Lambda::Url"
    properties = frozenset({"AuthType", "Cors", "InvokeMode", "Qualifier", "TargetFunctionArn"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        settings = omit(properties, "TargetFunctionArn", "Qualifier")
        made = call(context.client("lambda"), "CreateFunctionUrlConfig", settings, **self._where(properties))
        return _url(made)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        settings = {"Cors": {}, "InvokeMode": "BUFFERED", **pick(new, ("AuthType", "Cors", "InvokeMode"))}
        made = call(context.client("lambda"), "UpdateFunctionUrlConfig", settings, **self._where(new))
        return _url(made)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("lambda").delete_function_url_config(**self._where(properties))

    def _where(self, properties: Mapping[str, Any]) -> dict[str, str]:
        name, qualifier = split_qualifier(properties["TargetFunctionArn"])
        qualifier = properties.get("Qualifier") or qualifier
        return {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}


def _url(made: Mapping[str, Any]) -> Physical:
    arn = made["FunctionArn"]
    return Physical(arn, {"FunctionArn": arn, "FunctionUrl": made["FunctionUrl"]})


PROVIDERS = (Permission(), EventSourceMapping(), EventInvokeConfig(), Url())
