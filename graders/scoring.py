"""From findings to points and a verdict. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from enum import StrEnum

from graders.findings import Dimension, Finding, Outcome, Saw, Visibility

PASS_SHARE = 0.8
SECURITY_SHARE = 0.6


class Verdict(StrEnum):
    PASSED = "passed"
    NOT_PASSED = "not_passed"
    INCONCLUSIVE = "inconclusive"


@dataclass(frozen=True, slots=True)
class CheckResult:
    """One check's finding with what it was worth.

    ``worth`` is 0 for the shared conditions G1 and G3–G6: they carry no points, and a lab is not
    passed while one of them fails. ``static`` checks never look at behaviour.
    """

    id: str
    title: str
    dimension: Dimension
    visibility: Visibility
    worth: float
    finding: Finding
    static: bool = False

    @property
    def outcome(self) -> Outcome:
        """What the check found."""
        return self.finding.outcome

    @property
    def points(self) -> float:
        """Points earned."""
        if self.outcome is Outcome.PASSED:
            return self.worth
        if self.outcome is Outcome.PARTIAL:
            return min(max(self.finding.points or 0.0, 0.0), self.worth)
        return 0.0

    @property
    def points_possible(self) -> float:
        """What could have been earned: nothing when the backend could not put the question."""
        unable = self.outcome is Outcome.NOT_ASSESSED and not self.finding.blocked
        return 0.0 if unable else self.worth

    @property
    def is_condition(self) -> bool:
        """It carries no points but has to hold."""
        return self.worth == 0


@dataclass(frozen=True, slots=True)
class Score:
    """Points earned of points possible."""

    points: float
    points_possible: float

    @property
    def share(self) -> float:
        """Points earned as a share of those possible, 0 when nothing could be earned."""
        return self.points / self.points_possible if self.points_possible else 0.0


def score(results: Iterable[CheckResult]) -> Score:
    """The sum over checks; a check the backend could not assess is left out of both numbers."""
    items = list(results)
    return Score(
        _tidy(sum(item.points for item in items)), _tidy(sum(item.points_possible for item in items))
    )


def verdict(results: Sequence[CheckResult]) -> Verdict:
    """Whether this run passes the lab.

    It passes with the gate and every condition passed, at least 80 % of the points possible, and at
    least 60 % of the possible security points where there are any. One inconclusive check makes the
    run inconclusive: it is ours to repair.
    """
    if any(item.outcome is Outcome.INCONCLUSIVE for item in results):
        return Verdict.INCONCLUSIVE
    if any(item.outcome is Outcome.FAILED and (item.is_condition or item.id == "G2") for item in results):
        return Verdict.NOT_PASSED
    security = score(item for item in results if item.dimension is Dimension.SEC)
    enough = score(results).share >= PASS_SHARE
    safe = not security.points_possible or security.share >= SECURITY_SHARE
    return Verdict.PASSED if enough and safe else Verdict.NOT_PASSED


# From worst to best, for a check that differs between two seeds.
_ORDER = (Outcome.INCONCLUSIVE, Outcome.FAILED, Outcome.PARTIAL, Outcome.NOT_ASSESSED, Outcome.PASSED)


def combine(runs: Sequence[tuple[int, Sequence[CheckResult]]]) -> tuple[CheckResult, ...]:
    """One list of results for a submission graded on several seeds: the run with fewer points.

    A check that came out worse on another seed says so in its evidence. A condition that was
    assessed on one seed only is taken from there.
    """
    _, lower = min(runs, key=lambda run: (verdict(run[1]) is not Verdict.INCONCLUSIVE, score(run[1]).share))
    others = [(seed, {item.id: item for item in results}) for seed, results in runs if results is not lower]
    combined = []
    for item in lower:
        chosen = item
        for seed, by_id in others:
            other = by_id.get(item.id)
            if other is None:
                continue
            worse = _ORDER.index(other.outcome) < _ORDER.index(chosen.outcome)
            if chosen.is_condition and worse:
                chosen = other
            elif worse:
                note = Saw(f"seed {seed}", f"{other.outcome}: {other.finding.headline}")
                chosen = replace(chosen, finding=replace(chosen.finding, saw=(*chosen.finding.saw, note)))
        combined.append(chosen)
    ids = {item.id for item in combined}
    combined += [item for _, by_id in others for item in by_id.values() if item.id not in ids]
    return tuple(combined)


def _tidy(value: float) -> float:
    rounded = round(value, 2)
    return int(rounded) if rounded == int(rounded) else rounded
