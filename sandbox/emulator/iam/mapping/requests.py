"""From an operation and its parameters to everything that AWS would authorise for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any
from urllib.parse import quote

from sandbox.emulator.iam.evaluation.model import ContextValue
from sandbox.emulator.iam.mapping import catalogue, conditions, dynamodb, passing, resources, s3
from sandbox.emulator.iam.mapping.model import Asked, Authorisation, Unmapped
from sandbox.emulator.iam.mapping.refused import REFUSED, find_reason

# (service, operation) → its action, where the name is another.
RENAMED: Mapping[tuple[str, str], str] = {
    ("lambda", "Invoke"): "InvokeFunction",
    ("lambda", "InvokeWithResponseStream"): "InvokeFunction",
    ("lambda", "GetLayerVersionByArn"): "GetLayerVersion",
    ("sns", "PublishBatch"): "Publish",
    ("sqs", "ChangeMessageVisibilityBatch"): "ChangeMessageVisibility",
    ("sqs", "DeleteMessageBatch"): "DeleteMessage",
    ("sqs", "SendMessageBatch"): "SendMessage",
    ("logs", "GetLogObject"): "GetLogRecord",
}


def authorisations(asked: Asked) -> tuple[Authorisation, ...]:
    """Every (action, resource, context) that has to be allowed; all of them. Empty: nobody is refused.

    Raises:
        Unmapped: the operation has no reviewed mapping; that is our gap.
    """
    reason = find_reason(asked.service, asked.operation)
    if reason:
        raise Unmapped(asked.service, asked.operation, reason)
    found = [*_own(asked), *passing.authorisations(asked)]
    if not found and (asked.service, asked.operation) not in _MAY_NAME_NOTHING:
        raise Unmapped(asked.service, asked.operation, "the request names nothing that could be authorised")
    return tuple(found)


# Requests that are lists, and may be empty.
_MAY_NAME_NOTHING = frozenset(
    {
        ("s3", "DeleteObjects"),
        ("dynamodb", "BatchGetItem"),
        ("dynamodb", "BatchWriteItem"),
        ("dynamodb", "TransactGetItems"),
        ("dynamodb", "TransactWriteItems"),
        ("dynamodb", "BatchExecuteStatement"),
        ("dynamodb", "ExecuteTransaction"),
        ("events", "PutEvents"),
        ("sts", "GetCallerIdentity"),
        ("sts", "GetSessionToken"),
    }
)


def _own(asked: Asked) -> list[Authorisation]:
    special = _SPECIAL.get(asked.service)
    if special is not None:
        found = special(asked)
        if found is not None:
            return found
    of = catalogue.prefix(asked.service)
    name = _action(asked, of)
    action = catalogue.actions(of).get(name)
    if action is None:
        raise Unmapped(asked.service, asked.operation, f"AWS's list of actions has no {of}:{name}")
    context = conditions.of(asked)
    if not action.types:
        return [Authorisation(f"{of}:{name}", "*", asked.account_id, context)]
    arns = dynamodb.resources(asked) if of == "dynamodb" else resources.build(asked, of, action.types)
    return [Authorisation(f"{of}:{name}", arn, "", context) for arn in arns] or [
        Authorisation(f"{of}:{name}", "*", asked.account_id, context)
    ]


def _action(asked: Asked, of: str) -> str:
    name = RENAMED.get((asked.service, asked.operation), asked.operation)
    actions = catalogue.actions(of)
    if name in actions:
        return name
    return next((known for known in actions if known.lower() == name.lower()), name)


def _put_events(asked: Asked) -> list[Authorisation]:
    """Each bus of the entries, with what goes to it."""
    buses: dict[str, dict[str, dict[str, None]]] = {}
    for entry in asked.params.get("Entries") or ():
        name = str(entry.get("EventBusName") or "default")
        arn = name if name.startswith("arn:") else asked.arn("events", f"event-bus/{name}")
        kept = buses.setdefault(arn, {"events:source": {}, "events:detail-type": {}})
        kept["events:source"][str(entry.get("Source", ""))] = None
        kept["events:detail-type"][str(entry.get("DetailType", ""))] = None
    return [
        Authorisation("events:PutEvents", arn, "", {key: list(values) for key, values in kept.items()})
        for arn, kept in buses.items()
    ]


def _codedeploy(asked: Asked) -> list[Authorisation] | None:
    """A hook reports on a deployment of a group, though AWS's list of actions knows no resource for it.

    Source: https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/automating-updates-to-serverless-apps.html
    """
    if asked.operation != "PutLifecycleEventHookExecutionStatus":
        return None
    arn = asked.find("deployment", asked.text("deploymentId"))
    return [
        Authorisation(f"codedeploy:{asked.operation}", arn or "*", asked.account_id, conditions.of(asked))
    ]


def _events(asked: Asked) -> list[Authorisation] | None:
    return _put_events(asked) if asked.operation == "PutEvents" else None


def _multi_region_key(asked: Asked) -> list[Authorisation]:
    """What is done to related keys is allowed in both regions.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/multi-region-keys-auth.html
    """
    [primary] = resources.build(asked, "kms", ("key",)) or [asked.arn("kms", "key/")]
    context = conditions.of(asked)
    own = Authorisation(f"kms:{asked.operation}", primary, "", context)
    region = asked.text("ReplicaRegion", "PrimaryRegion")
    there = {**context, "aws:RequestedRegion": region}
    replica = f"arn:aws:kms:{region}:{asked.account_id}:{primary.split(':', 5)[5]}"
    if asked.operation == "UpdatePrimaryRegion":
        return [own, Authorisation("kms:UpdatePrimaryRegion", replica, "", there)]
    made = [Authorisation("kms:CreateKey", "*", asked.account_id, there)]
    if asked.params.get("Tags"):
        made.append(Authorisation("kms:TagResource", replica, asked.account_id, there))
    return [own, *made]


def _kms(asked: Asked) -> list[Authorisation] | None:
    if asked.operation in ("ReplicateKey", "UpdatePrimaryRegion"):
        return _multi_region_key(asked)
    if asked.operation != "ReEncrypt":
        return None
    context = conditions.of(asked)
    source = {name: value for name, value in asked.params.items() if name != "DestinationKeyId"}
    target = {"KeyId": asked.text("DestinationKeyId")}
    made = []
    for action, params in (("kms:ReEncryptFrom", source), ("kms:ReEncryptTo", target)):
        part = Asked("kms", asked.operation, params, asked.account_id, asked.region, asked.facts)
        arns = resources.build(part, "kms", ("key",)) or ["*"]
        made += [Authorisation(action, arn, "", context) for arn in arns]
    return made


_PLACEHOLDER = re.compile(r"\{([A-Za-z_0-9]+)\+?\}")


def _apigateway(asked: Asked) -> list[Authorisation] | None:
    """API Gateway authorises the verb of HTTP on the path of its own API.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-control-access-using-iam-policies-to-create-and-manage-apis.html
    """
    from moto.core.utils import get_service_model  # Late: AWS's list of actions needs no moto.

    model = get_service_model(asked.service).operation_model(asked.operation)
    shape = model.input_shape
    wire: dict[str, str] = {}
    for name, member in shape.members.items() if shape is not None else ():
        wire[member.serialization.get("name", name)] = name

    def fill(found: re.Match[str]) -> str:
        value: Any = asked.params.get(wire.get(found[1], found[1]), "")
        return quote(str(value), safe="") if ":" in str(value) else str(value)

    path = _PLACEHOLDER.sub(fill, str(model.http["requestUri"]).split("?")[0]).removeprefix("/v2")
    arn = f"arn:aws:apigateway:{asked.region}::{path}"
    context = conditions.tags(asked)
    return [Authorisation(f"apigateway:{model.http['method']}", arn, asked.account_id, context)]


def _secretsmanager(asked: Asked) -> list[Authorisation] | None:
    """A secret that is made with copies elsewhere takes the right to make those.

    Source: https://docs.aws.amazon.com/secretsmanager/latest/apireference/API_CreateSecret.html
    """
    if asked.operation != "CreateSecret" or not asked.params.get("AddReplicaRegions"):
        return None
    context = conditions.of(asked)
    arns = resources.build(asked, "secretsmanager", ("Secret",)) or ["*"]
    actions = ("CreateSecret", "ReplicateSecretToRegions")
    return [Authorisation(f"secretsmanager:{name}", arn, "", context) for name in actions for arn in arns]


def _sts(asked: Asked) -> list[Authorisation] | None:
    """Everybody may ask who they are, and for temporary keys of themselves.

    Source: https://docs.aws.amazon.com/STS/latest/APIReference/API_GetCallerIdentity.html
    """
    if asked.operation in ("GetCallerIdentity", "GetSessionToken"):
        return []
    if asked.operation == "AssumeRole" and asked.params.get("Tags"):
        context = conditions.of(asked)
        role = asked.text("RoleArn")
        return [Authorisation(f"sts:{name}", role, "", context) for name in ("AssumeRole", "TagSession")]
    return None


def _states(asked: Asked) -> list[Authorisation] | None:
    """Who reports about a task may be allowed for the state machine that waits.

    AWS lists no resource for it, but SAM's own ``StepFunctionsCallbackPolicy`` names the machine.
    Source: https://docs.aws.amazon.com/serverless-application-model/latest/developerguide/serverless-policy-template-list.html
    """
    if not asked.operation.startswith("SendTask"):
        return None
    machine = asked.find("task-token", asked.text("taskToken"))
    return (
        [Authorisation(f"states:{asked.operation}", machine, "", conditions.of(asked))] if machine else None
    )


_SPECIAL: Mapping[str, Callable[[Asked], list[Authorisation] | None]] = {
    "apigateway": _apigateway,
    "apigatewayv2": _apigateway,
    "codedeploy": _codedeploy,
    "dynamodb": dynamodb.authorisations,
    "dynamodbstreams": dynamodb.authorisations,
    "events": _events,
    "kms": _kms,
    "s3": s3.authorisations,
    "secretsmanager": _secretsmanager,
    "stepfunctions": _states,
    "sts": _sts,
}

__all__ = ["REFUSED", "RENAMED", "Authorisation", "ContextValue", "authorisations"]
