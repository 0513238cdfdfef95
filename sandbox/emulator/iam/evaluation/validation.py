"""Refuses malformed policy documents where they are attached, with AWS's reasons.

Sources:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_grammar.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
The sentences are those AWS answers, as recorded by users of its API.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from enum import Enum, StrEnum
from typing import Any

from sandbox.emulator.iam.evaluation.conditions import known_operator
from sandbox.emulator.iam.evaluation.documents import MalformedPolicy, parse_policy
from sandbox.emulator.iam.evaluation.operators import moment

SYNTAX = "Syntax errors in policy."
VERSION = "Policy document must be version 2012-10-17 or greater."
LEGACY = "The policy failed legacy parsing"
SIDS = "Statement IDs (SID) in a single policy must be unique."
NO_ACTIONS = "Policy statement must contain actions."
NO_RESOURCES = "Policy statement must contain resources."
NO_VENDOR = "Actions/Conditions must be prefaced by a vendor, e.g., iam, sdb, ec2, etc."
COLONS = "Actions/Condition can contain only one colon."
PARTIAL_ARN = "Resource vendor must be fully qualified and cannot contain regexes."
PRINCIPAL = "Policy document should not specify a principal."
NO_PRINCIPAL = "Missing required field Principal"
TRUST_RESOURCE = "Has prohibited field Resource."
TRUST_ACTIONS = (
    "Trust Policy statement actions can only be sts:AssumeRole, "
    "sts:AssumeRoleWithSAML,  and sts:AssumeRoleWithWebIdentity"
)
SCP_KIND = "The provided policy document does not meet the requirements of the specified policy type."
_TRUSTED = frozenset(
    f"sts:{name}"
    for name in (
        "AssumeRole",
        "AssumeRoleWithSAML",
        "AssumeRoleWithWebIdentity",
        "DecodeAuthorizationMessage",
        "GetAccessKeyInfo",
        "GetCallerIdentity",
        "GetFederationToken",
        "GetServiceBearerToken",
        "GetSessionToken",
        "SetContext",
        "SetSourceIdentity",
        "TagSession",
    )
)
_PARTITIONS = frozenset(
    {"aws", "aws-cn", "aws-us-gov", "aws-iso", "aws-iso-b", "aws-iso-e", "aws-iso-f", "aws-eusc"}
)
_IAM_PATHS = (
    "user/",
    "federated-user/",
    "role/",
    "group/",
    "instance-profile/",
    "mfa/",
    "server-certificate/",
    "policy/",
    "sms-mfa/",
    "saml-provider/",
    "oidc-provider/",
    "report/",
    "access-report/",
)
_VENDOR = re.compile(r"[a-zA-Z0-9\-.]+")


class PolicyKind(StrEnum):
    """What a document is for. A boundary or a session policy is written as an identity's."""

    IDENTITY = "identity"
    RESOURCE = "resource"
    TRUST = "trust"
    SCP = "scp"


