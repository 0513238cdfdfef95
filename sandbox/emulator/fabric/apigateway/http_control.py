"""The HTTP API operations that moto lacks or answers differently from API Gateway."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from moto.apigatewayv2.models import Api, ApiGatewayV2Backend, Stage, apigatewayv2_backends

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.apigateway import http_parameters, http_services
from sandbox.emulator.fabric.apigateway.deployments import Deployment, Deployments
from sandbox.emulator.fabric.apigateway.http_import import put_document
from sandbox.emulator.fabric.apigateway.model import Kind
from sandbox.emulator.fabric.apigateway.openapi import read_document

_STAGE_NAME = re.compile(r"\$default|[A-Za-z0-9_-]{1,128}")
_ROUTE_KEY = re.compile(r"(GET|PUT|POST|DELETE|OPTIONS|HEAD|PATCH|ANY) (/\S*)")
_CHANGES = (
    "UpdateApi",
    "DeleteCorsConfiguration",
    "DeleteRoute",
    "DeleteIntegration",
    "CreateIntegrationResponse",
    "UpdateIntegrationResponse",
    "CreateRouteResponse",
    "DeleteRouteResponse",
    "CreateAuthorizer",
    "UpdateAuthorizer",
    "DeleteAuthorizer",
)


class HttpControl:
    """Handlers of the ``apigatewayv2`` service."""

    def __init__(self, core: AccountCore, deployments: Deployments) -> None:
        self._core = core
        self._deployments = deployments

    def handlers(self) -> Handlers:
        """What it takes over from moto."""
        found: dict[str, Handler] = {
            "CreateApi": self._create_api,
            "ImportApi": self._import_api,
            "ReimportApi": self._reimport_api,
            "DeleteApi": self._delete_api,
            "CreateRoute": self._create_route,
            "UpdateRoute": self._update_route,
            "CreateIntegration": self._create_integration,
            "UpdateIntegration": self._update_integration,
            "DeleteIntegrationResponse": self._delete_integration_response,
            "CreateDeployment": self._create_deployment,
            "GetDeployment": self._get_deployment,
            "GetDeployments": self._get_deployments,
            "UpdateDeployment": self._update_deployment,
            "DeleteDeployment": self._delete_deployment,
            "CreateStage": self._create_stage,
            "GetStage": self._get_stage,
            "GetStages": self._get_stages,
            "UpdateStage": self._update_stage,
            "DeleteStage": self._delete_stage,
            "DeleteAccessLogSettings": self._delete_access_log_settings,
            "DeleteRouteSettings": self._delete_route_settings,
        }
        found |= {name: self._changing(self._core.moto) for name in _CHANGES}
        return {("apigatewayv2", name): self._locked(handler) for name, handler in found.items()}

    def _locked(self, handler: Handler) -> Handler:
        def locked(call: Call) -> dict[str, Any]:
            with self._core.dispatch_lock:
                if "ApiId" in call.params:
                    self._api(call)
                return handler(call)

        return locked

    def _changing(self, handler: Callable[[Call], dict[str, Any]]) -> Handler:
        """A handler after which stages that deploy by themselves are brought up to date."""

        def changing(call: Call) -> dict[str, Any]:
            result = handler(call)
            self._deployments.take_automatically(self._api(call), self._now())
            return result

        return changing

    def _create_api(self, call: Call) -> dict[str, Any]:
        params = dict(call.params)
        target, key = params.pop("Target", None), params.pop("RouteKey", None)
        credentials = params.pop("CredentialsArn", None)
        if key and not target:
            raise AwsError("BadRequestException", "Target is a required parameter when RouteKey is given")
        if params.get("ProtocolType") == "WEBSOCKET":
            return self._create_websocket(call, params, quick=bool(target))
        made = self._core.moto(replace(call, params=params))
        if target:
            self._quick_create(self._by_id(call, made["ApiId"]), target, key or "$default", credentials)
        return made

    def _create_websocket(self, call: Call, params: dict[str, Any], *, quick: bool) -> dict[str, Any]:
        if quick or params.get("CorsConfiguration"):
            raise AwsError(
                "BadRequestException", "Quick create and CORS are not supported for WebSocket protocol"
            )
        if not params.get("RouteSelectionExpression"):
            raise AwsError(
                "BadRequestException",
                "RouteSelectionExpression is a required parameter for WebSocket protocol",
            )
        made = self._core.moto(replace(call, params=params))
        api = self._by_id(call, made["ApiId"])
        api.api_endpoint = str(api.api_endpoint).replace("https://", "wss://")
        return self._describe_api(call, api.api_id)

    def _quick_create(self, api: Api, target: str, key: str, credentials: str | None) -> None:
        """An integration, a route that catches all, and a stage that deploys by itself."""
        proxy = target.startswith("arn:")
        integration = api.create_integration(
            connection_type="INTERNET",
            description="",
            integration_method="POST" if proxy else "ANY",
            integration_type="AWS_PROXY" if proxy else "HTTP_PROXY",
            integration_uri=target,
            credentials_arn=credentials,
            payload_format_version="2.0" if proxy else "1.0",
        )
        api.create_route(False, [], key, f"integrations/{integration.id}", authorization_type="NONE")
        api.create_stage({"stageName": "$default", "autoDeploy": True})
        self._deployments.take_automatically(api, self._now())

    def _import_api(self, call: Call) -> dict[str, Any]:
        document = read_document(call.params["Body"])
        title = (document.get("info") or {}).get("title")
        if not title:
            raise AwsError("BadRequestException", "Title is a required attribute of the info object")
        params = {"Name": str(title), "ProtocolType": "HTTP"}
        made = self._core.moto(replace(call, operation="CreateApi", params=params))
        try:
            put_document(self._by_id(call, made["ApiId"]), document)
        except AwsError:
            _backend(call).delete_api(made["ApiId"])
            raise
        return self._describe_api(call, made["ApiId"])

    def _reimport_api(self, call: Call) -> dict[str, Any]:
        api = self._api(call)
        put_document(api, read_document(call.params["Body"]))
        self._deployments.take_automatically(api, self._now())
        return self._describe_api(call, api.api_id)

    def _delete_api(self, call: Call) -> dict[str, Any]:
        return self._core.moto(call)

    def _create_route(self, call: Call) -> dict[str, Any]:
        api = self._api(call)
        self._check_route_key(api, call.params["RouteKey"])
        self._check_target(api, call.params.get("Target"))
        result = self._core.moto(call)
        self._deployments.take_automatically(api, self._now())
        return result

    def _update_route(self, call: Call) -> dict[str, Any]:
        api = self._api(call)
        key = call.params.get("RouteKey")
        route = api.routes.get(call.params["RouteId"])
        if key and route is not None and route.route_key != key:
            self._check_route_key(api, key)
        self._check_target(api, call.params.get("Target"))
        return self._changing(self._core.moto)(call)

    def _check_route_key(self, api: Api, key: str) -> None:
        if api.protocol_type == "HTTP" and key != "$default" and not _ROUTE_KEY.fullmatch(key):
            raise AwsError(
                "BadRequestException",
                "The provided route key is not formatted properly for HTTP protocol. Format should be "
                '"<HTTP METHOD> /<RESOURCE PATH>" or "$default"',
            )
        if any(route.route_key == key for route in api.routes.values()):
            raise AwsError("ConflictException", f"Route with key {key} already exists for this API", 409)

    def _check_target(self, api: Api, target: str | None) -> None:
        if target and target.removeprefix("integrations/") not in api.integrations:
            raise AwsError("BadRequestException", "Invalid integration identifier specified")

    def _create_integration(self, call: Call) -> dict[str, Any]:
        api, params = self._api(call), call.params
        kind, version = params.get("IntegrationType"), params.get("PayloadFormatVersion")
        if api.protocol_type == "HTTP":
            if kind not in ("AWS_PROXY", "HTTP_PROXY"):
                raise AwsError(
                    "BadRequestException", f"{kind} integration type is not supported for HTTP protocol"
                )
            if kind == "AWS_PROXY" and not version:
                raise AwsError(
                    "BadRequestException", "PayloadFormatVersion is a required parameter for integration"
                )
        if version and version not in ("1.0", "2.0"):
            raise AwsError("BadRequestException", f"Invalid payload format version {version}")
        self._check_parameters(api, params, params.get("IntegrationSubtype"))
        return self._changing(self._core.moto)(call)

    def _check_parameters(self, api: Api, params: dict[str, Any], subtype: str | None) -> None:
        given, answers = params.get("RequestParameters") or {}, params.get("ResponseParameters") or {}
        if api.protocol_type != "HTTP":
            return
        found = http_services.problem(subtype, given) if subtype else http_parameters.problem(given)
        for mapped in answers.values():
            found = found or http_parameters.problem(mapped, response=True)
        if found:
            raise AwsError("BadRequestException", found)

    def _update_integration(self, call: Call) -> dict[str, Any]:
        if call.params["IntegrationId"] not in self._api(call).integrations:
            raise AwsError(
                "NotFoundException",
                f"Invalid Integration identifier specified {call.params['IntegrationId']}",
                404,
            )
        present = self._api(call).integrations[call.params["IntegrationId"]].integration_subtype
        subtype = call.params.get("IntegrationSubtype") or present
        if call.params.get("RequestParameters") or call.params.get("ResponseParameters"):
            self._check_parameters(self._api(call), call.params, subtype)
        return self._changing(self._core.moto)(call)

    def _delete_integration_response(self, call: Call) -> dict[str, Any]:
        integration = self._api(call).integrations.get(call.params["IntegrationId"])
        wanted = call.params["IntegrationResponseId"]
        if integration is None or wanted not in integration.responses:
            raise AwsError(
                "NotFoundException", f"Invalid IntegrationResponse identifier specified {wanted}", 404
            )
        return self._changing(self._core.moto)(call)

    def _create_deployment(self, call: Call) -> dict[str, Any]:
        api, params = self._api(call), call.params
        name = params.get("StageName")
        if name and name not in api.stages:
            raise AwsError("NotFoundException", f"Invalid stage identifier specified {name}", 404)
        if not api.routes:
            raise AwsError("BadRequestException", "At least one route is required before deploying the Api.")
        deployment = self._deployments.take(
            Kind.HTTP, api, self._now(), description=params.get("Description") or ""
        )
        if name:
            self._deployments.served(api)[name] = deployment.id
        return _describe_deployment(deployment)

    def _get_deployment(self, call: Call) -> dict[str, Any]:
        return _describe_deployment(self._deployment(call))

    def _get_deployments(self, call: Call) -> dict[str, Any]:
        found = self._deployments.of(self._api(call)).values()
        return {"Items": [_describe_deployment(item) for item in reversed(list(found))]}

    def _update_deployment(self, call: Call) -> dict[str, Any]:
        deployment = self._deployment(call)
        deployment.description = call.params.get("Description", deployment.description)
        return _describe_deployment(deployment)

    def _delete_deployment(self, call: Call) -> dict[str, Any]:
        api, deployment = self._api(call), self._deployment(call)
        if deployment.id in self._deployments.served(api).values():
            raise AwsError("BadRequestException", "Cannot delete a deployment that a stage is using")
        del self._deployments.of(api)[deployment.id]
        return {}

    def _create_stage(self, call: Call) -> dict[str, Any]:
        api, params = self._api(call), call.params
        name = params["StageName"]
        if not _STAGE_NAME.fullmatch(name):
            raise AwsError("BadRequestException", f"Invalid stage name: {name}")
        if name in api.stages:
            raise AwsError("ConflictException", "Stage already exists", 409)
        self._check_deployment(api, params)
        stage = api.create_stage(_stage_config(params))
        self._deploy_stage(api, stage, params)
        return self._describe_stage(api, stage)

    def _get_stage(self, call: Call) -> dict[str, Any]:
        return self._describe_stage(self._api(call), self._stage(call))

    def _get_stages(self, call: Call) -> dict[str, Any]:
        api = self._api(call)
        return {"Items": [self._describe_stage(api, stage) for stage in api.stages.values()]}

    def _update_stage(self, call: Call) -> dict[str, Any]:
        api, stage, params = self._api(call), self._stage(call), call.params
        self._check_deployment(api, params)
        given = _stage_config(params)
        names = {
            "accessLogSettings": "access_log_settings",
            "autoDeploy": "auto_deploy",
            "clientCertificateId": "client_certificate_id",
            "defaultRouteSettings": "default_route_settings",
            "description": "description",
        }
        for key, attribute in names.items():
            if key in given:
                setattr(stage, attribute, given[key])
        stage.stage_variables = _merged(stage.stage_variables, given.get("stageVariables"))
        stage.route_settings = _merged(stage.route_settings, given.get("routeSettings"))
        stage.updated = self._now()
        self._deploy_stage(api, stage, params)
        return self._describe_stage(api, stage)

    def _check_deployment(self, api: Api, params: dict[str, Any]) -> None:
        wanted = params.get("DeploymentId")
        if wanted and wanted not in self._deployments.of(api):
            raise AwsError("NotFoundException", f"Invalid deployment identifier specified {wanted}", 404)

    def _deploy_stage(self, api: Api, stage: Stage, params: dict[str, Any]) -> None:
        if params.get("DeploymentId"):
            self._deployments.served(api)[stage.name] = params["DeploymentId"]
        if params.get("AutoDeploy"):
            self._deployments.take_automatically(api, self._now())

    def _delete_stage(self, call: Call) -> dict[str, Any]:
        api, stage = self._api(call), self._stage(call)
        api.delete_stage(stage.name)
        self._deployments.served(api).pop(stage.name, None)
        return {}

    def _delete_access_log_settings(self, call: Call) -> dict[str, Any]:
        self._stage(call).access_log_settings = None
        return {}

    def _delete_route_settings(self, call: Call) -> dict[str, Any]:
        self._stage(call).route_settings.pop(call.params["RouteKey"], None)
        return {}

    def _describe_api(self, call: Call, api_id: str) -> dict[str, Any]:
        return self._core.moto(replace(call, operation="GetApi", params={"ApiId": api_id}))

    def _describe_stage(self, api: Api, stage: Stage) -> dict[str, Any]:
        deployment = self._deployments.served(api).get(stage.name)
        found: dict[str, Any] = {
            "StageName": stage.name,
            "AutoDeploy": bool(stage.auto_deploy),
            "CreatedDate": _utc(stage.created),
            "LastUpdatedDate": _utc(stage.updated),
            "DefaultRouteSettings": _capitals(stage.default_route_settings or {}),
            "RouteSettings": {key: _capitals(value) for key, value in (stage.route_settings or {}).items()},
            "StageVariables": dict(stage.stage_variables or {}),
            "Tags": dict(stage.tags or {}),
        }
        if stage.access_log_settings:
            found["AccessLogSettings"] = _capitals(stage.access_log_settings)
        if stage.description:
            found["Description"] = stage.description
        if deployment:
            found["DeploymentId"] = deployment
            if stage.auto_deploy:
                found["LastDeploymentStatusMessage"] = (
                    f"Successfully deployed stage with deployment ID '{deployment}'"
                )
        return found

    def _by_id(self, call: Call, api_id: str) -> Api:
        found = _backend(call).apis.get(api_id)
        if found is None:
            raise AwsError("NotFoundException", f"Invalid API identifier specified {api_id}", 404)
        return found

    def _api(self, call: Call) -> Api:
        return self._by_id(call, call.params["ApiId"])

    def _stage(self, call: Call) -> Stage:
        found = self._api(call).stages.get(call.params["StageName"])
        if found is None:
            raise AwsError("NotFoundException", "Invalid stage identifier specified", 404)
        return found

    def _deployment(self, call: Call) -> Deployment:
        found = self._deployments.of(self._api(call)).get(call.params["DeploymentId"])
        if found is None:
            raise AwsError(
                "NotFoundException",
                f"Invalid deployment identifier specified {call.params['DeploymentId']}",
                404,
            )
        return found

    def _now(self) -> dt.datetime:
        return self._core.clock.now()


def _backend(call: Call) -> ApiGatewayV2Backend:
    return apigatewayv2_backends[call.account_id][call.region]


def _describe_deployment(deployment: Deployment) -> dict[str, Any]:
    found: dict[str, Any] = {
        "DeploymentId": deployment.id,
        "DeploymentStatus": "DEPLOYED",
        "CreatedDate": deployment.created,
        "AutoDeployed": deployment.automatic,
    }
    return found | ({"Description": deployment.description} if deployment.description else {})


def _stage_config(params: dict[str, Any]) -> dict[str, Any]:
    """A stage's parameters under the names that moto's store has for them."""
    config = {_lower(name): value for name, value in params.items() if name != "ApiId"}
    for name in ("accessLogSettings", "defaultRouteSettings"):
        if name in config:
            config[name] = {_lower(key): value for key, value in config[name].items()}
    if "routeSettings" in config:
        config["routeSettings"] = {
            route: {_lower(key): value for key, value in settings.items()}
            for route, settings in config["routeSettings"].items()
        }
    return config


def _merged(known: dict[str, Any] | None, given: dict[str, Any] | None) -> dict[str, Any]:
    """Names given are set, names given as nothing are dropped, all others stay."""
    merged = {**(known or {}), **(given or {})}
    return {name: value for name, value in merged.items() if value != ""}


def _lower(name: str) -> str:
    return name[0].lower() + name[1:]


def _capitals(found: dict[str, Any]) -> dict[str, Any]:
    return {key[0].upper() + key[1:]: value for key, value in found.items()}


def _utc(moment: dt.datetime) -> dt.datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=dt.UTC)
