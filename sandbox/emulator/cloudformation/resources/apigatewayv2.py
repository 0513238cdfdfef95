"""AWS::ApiGatewayV2: HTTP APIs, from a document or piece by piece, and WebSocket APIs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.resources.apigateway import fetch
from sandbox.emulator.cloudformation.resources.base import Physical, ResourceContext
from sandbox.emulator.cloudformation.resources.convert import (
    call,
    changed,
    omit,
    or_else,
    pick,
    retag,
    stale,
    tags,
    text,
    unless_absent,
)

Properties = Mapping[str, Any]
_ABSENT = "NotFoundException"
_API = (
    "ApiKeySelectionExpression",
    "CorsConfiguration",
    "Description",
    "DisableExecuteApiEndpoint",
    "DisableSchemaValidation",
    "IpAddressType",
    "Name",
    "RouteSelectionExpression",
    "Version",
)
_QUICK = ("CredentialsArn", "RouteKey", "Target")
_API_DEFAULTS = {"Description": "", "DisableExecuteApiEndpoint": False, "Version": ""}


class Api:
    """An HTTP or WebSocket API. ``Ref`` is its id."""

    type = "AWS::ApiGatewayV2::Api"
    properties = frozenset(
        {*_API, *_QUICK, "Body", "BodyS3Location", "FailOnWarnings", "ProtocolType", "Tags"}
    )
    replaces = frozenset(_QUICK)

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        apis = context.client("apigatewayv2")
        labels = tags(context, properties.get("Tags"))
        body = _document(context, properties)
        if body is None:
            settings = pick(properties, (*_API, *_QUICK, "ProtocolType"))
            return _api(context, call(apis, "CreateApi", settings, Tags=labels))
        settings = pick(properties, ("FailOnWarnings",))
        made = call(apis, "ImportApi", settings, Body=body)
        with or_else(lambda: apis.delete_api(ApiId=made["ApiId"])):
            self._overrule(apis, made["ApiId"], properties)
            apis.tag_resource(ResourceArn=_arn(context, made["ApiId"]), Tags=labels)
        return _api(context, made)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        apis = context.client("apigatewayv2")
        body = _document(context, new)
        if body is not None and changed(old, new, "Body", "BodyS3Location", "FailOnWarnings", *_API):
            settings = pick(new, ("FailOnWarnings",))
            call(apis, "ReimportApi", settings, ApiId=physical_id, Body=body)
            self._overrule(apis, physical_id, new)
        elif changed(old, new, *_API):
            if changed(old, new, "CorsConfiguration") and not new.get("CorsConfiguration"):
                apis.delete_cors_configuration(ApiId=physical_id)
            self._overrule(apis, physical_id, {**_API_DEFAULTS, **new})
        before, after = (tags(context, given.get("Tags")) for given in (old, new))
        retag(apis, _arn(context, physical_id), before, after)
        return _api(context, apis.get_api(ApiId=physical_id))

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(_ABSENT):
            context.client("apigatewayv2").delete_api(ApiId=physical_id)

    def _overrule(self, apis: Any, api_id: str, properties: Properties) -> None:
        """What the template says outside of the document wins."""
        if settings := pick(properties, _API):
            call(apis, "UpdateApi", settings, ApiId=api_id)


def _document(context: ResourceContext, properties: Properties) -> str | None:
    if (body := properties.get("Body")) is not None:
        return text(body)
    if (where := properties.get("BodyS3Location")) is None:
        return None
    return fetch(context, where).decode()


def _api(context: ResourceContext, made: Properties) -> Physical:
    api_id = made["ApiId"]
    where = f"arn:{context.partition}:execute-api:{context.region}:{context.account_id}"
    return Physical(
        api_id,
        {"ApiEndpoint": made["ApiEndpoint"], "ApiId": api_id, "ExecuteApiArn": f"{where}:{api_id}"},
    )


def _arn(context: ResourceContext, api_id: str) -> str:
    return f"arn:{context.partition}:apigateway:{context.region}::/apis/{api_id}"


_STAGE = (
    "AccessLogSettings",
    "AutoDeploy",
    "DefaultRouteSettings",
    "DeploymentId",
    "Description",
    "RouteSettings",
    "StageVariables",
)


class Stage:
    """A name under which an API answers. ``Ref`` is that name."""

    type = "AWS::ApiGatewayV2::Stage"
    properties = frozenset({*_STAGE, "ApiId", "StageName", "Tags"})
    replaces: frozenset[str] = frozenset()

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        labels = tags(context, properties.get("Tags"))
        call(context.client("apigatewayv2"), "CreateStage", omit(properties, "Tags"), Tags=labels)
        return Physical(properties["StageName"])

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        apis = context.client("apigatewayv2")
        before, after = (tags(context, given.get("Tags")) for given in (old, new))
        retag(apis, f"{_arn(context, new['ApiId'])}/stages/{physical_id}", before, after)
        where = {"ApiId": new["ApiId"], "StageName": physical_id}
        if old.get("AccessLogSettings") and not new.get("AccessLogSettings"):
            apis.delete_access_log_settings(**where)
        for route in stale(old.get("RouteSettings") or {}, new.get("RouteSettings") or {}):
            apis.delete_route_settings(**where, RouteKey=route)
        # A variable is taken away by making it empty.
        gone = stale(old.get("StageVariables") or {}, new.get("StageVariables") or {})
        settings = {"Description": "", "AutoDeploy": False, **pick(new, _STAGE)}
        if "DefaultRouteSettings" in old:
            settings.setdefault("DefaultRouteSettings", {})
        if gone:
            settings["StageVariables"] = {**(new.get("StageVariables") or {}), **dict.fromkeys(gone, "")}
        call(apis, "UpdateStage", settings, **where)
        return Physical(physical_id)

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        with unless_absent(_ABSENT):
            context.client("apigatewayv2").delete_stage(ApiId=properties["ApiId"], StageName=physical_id)


class _Part:
    """What belongs to an API and has an id of its own there, which ``Ref`` gives."""

    replaces: frozenset[str] = frozenset()

    def __init__(self, kind: str, *properties: str) -> None:
        self.type = f"AWS::ApiGatewayV2::{kind}"
        self.properties = frozenset({"ApiId", *properties})
        self._kind = kind
        self._id = f"{kind}Id"

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        made = call(context.client("apigatewayv2"), f"Create{self._kind}", properties)[self._id]
        return Physical(made, {self._id: made})

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        settings = {**new, self._id: physical_id}
        call(context.client("apigatewayv2"), f"Update{self._kind}", settings)
        return Physical(physical_id, {self._id: physical_id})

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        where = {"ApiId": properties["ApiId"], self._id: physical_id}
        with unless_absent(_ABSENT):
            call(context.client("apigatewayv2"), f"Delete{self._kind}", where)


class Integration(_Part):
    """What an HTTP API's routes call."""

    def __init__(self) -> None:
        super().__init__("Integration", *_INTEGRATION)

    def create(self, context: ResourceContext, properties: Properties) -> Physical:
        return super().create(context, _flattened(properties))

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        return super().update(context, physical_id, old, _flattened(new))


