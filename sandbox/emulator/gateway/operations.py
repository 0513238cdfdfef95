"""Which operation of which service a request is, and its parameters, by the service's own model.

Fail closed: a request that two readers could take for different operations is refused, because moto
reads requests more loosely than this module does.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from botocore.utils import parse_timestamp
from moto.core.parse import PROTOCOL_PARSERS
from moto.core.request import Request, determine_request_protocol
from moto.core.routing import get_service_router
from moto.core.utils import get_service_model
from werkzeug.exceptions import HTTPException

from sandbox.emulator.calls import AwsError
from sandbox.emulator.gateway import cbor
from sandbox.emulator.gateway.requests import HttpRequest

# botocore's name of each service that answers here → moto's package for it; none: all of it is ours.
SERVICES: Mapping[str, str] = {
    "apigateway": "apigateway",
    "apigatewayv2": "apigatewayv2",
    "cloudformation": "",
    "cloudtrail": "cloudtrail",
    "cloudwatch": "cloudwatch",
    "codedeploy": "",
    "cognito-idp": "cognitoidp",
    "dynamodb": "dynamodb",
    "dynamodbstreams": "dynamodbstreams",
    "events": "events",
    "firehose": "firehose",
    "iam": "iam",
    "kinesis": "kinesis",
    "kms": "kms",
    "lambda": "awslambda",
    "logs": "logs",
    "organizations": "organizations",
    "pipes": "pipes",
    "resourcegroupstaggingapi": "resourcegroupstaggingapi",
    "route53": "route53",
    "s3": "s3",
    "scheduler": "scheduler",
    "secretsmanager": "secretsmanager",
    "sns": "sns",
    "sqs": "sqs",
    "ssm": "ssm",
    "stepfunctions": "stepfunctions",
    "sts": "sts",
    "xray": "xray",
}
_QUERY_PROTOCOLS = frozenset({"query", "ec2"})


@dataclass(frozen=True, slots=True)
class Operation:
    """A named operation. ``model`` is botocore's; request and answer are written in ``protocol``."""

    service: str
    name: str
    protocol: str
    model: Any
    params: dict[str, Any]


@functools.cache
def _signing_names() -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for service in SERVICES:
        metadata = get_service_model(service).metadata
        found.setdefault(metadata.get("signingName") or metadata["endpointPrefix"], []).append(service)
    return found


@functools.cache
def _operations_by_target(service: str) -> frozenset[str]:
    model = get_service_model(service)
    prefix = model.metadata.get("targetPrefix")
    return frozenset(f"{prefix}.{name}" for name in model.operation_names) if prefix else frozenset()


def warm_up(service: str) -> None:
    """Load the service's model and compile its routes."""
    model = get_service_model(service)
    router = get_service_router(service)
    for protocol in model.metadata.get("protocols", [str(model.protocol)]):
        if protocol in PROTOCOL_PARSERS:
            router._get_router(protocol)


def name_service(request: HttpRequest, signing_name: str) -> str:
    """botocore's name of the service that a request signed for ``signing_name`` is meant for.

    Raises:
        AwsError: no such service answers here; the message says that this is ours.
    """
    found = _signing_names().get(signing_name, [])
    if len(found) == 1:
        return found[0]
    if signing_name == "apigateway":
        return "apigatewayv2" if request.path.startswith("/v2/") else "apigateway"
    target = request.headers.get("x-amz-target", "")
    for service in found:
        if target in _operations_by_target(service):
            return service
    if found:
        raise AwsError("UnknownOperationException", f"{target or request.path} names no operation.", 400)
    raise AwsError(
        "NotEmulated", f"Coldstart does not emulate the service `{signing_name}`. This is our gap.", 501
    )


