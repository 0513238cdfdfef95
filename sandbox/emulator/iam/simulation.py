"""IAM's policy simulator, answered by the evaluator that decides every call.

Source: https://docs.aws.amazon.com/IAM/latest/APIReference/API_SimulatePrincipalPolicy.html
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handlers, Principal, PrincipalKind
from sandbox.emulator.core import AccountCore
from sandbox.emulator.iam.enforcement.policies import Held, find_role
from sandbox.emulator.iam.evaluation import (
    Caller,
    Decision,
    MalformedPolicy,
    Policies,
    Policy,
    PolicyType,
    Request,
    evaluate,
    parse_policy,
)

_KINDS = {
    PolicyType.IDENTITY: "IAM Policy",
    PolicyType.RESOURCE: "Resource Policy",
    PolicyType.BOUNDARY: "PermissionsBoundary",
    PolicyType.SCP: "Service Control Policy",
    PolicyType.SESSION: "Session Policy",
}


class Simulator:
    """SimulatePrincipalPolicy and SimulateCustomPolicy."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    def handlers(self) -> Handlers:
        """Operations taken over from moto."""
        return {
            ("iam", "SimulatePrincipalPolicy"): self.simulate_principal,
            ("iam", "SimulateCustomPolicy"): self.simulate_custom,
        }

    def simulate_principal(self, call: Call) -> dict[str, Any]:
        """What a user, group's member or role could do with the policies it has, and with more."""
        held = self._held(str(call.params["PolicySourceArn"]))
        more = _parsed(call.params.get("PolicyInputList") or (), "PolicyInputList")
        boundary = _boundary(call) or held.boundary
        held = replace(held, identity=(*held.identity, *more), boundary=boundary)
        return _answer(call, held)

    def simulate_custom(self, call: Call) -> dict[str, Any]:
        """What somebody with these policies alone could do."""
        arn = str(call.params.get("CallerArn") or f"arn:aws:iam::{call.account_id}:user/simulated")
        identity = _parsed(call.params["PolicyInputList"], "PolicyInputList")
        caller = Caller.user(arn.split(":")[4] or call.account_id, arn)
        return _answer(call, Held(caller, identity, _boundary(call)))

    def _held(self, arn: str) -> Held:
        parts = arn.split(":", 5)
        name = parts[5] if len(parts) == 6 else ""
        account = parts[4] if len(parts) == 6 else ""
        principals = self._core.guard.principals
        with self._core.dispatch_lock:
            if name.startswith("role/") and find_role(arn) is not None:
                session = f"arn:aws:sts::{account}:assumed-role/{name.rsplit('/', 1)[-1]}/simulated"
                return principals.of(Principal(PrincipalKind.ROLE_SESSION, account, session, role_arn=arn))
            if name.startswith("user/"):
                held = principals.of(Principal(PrincipalKind.USER, account, arn))
                if held.exists:
                    return held
        raise AwsError("NoSuchEntity", f"The specified principal {arn} cannot be found.", 404)


def _parsed(documents: Iterable[str], kind: str) -> tuple[Policy, ...]:
    found = []
    for number, text in enumerate(documents, 1):
        try:
            found.append(parse_policy(text, f"{kind}.{number}"))
        except MalformedPolicy as error:
            raise AwsError("InvalidInput", f"{kind}.{number} is not a valid policy: {error}") from None
    return tuple(found)


def _boundary(call: Call) -> Policy | None:
    given = _parsed(
        call.params.get("PermissionsBoundaryPolicyInputList") or (), "PermissionsBoundaryPolicyInputList"
    )
    return given[0] if given else None


def _answer(call: Call, held: Held) -> dict[str, Any]:
    params = call.params
    context = {
        str(entry["ContextKeyName"]): list(entry.get("ContextKeyValues") or ())
        for entry in params.get("ContextEntries") or ()
    }
    resource_policies = _parsed(
        [params["ResourcePolicy"]] if params.get("ResourcePolicy") else (), "ResourcePolicy"
    )
    owner = str(params.get("ResourceOwner") or "")
    owner = owner.split(":")[4] if owner.startswith("arn:") else owner
    results = []
    for action in params["ActionNames"]:
        for resource in params.get("ResourceArns") or ("*",):
            request = Request(str(action), str(resource), owner, context)
            policies = held.over(resource_policies[0] if resource_policies else None)
            results.append(_result(request, policies, evaluate(held.caller, request, policies)))
    first = int(params.get("Marker") or 0)
    most = int(params.get("MaxItems") or 100)
    page = results[first : first + most]
    more = {"Marker": str(first + most)} if first + most < len(results) else {}
    return {"EvaluationResults": page, "IsTruncated": bool(more), **more}


def _result(request: Request, policies: Policies, decision: Decision) -> dict[str, Any]:
    layer = decision.reason.policy_type
    told = "allowed" if decision.allowed else "explicitDeny" if decision.reason.explicit else "implicitDeny"
    result: dict[str, Any] = {
        "EvalActionName": request.action,
        "EvalResourceName": request.resource,
        "EvalDecision": told,
        "MatchedStatements": [
            {
                "SourcePolicyId": ref.policy,
                "SourcePolicyType": _KINDS[ref.policy_type],
            }
            for ref in decision.statements
        ],
        "MissingContextValues": sorted(_missing(request, policies)),
    }
    if policies.scps:
        result["OrganizationsDecisionDetail"] = {"AllowedByOrganizations": layer is not PolicyType.SCP}
    if policies.boundary is not None:
        result["PermissionsBoundaryDecisionDetail"] = {
            "AllowedByPermissionsBoundary": layer is not PolicyType.BOUNDARY
        }
    return result


def _missing(request: Request, policies: Policies) -> set[str]:
    given = {name.lower() for name in request.context}
    every = [*policies.identity, *(p for p in (policies.boundary, policies.resource) if p is not None)]
    return {
        condition.key
        for policy in every
        for statement in policy.document.speaking_of(request.action.lower())
        for condition in statement.conditions
        if condition.key.lower() not in given and not condition.key.lower().startswith("aws:principal")
    }
