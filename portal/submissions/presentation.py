"""A report, arranged for its page. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from graders.report.words import DIMENSIONS
from portal.languages import N_

Report = Mapping[str, Any]
Group = tuple[str, str, bool, list[Mapping[str, Any]]]

_NEEDS_READING = ("failed", "partial")


@dataclass(frozen=True, slots=True)
class Bar:
    """The points of one dimension; ``possible`` is 0 when nothing in it could be assessed."""

    title: str
    points: float
    possible: float

    @property
    def level(self) -> str:
        """``""`` from 80 % on, ``mid`` from 60 % on, else ``low``."""
        share = self.points / self.possible if self.possible else 0.0
        return "" if share >= 0.8 else "mid" if share >= 0.6 else "low"


@dataclass(frozen=True, slots=True)
class Span:
    """A phase on the run's time axis; ``left`` and ``width`` in percent."""

    name: str
    duration_s: float
    left: float
    width: float


def groups(report: Report) -> list[Group]:
    """Checks by what a learner does with them: ``(title, introduction, open, checks)``.

    What did not pass comes first and open; what we could not judge is kept apart from it.
    """
    checks = report["checks"]
    return [
        (N_("What did not pass"), "", True, [item for item in checks if item["outcome"] in _NEEDS_READING]),
        (
            N_("What we could not judge"),
            N_("The fault is ours, not yours. These checks were run again on fresh accounts first."),
            True,
            _with(checks, "inconclusive"),
        ),
        (N_("What passed"), "", False, _with(checks, "passed")),
        (
            N_("What was not assessed"),
            N_(
                "Either an earlier check has to pass first, or this backend can't put the question yet; "
                "the points of the latter are left out of the total."
            ),
            False,
            _with(checks, "not_assessed"),
        ),
    ]


def bars(report: Report) -> list[Bar]:
    """Points by dimension, in the fixed order of the dimensions."""
    found = []
    for code, title in DIMENSIONS.items():
        items = [item for item in report["checks"] if item["dimension"] == code and item["worth"]]
        if items:
            earned = sum(item["points"] for item in items)
            found.append(Bar(title, earned, sum(item["points_possible"] for item in items)))
    return found


def waterfall(report: Report) -> list[tuple[int, list[Span]]]:
    """The phases of each seed's run on one time axis."""
    timed = [
        (item.get("seed", 0), item["name"], datetime.fromisoformat(item["started_at"]), item["duration_s"])
        for item in report["phases"]
    ]
    if not timed:
        return []
    begin = min(at for _, _, at, _ in timed)
    whole = max((at - begin).total_seconds() + length for _, _, at, length in timed) or 1.0
    lanes: dict[int, list[Span]] = {}
    for seed, name, at, length in timed:
        left = 100 * (at - begin).total_seconds() / whole
        # Never thinner than the eye can see, never beyond the end.
        width = max(100 * length / whole, 0.4)
        lanes.setdefault(seed, []).append(Span(name, length, min(left, 100 - width), width))
    return list(lanes.items())


def _with(checks: list[Mapping[str, Any]], outcome: str) -> list[Mapping[str, Any]]:
    return [item for item in checks if item["outcome"] == outcome]
