"""Says in words why a request was decided as it was, and what came near to allowing it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from sandbox.emulator.iam.evaluation.context import Context
from sandbox.emulator.iam.evaluation.evaluator import TRUST_ACTIONS, evaluate, naming
from sandbox.emulator.iam.evaluation.model import (
    Caller,
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

_ROLE_TRUST = "role trust policy"
_WITH_DENY = {
    PolicyType.SCP: "a service control policy",
    PolicyType.RESOURCE: "a resource-based policy",
    PolicyType.IDENTITY: "an identity-based policy",
    PolicyType.BOUNDARY: "a permissions boundary",
    PolicyType.SESSION: "a session policy",
}


@dataclass(frozen=True, slots=True)
class NearMiss:
    """An Allow that speaks of the action but does not apply.

    ``element`` is what keeps it from applying: ``Resource``, ``Principal`` or ``Condition``; for a condition
    ``operator`` and ``key`` name it and ``given`` holds the request's values of that key.
    """

    statement: StatementRef
    element: str
    operator: str = ""
    key: str = ""
    given: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Explanation:
    """A decision with the Allow statements of the lacking layer that came near. ``text`` is for people."""

    decision: Decision
    near_misses: tuple[NearMiss, ...]
    text: str


def denial_sentence(caller: Caller, request: Request, decision: Decision) -> str:
    """AWS's sentence for a denied request.

    Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/troubleshoot_access-denied.html
    """
    layer = decision.reason.policy_type
    if layer is None:
        raise ValueError("The request is allowed.")
    who = caller.arn or caller.service or "anonymous"
    sentence = f"User: {who} is not authorized to perform: {request.action}"
    if request.resource != "*":
        sentence += f" on resource: {request.resource}"
    trust = layer is PolicyType.RESOURCE and request.action.lower() in TRUST_ACTIONS
    if decision.reason.explicit:
        return f"{sentence} with an explicit deny in {f'the {_ROLE_TRUST}' if trust else _WITH_DENY[layer]}"
    return f"{sentence} because no {_ROLE_TRUST if trust else layer} allows the {request.action} action"


def explain(caller: Caller, request: Request, policies: Policies) -> Explanation:
    """Evaluate, and look for what nearly allowed."""
    decision = evaluate(caller, request, policies)
    layer = decision.reason.policy_type
    near: tuple[NearMiss, ...] = ()
    if layer is not None and not decision.reason.explicit:
        near = tuple(_near_misses(layer, caller, request, policies))
    return Explanation(decision, near, _text(decision, near))


def layers(policies: Policies) -> Iterator[tuple[PolicyType, tuple[Policy, ...]]]:
    """Every policy with its type, an SCP level apart from the next."""
    for level in policies.scps:
        yield PolicyType.SCP, level
    yield PolicyType.RESOURCE, (policies.resource,) if policies.resource is not None else ()
    yield PolicyType.IDENTITY, policies.identity
    yield PolicyType.BOUNDARY, (policies.boundary,) if policies.boundary is not None else ()
    yield PolicyType.SESSION, policies.session


def _near_misses(
    layer: PolicyType, caller: Caller, request: Request, policies: Policies
) -> Iterator[NearMiss]:
    context = Context(caller, request)
    for kind, members in layers(policies):
        if kind is not layer:
            continue
        for policy in members:
            for statement in policy.document.speaking_of(request.action.lower()):
                if statement.allows:
                    ref = policy.references(kind)[statement.index]
                    yield from _miss(ref, statement, caller, request, policies, context)


def _miss(
    ref: StatementRef,
    statement: Statement,
    caller: Caller,
    request: Request,
    policies: Policies,
    context: Context,
) -> Iterator[NearMiss]:
    if not statement.covers(request.resource, context):
        yield NearMiss(ref, "Resource")
    elif ref.policy_type is PolicyType.RESOURCE and naming(statement, caller, policies) is Named.NOT:
        yield NearMiss(ref, "Principal")
    else:
        for condition in statement.conditions:
            if not condition.holds(context):
                given = context(condition.key.lower())
                yield NearMiss(ref, "Condition", condition.operator, condition.key, given)
                return


def _text(decision: Decision, near: tuple[NearMiss, ...]) -> str:
    lines = [f"{'Allow' if decision.allowed else 'Deny'}: {decision.reason}."]
    lines += [f"  {ref.effect} {place(ref)}" for ref in decision.statements]
    for miss in near:
        lines.append(f"  {place(miss.statement)} speaks of the action, but {_but(miss)}")
    if decision.reason is Reason.NO_RESOURCE and not near:
        lines.append("  The resource's own policy has to allow this, and says nothing of the action.")
    return "\n".join(lines)


def _but(miss: NearMiss) -> str:
    if miss.element == "Resource":
        return "not of this resource."
    if miss.element == "Principal":
        return "does not name the caller."
    given = ", ".join(miss.given) or "absent"
    return f"{miss.operator} {miss.key} does not hold: the request's {miss.key} is {given}."


def place(ref: StatementRef) -> str:
    """Where a statement stands."""
    sid = f" ({ref.sid})" if ref.sid else ""
    return f"{ref.policy_type} {ref.policy or 'unnamed'}, statement {ref.index + 1}{sid}"
