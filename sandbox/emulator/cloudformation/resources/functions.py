"""AWS::Lambda: functions, their layers, versions and aliases."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources import aliases, inline_code
from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext, ResourceFailed
from sandbox.emulator.cloudformation.resources.convert import (
    call,
    changed,
    invalid,
    not_here,
    omit,
    or_else,
    pick,
    stabilised,
    stale,
    tags,
    unless_absent,
)

_ABSENT = "ResourceNotFoundException"
# What a setting is once the template no longer has it.
_DEFAULTS: dict[str, Any] = {
    "DeadLetterConfig": {"TargetArn": ""},
    "Description": "",
    "Environment": {"Variables": {}},
    "EphemeralStorage": {"Size": 512},
    "Handler": None,
    "KmsKeyArn": "",
    "Layers": [],
    "MemorySize": 128,
    "Role": None,
    "Runtime": None,
    "SnapStart": {"ApplyOn": "None"},
    "Timeout": 3,
    "TracingConfig": {"Mode": "PassThrough"},
}
_PROVISIONED = "ProvisionedConcurrencyConfig"
_LOGGING_OF = "LoggingConfig"
_CODE = ("S3Bucket", "S3Key", "S3ObjectVersion")
_INLINE_RUNTIMES = ("python", "nodejs")


class Function:
    """A function of a zip, or of code in the template."""

    type = "AWS::Lambda::Function"
    properties = frozenset(
        {
            *_DEFAULTS,
            "Architectures",
            "Code",
            "FunctionName",
            "LoggingConfig",
            "PackageType",
            "RecursiveLoop",
            "ReservedConcurrentExecutions",
            "Tags",
        }
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        functions = context.client("lambda")
        name = properties.get("FunctionName") or context.unique_name(64)
        reserved = properties.get("ReservedConcurrentExecutions")
        settings = omit(
            properties, "Code", "FunctionName", "RecursiveLoop", "ReservedConcurrentExecutions", "Tags"
        )
        made = call(
            functions,
            "CreateFunction",
            settings,
            FunctionName=name,
            Code=_code(properties),
            Tags=tags(context, properties.get("Tags")),
        )
        with or_else(lambda: functions.delete_function(FunctionName=name)):
            if reserved is not None:
                _reserve(functions, name, reserved)
            if "RecursiveLoop" in properties:
                _let_loop(functions, name, properties)
        return _function(made["FunctionName"], made["FunctionArn"])

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        functions = context.client("lambda")
        if changed(old, new, "Code", "Architectures") or _written_for(old) != _written_for(new):
            code = {**_code(new), "Architectures": new.get("Architectures") or ["x86_64"]}
            call(functions, "UpdateFunctionCode", code, FunctionName=physical_id)
        if settings := _changed_settings(physical_id, old, new):
            call(functions, "UpdateFunctionConfiguration", settings, FunctionName=physical_id)
        if changed(old, new, "ReservedConcurrentExecutions"):
            _reserve(functions, physical_id, new.get("ReservedConcurrentExecutions"))
        if changed(old, new, "RecursiveLoop"):
            _let_loop(functions, physical_id, new)
        arn = functions.get_function_configuration(FunctionName=physical_id)["FunctionArn"]
        current = functions.list_tags(Resource=arn).get("Tags") or {}
        wanted = tags(context, new.get("Tags"))
        if gone := stale(current, wanted):
            functions.untag_resource(Resource=arn, TagKeys=gone)
        if wanted != current:
            functions.tag_resource(Resource=arn, Tags=wanted)
        return _function(physical_id, arn)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(_ABSENT):
            context.client("lambda").delete_function(FunctionName=physical_id)


def _function(name: str, arn: str) -> Physical:
    snap_start = {"SnapStartResponse.ApplyOn": "None", "SnapStartResponse.OptimizationStatus": "Off"}
    return Physical(name, {"Arn": arn, **snap_start})


def _written_for(properties: Mapping[str, Any]) -> bool:
    """Whether code in the template is JavaScript: the file's name depends on it."""
    return "ZipFile" in properties["Code"] and str(properties.get("Runtime")).startswith("nodejs")


