"""Roles, stacks and decisions as plain data: the grader of rights is pure but for reading the account."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

from graders.iam.model import HeldPolicy, PolicySource, Role, parsed
from graders.iam.surroundings import Surroundings

ACCOUNT = "111122223333"
REGION = "eu-west-1"
HERE = f"{REGION}:{ACCOUNT}"
TABLE = f"arn:aws:dynamodb:{HERE}:table/orders-1"
QUEUE = f"arn:aws:sqs:{HERE}:failures-1"
BUCKET = "arn:aws:s3:::intake-1"
FUNCTION = f"arn:aws:lambda:{HERE}:function:worker-1"
STACK = (
    ("Orders", "orders-1", "AWS::DynamoDB::Table"),
    ("Failures", f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/failures-1", "AWS::SQS::Queue"),
    ("Intake", "intake-1", "AWS::S3::Bucket"),
    ("Worker", "worker-1", "AWS::Lambda::Function"),
    ("WorkerRole", "worker-role-1", "AWS::IAM::Role"),
)


def stack(*more: tuple[str, str, str]) -> tuple[Any, ...]:
    """Resources as a deployed stack lists them."""
    return tuple(
        SimpleNamespace(logical_id=logical, physical_id=physical, type=kind, status="CREATE_COMPLETE")
        for logical, physical, kind in (*STACK, *more)
    )


def allow(action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any, resource: Any, **more: Any) -> dict[str, Any]:
    return {"Effect": "Deny", "Action": action, "Resource": resource, **more}


def document(*statements: Mapping[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def role(*statements: Mapping[str, Any], name: str = "worker-role-1", **more: Any) -> Role:
    """A role with one inline policy ``own``; ``boundary``, ``trust`` and ``scps`` as documents."""
    held = HeldPolicy(f"{name}/own", document(*statements))
    given = {key: parsed(value, key) if isinstance(value, Mapping) else value for key, value in more.items()}
    policies = (held,) if statements else ()
    return Role(f"arn:aws:iam::{ACCOUNT}:role/{name}", (*policies, *given.pop("policies", ())), **given)


def managed(name: str, *statements: Mapping[str, Any], aws: bool = True) -> HeldPolicy:
    owner = "aws" if aws else ACCOUNT
    source = PolicySource.AWS if aws else PolicySource.CUSTOMER
    return HeldPolicy(f"arn:aws:iam::{owner}:policy/{name}", document(*statements), source)


def decision(
    action: str,
    resource: str,
    *,
    allowed: bool = True,
    by: tuple[str, int] | None = ("worker-role-1/own", 0),
    role_name: str = "worker-role-1",
    layer: str = "identity-based policy",
    effect: str = "",
    context: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """A record of the decision log with one authorisation."""
    told = "Allow" if allowed else "Deny"
    service, _, name = action.partition(":")
    refs = [] if by is None else [(by, layer, effect or told)]
    return {
        "sequence": 1,
        "at": "2030-01-01T00:00:00.000Z",
        "source": "api",
        "role_arn": f"arn:aws:iam::{ACCOUNT}:role/{role_name}",
        "service": service,
        "operation": name,
        "decision": told,
        "authorisations": [
            {
                "action": action,
                "resource": resource,
                "resource_account": ACCOUNT,
                "context": dict(context or {}),
                "decision": told,
                "reason": "an identity-based policy allows it"
                if allowed
                else "no identity-based policy allows it",
                "statements": [
                    {"policy_type": kind, "policy": where[0], "index": where[1], "sid": "", "effect": what}
                    for where, kind, what in refs
                ],
            }
        ],
    }


def around(*more: tuple[str, str, str]) -> Surroundings:
    """What is around the role: the stack, with some resources more."""
    return Surroundings.of(stack(*more), account_id=ACCOUNT, region=REGION)
