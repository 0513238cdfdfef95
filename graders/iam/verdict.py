"""The finding of a check that asks whether roles keep to their contract."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from graders.findings import Finding, Outcome, Saw, passed
from graders.iam.budget import LIMIT, Excess
from graders.iam.declared import Right
from graders.iam.findings import Findings
from graders.iam.inspection import Inspector
from graders.iam.model import Role
from graders.iam.patches import Change, Patcher
from sandbox.emulator.iam.evaluation import StatementRef

_SHOWN = 3
_DOCS = (
    "Apply least-privilege permissions "
    "https://docs.aws.amazon.com/IAM/latest/UserGuide/best-practices.html#grant-least-privilege",
)


def judge_rights(
    inspector: Inspector,
    declared: Iterable[tuple[Role | None, Sequence[Right]]],
    *,
    points: float,
    each: float,
) -> Finding:
    """Passed when no role allows a pair beyond its rights; ``each`` of ``points`` off per pair.

    Whoever share a role may each use what the other needs: their rights are taken together.
    """
    together: dict[str, tuple[Role, list[Right]]] = {}
    for role, rights in declared:
        if role is not None:
            together.setdefault(role.arn, (role, []))[1].extend(rights)
    found = [(role, rights, inspector.excess(role, rights)) for role, rights in together.values()]
    pairs = sum(len(excess) for _, _, excess in found)
    if not pairs:
        names = ", ".join(f"`{role.name}`" for role, _ in together.values())
        return passed(
            f"Role {names} allows what the contract lists and nothing more.", saw=_used(inspector, found)
        )
    return _too_much(inspector, found, pairs, points, each)


def _too_much(
    inspector: Inspector,
    found: Sequence[tuple[Role, Sequence[Right], Sequence[Excess]]],
    pairs: int,
    points: float,
    each: float,
) -> Finding:
    role, rights, excess = next(item for item in found if item[2])
    many = f"{pairs} or more" if pairs >= LIMIT else str(pairs)
    headline = (
        f"Role `{role.name}` allows {many} pair{'' if pairs == 1 else 's'} beyond the contract: "
        f"{' · '.join(item.pair for item in excess[:_SHOWN])}{' …' if len(excess) > _SHOWN else ''}."
    )
    refs = dict.fromkeys(ref for item in excess for ref in item.statements)
    places = [(ref, inspector.line(role, ref.policy, ref.index)) for ref in refs]
    saw = [
        Saw(
            line or f"policy {ref.policy}",
            f"statement {ref.index + 1} of {ref.policy} allows it: {_example(ref, excess)}",
        )
        for ref, line in places[:_SHOWN]
    ]
    left = max(points - each * pairs, 0.0)
    finding = Finding(
        Outcome.PARTIAL if left else Outcome.FAILED,
        headline,
        points=left or None,
        saw=(*saw, *_used(inspector, found)),
        look=tuple(line for _, line in places if line) or ("Policies of the role",),
        docs=_DOCS,
        expected="no action on no resource that the contract does not list",
        hint=f"Each pair costs {each:g} of {points:g} points. Allow the actions that the run used, "
        "on what it used them on.",
    )
    return replace(finding, patch=_patch(inspector, role, rights, refs))


def _example(ref: StatementRef, excess: Sequence[Excess]) -> str:
    item = next(item for item in excess if ref in item.statements)
    return f"{item.action} on {item.resource}"


def _used(inspector: Inspector, found: Sequence[tuple[Role, Sequence[Right], Sequence[Excess]]]) -> list[Saw]:
    told = []
    for role, _, _ in found:
        used = sorted({seen.action for seen in inspector.evidence_of(role).used})
        what = f"{len(used)} actions: {', '.join(used)}" if used else "no action"
        told.append(Saw("this run", f"{role.name} used {what}"))
    return told


def _patch(inspector: Inspector, role: Role, rights: Sequence[Right], refs: Iterable[StatementRef]) -> str:
    """The statements that allow too much, narrowed to what the run used of them."""
    if inspector.places is None or inspector.template is None:
        return ""
    looking = Findings(role, inspector.evidence_of(role), inspector.surroundings, rights)
    loose = {(ref.policy, ref.index) for ref in refs}
    changes = [
        Change(place, looking.narrower(statement))
        for statement in looking.statements
        if statement.key in loose
        for place in (inspector.places.statement(role.name, statement.policy, statement.index),)
        if place is not None
    ]
    return Patcher(inspector.template, inspector.surroundings).diff(changes)
