"""Roles with everything that bears on them, as the evaluator takes them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import cached_property
from typing import Any

from sandbox.emulator.iam.evaluation import (
    Caller,
    CallerKind,
    Decision,
    MalformedPolicy,
    Policies,
    Policy,
    Request,
    evaluate,
    parse_policy,
)

Document = Mapping[str, Any]


class PolicySource(StrEnum):
    """Where a role's policy is kept."""

    INLINE = "inline"
    CUSTOMER = "customer managed"
    AWS = "AWS managed"


@dataclass(frozen=True)
class HeldPolicy:
    """A policy of a role. ``name`` is what the decision log calls it: ``role/inline-name`` or an ARN."""

    name: str
    document: Document
    source: PolicySource = PolicySource.INLINE

    @property
    def short_name(self) -> str:
        """Its name without role or path."""
        return self.name.rsplit("/", 1)[-1]

    @property
    def statements(self) -> tuple[Mapping[str, Any], ...]:
        """Its statements as written."""
        return tuple(as_list(self.document.get("Statement")))

    @cached_property
    def parsed(self) -> Policy | None:
        """Ready to be evaluated; None when it is no policy."""
        return parsed(self.document, self.name)


@dataclass(frozen=True)
class Role:
    """A role, its policies, and what limits and trusts it."""

    arn: str
    policies: tuple[HeldPolicy, ...] = ()
    boundary: Policy | None = None
    trust: Policy | None = None
    scps: tuple[tuple[Policy, ...], ...] = ()
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """The role's name, without path."""
        return self.arn.rsplit("/", 1)[-1]

    @property
    def account_id(self) -> str:
        """The account it lives in."""
        return self.arn.split(":")[4]

    @property
    def caller(self) -> Caller:
        """A session of the role."""
        session = f"arn:aws:sts::{self.account_id}:assumed-role/{self.name}/grader"
        return Caller(CallerKind.ROLE_SESSION, self.account_id, session, self.arn, tags=dict(self.tags))

    @cached_property
    def identity(self) -> tuple[Policy, ...]:
        """Its own policies, ready to be evaluated."""
        return tuple(policy.parsed for policy in self.policies if policy.parsed is not None)

    def over(self, resource: Policy | None = None, identity: tuple[Policy, ...] | None = None) -> Policies:
        """All policies that bear on its requests, with a resource's own; ``identity`` replaces its own."""
        own = self.identity if identity is None else identity
        return Policies(own, resource, self.boundary, (), self.scps)

    def decide(self, request: Request, resource: Policy | None = None) -> Decision:
        """Whether a session of the role may do it."""
        return evaluate(self.caller, request, self.over(resource))

    def allows(self, request: Request, resource: Policy | None = None) -> bool:
        """Whether a session of the role may do it."""
        return self.decide(request, resource).allowed

    def could(self, request: Request) -> Decision:
        """Whether its own policies let it, where the resource's policy leaves that to the account.

        Keys, roles and what other accounts own must let the caller in themselves; here they do.
        """
        return self.decide(request, self.delegation)

    @cached_property
    def delegation(self) -> Policy:
        """A resource's policy that leaves every decision to the account."""
        principal = {"AWS": f"arn:aws:iam::{self.account_id}:root"}
        statement = {"Effect": "Allow", "Principal": principal, "Action": "*", "Resource": "*"}
        return parse_policy({"Version": "2012-10-17", "Statement": [statement]}, "delegation")

    def allowing(self) -> Iterator[tuple[HeldPolicy, int, Mapping[str, Any]]]:
        """Every statement with ``Allow``, with its policy and its place in it."""
        for policy in self.policies:
            for index, statement in enumerate(policy.statements):
                if statement.get("Effect") == "Allow":
                    yield policy, index, statement

    def denying(self) -> tuple[Mapping[str, Any], ...]:
        """Every statement with ``Deny`` of its own policies."""
        return tuple(
            statement
            for policy in self.policies
            for statement in policy.statements
            if statement.get("Effect") == "Deny"
        )


def parsed(document: Any, name: str = "") -> Policy | None:
    """A document ready to be evaluated; None when it is no policy, and so lets nobody in."""
    try:
        return parse_policy(document, name)
    except (MalformedPolicy, TypeError, ValueError):
        return None


def as_list(value: Any) -> list[Any]:
    """What policies write as one or as a list, as a list."""
    return [] if value is None else list(value) if isinstance(value, list | tuple) else [value]


def texts(values: Iterable[Any]) -> tuple[str, ...]:
    """Values as texts, once each, in order."""
    return tuple(dict.fromkeys(str(value) for value in values))
