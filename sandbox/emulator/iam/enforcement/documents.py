"""Policy documents that a call wants to store: refused when malformed or too long, in each one's words."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from moto.iam.models import iam_backends

from sandbox.emulator.calls import AwsError, Call
from sandbox.emulator.iam.evaluation.validation import (
    PolicyKind,
    PolicyRefused,
    SizeLimit,
    check_size,
    validate,
)


def check_document(document: str, kind: PolicyKind, *, inline: bool = False) -> None:
    """Refuse a document that IAM would refuse.

    ``inline``: AWS asks only managed policies for a version; the roles that the Serverless transform writes
    have inline policies without one.

    Raises:
        AwsError: ``MalformedPolicyDocument`` with AWS's reason.
    """
    try:
        validate(_versioned(document) if inline else document, kind)
    except PolicyRefused as refused:
        raise AwsError(refused.code, refused.message) from None


def _versioned(document: str) -> str:
    try:
        value = json.loads(document)
    except ValueError:
        return document
    if isinstance(value, dict) and "Version" not in value:
        return json.dumps({"Version": "2012-10-17", **value})
    return document


def check(call: Call) -> None:
    """Refuse a call whose policy document its service would not store. Hold the dispatch lock.

    Raises:
        AwsError: with the code and the words of that service.
    """
    look = _CHECKS.get((call.service, call.operation))
    if look is not None:
        look(call)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value)


def _iam(kind: PolicyKind, *, inline: bool = True) -> Callable[[Call], None]:
    def look(call: Call) -> None:
        document = call.params.get("PolicyDocument") or call.params.get("AssumeRolePolicyDocument")
        if document is None:
            return
        check_document(_text(document), kind, inline=inline)
        try:
            _check_size(call, _text(document), kind, inline=inline)
        except PolicyRefused as refused:
            raise AwsError(refused.code, refused.message, 409) from None

    return look


def _check_size(call: Call, document: str, kind: PolicyKind, *, inline: bool) -> None:
    if kind is PolicyKind.TRUST:
        check_size(SizeLimit.TRUST, [document])
    elif not inline:
        check_size(SizeLimit.MANAGED, [document])
    else:
        limits = {
            "PutRolePolicy": ("RoleName", SizeLimit.ROLE_INLINE),
            "PutUserPolicy": ("UserName", SizeLimit.USER_INLINE),
            "PutGroupPolicy": ("GroupName", SizeLimit.GROUP_INLINE),
        }
        member, limit = limits[call.operation]
        name = str(call.params.get(member, ""))
        others = _inline_of(call.account_id, member, name)
        others.pop(str(call.params.get("PolicyName", "")), None)
        check_size(limit, [document, *others.values()], name)


def _inline_of(account_id: str, member: str, name: str) -> dict[str, str]:
    backend = iam_backends[account_id]["aws"]
    if member == "RoleName":
        holder = next((role for role in backend.roles.values() if role.name == name), None)
    else:
        holder = (backend.users if member == "UserName" else backend.groups).get(name)
    return {key: _text(value) for key, value in (holder.policies if holder is not None else {}).items()}


def _resource(document: Any, words: Callable[[PolicyRefused], AwsError]) -> None:
    if not document:
        return
    try:
        validate(_text(document), PolicyKind.RESOURCE)
    except PolicyRefused as refused:
        raise words(refused) from None


def _bucket(call: Call) -> None:
    document = call.params.get("Policy")
    text = document.decode() if isinstance(document, bytes) else document
    _resource(text, lambda refused: AwsError("MalformedPolicy", refused.message))


def _queue(call: Call) -> None:
    attributes = call.params.get("Attributes") or {}
    _resource(
        attributes.get("Policy"),
        lambda _: AwsError("InvalidAttributeValue", "Invalid value for the parameter Policy."),
    )


def _topic(call: Call) -> None:
    params = call.params
    document = (params.get("Attributes") or {}).get("Policy")
    if params.get("AttributeName") == "Policy":
        document = params.get("AttributeValue")
    _resource(
        document,
        lambda refused: AwsError("InvalidParameter", f"Invalid parameter: Policy Error: {refused.message}"),
    )


def _named(member: str, code: str, prefix: str = "") -> Callable[[Call], None]:
    def look(call: Call) -> None:
        _resource(call.params.get(member), lambda refused: AwsError(code, f"{prefix}{refused.message}"))

    return look


def _session(call: Call) -> None:
    if call.params.get("Policy"):
        check_document(_text(call.params["Policy"]), PolicyKind.IDENTITY, inline=True)


def _scp(call: Call) -> None:
    if call.params.get("Type", "SERVICE_CONTROL_POLICY") != "SERVICE_CONTROL_POLICY":
        return
    content = call.params.get("Content")
    if content is None:
        return
    try:
        validate(_text(content), PolicyKind.SCP)
    except PolicyRefused as refused:
        raise AwsError("MalformedPolicyDocumentException", refused.message) from None


_CHECKS: Mapping[tuple[str, str], Callable[[Call], None]] = {
    ("iam", "PutRolePolicy"): _iam(PolicyKind.IDENTITY),
    ("iam", "PutUserPolicy"): _iam(PolicyKind.IDENTITY),
    ("iam", "PutGroupPolicy"): _iam(PolicyKind.IDENTITY),
    ("iam", "CreatePolicy"): _iam(PolicyKind.IDENTITY, inline=False),
    ("iam", "CreatePolicyVersion"): _iam(PolicyKind.IDENTITY, inline=False),
    ("iam", "CreateRole"): _iam(PolicyKind.TRUST),
    ("iam", "UpdateAssumeRolePolicy"): _iam(PolicyKind.TRUST),
    ("s3", "PutBucketPolicy"): _bucket,
    ("sqs", "SetQueueAttributes"): _queue,
    ("sqs", "CreateQueue"): _queue,
    ("sns", "SetTopicAttributes"): _topic,
    ("sns", "CreateTopic"): _topic,
    ("kms", "PutKeyPolicy"): _named("Policy", "MalformedPolicyDocumentException"),
    ("kms", "CreateKey"): _named("Policy", "MalformedPolicyDocumentException"),
    ("secretsmanager", "PutResourcePolicy"): _named(
        "ResourcePolicy", "MalformedPolicyDocumentException", "This resource policy contains a syntax error. "
    ),
    ("events", "PutPermission"): _named("Policy", "ValidationException"),
    ("dynamodb", "PutResourcePolicy"): _named("Policy", "ValidationException"),
    ("kinesis", "PutResourcePolicy"): _named("Policy", "InvalidArgumentException"),
    ("logs", "PutResourcePolicy"): _named("policyDocument", "InvalidParameterException"),
    ("organizations", "CreatePolicy"): _scp,
    ("organizations", "UpdatePolicy"): _scp,
    ("sts", "AssumeRole"): _session,
}
