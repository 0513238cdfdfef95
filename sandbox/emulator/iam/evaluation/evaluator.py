"""Decides a request as AWS does: explicit denies, SCPs, resource policy, identity, boundary, session.

Sources:
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic_policy-eval-denyallow.html
https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic-cross-account.html
https://docs.aws.amazon.com/organizations/latest/userguide/orgs_manage_policies_scps_evaluation.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from sandbox.emulator.iam.evaluation.context import Context, account_of
from sandbox.emulator.iam.evaluation.model import (
    EXPLICIT,
    MISSING,
    Caller,
    CallerKind,
    Decision,
    Policies,
    Policy,
    PolicyType,
    Reason,
    Request,
    StatementRef,
)
from sandbox.emulator.iam.evaluation.principals import Named
from sandbox.emulator.iam.evaluation.statements import Statement

_WITHOUT_ACCOUNT = frozenset({CallerKind.SERVICE, CallerKind.EXTERNAL, CallerKind.ANONYMOUS})
_BOUNDED = frozenset({CallerKind.USER, CallerKind.ROLE_SESSION})
TRUST_ACTIONS = frozenset(
    {
        "sts:assumerole",
        "sts:assumerolewithsaml",
        "sts:assumerolewithwebidentity",
        "sts:tagsession",
        "sts:setsourceidentity",
    }
)


@dataclass(slots=True)
class _Found:
    """What one layer says: its denies, its allows, and how the allows name the caller."""

    denies: list[StatementRef]
    allows: list[StatementRef]
    named: Named = Named.NOT


def evaluate(caller: Caller, request: Request, policies: Policies) -> Decision:
    """Decide whether the caller may do what the request says, under the policies that apply.

    Policies that do not bind the caller are left out of account: SCPs for services, service-linked roles and
    the management account; identity policies, boundary and session policies for callers that have none.
    """
    evaluation = _Evaluation(caller, request, policies)
    return evaluation.decide()


def must_allow_itself(request: Request) -> bool:
    """Whether the resource's own policy has to allow, whoever asks: roles being assumed and KMS keys.

    Source: https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
    """
    action = request.action.lower()
    if action in TRUST_ACTIONS:
        return ":role/" in request.resource
    return action.startswith("kms:") and ":key/" in request.resource


def naming(statement: Statement, caller: Caller, policies: Policies) -> Named:
    """How a statement of a resource's policy names the caller."""
    principals = statement.principals
    if principals is None:
        return Named.NOT
    if not statement.not_principals:
        return principals.naming(caller)
    if not statement.allows and policies.boundary is not None and caller.kind in _BOUNDED:
        # "NotPrincipal … with a Deny effect will always deny any IAM principal that has a permissions
        # boundary": https://docs.aws.amazon.com/IAM/latest/UserGuide/access_policies_boundaries.html
        return Named.OUTRIGHT
    return Named.NOT if principals.excepts(caller) else Named.OUTRIGHT


