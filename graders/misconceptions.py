"""Naming the misconception: which known wrong solutions fail the way this submission does. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace

from graders.findings import Meaning, Outcome
from graders.scoring import CheckResult

_NAMED_AT_MOST = 3


@dataclass(frozen=True, slots=True)
class Misconception:
    """A known wrong solution: what is wrong with it and the checks it fails."""

    name: str
    what: str
    fails: frozenset[str]


def explain(results: Iterable[CheckResult], known: Collection[Misconception]) -> tuple[CheckResult, ...]:
    """The results with ``means`` filled in where a failed check names none itself."""
    items = tuple(results)
    lost = frozenset(item.id for item in items if item.outcome in (Outcome.FAILED, Outcome.PARTIAL))
    judged = frozenset(item.id for item in items if item.outcome is not Outcome.NOT_ASSESSED)
    return tuple(
        replace(item, finding=replace(item.finding, means=nearest(item.id, lost, judged, known)))
        if item.id in lost and not item.finding.means
        else item
        for item in items
    )


def nearest(
    check_id: str, lost: frozenset[str], judged: frozenset[str], known: Collection[Misconception]
) -> tuple[Meaning, ...]:
    """The misconceptions that fail this check, the one whose failures look most like these first."""
    found = ranked(check_id, lost, judged, known)
    return tuple(Meaning(item.what, _word(likeness)) for item, likeness in found[:_NAMED_AT_MOST])


def ranked(
    check_id: str, lost: frozenset[str], judged: frozenset[str], known: Collection[Misconception]
) -> list[tuple[Misconception, float]]:
    """The misconceptions that fail this check with their likeness, 1 for the same failures, likest first."""
    found = [(item, _likeness(lost, item.fails & judged)) for item in known if check_id in item.fails]
    return sorted(found, key=lambda pair: (-pair[1], pair[0].name))


def _likeness(lost: frozenset[str], fails: frozenset[str]) -> float:
    union = lost | fails
    return len(lost & fails) / len(union) if union else 0.0


def _word(likeness: float) -> str:
    if likeness == 1.0:
        return "very likely"
    return "likely" if likeness >= 0.5 else "possible"