def _code(properties: Mapping[str, Any]) -> dict[str, Any]:
    if properties.get("PackageType") == "Image" or "ImageUri" in properties["Code"]:
        raise not_here("a function of a container image")
    if "SourceKMSKeyArn" in properties["Code"]:
        raise not_here("Code.SourceKMSKeyArn")
    source = properties["Code"].get("ZipFile")
    if source is None:
        return pick(properties["Code"], _CODE)
    runtime = str(properties.get("Runtime", ""))
    if not runtime.startswith(_INLINE_RUNTIMES):
        raise ResourceFailed(
            f"ZipFile can only be used when Runtime is set to either of nodejs, python. Found: {runtime}",
            "InvalidRequest",
        )
    return {"ZipFile": inline_code.archive(source, runtime)}


def _changed_settings(name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> dict[str, Any]:
    defaults = _DEFAULTS | {_LOGGING_OF: {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{name}"}}
    given = {key: new.get(key, default) for key, default in defaults.items() if changed(old, new, key)}
    return {key: value for key, value in given.items() if value is not None}


def _reserve(functions: Any, name: str, reserved: Any) -> None:
    if reserved is None:
        functions.delete_function_concurrency(FunctionName=name)
    else:
        settings = {"ReservedConcurrentExecutions": reserved}
        call(functions, "PutFunctionConcurrency", settings, FunctionName=name)


def _let_loop(functions: Any, name: str, properties: Mapping[str, Any]) -> None:
    wanted = {"RecursiveLoop": properties.get("RecursiveLoop") or "Terminate"}
    call(functions, "PutFunctionRecursionConfig", wanted, FunctionName=name)


class Version:
    """What ``$LATEST`` was when the stack made it."""

    type = "AWS::Lambda::Version"
    properties = frozenset({"CodeSha256", "Description", "FunctionName", _PROVISIONED})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        functions = context.client("lambda")
        function = properties["FunctionName"]
        pages = functions.get_paginator("list_versions_by_function").paginate(FunctionName=function)
        before = {version["Version"] for page in pages for version in page["Versions"]}
        made = call(functions, "PublishVersion", omit(properties, _PROVISIONED))
        number = made["Version"]
        if number in before:
            raise ResourceFailed(
                f"A version for this Lambda function exists ( {number} ). "
                "Modify the function to create a new version.",
                "AlreadyExists",
            )
        arn = _qualified(made["FunctionArn"], number)
        with or_else(lambda: functions.delete_function(FunctionName=function, Qualifier=number)):
            if properties.get(_PROVISIONED):
                _provision(functions, function, number, properties[_PROVISIONED])
        return Physical(arn, {"FunctionArn": arn, "Version": number})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        function, number = physical_id.rsplit(":", 1)
        if changed(old, new, _PROVISIONED):
            _provision(context.client("lambda"), function, number, new.get(_PROVISIONED))
        return Physical(physical_id, {"FunctionArn": physical_id, "Version": number})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        function, number = physical_id.rsplit(":", 1)
        with unless_absent(_ABSENT):
            context.client("lambda").delete_function(FunctionName=function, Qualifier=number)


def _provision(functions: Any, function: str, qualifier: str, wanted: Mapping[str, Any] | None) -> None:
    """Have environments kept ready, and wait until they are; or none any more."""
    where = {"FunctionName": function, "Qualifier": qualifier}
    if wanted is None:
        functions.delete_provisioned_concurrency_config(**where)
        return
    call(functions, "PutProvisionedConcurrencyConfig", wanted, **where)

    def rests() -> bool:
        state = functions.get_provisioned_concurrency_config(**where)
        if state["Status"] == "FAILED":
            raise ResourceFailed(f"Provisioned concurrency failed: {state['StatusReason']}")
        return bool(state["Status"] == "READY")

    stabilised(rests, f"The provisioned concurrency of {function}:{qualifier}")


def _qualified(arn: str, qualifier: str) -> str:
    """A function's ARN with its qualifier, whether it had one or not."""
    return f"{':'.join(arn.split(':')[:7])}:{qualifier}"


class Alias:
    """A name that points at a version, or at two by weight."""

    type = "AWS::Lambda::Alias"
    properties = frozenset(
        {"Description", "FunctionName", "FunctionVersion", "Name", "RoutingConfig", _PROVISIONED}
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        functions = context.client("lambda")
        settings = {**omit(properties, "RoutingConfig", _PROVISIONED), **_routing(properties)}
        arn = call(functions, "CreateAlias", settings)["AliasArn"]
        where = {"FunctionName": properties["FunctionName"], "Name": properties["Name"]}
        with or_else(lambda: functions.delete_alias(**where)):
            if properties.get(_PROVISIONED):
                _provision(functions, where["FunctionName"], where["Name"], properties[_PROVISIONED])
        return Physical(arn, {"AliasArn": arn})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        functions = context.client("lambda")
        settings = {"Description": "", **omit(new, "RoutingConfig", _PROVISIONED)}
        plan = context.update_policy.get(aliases.POLICY)
        if plan and changed(old, new, "FunctionVersion"):
            aliases.shift(context, plan, old, new)
            del settings["FunctionVersion"]
        elif changed(old, new, "RoutingConfig", "FunctionVersion"):
            # Without weights of its own it also gives up those of a deployment that stopped half way.
            settings |= {"RoutingConfig": {"AdditionalVersionWeights": {}}, **_routing(new)}
        call(functions, "UpdateAlias", settings)
        if old.get(_PROVISIONED) or new.get(_PROVISIONED):
            _provision(functions, new["FunctionName"], new["Name"], new.get(_PROVISIONED))
        return Physical(physical_id, {"AliasArn": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        function, name = physical_id.rsplit(":", 1)
        with unless_absent(_ABSENT):
            context.client("lambda").delete_alias(FunctionName=function, Name=name)


def _routing(properties: Mapping[str, Any]) -> dict[str, Any]:
    given = (properties.get("RoutingConfig") or {}).get("AdditionalVersionWeights")
    if not given:
        return {}
    weights = {str(entry["FunctionVersion"]): float(entry["FunctionWeight"]) for entry in given}
    return {"RoutingConfig": {"AdditionalVersionWeights": weights}}


class LayerVersion:
    """One version of a layer; a change of it makes another."""

    type = "AWS::Lambda::LayerVersion"
    properties = frozenset(
        {
            "CompatibleArchitectures",
            "CompatibleRuntimes",
            "Content",
            "Description",
            "LayerName",
            "LicenseInfo",
        }
    )
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        name = properties.get("LayerName") or context.unique_name(140)
        settings = omit(properties, "LayerName", "Content")
        content = pick(properties["Content"], _CODE)
        made = call(
            context.client("lambda"), "PublishLayerVersion", settings, LayerName=name, Content=content
        )
        return self._physical(made["LayerVersionArn"])

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return self._physical(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        layer, number = physical_id.rsplit(":", 1)
        name = layer.rsplit(":", 1)[1]
        with unless_absent(_ABSENT):
            context.client("lambda").delete_layer_version(LayerName=name, VersionNumber=int(number))

    def _physical(self, arn: str) -> Physical:
        return Physical(arn, {"LayerVersionArn": arn})


class LayerVersionPermission:
    """Who else may use a layer's version."""

    type = "AWS::Lambda::LayerVersionPermission"
    properties = frozenset({"Action", "LayerVersionArn", "OrganizationId", "Principal"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        statement = context.unique_name(100)
        settings = omit(properties, "LayerVersionArn")
        where = _layer(properties["LayerVersionArn"])
        call(context.client("lambda"), "AddLayerVersionPermission", settings, StatementId=statement, **where)
        physical_id = f"{properties['LayerVersionArn']}#{statement}"
        return Physical(physical_id, {"Id": physical_id})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        arn, statement = physical_id.split("#", 1)
        with unless_absent(_ABSENT):
            call(
                context.client("lambda"),
                "RemoveLayerVersionPermission",
                _layer(arn),
                StatementId=statement,
            )


def _layer(arn: str) -> dict[str, Any]:
    parts = arn.split(":")
    if len(parts) != 8:
        raise invalid(f"#/LayerVersionArn: {arn} is not the ARN of a layer version")
    return {"LayerName": parts[6], "VersionNumber": int(parts[7])}


PROVIDERS = (Function(), Version(), Alias(), LayerVersion(), LayerVersionPermission())