class PolicyRefused(ValueError):
    """A document that AWS refuses. ``code`` and ``message`` are those of its error."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class SizeLimit(Enum):
    """Most characters, white space not counted, and the message beyond. ``{name}`` is the entity's name.

    For inline policies the limit holds for all of an entity's together.
    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html
    """

    MANAGED = (6144, "Cannot exceed quota for PolicySize: 6144")
    TRUST = (2048, "Cannot exceed quota for ACLSizePerRole: 2048")
    USER_INLINE = (2048, "Maximum policy size of 2048 bytes exceeded for user {name}")
    GROUP_INLINE = (5120, "Maximum policy size of 5120 bytes exceeded for group {name}")
    ROLE_INLINE = (10240, "Maximum policy size of 10240 bytes exceeded for role {name}")


def size(document: str) -> int:
    """Characters of a document as IAM counts them: without white space."""
    return len("".join(document.split()))


def check_size(limit: SizeLimit, documents: Sequence[str], name: str = "") -> None:
    """Refuse documents that are together too long.

    Raises:
        PolicyRefused: ``LimitExceeded``, with AWS's message.
    """
    most, message = limit.value
    if sum(map(size, documents)) > most:
        raise PolicyRefused("LimitExceeded", message.format(name=name))


def validate(document: str, kind: PolicyKind) -> None:
    """Refuse a document that AWS would refuse to attach.

    Raises:
        PolicyRefused: ``MalformedPolicyDocument`` with AWS's reason; the first one AWS would find. Services
            other than IAM put their own code around the reason.
    """
    for message in _problems(document, kind):
        raise PolicyRefused("MalformedPolicyDocument", message)


def _problems(document: str, kind: PolicyKind) -> Iterator[str]:
    statements = _read(document)
    if statements is None:
        yield SYNTAX
        return
    value = json.loads(document)
    iam = kind in (PolicyKind.IDENTITY, PolicyKind.TRUST)
    if iam and value.get("Version") != "2012-10-17":
        yield VERSION
    if any(_fails_legacy_parsing(statement) for statement in statements):
        yield LEGACY
    sids = [statement["Sid"] for statement in statements if statement.get("Sid")]
    if len(set(sids)) < len(sids):
        yield SIDS
    if not all(_listed(statement, "Action") for statement in statements):
        yield NO_ACTIONS
    if kind is not PolicyKind.RESOURCE:
        yield from _resource_problems(statements)
    for statement in statements:
        for action in _listed(statement, "Action"):
            yield from _action_problems(action)
    yield from _KINDS[kind](statements)
    try:
        parse_policy(document)
    except MalformedPolicy:
        yield SYNTAX


def _read(document: str) -> list[dict[str, Any]] | None:
    """The statements, or ``None`` when the text does not follow the grammar at all."""
    try:
        value = json.loads(document)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict) or not value.keys() <= {"Version", "Id", "Statement"}:
        return None
    if value.get("Version", "2012-10-17") not in ("2008-10-17", "2012-10-17"):
        return None
    if not isinstance(value.get("Id", ""), str):
        return None
    statements = value.get("Statement")
    statements = [statements] if isinstance(statements, dict) else statements
    if not isinstance(statements, list) or not statements or not all(map(_is_statement, statements)):
        return None
    return statements


def _is_statement(statement: Any) -> bool:
    if not isinstance(statement, dict):
        return False
    elements = {f"{prefix}{name}" for prefix in ("", "Not") for name in ("Action", "Resource", "Principal")}
    if not statement.keys() <= elements | {"Sid", "Effect", "Condition"}:
        return False
    if any(name in statement and f"Not{name}" in statement for name in ("Action", "Resource", "Principal")):
        return False
    effect = statement.get("Effect")
    if not isinstance(effect, str) or effect.lower() not in ("allow", "deny"):
        return False
    lists = (statement.get(name, "") for name in elements if "Principal" not in name)
    return (
        isinstance(statement.get("Sid", ""), str)
        and all(map(_is_texts, lists))
        and _is_condition_block(statement.get("Condition", {}))
    )


def _is_texts(value: Any) -> bool:
    return isinstance(value, str) or (
        isinstance(value, list) and all(isinstance(item, str) for item in value)
    )


def _is_condition_block(block: Any) -> bool:
    return isinstance(block, dict) and all(
        isinstance(keys, dict) and (known_operator(name) or not keys) for name, keys in block.items()
    )


def _fails_legacy_parsing(statement: dict[str, Any]) -> bool:
    if statement["Effect"] not in ("Allow", "Deny"):
        return True
    for name, keys in statement.get("Condition", {}).items():
        if "Date" in name.rpartition(":")[2][:4] and not all(map(_is_date, _flat(keys.values()))):
            return True
    return any(
        resource != "*" and resource.count(":") < 5 and "::" in resource
        for resource in _listed(statement, "Resource")
    )


def _is_date(value: Any) -> bool:
    return isinstance(value, str | int) and moment(str(value)) is not None


def _flat(values: Any) -> list[Any]:
    return [item for value in values for item in (value if isinstance(value, list) else [value])]


def _listed(statement: dict[str, Any], name: str) -> list[str]:
    value = statement.get(name, statement.get(f"Not{name}", []))
    return value if isinstance(value, list) else [value]


def _resource_problems(statements: list[dict[str, Any]]) -> Iterator[str]:
    for statement in statements:
        for resource in sorted(_listed(statement, "Resource"), reverse=True):
            yield from _resource_problem(resource)


def _resource_problem(resource: str) -> Iterator[str]:
    if resource == "*":
        return
    _, colon, rest = resource.partition(":")
    if not colon:
        yield f'Resource {resource} must be in ARN format or "*".'
        return
    partition, _, _ = rest.partition(":")
    if partition != "*" and partition not in _PARTITIONS:
        segments = (rest.split(":", 4)[1:] + ["*"] * 4)[:4]
        shown = ":".join(segment or ("*" if len(rest.split(":")) == 2 else "") for segment in segments)
        yield f'Partition "{partition}" is not valid for resource "arn:{partition}:{shown}".'
        return
    if ":" not in rest:
        yield PARTIAL_ARN
        return
    _, _, service, region, _, name, *_ = (*resource.split(":", 5), "", "", "", "")
    if service == "iam" and region:
        yield f"IAM resource {resource} cannot contain region information."
    elif service == "s3" and region and not name.startswith("accesspoint/"):
        yield f"Resource {resource} can not contain region information."
    elif service == "iam" and not name.startswith(_IAM_PATHS) and name != "*":
        yield f'IAM resource path must either be "*" or start with {", ".join(_IAM_PATHS)}.'


def _action_problems(action: str) -> Iterator[str]:
    vendor, *rest = action.split(":")
    if not rest and vendor != "*":
        yield NO_VENDOR
    elif len(rest) > 1:
        yield COLONS
    elif vendor != "*" and not _VENDOR.fullmatch(vendor):
        yield f"Vendor {vendor} is not valid"


def _identity_problems(statements: list[dict[str, Any]]) -> Iterator[str]:
    if any("Principal" in statement or "NotPrincipal" in statement for statement in statements):
        yield PRINCIPAL
    if not all(_listed(statement, "Resource") for statement in statements):
        yield NO_RESOURCES


def _resource_kind_problems(statements: list[dict[str, Any]]) -> Iterator[str]:
    if not all("Principal" in statement or "NotPrincipal" in statement for statement in statements):
        yield NO_PRINCIPAL


def _trust_problems(statements: list[dict[str, Any]]) -> Iterator[str]:
    if any(
        "NotAction" in statement or not set(_listed(statement, "Action")) <= _TRUSTED
        for statement in statements
    ):
        yield TRUST_ACTIONS
    if any("Resource" in statement or "NotResource" in statement for statement in statements):
        yield TRUST_RESOURCE
    yield from _resource_kind_problems(statements)


def _scp_problems(statements: list[dict[str, Any]]) -> Iterator[str]:
    if any("Principal" in statement or "NotPrincipal" in statement for statement in statements):
        yield SCP_KIND
    if not all(_listed(statement, "Resource") for statement in statements):
        yield SCP_KIND


_KINDS = {
    PolicyKind.IDENTITY: _identity_problems,
    PolicyKind.RESOURCE: _resource_kind_problems,
    PolicyKind.TRUST: _trust_problems,
    PolicyKind.SCP: _scp_problems,
}
