"""Puts an OpenAPI or Swagger document into a REST API."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from moto.apigateway.models import APIGatewayBackend, Authorizer, Resource, RestAPI

from sandbox.emulator.calls import AwsError
from sandbox.emulator.fabric.apigateway.deployments import new_id
from sandbox.emulator.fabric.apigateway.openapi import (
    Operation,
    moto_errors,
    operations,
    schemes,
    security,
)


def put_document(
    backend: APIGatewayBackend, api: RestAPI, document: Mapping[str, Any], *, overwrite: bool
) -> None:
    """Make ``api`` what the document says; call with the dispatch lock held.

    ``overwrite`` replaces all that the API had; otherwise methods are added and replaced one by one.

    Raises:
        AwsError: the document has a problem; the message names the method.
    """
    if overwrite:
        _empty(api)
    _describe(api, document)
    authorizers = _put_authorizers(api, document)
    _put_models(api, document)
    validators = _put_validators(backend, api, document)
    for path in document.get("paths") or {}:
        _resource(api, path)
    for operation in operations(document):
        _put_method(backend, api, document, operation, authorizers, validators)
    _put_gateway_responses(api, document)


def _empty(api: RestAPI) -> None:
    """All but the root resource goes; the root keeps its id, which templates refer to."""
    root = api.resources[api.root_resource_id]
    root.resource_methods.clear()
    for held in (api.resources, api.models, api.authorizers, api.gateway_responses, api.request_validators):
        held.clear()
    api.resources[root.id] = root


def _describe(api: RestAPI, document: Mapping[str, Any]) -> None:
    info = document.get("info") or {}
    if info.get("title"):
        api.name = str(info["title"])
    if info.get("description"):
        api.description = str(info["description"])
    if info.get("version") is not None:
        api.version = str(info["version"])
    if "x-amazon-apigateway-binary-media-types" in document:
        api.binaryMediaTypes = list(document["x-amazon-apigateway-binary-media-types"] or [])
    if "x-amazon-apigateway-policy" in document:
        api.policy = json.dumps(document["x-amazon-apigateway-policy"])
    if "x-amazon-apigateway-api-key-source" in document:
        api.api_key_source = document["x-amazon-apigateway-api-key-source"]
    if "x-amazon-apigateway-minimum-compression-size" in document:
        api.minimum_compression_size = document["x-amazon-apigateway-minimum-compression-size"]
    endpoint = document.get("x-amazon-apigateway-endpoint-configuration") or {}
    for server in document.get("servers") or []:
        endpoint = {**endpoint, **(server.get("x-amazon-apigateway-endpoint-configuration") or {})}
    if "disableExecuteApiEndpoint" in endpoint:
        api.disableExecuteApiEndpoint = bool(endpoint["disableExecuteApiEndpoint"])


def _put_authorizers(api: RestAPI, document: Mapping[str, Any]) -> dict[str, str]:
    """Authorizer ids by the name of their security scheme."""
    ids = {}
    for name, scheme in schemes(document).items():
        found = scheme.get("x-amazon-apigateway-authorizer")
        if not found:
            continue
        source = found.get("identitySource") or f"method.request.header.{scheme.get('name', 'Authorization')}"
        authorizer = Authorizer(
            new_id(),
            name,
            str(found.get("type", "token")).upper(),
            provider_arns=found.get("providerARNs"),
            auth_type=scheme.get("x-amazon-apigateway-authtype"),
            authorizer_uri=found.get("authorizerUri"),
            authorizer_credentials=found.get("authorizerCredentials"),
            identity_source=source,
            identity_validation_expression=found.get("identityValidationExpression"),
            authorizer_result_ttl=found.get("authorizerResultTtlInSeconds"),
        )
        for known in [item.id for item in api.authorizers.values() if item.name == name]:
            del api.authorizers[known]
        api.authorizers[authorizer.id] = authorizer
        ids[name] = authorizer.id
    return ids


def _put_models(api: RestAPI, document: Mapping[str, Any]) -> None:
    found = (document.get("components") or {}).get("schemas") or document.get("definitions") or {}
    for name, schema in found.items():
        api.add_model(name, schema.get("description", ""), json.dumps(schema), "application/json")


def _put_validators(backend: APIGatewayBackend, api: RestAPI, document: Mapping[str, Any]) -> dict[str, str]:
    ids = {}
    for name, found in (document.get("x-amazon-apigateway-request-validators") or {}).items():
        validator = backend.create_request_validator(
            api.id, name, bool(found.get("validateRequestBody")), bool(found.get("validateRequestParameters"))
        )
        ids[name] = validator.id
    return ids


def _resource(api: RestAPI, path: str) -> Resource:
    """The resource of a path; it and what leads to it are made where they are missing."""
    resource = api.resources[api.root_resource_id]
    for part in [part for part in path.split("/") if part]:
        child = next(
            (
                item
                for item in api.resources.values()
                if item.parent_id == resource.id and item.path_part == part
            ),
            None,
        )
        resource = child or api.add_child(part, resource.id)
    return resource


def _put_method(
    backend: APIGatewayBackend,
    api: RestAPI,
    document: Mapping[str, Any],
    operation: Operation,
    authorizers: Mapping[str, str],
    validators: Mapping[str, str],
) -> None:
    resource = _resource(api, operation.path)
    demanded = security(document, operation.body)
    validator = operation.body.get("x-amazon-apigateway-request-validator") or document.get(
        "x-amazon-apigateway-request-validator", ""
    )
    resource.add_method(
        operation.method,
        demanded.kind,
        api_key_required=demanded.api_key,
        request_parameters=_parameters(operation.body),
        request_models=_request_models(operation.body),
        operation_name=operation.body.get("operationId"),
        authorizer_id=authorizers.get(demanded.authorizer),
        authorization_scopes=list(demanded.scopes) or None,
        request_validator_id=validators.get(validator),
    )
    for status, response in (operation.body.get("responses") or {}).items():
        headers = {f"method.response.header.{name}": False for name in (response or {}).get("headers") or {}}
        resource.resource_methods[operation.method].create_response(str(status), {}, headers)
    if operation.integration is not None:
        with moto_errors(f"Errors found during import:\n\tUnable to put integration on {operation.where}: "):
            _put_integration(backend, api, resource, operation.method, operation.integration)


def _parameters(body: Mapping[str, Any]) -> dict[str, bool]:
    places = {"query": "querystring", "header": "header", "path": "path"}
    return {
        f"method.request.{places[item['in']]}.{item['name']}": bool(item.get("required"))
        for item in body.get("parameters") or []
        if isinstance(item, Mapping) and item.get("in") in places
    }


def _request_models(body: Mapping[str, Any]) -> dict[str, str]:
    content = (body.get("requestBody") or {}).get("content") or {}
    schemas = {kind: (found or {}).get("schema") or {} for kind, found in content.items()}
    for item in body.get("parameters") or []:
        if isinstance(item, Mapping) and item.get("in") == "body":
            schemas["application/json"] = item.get("schema") or {}
    return {kind: schema["$ref"].split("/")[-1] for kind, schema in schemas.items() if "$ref" in schema}


def _put_integration(
    backend: APIGatewayBackend,
    api: RestAPI,
    resource: Resource,
    method: str,
    found: Mapping[str, Any],
) -> None:
    kind = str(found.get("type", "")).upper()
    if kind not in ("AWS", "AWS_PROXY", "HTTP", "HTTP_PROXY", "MOCK"):
        raise AwsError("BadRequestException", f"Integration type {found.get('type')!r} is not valid.")
    integration = backend.put_integration(
        api.id,
        resource.id,
        method,
        kind,
        str(found.get("uri") or ""),
        integration_method=found.get("httpMethod") or ("" if kind != "MOCK" else None),
        credentials=found.get("credentials"),
        request_templates=found.get("requestTemplates"),
        passthrough_behavior=str(found.get("passthroughBehavior") or "WHEN_NO_MATCH").upper(),
        tls_config=found.get("tlsConfig"),
        cache_namespace=found.get("cacheNamespace") or resource.id,
        timeout_in_millis=found.get("timeoutInMillis") or 29_000,
        request_parameters=found.get("requestParameters"),
        content_handling=found.get("contentHandling"),
        connection_type=found.get("connectionType"),
    )
    integration.cache_key_parameters = list(found.get("cacheKeyParameters") or [])
    for pattern, response in (found.get("responses") or {}).items():
        integration.create_integration_response(
            str(response.get("statusCode", "200")),
            "" if pattern == "default" else pattern,
            dict(response.get("responseTemplates") or {}),
            dict(response.get("responseParameters") or {}),
            response.get("contentHandling"),
        )


def _put_gateway_responses(api: RestAPI, document: Mapping[str, Any]) -> None:
    for kind, found in (document.get("x-amazon-apigateway-gateway-responses") or {}).items():
        status = found.get("statusCode")
        api.put_gateway_response(
            kind,
            int(status) if status else 0,
            dict(found.get("responseParameters") or {}),
            dict(found.get("responseTemplates") or {}),
        )
