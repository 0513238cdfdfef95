"""Puts an OpenAPI document into an HTTP API."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.apigatewayv2.models import Api

from sandbox.emulator.calls import AwsError
from sandbox.emulator.fabric.apigateway import http_parameters, http_services
from sandbox.emulator.fabric.apigateway.openapi import Operation, operations, schemes, security


def put_document(api: Api, document: Mapping[str, Any]) -> None:
    """Make ``api`` what the document says, stages apart; call with the dispatch lock held.

    Raises:
        AwsError: the document has a problem; the message names the route.
    """
    if "swagger" in document or not str(document.get("openapi", "")).startswith("3"):
        raise AwsError("BadRequestException", "Only OpenAPI 3.x.x are currently supported")
    found = list(operations(document))
    for operation in found:
        _check(operation)
    for held in (api.authorizers, api.integrations, api.models, api.routes):
        held.clear()
    _describe(api, document)
    authorizers = _put_authorizers(api, document)
    for operation in found:
        _put_route(api, document, operation, authorizers)


def _check(operation: Operation) -> None:
    found = operation.integration
    if found is None:
        return
    kind = str(found.get("type", "")).upper()
    problem = ""
    if kind not in ("AWS_PROXY", "HTTP_PROXY"):
        problem = f"Invalid integration type {found.get('type')!r} for HTTP APIs"
    elif kind == "AWS_PROXY" and not found.get("integrationSubtype"):
        if str(found.get("payloadFormatVersion") or "") not in ("1.0", "2.0"):
            problem = "PayloadFormatVersion is a required parameter for integration"
        elif not found.get("uri"):
            problem = "URI is a required parameter for integration"
    if not problem:
        given, subtype = found.get("requestParameters") or {}, found.get("integrationSubtype")
        problem = http_services.problem(subtype, given) if subtype else http_parameters.problem(given)
    if problem:
        raise AwsError(
            "BadRequestException",
            f"Errors found during import:\n\tUnable to create integration on {operation.where}: {problem}",
        )


def _describe(api: Api, document: Mapping[str, Any]) -> None:
    info = document.get("info") or {}
    if info.get("title"):
        api.name = str(info["title"])
    if info.get("version") is not None:
        api.version = str(info["version"])
    if info.get("description"):
        api.description = str(info["description"])
    api.cors_configuration = document.get("x-amazon-apigateway-cors") or None
    tags = {
        str(tag["name"]): str(tag["x-amazon-apigateway-tag-value"])
        for tag in document.get("tags") or []
        if "x-amazon-apigateway-tag-value" in tag
    }
    if tags:
        api.backend.tag_resource(api.arn, tags)
    for server in document.get("servers") or []:
        endpoint = server.get("x-amazon-apigateway-endpoint-configuration") or {}
        if "disableExecuteApiEndpoint" in endpoint:
            api.disable_execute_api_endpoint = bool(endpoint["disableExecuteApiEndpoint"])


def _put_authorizers(api: Api, document: Mapping[str, Any]) -> dict[str, str]:
    ids = {}
    for name, scheme in schemes(document).items():
        found = scheme.get("x-amazon-apigateway-authorizer")
        if not found:
            continue
        source = found.get("identitySource")
        made = api.create_authorizer(
            auth_creds_arn=found.get("authorizerCredentials"),
            auth_payload_format_version=found.get("authorizerPayloadFormatVersion"),
            auth_result_ttl=found.get("authorizerResultTtlInSeconds"),
            authorizer_type=str(found.get("type", "")).upper(),
            authorizer_uri=found.get("authorizerUri"),
            enable_simple_response=found.get("enableSimpleResponses"),
            identity_source=source.split(",") if isinstance(source, str) else source,
            identity_validation_expr=found.get("identityValidationExpression"),
            jwt_config=found.get("jwtConfiguration"),
            name=name,
        )
        ids[name] = made.id
    return ids


def _put_route(
    api: Api, document: Mapping[str, Any], operation: Operation, authorizers: Mapping[str, str]
) -> None:
    target = ""
    found = operation.integration
    if found is not None:
        integration = api.create_integration(
            connection_id=found.get("connectionId"),
            connection_type=found.get("connectionType") or "INTERNET",
            description=found.get("description") or "",
            credentials_arn=found.get("credentials"),
            integration_method=found.get("httpMethod") or "POST",
            integration_type=str(found["type"]).upper(),
            integration_subtype=found.get("integrationSubtype"),
            integration_uri=found.get("uri"),
            payload_format_version=str(found.get("payloadFormatVersion") or "1.0"),
            request_parameters=found.get("requestParameters"),
            response_parameters=found.get("responseParameters"),
            timeout_in_millis=found.get("timeoutInMillis"),
            tls_config=found.get("tlsConfig"),
        )
        target = f"integrations/{integration.id}"
    default = operation.body.get("isDefaultRoute") or operation.path.lstrip("/") == "$default"
    demanded = security(document, operation.body)
    api.create_route(
        api_key_required=demanded.api_key,
        authorization_scopes=list(demanded.scopes),
        authorization_type=demanded.kind,
        authorizer_id=authorizers.get(demanded.authorizer),
        operation_name=operation.body.get("operationId"),
        route_key="$default" if default else f"{operation.method} {operation.path}",
        target=target,
    )
