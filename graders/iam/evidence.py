"""What each role did, from the decisions that were logged. Pure.

On the emulator every decision is known. On a real account a trail tells part of it: ``observable`` says of
which actions a log could have told, so that silence about the others is not taken for disuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sandbox.emulator.iam.evaluation import PolicyType, Request, StatementRef
from sandbox.faults.rights import POLICY_PREFIX


class Use(StrEnum):
    """What a log says of a granted action."""

    USED = "used"
    UNUSED = "unused"
    NOT_OBSERVABLE = "not observable"


@dataclass(frozen=True, slots=True)
class Seen:
    """One authorisation of a call that a role made, with what decided it."""

    request: Request
    allowed: bool
    statements: tuple[StatementRef, ...] = ()
    operation: str = ""
    at: str = ""
    reason: str = ""

    @property
    def action(self) -> str:
        """``service:Action``."""
        return self.request.action

    @property
    def resource(self) -> str:
        """Its ARN, or ``*``."""
        return self.request.resource

    @property
    def by_identity(self) -> bool:
        """A policy of the role itself took part, so the role needs the right."""
        return any(ref.policy_type is PolicyType.IDENTITY for ref in self.statements)

    @property
    def by_resource(self) -> bool:
        """The resource's own policy took part."""
        return any(ref.policy_type is PolicyType.RESOURCE for ref in self.statements)


@dataclass(frozen=True, slots=True)
class Evidence:
    """What one role did: allowed authorisations and refused attempts, oldest first."""

    role_arn: str
    used: tuple[Seen, ...] = ()
    denied: tuple[Seen, ...] = ()
    observable: Callable[[str], bool] = field(default=lambda action: True)

    @property
    def needed(self) -> tuple[Seen, ...]:
        """The uses for which the role's own policies had to allow, each (action, resource, context) once."""
        found: dict[Any, Seen] = {}
        for seen in self.used:
            if seen.by_identity or not seen.statements:
                context = tuple(
                    sorted((k, str(v)) for k, v in seen.request.context.items() if k not in _VOLATILE)
                )
                found.setdefault((seen.action, seen.resource, context), seen)
        return tuple(found.values())

    def use_of(self, action: str) -> Use:
        """Whether a granted action was used, was not, or could not have been seen."""
        if any(seen.action.lower() == action.lower() for seen in self.used):
            return Use.USED
        return Use.UNUSED if self.observable(action) else Use.NOT_OBSERVABLE

    def uses_of(self, statement: tuple[str, int]) -> tuple[Seen, ...]:
        """The uses that a statement, by its policy's name and its place, allowed."""
        return tuple(
            seen
            for seen in self.used
            if any((ref.policy, ref.index) == statement and ref.effect == "Allow" for ref in seen.statements)
        )


_VOLATILE = frozenset({"aws:CurrentTime", "aws:EpochTime", "aws:UserAgent", "aws:SourceIp"})


def of_role(role_arn: str, decisions: Iterable[Mapping[str, Any]]) -> Evidence:
    """A role's evidence, from an account's decision log (``docs/iam.md`` gives its shape).

    A call that was refused used nothing. Refusals that the grader itself had caused are left out.
    """
    used: list[Seen] = []
    denied: list[Seen] = []
    for record in decisions:
        if record["role_arn"] != role_arn:
            continue
        for each in record["authorisations"]:
            seen = _seen(record, each)
            if record["decision"] == "Allow":
                used.append(seen)
            elif not seen.allowed and not _is_fault(seen):
                denied.append(seen)
    return Evidence(role_arn, tuple(used), tuple(denied))


def _seen(record: Mapping[str, Any], each: Mapping[str, Any]) -> Seen:
    return Seen(
        Request(each["action"], each["resource"], each["resource_account"], dict(each["context"])),
        each["decision"] == "Allow",
        tuple(
            StatementRef(
                PolicyType(ref["policy_type"]), ref["policy"], ref["index"], ref["sid"], ref["effect"]
            )
            for ref in each["statements"]
        ),
        f"{record['service']}:{record['operation']}",
        record["at"],
        each["reason"],
    )


def _is_fault(seen: Seen) -> bool:
    return any(f"/{POLICY_PREFIX}" in ref.policy for ref in seen.statements)
