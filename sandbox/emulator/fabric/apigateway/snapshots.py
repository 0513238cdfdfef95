"""Takes an API out of moto's store as the plain values that requests are answered from."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from moto.apigateway.models import Integration as RestIntegration
from moto.apigateway.models import RestAPI
from moto.apigatewayv2.models import Api as HttpApi

from sandbox.emulator.fabric.apigateway.http_services import SUBTYPES
from sandbox.emulator.fabric.apigateway.model import (
    Authorizer,
    AuthorizerKind,
    Cors,
    GatewayResponse,
    Integration,
    IntegrationResponse,
    Route,
    Snapshot,
    Validation,
)


def snapshot_rest(api: RestAPI) -> Snapshot:
    """A REST API as it stands. Call with the dispatch lock held."""
    authorizers = {found.id: _rest_authorizer(found) for found in api.authorizers.values()}
    routes = tuple(
        Route(
            method=name,
            path=resource.get_path(),
            integration=_rest_integration(method.method_integration),
            authorization=method.authorization_type or "NONE",
            api_key_required=bool(method.api_key_required),
            resource_id=resource.id,
            authorizer=authorizers.get(method.authorizer_id or ""),
            scopes=tuple(method.authorization_scopes or ()),
            validation=_validation(api, method),
        )
        for resource in api.resources.values()
        for name, method in resource.resource_methods.items()
    )
    return Snapshot(
        routes,
        binary_media_types=tuple(kind.lower() for kind in api.binaryMediaTypes),
        disabled=is_true(api.disableExecuteApiEndpoint),
        policy=api.policy or "",
        responses={name: _gateway_response(found) for name, found in api.gateway_responses.items()},
    )


def snapshot_http(api: HttpApi) -> Snapshot:
    """An HTTP API as it stands. Call with the dispatch lock held."""
    websocket = api.protocol_type == "WEBSOCKET"
    read = _websocket_integration if websocket else _http_integration
    integrations = {found.id: read(found) for found in api.integrations.values()}
    authorizers = {found.id: _http_authorizer(found) for found in api.authorizers.values()}
    routes = []
    for route in api.routes.values():
        method, _, path = route.route_key.partition(" ")
        if websocket:
            method, path = "", route.route_key
        elif not path:
            method, path = "ANY", "$default"
        routes.append(
            Route(
                method=method,
                path=path,
                integration=integrations.get((route.target or "").removeprefix("integrations/")),
                authorization=route.authorization_type or "NONE",
                api_key_required=is_true(route.api_key_required),
                resource_id=route.route_id,
                authorizer=authorizers.get(route.authorizer_id or ""),
                scopes=tuple(route.authorization_scopes or ()),
                replies=bool(route.route_response_selection_expression and route.route_responses),
            )
        )
    return Snapshot(
        tuple(routes),
        cors=_cors(api.cors_configuration),
        disabled=is_true(api.disable_execute_api_endpoint),
        selection=api.route_selection_expression if websocket else "",
    )


def is_true(value: Any) -> bool:
    """A boolean that a client may have sent as text."""
    return str(value).lower() == "true"


def _rest_authorizer(found: Any) -> Authorizer:
    ttl = found.authorizer_result_ttl
    return Authorizer(
        id=found.id,
        kind=AuthorizerKind(found.type),
        uri=found.authorizer_uri or "",
        credentials=found.authorizer_credentials or "",
        sources=tuple(part.strip() for part in (found.identity_source or "").split(",") if part.strip()),
        pattern=found.identity_validation_expression or "",
        ttl_s=300 if ttl is None else int(ttl),
        pools=tuple(arn.rsplit("/", 1)[-1] for arn in found.provider_arns or ()),
    )


def _http_authorizer(found: Any) -> Authorizer:
    sources = found.identity_source or ()
    jwt = found.jwt_config or {}
    return Authorizer(
        id=found.id,
        kind=AuthorizerKind(found.authorizer_type),
        uri=found.authorizer_uri or "",
        credentials=found.auth_creds_arn or "",
        sources=tuple(sources.split(",") if isinstance(sources, str) else sources),
        ttl_s=int(found.auth_result_ttl or 0),
        payload_version=found.auth_payload_format_version or "1.0",
        simple=is_true(found.enable_simple_response),
        issuer=str(jwt.get("issuer") or jwt.get("Issuer") or "").rstrip("/"),
        audience=tuple(jwt.get("audience") or jwt.get("Audience") or ()),
    )


def _gateway_response(found: Any) -> GatewayResponse:
    headers = {
        name.removeprefix("gatewayresponse.header."): value
        for name, value in (found.response_parameters or {}).items()
        if name.startswith("gatewayresponse.header.")
    }
    status = int(found.status_code) if found.status_code else None
    return GatewayResponse(status, headers, dict(found.response_templates or {}))


def _validation(api: RestAPI, method: Any) -> Validation:
    found = api.request_validators.get(method.request_validator_id or "")
    if found is None:
        return Validation()
    parameters: tuple[str, ...] = ()
    if is_true(found.validate_request_parameters):
        wanted = (method.request_parameters or {}).items()
        parameters = tuple(name for name, required in wanted if is_true(required))
    models: dict[str, Mapping[str, Any]] = {}
    if is_true(found.validate_request_body):
        schemas = {model.name: json.loads(model.schema or "{}") for model in api.models.values()}
        for content_type, name in (method.request_models or {}).items():
            models[content_type] = _with_models(schemas.get(name, {}), schemas, api.id)
    return Validation(parameters, models)


def _with_models(schema: Mapping[str, Any], schemas: Mapping[str, Any], api_id: str) -> dict[str, Any]:
    """A model with the models that it refers to beside it."""
    prefix = f"https://apigateway.amazonaws.com/restapis/{api_id}/models/"
    text = json.dumps({**schema, "coldstart:models": schemas})
    return dict(json.loads(text.replace(prefix, "#/coldstart:models/")))


def _rest_integration(found: RestIntegration | None) -> Integration | None:
    if found is None:
        return None
    return Integration(
        kind=str(found.integration_type).upper(),
        uri=found.uri or "",
        method=found.http_method or "POST",
        timeout_s=float(found.timeout_in_millis or 29_000) / 1000,
        parameters=dict(found.request_parameters or {}),
        templates={kind.lower(): text for kind, text in (found.request_templates or {}).items() if text},
        cache_keys=tuple(found.cache_key_parameters or ()),
        cache_namespace=found.cache_namespace or "",
        passthrough=(found.passthrough_behaviour or "WHEN_NO_MATCH").upper(),
        responses=tuple(
            IntegrationResponse(
                int(response.status_code),
                response.selection_pattern or "",
                dict(response.response_parameters or {}),
                {kind: text for kind, text in (response.response_templates or {}).items() if text},
            )
            for response in (found.integration_responses or {}).values()
        ),
        credentials=found.credentials or "",
        gap="private integrations (VPC links)" if found.connection_type == "VPC_LINK" else "",
    )


def _http_integration(found: Any) -> Integration:
    kind = str(found.integration_type).upper()
    subtype = found.integration_subtype or ""
    gap = f"{subtype} integrations" if subtype and subtype not in SUBTYPES else ""
    if found.connection_type == "VPC_LINK":
        gap = gap or "private integrations (VPC links)"
    return Integration(
        kind=kind,
        uri=found.integration_uri or "",
        method=found.integration_method or ("POST" if kind == "AWS_PROXY" else "ANY"),
        payload_version=found.payload_format_version or "1.0",
        parameters=dict(found.request_parameters or {}),
        status_parameters=dict(found.response_parameters or {}),
        subtype=subtype,
        timeout_s=float(found.timeout_in_millis or 30_000) / 1000,
        credentials=found.credentials_arn or "",
        gap=gap,
    )


def _websocket_integration(found: Any) -> Integration:
    """An integration whose answers are chosen by their keys: ``$default``, or a pattern between slashes."""
    plain = replace(_http_integration(found), timeout_s=float(found.timeout_in_millis or 29_000) / 1000)
    responses = tuple(
        IntegrationResponse(
            200,
            each.integration_response_key.strip("/") if each.integration_response_key != "$default" else "",
            dict(each.response_parameters or {}),
            dict(each.response_templates or {}),
            each.template_selection_expression or "",
        )
        for each in found.responses.values()
    )
    return replace(
        plain,
        templates=dict(found.request_templates or {}),
        passthrough=(found.passthrough_behavior or "WHEN_NO_MATCH").upper(),
        responses=responses,
        selection=found.template_selection_expression or "",
    )


def _cors(found: Any) -> Cors | None:
    if not found:
        return None

    def names(key: str) -> tuple[str, ...]:
        return tuple(str(item) for item in found.get(key) or ())

    max_age = found.get("maxAge")
    return Cors(
        origins=names("allowOrigins"),
        methods=tuple(method.upper() for method in names("allowMethods")),
        headers=tuple(name.lower() for name in names("allowHeaders")),
        expose=tuple(name.lower() for name in names("exposeHeaders")),
        max_age_s=int(max_age) if max_age is not None else None,
        credentials=is_true(found.get("allowCredentials")),
    )
