"""The smallest policy that a run needed, proven by deciding every call of the run again. Pure."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graders.iam.declared import Right, generalised
from graders.iam.evidence import Evidence
from graders.iam.model import Role
from sandbox.emulator.iam.evaluation import Request, evaluate, parse_policy

VERSION = "2012-10-17"


@dataclass(frozen=True, slots=True)
class Need:
    """One request that has to stay allowed, and the resource that a policy names for it.

    ``delegated``: the resource's own policy takes part too, as with KMS keys and other accounts.
    ``declared``: no call of the run needed it, the lab says that it is needed.
    """

    request: Request
    resource: str
    delegated: bool = False
    declared: bool = False


@dataclass(frozen=True, slots=True)
class Proof:
    """What deciding again showed. It holds when nothing is refused and nothing idle."""

    replayed: int
    refused: tuple[Request, ...] = ()
    idle: tuple[str, ...] = ()

    @property
    def holds(self) -> bool:
        """Every need is allowed, and without any part of the policy one is not."""
        return not self.refused and not self.idle


def needs(evidence: Evidence, declared: Sequence[Right] = ()) -> tuple[Need, ...]:
    """What a role's policy must allow: what the run used, and what the lab says is needed besides."""
    found = [
        Need(seen.request, generalised(seen.action, seen.resource, declared), seen.by_resource)
        for seen in evidence.needed
    ]
    for each in declared:
        if each.needed:
            for action, resource in itertools.product(each.actions, each.resources):
                found.append(Need(_instance(action, resource, each.when), resource, declared=True))
    return tuple(found)


def minimal_policy(wanted: Iterable[Need]) -> dict[str, Any]:
    """The policy that allows these needs and nothing that can be left out.

    Actions on the same resources share a statement, so it allows no pair that nobody needs. Without needs
    it has no statements, and a role does without a policy.
    """
    by_resource: dict[str, set[str]] = {}
    for need in wanted:
        by_resource.setdefault(need.resource, set()).add(need.request.action)
    _drop_covered(by_resource)
    by_actions: dict[tuple[str, ...], list[str]] = {}
    for resource in sorted(by_resource):
        by_actions.setdefault(tuple(sorted(by_resource[resource])), []).append(resource)
    return {
        "Version": VERSION,
        "Statement": [
            {"Effect": "Allow", "Action": _one_or_many(actions), "Resource": _one_or_many(resources)}
            for actions, resources in sorted(by_actions.items())
        ],
    }


def _drop_covered(by_resource: dict[str, set[str]]) -> None:
    """Leave out a name that another pattern covers for the same action."""
    for resource in sorted(by_resource):
        for action in sorted(by_resource[resource]):
            wider = (other for other in by_resource if other != resource and action in by_resource[other])
            if any("*" in other and Right((action,), (other,)).covers(action, resource) for other in wider):
                by_resource[resource].discard(action)
        if not by_resource[resource]:
            del by_resource[resource]


def prove(role: Role, wanted: Sequence[Need], policy: Mapping[str, Any]) -> Proof:
    """Decide every need again with this policy in place of the role's own, and again without each part.

    The role's boundary and the organization's policies stay as they are.
    """
    refused = tuple(need.request for need in wanted if not _allowed(role, need, policy))
    idle = tuple(
        part
        for part, less in _without_each_part(policy)
        if all(_allowed(role, need, less) for need in wanted)
    )
    return Proof(len(wanted), refused, idle)


def _allowed(role: Role, need: Need, policy: Mapping[str, Any]) -> bool:
    if not policy["Statement"]:
        return False
    # What the resource's policy said is not in question here: let it leave the decision to the account.
    resource = role.delegation if need.delegated else None
    own = (parse_policy(policy, "minimal"),)
    return evaluate(role.caller, need.request, role.over(resource, own)).allowed


def _without_each_part(policy: Mapping[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    statements = list(policy["Statement"])
    for index, statement in enumerate(statements):
        rest = [*statements[:index], *statements[index + 1 :]]
        yield f"statement {index + 1}", {**policy, "Statement": rest}
        for element in ("Action", "Resource"):
            parts = statement[element]
            for part in parts if isinstance(parts, list) else ():
                less = {**statement, element: [each for each in parts if each != part]}
                changed = [*statements[:index], less, *statements[index + 1 :]]
                yield f"statement {index + 1}: {part}", {**policy, "Statement": changed}


def _instance(action: str, resource: str, when: Mapping[str, str]) -> Request:
    """A request that a declared right stands for: its patterns with something in place of wildcards."""
    return Request(
        action.replace("*", "X").replace("?", "X"),
        resource if resource == "*" else resource.replace("*", "needed").replace("?", "x"),
        context=dict(when),
    )


def _one_or_many(values: Sequence[str]) -> str | list[str]:
    return values[0] if len(values) == 1 else list(values)
