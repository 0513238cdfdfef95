"""Whether a resource's own policy lets an AWS service in.

Only what services need: a service principal, an action, and conditions on the source's ARN and
account. A condition this module cannot evaluate does not hold, so it never lets anybody in.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn

_ACTIONS = {"lambda": "lambda:InvokeFunction", "sqs": "sqs:SendMessage", "sns": "sns:Publish"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """A service (``s3.amazonaws.com``) that acts for ``source_arn`` in ``source_account``."""

    service: str
    source_arn: str
    source_account: str


def allows(
    statements: Iterable[Mapping[str, Any]], delivery: Delivery, *, action: str, resource: str
) -> bool:
    """Whether ``statements`` allow the delivery; an explicit Deny wins."""
    applying = [s for s in statements if _applies(s, delivery, action, resource)]
    return bool(applying) and all(s.get("Effect") == "Allow" for s in applying)


def refusal(core: AccountCore, target: str, delivery: Delivery) -> str:
    """Why ``delivery`` may not reach ``target`` (ARN of a function, queue or topic); empty if it may."""
    arn = Arn.parse(target)
    with core.dispatch_lock:
        statements = _statements(arn)
    if statements is None:
        return f"{target} does not exist"
    if allows(statements, delivery, action=_ACTIONS[arn.service], resource=target):
        return ""
    kind = {"lambda": "function", "sqs": "queue", "sns": "topic"}[arn.service]
    return f"{kind} policy does not allow {delivery.service}"


def _statements(arn: Arn) -> list[dict[str, Any]] | None:
    if arn.service == "sqs":
        queue = sqs_backends[arn.account_id][arn.region].queues.get(arn.name)
        return None if queue is None else list(queue._policy_json.get("Statement", []))
    if arn.service == "sns":
        topic = sns_backends[arn.account_id][arn.region].topics.get(str(arn))
        return None if topic is None else list(topic._policy_json.get("Statement", []))
    return _function_statements(arn)


def _function_statements(arn: Arn) -> list[dict[str, Any]] | None:
    _, name, *qualifier = arn.resource.split(":")
    backend = lambda_backends[arn.account_id][arn.region]
    try:
        function = backend.get_function(name, qualifier[0] if qualifier else None)
        latest = backend.get_function(name)
    except Exception:  # moto raises several unrelated types for a missing function or alias
        return None
    owners = {id(function): function, id(latest): latest}
    return [statement for owner in owners.values() for statement in owner.policy.statements]


def _applies(statement: Mapping[str, Any], delivery: Delivery, action: str, resource: str) -> bool:
    return (
        _principal_matches(statement.get("Principal"), delivery.service)
        and any(_like(action.lower(), pattern.lower()) for pattern in _strings(statement.get("Action")))
        and any(_like(resource, pattern) for pattern in _strings(statement.get("Resource", "*")))
        and _conditions_hold(statement.get("Condition") or {}, delivery)
    )


def _principal_matches(principal: Any, service: str) -> bool:
    if isinstance(principal, str):
        return principal in ("*", service)
    if not isinstance(principal, Mapping):
        return False
    return service in _strings(principal.get("Service")) or "*" in _strings(principal.get("AWS"))


def _conditions_hold(conditions: Mapping[str, Any], delivery: Delivery) -> bool:
    context = {
        "aws:sourcearn": delivery.source_arn,
        "aws:sourceaccount": delivery.source_account,
        "aws:securetransport": "true",
        "aws:principalisawsservice": "true",
        "aws:principalservicename": delivery.service,
    }
    return all(
        _condition_holds(operator, context.get(key.lower()), _strings(wanted))
        for operator, tests in conditions.items()
        for key, wanted in tests.items()
    )


def _condition_holds(operator: str, actual: str | None, wanted: list[str]) -> bool:
    name = operator.removesuffix("IfExists")
    if actual is None:
        return name != operator
    match name:
        case "StringEquals":
            return actual in wanted
        case "StringEqualsIgnoreCase" | "Bool":
            return actual.lower() in [text.lower() for text in wanted]
        case "StringNotEquals":
            return actual not in wanted
        case "StringLike" | "ArnLike" | "ArnEquals":
            return any(_like(actual, pattern) for pattern in wanted)
        case "StringNotLike" | "ArnNotLike" | "ArnNotEquals":
            return not any(_like(actual, pattern) for pattern in wanted)
    return False


def _like(text: str, pattern: str) -> bool:
    return re.fullmatch(fnmatch.translate(pattern.replace("[", "[[]")), text) is not None


def _strings(value: Any) -> list[str]:
    if value is None:
        return []
    return [str(item) for item in value] if isinstance(value, list) else [str(value)]
