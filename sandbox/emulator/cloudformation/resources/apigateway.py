"""AWS::ApiGateway: REST APIs, from a document or piece by piece."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import yaml

from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    call,
    changed,
    found,
    invalid,
    not_here,
    omit,
    or_else,
    pick,
    retag,
    tags,
    text,
    unless_absent,
)

ABSENT = "NotFoundException"
_API = (
    "ApiKeySourceType",
    "BinaryMediaTypes",
    "Description",
    "DisableExecuteApiEndpoint",
    "EndpointConfiguration",
    "MinimumCompressionSize",
    "Name",
    "Policy",
    "Version",
)
_IMPORT = ("FailOnWarnings", "Parameters")
_RENAMED = {"ApiKeySourceType": "apiKeySource"}
# What can be patched, and what it is once the template no longer has it.
_PATCHES: dict[str, tuple[str, Any]] = {
    "ApiKeySourceType": ("/apiKeySource", "HEADER"),
    "Description": ("/description", ""),
    "DisableExecuteApiEndpoint": ("/disableExecuteApiEndpoint", "false"),
    "MinimumCompressionSize": ("/minimumCompressionSize", ""),
    "Name": ("/name", None),
    "Policy": ("/policy", ""),
    "Version": ("/version", ""),
}


def patch(kind: str, path: str, value: Any = None) -> dict[str, str]:
    """One operation of an API Gateway update."""
    made = {"op": kind, "path": path}
    return made if value is None else {**made, "value": text(value)}


def retag_rest(
    context: ResourceContext, resource: str, old: Mapping[str, Any], new: Mapping[str, Any]
) -> None:
    """Change the tags of a REST API or of something beside it."""
    before, after = (tags(context, given.get("Tags")) for given in (old, new))
    arn = f"arn:{context.partition}:apigateway:{context.region}::/{resource}"
    retag(context.client("apigateway"), arn, before, after)


def escaped(part: str) -> str:
    """A text as one part of a patch's path."""
    return part.replace("~", "~0").replace("/", "~1")


