"""The REST API operations that moto lacks or answers differently from API Gateway."""

from __future__ import annotations

import datetime as dt
from typing import Any

from moto.apigateway.models import APIGatewayBackend, RestAPI, Stage, apigateway_backends
from moto.apigateway.models import Deployment as MotoDeployment

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.apigateway import canaries, rest_patch
from sandbox.emulator.fabric.apigateway.caching import ResponseCaches
from sandbox.emulator.fabric.apigateway.deployments import Deployment, Deployments
from sandbox.emulator.fabric.apigateway.model import Kind
from sandbox.emulator.fabric.apigateway.openapi import read_document
from sandbox.emulator.fabric.apigateway.rest_import import put_document


class RestControl:
    """Handlers of the ``apigateway`` service."""

    def __init__(self, core: AccountCore, deployments: Deployments, caches: ResponseCaches) -> None:
        self._core = core
        self._caches = caches
        self._deployments = deployments

    def handlers(self) -> Handlers:
        """What it takes over from moto."""
        found: dict[str, Handler] = {
            "CreateRestApi": self._create_api,
            "ImportRestApi": self._import_api,
            "PutRestApi": self._put_api,
            "UpdateRestApi": self._update_api,
            "DeleteRestApi": self._delete_api,
            "CreateAuthorizer": self._create_authorizer,
            "CreateResource": self._create_resource,
            "UpdateMethod": self._update_method,
            "PutIntegration": self._put_integration,
            "UpdateIntegration": self._update_integration,
            "CreateDeployment": self._create_deployment,
            "GetDeployment": self._get_deployment,
            "GetDeployments": self._get_deployments,
            "UpdateDeployment": self._update_deployment,
            "DeleteDeployment": self._delete_deployment,
            "CreateStage": self._create_stage,
            "GetStage": self._get_stage,
            "GetStages": self._get_stages,
            "UpdateStage": self._update_stage,
            "FlushStageCache": self._flush_cache,
        }
        return {("apigateway", name): self._locked(handler) for name, handler in found.items()}

    def _locked(self, handler: Handler) -> Handler:
        def locked(call: Call) -> dict[str, Any]:
            with self._core.dispatch_lock:
                return handler(call)

        return locked

    def _create_api(self, call: Call) -> dict[str, Any]:
        if call.params.get("cloneFrom"):
            raise AwsError("NotEmulated", "Cloning a REST API is not emulated. This is our gap.", 501)
        made = self._core.moto(call)
        api = self._api(call, made["id"])
        api.binaryMediaTypes = list(call.params.get("binaryMediaTypes") or [])
        api.version = call.params.get("version") or None
        return describe_api(api)

    def _import_api(self, call: Call) -> dict[str, Any]:
        document = read_document(call.params["body"])
        backend = _backend(call)
        title = (document.get("info") or {}).get("title")
        if not title:
            raise AwsError("BadRequestException", "Unable to create REST API: the API has no title.")
        types = str((call.params.get("parameters") or {}).get("endpointConfigurationTypes") or "EDGE")
        api = backend.create_rest_api(title, "", endpoint_configuration={"types": types.split(",")})
        try:
            put_document(backend, api, document, overwrite=True)
        except AwsError:
            backend.delete_rest_api(api.id)
            raise
        return describe_api(api)

    def _put_api(self, call: Call) -> dict[str, Any]:
        api = self._api(call, call.params["restApiId"])
        mode = call.params.get("mode") or "merge"
        if mode not in ("merge", "overwrite"):
            raise AwsError(
                "BadRequestException",
                'Enumeration value of OpenAPI import mode must be "overwrite" or "merge"',
            )
        document = read_document(call.params["body"])
        put_document(_backend(call), api, document, overwrite=mode == "overwrite")
        return describe_api(api)

    def _update_api(self, call: Call) -> dict[str, Any]:
        api = self._api(call, call.params["restApiId"])
        rest_patch.patch_api(api, call.params.get("patchOperations") or [])
        return describe_api(api)

    def _delete_api(self, call: Call) -> dict[str, Any]:
        self._api(call, call.params["restApiId"])
        _backend(call).delete_rest_api(call.params["restApiId"])
        return {}

    def _create_authorizer(self, call: Call) -> dict[str, Any]:
        """moto loses what a token has to look like."""
        made = self._core.moto(call)
        pattern = call.params.get("identityValidationExpression")
        if pattern:
            authorizer = self._api(call, call.params["restApiId"]).authorizers[made["id"]]
            authorizer.identity_validation_expression = pattern
            made["identityValidationExpression"] = pattern
        return made

    def _create_resource(self, call: Call) -> dict[str, Any]:
        api = self._api(call, call.params["restApiId"])
        part = call.params["pathPart"]
        if call.params["parentId"] not in api.resources:
            raise AwsError("NotFoundException", "Invalid Resource identifier specified", 404)
        siblings = [item for item in api.resources.values() if item.parent_id == call.params["parentId"]]
        if any(item.path_part == part for item in siblings):
            raise AwsError(
                "ConflictException",
                f"Another resource with the same parent already has this name: {part}",
                409,
            )
        return self._core.moto(call)

    def _update_method(self, call: Call) -> dict[str, Any]:
        method = self._method(call)
        rest_patch.patch_method(method, call.params.get("patchOperations") or [])
        return self._core.moto(_as(call, "GetMethod"))

    def _put_integration(self, call: Call) -> dict[str, Any]:
        """moto loses which parameters tell cached answers apart."""
        made = self._core.moto(call)
        keys = list(call.params.get("cacheKeyParameters") or [])
        if keys and (integration := self._method(call).method_integration) is not None:
            integration.cache_key_parameters = keys
        return {**made, **({"cacheKeyParameters": keys} if keys else {})}

    def _update_integration(self, call: Call) -> dict[str, Any]:
        integration = self._method(call).method_integration
        if integration is None:
            raise AwsError("NotFoundException", "Invalid Integration identifier specified", 404)
        rest_patch.patch_integration(integration, call.params.get("patchOperations") or [])
        return self._core.moto(_as(call, "GetIntegration"))

    def _create_deployment(self, call: Call) -> dict[str, Any]:
        params = call.params
        api = self._api(call, params["restApiId"])
        methods = [method for item in api.resources.values() for method in item.resource_methods.values()]
        if not methods:
            raise AwsError("BadRequestException", "The REST API doesn't contain any methods")
        if any(method.method_integration is None for method in methods):
            raise AwsError("BadRequestException", "No integration defined for method")
        name = params.get("stageName") or ""
        canary = params.get("canarySettings")
        if canary is not None:
            canaries.begin(api.stages, name)
        elif name in api.stages and canaries.settings(api.stages[name]):
            raise AwsError(
                "BadRequestException",
                f"Stage {name} has a canary: deploy with canarySettings, or remove the canary first",
            )
        deployment = self._deployments.take(
            Kind.REST, api, self._now(), description=params.get("description") or ""
        )
        known = MotoDeployment(deployment.id, name, deployment.description)
        api.deployments[deployment.id] = known
        if canary is not None:
            try:
                canaries.set_canary(api.stages[name], canary, deployment.id, self._deployments.of(api))
            except AwsError:
                self._forget(api, deployment)
                raise
            api.stages[name].updated_at = self._now()
        elif name and name in api.stages:
            api.stages[name].deployment_id = deployment.id
            api.stages[name].variables.update(params.get("variables") or {})
        elif name:
            stage = Stage(
                name,
                deployment.id,
                variables=dict(params.get("variables") or {}),
                description=params.get("stageDescription") or "",
                tracing_enabled=params.get("tracingEnabled"),
            )
            self._stamp(stage)
            api.stages[name] = stage
        return _describe_deployment(deployment)

    def _get_deployment(self, call: Call) -> dict[str, Any]:
        return _describe_deployment(self._deployment(call))

    def _get_deployments(self, call: Call) -> dict[str, Any]:
        api = self._api(call, call.params["restApiId"])
        return {"items": [_describe_deployment(item) for item in self._deployments.of(api).values()]}

    def _update_deployment(self, call: Call) -> dict[str, Any]:
        deployment = self._deployment(call)
        for operation in call.params.get("patchOperations") or []:
            if operation.get("path") != "/description" or operation.get("op") != "replace":
                raise rest_patch.bad_path(operation)
            deployment.description = operation.get("value") or ""
        return _describe_deployment(deployment)

    def _delete_deployment(self, call: Call) -> dict[str, Any]:
        deployment = self._deployment(call)
        api = self._api(call, call.params["restApiId"])
        served = {stage.deployment_id for stage in api.stages.values()}
        served |= {(canaries.settings(stage) or {}).get("deploymentId") for stage in api.stages.values()}
        if deployment.id in served:
            raise AwsError(
                "BadRequestException",
                "Active stages pointing to this deployment must be moved or deleted",
            )
        self._forget(api, deployment)
        return {}

    def _forget(self, api: RestAPI, deployment: Deployment) -> None:
        del self._deployments.of(api)[deployment.id]
        api.deployments.pop(deployment.id, None)

    def _create_stage(self, call: Call) -> dict[str, Any]:
        params = call.params
        api = self._api(call, params["restApiId"])
        if params["deploymentId"] not in self._deployments.of(api):
            raise AwsError("BadRequestException", "Deployment id does not exist")
        self._core.moto(call)
        stage = api.stages[params["stageName"]]
        if canary := params.get("canarySettings"):
            try:
                canaries.set_canary(stage, canary, params["deploymentId"], self._deployments.of(api))
            except AwsError:
                del api.stages[params["stageName"]]
                raise
        self._stamp(stage)
        stage.documentation_version = params.get("documentationVersion")
        return describe_stage(stage)

    def _get_stage(self, call: Call) -> dict[str, Any]:
        return describe_stage(self._stage(call))

    def _get_stages(self, call: Call) -> dict[str, Any]:
        api = self._api(call, call.params["restApiId"])
        wanted = call.params.get("deploymentId")
        stages = [stage for stage in api.stages.values() if not wanted or stage.deployment_id == wanted]
        return {"item": [describe_stage(stage) for stage in stages]}

    def _update_stage(self, call: Call) -> dict[str, Any]:
        stage = self._stage(call)
        api = self._api(call, call.params["restApiId"])
        deployed = self._deployments.of(api)
        rest_patch.patch_stage(stage, call.params.get("patchOperations") or [], deployed)
        stage.updated_at = self._now()
        return describe_stage(stage)

    def _flush_cache(self, call: Call) -> dict[str, Any]:
        stage = self._stage(call)
        self._caches.flush(call.params["restApiId"], str(stage.name))
        return {}

    def _api(self, call: Call, api_id: str) -> RestAPI:
        found = _backend(call).apis.get(api_id)
        if found is None:
            raise AwsError(
                "NotFoundException", f"Invalid API identifier specified {call.account_id}:{api_id}", 404
            )
        return found

    def _stage(self, call: Call) -> Stage:
        found = self._api(call, call.params["restApiId"]).stages.get(call.params["stageName"])
        if found is None:
            raise AwsError("NotFoundException", "Invalid stage identifier specified", 404)
        return found

    def _deployment(self, call: Call) -> Deployment:
        api = self._api(call, call.params["restApiId"])
        found = self._deployments.of(api).get(call.params["deploymentId"])
        if found is None:
            raise AwsError("NotFoundException", "Invalid Deployment identifier specified", 404)
        return found

    def _method(self, call: Call) -> Any:
        api = self._api(call, call.params["restApiId"])
        resource = api.resources.get(call.params["resourceId"])
        if resource is None:
            raise AwsError("NotFoundException", "Invalid Resource identifier specified", 404)
        found = resource.resource_methods.get(call.params["httpMethod"])
        if found is None:
            raise AwsError("NotFoundException", "Invalid Method identifier specified", 404)
        return found

    def _stamp(self, stage: Stage) -> None:
        stage.created_at = stage.updated_at = self._now()

    def _now(self) -> dt.datetime:
        return self._core.clock.now()


