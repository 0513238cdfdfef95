"""The rights a role has by its policies, as they are written."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any
from urllib.parse import unquote


@dataclass(frozen=True, slots=True)
class Right:
    """One action pattern allowed on one resource pattern, and the policy that says so."""

    policy: str
    action: str
    resource: str


def granted(client: Any, role: str) -> tuple[Right, ...]:
    """Everything a role's inline and attached policies allow. ``client`` is an IAM client.

    ``NotAction`` and ``NotResource`` allow nearly everything and are told as ``*``.
    """
    return tuple(
        Right(name, action, resource)
        for name, document in _documents(client, role)
        for statement in _as_list(document.get("Statement"))
        if statement.get("Effect") == "Allow"
        for action in _as_list(statement.get("Action", "*"))
        for resource in _as_list(statement.get("Resource", "*"))
    )


def beyond(rights: Iterable[Right], budget: Mapping[str, Sequence[str]]) -> tuple[Right, ...]:
    """The rights that no entry of the budget covers. Resources in the budget may hold ``*`` and ``?``.

    A pattern of the role is covered by the same pattern of the budget, or a wider one.
    """
    return tuple(
        right
        for right in rights
        if not any(
            fnmatchcase(right.resource, resource)
            and any(fnmatchcase(right.action.lower(), action.lower()) for action in actions)
            for resource, actions in budget.items()
        )
    )


def _documents(client: Any, role: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
    for page in client.get_paginator("list_role_policies").paginate(RoleName=role):
        for name in page["PolicyNames"]:
            found = client.get_role_policy(RoleName=role, PolicyName=name)
            yield name, _document(found["PolicyDocument"])
    for page in client.get_paginator("list_attached_role_policies").paginate(RoleName=role):
        for item in page["AttachedPolicies"]:
            version = client.get_policy(PolicyArn=item["PolicyArn"])["Policy"]["DefaultVersionId"]
            found = client.get_policy_version(PolicyArn=item["PolicyArn"], VersionId=version)
            yield item["PolicyName"], _document(found["PolicyVersion"]["Document"])


def _document(value: Any) -> Mapping[str, Any]:
    """A policy as boto3 gives it: decoded already, or as URL-encoded text."""
    found = value if isinstance(value, Mapping) else json.loads(unquote(value))
    assert isinstance(found, Mapping)
    return found


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, (list, tuple)) else [] if value is None else [value]