class RestApi:
    """A REST API, of an OpenAPI document or to be filled by other resources. ``Ref`` is its id."""

    type = "AWS::ApiGateway::RestApi"
    properties = frozenset({*_API, *_IMPORT, "Body", "BodyS3Location", "Mode", "Tags"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        apis = context.client("apigateway")
        body = _document(context, properties)
        settings = {_RENAMED.get(key, key): value for key, value in pick(properties, _API).items()}
        settings.setdefault("Name", _title(body) or context.logical_id)
        if kind := (properties.get("Parameters") or {}).get("endpointConfigurationTypes"):
            settings.setdefault("EndpointConfiguration", {"Types": kind.split(",")})
        labels = tags(context, properties.get("Tags"))
        api_id = call(apis, "CreateRestApi", settings, Tags=labels)["id"]
        if body is not None:
            with or_else(lambda: apis.delete_rest_api(restApiId=api_id)):
                self._put(apis, api_id, body, properties)
        return _api(apis, api_id)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        apis = context.client("apigateway")
        retag_rest(context, f"restapis/{physical_id}", old, new)
        operations = _operations(old, new)
        if operations:
            apis.update_rest_api(restApiId=physical_id, patchOperations=operations)
        body = _document(context, new)
        if body is not None and changed(old, new, "Body", "BodyS3Location", *_IMPORT):
            self._put(apis, physical_id, body, new)
        return _api(apis, physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(ABSENT):
            context.client("apigateway").delete_rest_api(restApiId=physical_id)

    def _put(self, apis: Any, api_id: str, body: bytes, properties: Mapping[str, Any]) -> None:
        settings = pick(properties, _IMPORT)
        mode = properties.get("Mode") or "overwrite"
        call(apis, "PutRestApi", settings, RestApiId=api_id, Mode=mode, Body=body)
        # The document names and describes the API as well; what the template says outside of it wins.
        given = [
            patch("replace", _PATCHES[key][0], properties[key]) for key in _PATCHES if properties.get(key)
        ]
        if given:
            apis.update_rest_api(restApiId=api_id, patchOperations=given)


def _document(context: ResourceContext, properties: Mapping[str, Any]) -> bytes | None:
    if (body := properties.get("Body")) is not None:
        return text(body).encode()
    if (where := properties.get("BodyS3Location")) is None:
        return None
    return fetch(context, where)


def fetch(context: ResourceContext, where: Mapping[str, Any]) -> bytes:
    """The document that ``Bucket`` and ``Key`` (and ``Version``) name."""
    version = {"VersionId": where["Version"]} if "Version" in where else {}
    answer = context.client("s3").get_object(Bucket=where["Bucket"], Key=where["Key"], **version)
    content: bytes = answer["Body"].read()
    return content


def _title(body: bytes | None) -> str:
    if body is None:
        return ""
    try:
        read = yaml.safe_load(body) if not body.lstrip().startswith(b"{") else json.loads(body)
        return str((read.get("info") or {}).get("title") or "")
    except (ValueError, yaml.YAMLError, AttributeError):
        raise invalid("#/Body: Invalid OpenAPI input.") from None


def _operations(old: Mapping[str, Any], new: Mapping[str, Any]) -> list[dict[str, str]]:
    made = []
    for key, (path, default) in _PATCHES.items():
        value = new.get(key, default)
        if changed(old, new, key) and value is not None:
            made.append(patch("replace", path, value))
    before, after = old.get("BinaryMediaTypes") or [], new.get("BinaryMediaTypes") or []
    made += [patch("remove", f"/binaryMediaTypes/{escaped(kind)}") for kind in before if kind not in after]
    made += [patch("add", f"/binaryMediaTypes/{escaped(kind)}") for kind in after if kind not in before]
    if changed(old, new, "EndpointConfiguration"):
        types = [(entry.get("EndpointConfiguration") or {}).get("Types") or ["EDGE"] for entry in (old, new)]
        if types[0] != types[1]:
            made.append(patch("replace", f"/endpointConfiguration/types/{types[0][0]}", types[1][0]))
    return made


def _api(apis: Any, api_id: str) -> Physical:
    pages = apis.get_paginator("get_resources").paginate(restApiId=api_id)
    items = [item for page in pages for item in page["items"]]
    root = next(item["id"] for item in items if item["path"] == "/")
    return Physical(api_id, {"RestApiId": api_id, "RootResourceId": root})


class Resource:
    """One part of a path. ``Ref`` is its id."""

    type = "AWS::ApiGateway::Resource"
    properties = frozenset({"ParentId", "PathPart", "RestApiId"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        made = call(context.client("apigateway"), "CreateResource", properties)["id"]
        return Physical(made, {"ResourceId": made})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        return Physical(physical_id, {"ResourceId": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        apis = context.client("apigateway")
        where = {"restApiId": properties["RestApiId"], "resourceId": physical_id}
        if found(lambda: apis.get_resource(**where), ABSENT):
            apis.delete_resource(**where)


_METHOD = (
    "ApiKeyRequired",
    "AuthorizationScopes",
    "AuthorizationType",
    "AuthorizerId",
    "OperationName",
    "RequestModels",
    "RequestParameters",
    "RequestValidatorId",
)
_WHERE = ("RestApiId", "ResourceId", "HttpMethod")


class Method:
    """A method of a resource, with its integration and responses."""

    type = "AWS::ApiGateway::Method"
    properties = frozenset({*_METHOD, *_WHERE, "Integration", "MethodResponses"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        apis = context.client("apigateway")
        where = pick(properties, _WHERE)
        settings = {"AuthorizationType": "NONE", **pick(properties, _METHOD)}
        call(apis, "PutMethod", settings, **where)
        physical_id = "|".join(where[key] for key in _WHERE)
        with or_else(lambda: self.delete(context, physical_id, properties)):
            for response in properties.get("MethodResponses") or []:
                call(apis, "PutMethodResponse", response, **where)
            if integration := properties.get("Integration"):
                self._integrate(apis, where, integration)
        return Physical(physical_id)

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        self.delete(context, physical_id, old)
        return self.create(context, new)

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        with unless_absent(ABSENT):
            call(context.client("apigateway"), "DeleteMethod", pick(properties, _WHERE))

    def _integrate(self, apis: Any, where: Mapping[str, Any], integration: Mapping[str, Any]) -> None:
        settings = omit(integration, "IntegrationResponses")
        call(apis, "PutIntegration", settings, **where)
        for response in integration.get("IntegrationResponses") or []:
            call(apis, "PutIntegrationResponse", response, **where)


class Account:
    """The role with which API Gateway writes logs in this region."""

    type = "AWS::ApiGateway::Account"
    properties = frozenset({"CloudWatchRoleArn"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        self._set(context, properties.get("CloudWatchRoleArn", ""))
        made = context.unique_name(64)
        return Physical(made, {"Id": made})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        self._set(context, new.get("CloudWatchRoleArn", ""))
        return Physical(physical_id, {"Id": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        """The setting belongs to the account, and outlives the stack as it does on AWS."""

    def _set(self, context: ResourceContext, role: str) -> None:
        operation = patch("replace", "/cloudwatchRoleArn", role)
        context.client("apigateway").update_account(patchOperations=[operation])


_AUTHORIZER = (
    "AuthType",
    "AuthorizerCredentials",
    "AuthorizerResultTtlInSeconds",
    "AuthorizerUri",
    "IdentitySource",
    "IdentityValidationExpression",
    "Name",
    "Type",
)


class Authorizer:
    """Who decides on callers of a REST API. ``Ref`` is its id."""

    type = "AWS::ApiGateway::Authorizer"
    properties = frozenset({*_AUTHORIZER, "ProviderARNs", "RestApiId"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Mapping[str, Any]) -> Physical:
        made = call(context.client("apigateway"), "CreateAuthorizer", properties)["id"]
        return Physical(made, {"AuthorizerId": made})

    def update(
        self, context: ResourceContext, physical_id: str, old: Mapping[str, Any], new: Mapping[str, Any]
    ) -> Physical:
        if changed(old, new, "ProviderARNs"):
            raise not_here("changing the user pools of an authorizer that exists")
        operations = [
            patch("replace", f"/{key[0].lower()}{key[1:]}", new.get(key, ""))
            for key in _AUTHORIZER
            if changed(old, new, key)
        ]
        context.client("apigateway").update_authorizer(
            restApiId=new["RestApiId"], authorizerId=physical_id, patchOperations=operations
        )
        return Physical(physical_id, {"AuthorizerId": physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Mapping[str, Any]) -> None:
        apis = context.client("apigateway")
        where = {"restApiId": properties["RestApiId"], "authorizerId": physical_id}
        if found(lambda: apis.get_authorizer(**where), ABSENT):
            apis.delete_authorizer(**where)


PROVIDERS = (RestApi(), Resource(), Method(), Account(), Authorizer())