def describe_api(api: RestAPI) -> dict[str, Any]:
    """A REST API as API Gateway describes it."""
    found = {name: value for name, value in api.to_dict().items() if value not in (None, [], {}, "")}
    found["createdDate"] = dt.datetime.fromtimestamp(api.create_date, dt.UTC)
    found["disableExecuteApiEndpoint"] = rest_patch.is_true(api.disableExecuteApiEndpoint)
    return found


def describe_stage(stage: Stage) -> dict[str, Any]:
    """A stage as API Gateway describes it."""
    found = {name: value for name, value in stage.to_json().items() if value not in (None, "")}
    found.setdefault("cacheClusterStatus", "NOT_AVAILABLE")
    found["cacheClusterEnabled"] = bool(stage.cache_cluster_enabled)
    found["tracingEnabled"] = bool(stage.tracing_enabled)
    if getattr(stage, "documentation_version", None):
        found["documentationVersion"] = stage.documentation_version
    if canary := canaries.settings(stage):
        found["canarySettings"] = canary
    if hasattr(stage, "created_at"):
        found |= {"createdDate": stage.created_at, "lastUpdatedDate": stage.updated_at}
    return found


def _describe_deployment(deployment: Deployment) -> dict[str, Any]:
    found = {"id": deployment.id, "createdDate": deployment.created}
    return found | ({"description": deployment.description} if deployment.description else {})


def _backend(call: Call) -> APIGatewayBackend:
    return apigateway_backends[call.account_id][call.region]


def _as(call: Call, operation: str) -> Call:
    params = {name: call.params[name] for name in ("restApiId", "resourceId", "httpMethod")}
    return Call(
        call.service,
        operation,
        params,
        call.principal,
        call.account_id,
        call.region,
        call.request_id,
        call.environment_id,
    )
