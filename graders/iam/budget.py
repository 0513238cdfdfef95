"""Whether a role may do more than its contract lets it: asked of the evaluator, never of the text. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from graders.iam import actions
from graders.iam.actions import Candidate
from graders.iam.contexts import contexts
from graders.iam.declared import Right
from graders.iam.model import Role
from graders.iam.surroundings import Surroundings, instances
from sandbox.emulator.iam.evaluation import PolicyType, Request, StatementRef

LIMIT = 200
"""More pairs than this say nothing new."""


@dataclass(frozen=True, slots=True)
class Excess:
    """A request beyond the contract that a role's policies allow, and the statements that allow it."""

    action: str
    resource: str
    label: str
    statements: tuple[StatementRef, ...]

    @property
    def pair(self) -> str:
        """As a learner reads it: ``dynamodb:DeleteTable on your Invoices``."""
        return f"{self.action} on {self.label}"


def excess(
    role: Role, rights: Sequence[Right], surroundings: Surroundings, *, limit: int = LIMIT
) -> tuple[Excess, ...]:
    """Every pair of action and resource beyond ``rights`` that the role's policies allow, ``limit`` at most.

    The gravest come first. Tried are all actions that some statement covers, on the stack's own resources, on
    those that the lab calls others', on "any other" of each type, and on what the statements' own patterns
    stand for; with the conditions of the statements met wherever a caller could meet them.
    """
    found: dict[tuple[str, str], Excess] = {}
    more = instances(role, surroundings)
    covered = _covered(role)
    for action in sorted(covered, key=lambda name: (*actions.weight(name), name)):
        statements = covered[action]
        tried = contexts(statements, surroundings.region, role.denying())
        for candidate in surroundings.candidates(action, more):
            refs = _allowed_beyond(role, rights, action, candidate, tried)
            if refs:
                label = candidate.label
                found.setdefault((action, label), Excess(action, candidate.arn, label, refs))
            if len(found) >= limit:
                return tuple(found.values())
    return tuple(found.values())


def _covered(role: Role) -> dict[str, list[Mapping[str, Any]]]:
    """The actions that statements with Allow speak of, with those statements."""
    found: dict[str, list[Mapping[str, Any]]] = {}
    for _, _, statement in role.allowing():
        for action in actions.covered(statement):
            found.setdefault(action, []).append(statement)
    return found


def _allowed_beyond(
    role: Role,
    rights: Sequence[Right],
    action: str,
    candidate: Candidate,
    tried: Sequence[Mapping[str, str]],
) -> tuple[StatementRef, ...]:
    for context in tried:
        if any(right.covers(action, candidate.arn, context) for right in rights):
            continue
        decision = role.could(Request(action, candidate.arn, context=context))
        if decision.allowed:
            return tuple(_identity(decision.statements))
    return ()


def _identity(refs: Sequence[StatementRef]) -> Iterator[StatementRef]:
    return (ref for ref in refs if ref.policy_type is PolicyType.IDENTITY)