def name_operation(
    request: HttpRequest, service: str, *, parsed: Callable[[tuple[str, str]], bool]
) -> Operation:
    """The one operation that a request is, with its parameters by botocore's names.

    The JSON protocol has these names on the wire already: what ``parsed`` declines keeps blobs and
    timestamps in the wire's form, at a fraction of the cost.

    Raises:
        AwsError: it names none, more than one, or its parameters can't be read.
    """
    model = get_service_model(service)
    if request.headers.get("content-type", "") == cbor.CONTENT_TYPE:
        name = cbor.operation_name(request.path, model)
        operation = model.operation_model(name)
        return Operation(service, name, cbor.PROTOCOL, operation, cbor.parse(request.body, operation))
    witness = Request(request.environ(host=f"{service}.amazonaws.com", extra={}))
    try:
        protocol = determine_request_protocol(model, witness.content_type)
    except NotImplementedError:
        protocol = str(model.protocol)
        if protocol == "rest-json":
            # Anything but JSON may be sent as the payload of a REST operation.
            witness.environ.pop("CONTENT_TYPE", None)
    _refuse_ambiguity(request, protocol)
    if service == "s3":
        _refuse_several_subresources(request)
    try:
        operation, path_params = get_service_router(service).match(witness)
    except (HTTPException, NotImplementedError):
        raise AwsError(
            "UnknownOperationException", "The request names no operation of this service.", 404
        ) from None
    if protocol == "json" and not parsed((service, operation.name)):
        params = _wire_params(request)
        return Operation(service, operation.name, protocol, operation, params)
    parser = PROTOCOL_PARSERS[protocol](operation, timestamp_parser=parse_timestamp)
    try:
        params = parser.parse(
            {
                "method": witness.method,
                "values": witness.values,
                "headers": witness.headers,
                "body": request.body,
                "url_path": witness.path,
                "url_params": path_params,
            }
        )
    except Exception:  # the parser raises whatever its input makes it raise
        raise AwsError("SerializationException", "The request body can't be read.", 400) from None
    return Operation(service, operation.name, protocol, operation, dict(params))


def _wire_params(request: HttpRequest) -> dict[str, Any]:
    if not request.body:
        return {}
    try:
        params = json.loads(request.body)
    except ValueError:
        raise AwsError("SerializationException", "The request body is no JSON.", 400) from None
    if not isinstance(params, dict):
        raise AwsError("SerializationException", "The request body is no JSON object.", 400)
    return params


# Each of these, in a query, chooses the operation; moto and the service's model might choose differently.
_SUBRESOURCES = frozenset(
    {
        "accelerate",
        "acl",
        "analytics",
        "attributes",
        "cors",
        "delete",
        "encryption",
        "intelligent-tiering",
        "inventory",
        "legal-hold",
        "lifecycle",
        "location",
        "logging",
        "metrics",
        "notification",
        "object-lock",
        "ownershipControls",
        "policy",
        "policyStatus",
        "publicAccessBlock",
        "replication",
        "requestPayment",
        "restore",
        "retention",
        "select",
        "tagging",
        "torrent",
        "uploadId",
        "uploads",
        "versioning",
        "versions",
        "website",
    }
)


def _refuse_several_subresources(request: HttpRequest) -> None:
    named = {name for name, _value in request.parameters} & _SUBRESOURCES
    if len(named) > 1:
        raise AwsError(
            "InvalidArgument", f"Conflicting query string parameters: {', '.join(sorted(named))}", 400
        )


def _refuse_ambiguity(request: HttpRequest, protocol: str) -> None:
    actions = [value for name, value in request.parameters if name == "Action"]
    in_body = protocol in _QUERY_PROTOCOLS and (b"Action=" in request.body)
    if protocol in _QUERY_PROTOCOLS:
        doubled = (
            len(actions) > 1
            or (actions and in_body)
            or request.body.count(b"&Action=") + request.body.startswith(b"Action=") > 1
        )
        doubled = doubled or "x-amz-target" in request.headers
    elif protocol == "json":
        doubled = bool(actions)
    else:
        doubled = bool(actions) or "x-amz-target" in request.headers
    if doubled:
        raise AwsError("InvalidAction", "The request names more than one operation.", 400)
    for header in request.headers:
        if header.startswith("x-moto"):
            raise AwsError("InvalidAction", f"The header {header} is not one of AWS.", 400)
