"""Every operation of every service that answers here is mapped, or refused for a reason written down."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from moto.core.utils import get_service_model

from sandbox.emulator.gateway.operations import SERVICES
from sandbox.emulator.iam.mapping import Asked, authorisations, catalogue
from sandbox.emulator.iam.mapping.refused import REFUSED, find_reason

ACCOUNT, REGION = "111122223333", "us-east-1"
# Actions that AWS lists with resources, on requests that name none: lists, tokens, ids of something else.
# Each of these is authorised for `*`; what is not here must name a resource.
NAMES_NOTHING = {
    "cloudformation": {"DescribeStackRefactor", "ExecuteStackRefactor", "ListHookResults"},
    "cloudtrail": {"CreateChannel", "CreateEventDataStore", "GenerateQuery", "ListInsightsData"},
    "cloudwatch": {"GetDataset", "GetMetricData", "ListMetrics", "PutMetricData", "ListAlarmMuteRules"},
    "lambda": {"SendDurableExecutionCallbackFailure", "SendDurableExecutionCallbackHeartbeat"},
    "sts": {"AssumeRoot", "GetFederationToken"},
}
# Here a request's resource is an id that only the service can place; `*` is what it is authorised for.
BY_OPAQUE_IDS = frozenset({"organizations", "ssm", "route53", "iam", "logs", "kinesis", "cloudtrail"})
# API Gateway lists no resources for what version 2 of its API does beside HTTP APIs.
VERB_AND_PATH = frozenset({"apigateway", "apigatewayv2"})


def request_of(service: str, operation: str) -> dict[str, Any]:
    """Parameters that fill everything the operation takes."""
    shape = get_service_model(service).operation_model(operation).input_shape
    return dict(_filled(shape, "", 0, service)) if shape is not None else {}


def _filled(shape: Any, name: str, depth: int, service: str) -> Any:
    if depth > 6:
        return None
    match shape.type_name:
        case "structure":
            return {key: _filled(member, key, depth + 1, service) for key, member in shape.members.items()}
        case "list":
            return [_filled(shape.member, name, depth + 1, service)]
        case "map":
            return {"key": _filled(shape.value, name, depth + 1, service)}
        case "string":
            return _text(shape, name, service)
        case "boolean":
            return True
        case "blob":
            return b"x"
    return 1


def _text(shape: Any, name: str, service: str) -> str:
    if name == "Statement":
        return 'SELECT * FROM "orders" WHERE id = 1'
    if name in ("ShardIterator", "StreamArn"):
        return f"arn:aws:dynamodb:{REGION}:{ACCOUNT}:table/orders/stream/2026-01-01T00:00:00.000"
    if name == "AliasName":
        return "alias/orders"
    if name == "QueueUrl":
        return f"http://127.0.0.1:4566/{ACCOUNT}/orders"
    if name.lower().endswith("arn") or name == "Resource":
        return f"arn:aws:{service}:{REGION}:{ACCOUNT}:orders"
    return str(shape.enum[0]) if getattr(shape, "enum", None) else name.lower()


@pytest.mark.parametrize("service", SERVICES)
def test_every_operation_is_mapped_to_actions_that_exist(service: str) -> None:
    for operation in get_service_model(service).operation_names:
        if find_reason(service, operation):
            continue
        found = authorisations(Asked(service, operation, request_of(service, operation), ACCOUNT, REGION))
        assert found or service == "sts", operation
        for each in found:
            prefix, _, name = each.action.partition(":")
            assert name in catalogue.actions(prefix), f"{operation}: {each.action}"


@pytest.mark.parametrize("service", [name for name in SERVICES if name not in BY_OPAQUE_IDS | VERB_AND_PATH])
def test_resources_have_the_form_that_their_action_asks_for(service: str) -> None:
    for operation in get_service_model(service).operation_names:
        if find_reason(service, operation):
            continue
        for each in authorisations(
            Asked(service, operation, request_of(service, operation), ACCOUNT, REGION)
        ):
            for problem in _problems(service, operation, each.action, each.resource):
                raise AssertionError(f"{operation}: {problem}")


def _problems(service: str, operation: str, name: str, resource: str) -> Iterator[str]:
    prefix, _, action_name = name.partition(":")
    action = catalogue.actions(prefix)[action_name]
    if not action.types:
        if resource != "*":
            yield f"{name} knows no resource, but {resource}"
    elif resource == "*":
        known = NAMES_NOTHING.get(service, set())
        if not action.required or operation in known or any(operation.startswith(k) for k in known):
            return
        if not operation.startswith(("List", "Describe")) and operation not in _BY_TOKENS:
            yield f"{name} needs one of {sorted(action.required)}"
    elif not resource.endswith((":orders", "orders/*")):
        patterns = [p for kind in action.types for p in catalogue.patterns(prefix).get(kind, ())]
        if not any(pattern.fullmatch(resource) for pattern in patterns):
            yield f"{name} on {resource} is none of {action.types}"


# What these name is inside a token, an ARN or an id that no request filled at random has.
_BY_TOKENS = frozenset(
    {
        "BatchGetDeploymentInstances",
        "BatchGetDeployments",
        "CancelMessageMoveTask",
        "CreateStackRefactor",
        "GetDeployment",
        "GetDeploymentInstance",
        "GetLayerVersionByArn",
        "RecordHandlerProgress",
        "SendDurableExecutionCallbackSuccess",
    }
)


def test_what_is_refused_exists_and_has_a_reason() -> None:
    for service, reasons in REFUSED.items():
        names = set(get_service_model(service).operation_names)
        for reason, operations in reasons.items():
            assert reason
            assert operations <= names, operations - names
