"""Whether a resource's own policy lets an AWS service in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.kms.models import kms_backends
from moto.sns.models import sns_backends
from moto.sqs.models import sqs_backends

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.arns import Arn
from sandbox.emulator.iam.enforcement import resource_policy
from sandbox.emulator.iam.evaluation import MalformedPolicy, parse_policy

_ACTIONS = {"lambda": "lambda:InvokeFunction", "sqs": "sqs:SendMessage", "sns": "sns:Publish"}
_KINDS = {"lambda": "function", "sqs": "queue", "sns": "topic"}
# What a service needs of the key of an encrypted queue or topic.
# Source: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-key-management.html
_KEY_ACTIONS = ("kms:GenerateDataKey", "kms:Decrypt")


@dataclass(frozen=True, slots=True)
class Delivery:
    """A service (``s3.amazonaws.com``) that acts for ``source_arn`` in ``source_account``.

    ``context`` holds condition keys that only this service gives, with their values.
    """

    service: str
    source_arn: str
    source_account: str
    context: tuple[tuple[str, str], ...] = ()


def refusal(core: AccountCore, target: str, delivery: Delivery) -> str:
    """Why ``delivery`` may not reach ``target`` (ARN of a function, queue or topic); empty if it may."""
    arn = Arn.parse(target)
    with core.dispatch_lock:
        resource = _find(arn)
        if resource is None:
            return f"{target} does not exist"
        kind, action = _KINDS[arn.service], _ACTIONS[arn.service]
        if not _may(core, delivery, action, target, resource_policy(target)):
            return f"no permission {action}: {kind} policy does not allow {delivery.service}"
        key = _key_arn(arn, str(getattr(resource, "kms_master_key_id", "") or ""))
        for action in _KEY_ACTIONS if key else ():
            if not _may(core, delivery, action, key, resource_policy(key)):
                return f"no permission {action}: key policy of the {kind} does not allow {delivery.service}"
    return ""


def document_allows(
    core: AccountCore, document: Mapping[str, Any] | str, delivery: Delivery, *, action: str, resource: str
) -> bool:
    """Whether a policy that stands beside its resources (CloudWatch Logs') lets the delivery in."""
    try:
        policy = parse_policy(document, resource)
    except MalformedPolicy:
        return False
    return _may(core, delivery, action, resource, policy)


def _may(core: AccountCore, delivery: Delivery, action: str, resource: str, policy: Any) -> bool:
    return not core.guard.delivery_refusal(
        delivery.service,
        action,
        resource,
        source_arn=delivery.source_arn,
        source_account=delivery.source_account,
        policy=policy,
        context=dict(delivery.context),
    )


def _find(arn: Arn) -> Any:
    if arn.service == "sqs":
        return sqs_backends[arn.account_id][arn.region].queues.get(arn.name)
    if arn.service == "sns":
        return sns_backends[arn.account_id][arn.region].topics.get(str(arn))
    _, name, *qualifier = arn.resource.split(":")
    backend = lambda_backends[arn.account_id][arn.region]
    try:
        return backend.get_function(name, qualifier[0] if qualifier else None)
    except Exception:  # moto raises several unrelated types for a missing function or alias
        return None


def _key_arn(arn: Arn, key: str) -> str:
    """The ARN of a customer's key; empty without one. AWS's own keys let no service in."""
    if not key:
        return ""
    backend = kms_backends[arn.account_id][arn.region]
    name = key.rsplit(":", 1)[-1].removeprefix("key/")
    key_id = backend.get_key_id_from_alias(name) if name.startswith("alias/") else name
    found = backend.keys.get(key_id) if key_id else None
    return str(found.arn) if found is not None else ""