class _Evaluation:
    __slots__ = ("action", "caller", "context", "policies", "request")

    def __init__(self, caller: Caller, request: Request, policies: Policies) -> None:
        self.caller = caller
        self.request = request
        self.policies = policies
        self.action = request.action.lower()
        self.context = Context(caller, request)

    def decide(self) -> Decision:
        levels = [self._layer(PolicyType.SCP, level) for level in self._scps()]
        resource = self._resource()
        identity = self._layer(PolicyType.IDENTITY, self.policies.identity if self._has_account() else ())
        boundary = self._limit(PolicyType.BOUNDARY, self._boundary())
        session = self._limit(PolicyType.SESSION, self.policies.session if self._has_account() else ())
        layers = (
            *((PolicyType.SCP, level) for level in levels),
            (PolicyType.RESOURCE, resource),
            (PolicyType.IDENTITY, identity),
            (PolicyType.BOUNDARY, boundary),
            (PolicyType.SESSION, session),
        )
        denied = [(kind, found.denies) for kind, found in layers if found is not None and found.denies]
        if denied:
            return Decision(False, EXPLICIT[denied[0][0]], tuple(ref for _, refs in denied for ref in refs))
        if not all(level.allows for level in levels):
            return Decision(False, Reason.NO_SCP)
        scp_refs = [ref for level in levels for ref in level.allows]
        return self._granted(scp_refs, resource, identity, boundary, session)

    def _granted(
        self,
        scps: list[StatementRef],
        resource: _Found,
        identity: _Found,
        boundary: _Found | None,
        session: _Found | None,
    ) -> Decision:
        """The decision when nothing denies and the organization allows."""
        if not self._has_account():
            if resource.allows:
                return Decision(True, Reason.ALLOWED_BY_RESOURCE, tuple(resource.allows))
            return Decision(False, Reason.NO_RESOURCE)
        same_account = account_of(self.request, self.caller) == self.caller.account
        if same_account and resource.named is Named.OUTRIGHT:
            return Decision(True, Reason.ALLOWED_BY_RESOURCE, (*scps, *resource.allows))
        root = self.caller.kind is CallerKind.ROOT
        by_resource_alone = same_account and resource.named is Named.ROLE
        if not (identity.allows or root or by_resource_alone):
            return Decision(False, self._missing_grant(resource, same_account))
        if not resource.allows and (not same_account or must_allow_itself(self.request)):
            return Decision(False, Reason.NO_RESOURCE)
        for kind, limit in ((PolicyType.BOUNDARY, boundary), (PolicyType.SESSION, session)):
            if limit is not None and not limit.allows:
                return Decision(False, MISSING[kind])
        limits = [ref for limit in (boundary, session) if limit is not None for ref in limit.allows]
        granting = (*resource.allows, *identity.allows)
        return Decision(True, self._grant(resource, identity), (*scps, *granting, *limits))

    def _missing_grant(self, resource: _Found, same_account: bool) -> Reason:
        """What an ungranted request lacks first. A resource that must allow itself is asked first."""
        if same_account and must_allow_itself(self.request) and not resource.allows:
            return Reason.NO_RESOURCE
        return Reason.NO_IDENTITY

    def _grant(self, resource: _Found, identity: _Found) -> Reason:
        if self.caller.kind is CallerKind.ROOT:
            return Reason.ALLOWED_AS_ROOT
        if not identity.allows:
            return Reason.ALLOWED_BY_RESOURCE
        return Reason.ALLOWED_BY_BOTH if resource.allows else Reason.ALLOWED_BY_IDENTITY

    def _has_account(self) -> bool:
        return self.caller.kind not in _WITHOUT_ACCOUNT

    def _scps(self) -> tuple[tuple[Policy, ...], ...]:
        exempt = self.caller.service_linked or self.caller.management_account or not self._has_account()
        return () if exempt else self.policies.scps

    def _boundary(self) -> tuple[Policy, ...]:
        boundary = self.policies.boundary
        return (boundary,) if boundary is not None and self.caller.kind in _BOUNDED else ()

    def _limit(self, kind: PolicyType, policies: tuple[Policy, ...]) -> _Found | None:
        return self._layer(kind, policies) if policies else None

    def _layer(self, kind: PolicyType, policies: Iterable[Policy]) -> _Found:
        found = _Found([], [])
        for policy in policies:
            references = policy.references(kind)
            for statement in self._applying(policy):
                (found.allows if statement.allows else found.denies).append(references[statement.index])
        return found

    def _resource(self) -> _Found:
        found = _Found([], [])
        policy = self.policies.resource
        if policy is None:
            return found
        for statement in self._applying(policy):
            named = naming(statement, self.caller, self.policies)
            if named is Named.NOT:
                continue
            ref = policy.references(PolicyType.RESOURCE)[statement.index]
            if statement.allows:
                found.allows.append(ref)
                found.named = max(found.named, named)
            else:
                found.denies.append(ref)
        return found

    def _applying(self, policy: Policy) -> list[Statement]:
        context = self.context
        resource = self.request.resource
        return [
            statement
            for statement, unsettled in policy.document.candidates(self.action, resource)
            if (not unsettled or statement.covers(resource, context))
            and (not statement.conditions or statement.meets_conditions(context))
        ]