def _flattened(properties: Properties) -> Properties:
    """Response parameters as the API has them: a template lists what it maps, the API maps it."""
    given = properties.get("ResponseParameters")
    if not given:
        return properties
    made = {}
    for status, entry in given.items():
        listed = entry.get("ResponseParameters") if isinstance(entry, Mapping) else None
        if listed is None:
            made[status] = entry
        else:
            made[status] = {each["Destination"]: each["Source"] for each in listed}
    return {**properties, "ResponseParameters": made}


_INTEGRATION = (
    "ConnectionId",
    "ConnectionType",
    "ContentHandlingStrategy",
    "CredentialsArn",
    "Description",
    "IntegrationMethod",
    "IntegrationSubtype",
    "IntegrationType",
    "IntegrationUri",
    "PassthroughBehavior",
    "PayloadFormatVersion",
    "RequestParameters",
    "RequestTemplates",
    "ResponseParameters",
    "TemplateSelectionExpression",
    "TimeoutInMillis",
    "TlsConfig",
)
ROUTE = _Part(
    "Route",
    "ApiKeyRequired",
    "AuthorizationScopes",
    "AuthorizationType",
    "AuthorizerId",
    "ModelSelectionExpression",
    "OperationName",
    "RequestModels",
    "RequestParameters",
    "RouteKey",
    "RouteResponseSelectionExpression",
    "Target",
)
AUTHORIZER = _Part(
    "Authorizer",
    "AuthorizerCredentialsArn",
    "AuthorizerPayloadFormatVersion",
    "AuthorizerResultTtlInSeconds",
    "AuthorizerType",
    "AuthorizerUri",
    "EnableSimpleResponses",
    "IdentitySource",
    "IdentityValidationExpression",
    "JwtConfiguration",
    "Name",
)


MODEL = _Part("Model", "ContentType", "Description", "Name", "Schema")


class _Response(_Part):
    """What belongs to a route or an integration, and has its id there."""

    def __init__(self, kind: str, owner: str, *properties: str) -> None:
        super().__init__(kind, owner, *properties)
        self._owner = owner

    def delete(self, context: ResourceContext, physical_id: str, properties: Properties) -> None:
        where = {name: properties[name] for name in ("ApiId", self._owner)} | {self._id: physical_id}
        with unless_absent(_ABSENT):
            call(context.client("apigatewayv2"), f"Delete{self._kind}", where)


class RouteResponse(_Response):
    """Lets what a WebSocket API's route gives go back to the client."""

    def __init__(self) -> None:
        names = ("ModelSelectionExpression", "ResponseModels", "ResponseParameters", "RouteResponseKey")
        super().__init__("RouteResponse", "RouteId", *names)

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        self.delete(context, physical_id, old)
        return self.create(context, new)


class IntegrationResponse(_Response):
    """How a WebSocket API's integration that is no proxy answers."""

    def __init__(self) -> None:
        super().__init__(
            "IntegrationResponse",
            "IntegrationId",
            "ContentHandlingStrategy",
            "IntegrationResponseKey",
            "ResponseParameters",
            "ResponseTemplates",
            "TemplateSelectionExpression",
        )


class Deployment(_Part):
    """An API as it was at that moment; with ``StageName`` that stage serves it."""

    def __init__(self) -> None:
        super().__init__("Deployment", "Description", "StageName")

    def update(
        self, context: ResourceContext, physical_id: str, old: Properties, new: Properties
    ) -> Physical:
        apis = context.client("apigatewayv2")
        if changed(old, new, "Description"):
            apis.update_deployment(
                ApiId=new["ApiId"], DeploymentId=physical_id, Description=new.get("Description", "")
            )
        if changed(old, new, "StageName") and new.get("StageName"):
            apis.update_stage(ApiId=new["ApiId"], StageName=new["StageName"], DeploymentId=physical_id)
        return Physical(physical_id, {"DeploymentId": physical_id})


PROVIDERS = (
    Api(),
    Stage(),
    Integration(),
    ROUTE,
    AUTHORIZER,
    MODEL,
    RouteResponse(),
    IntegrationResponse(),
    Deployment(),
)
