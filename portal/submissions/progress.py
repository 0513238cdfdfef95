"""A grading that runs, from its events to what a page shows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from flask_babel import gettext

from portal.languages import N_
from records.store import Attempt

WORDS = {
    "account": N_("Open a fresh AWS account"),
    "build": N_("Build your code"),
    "deploy": N_("Deploy the stack"),
    "checks": N_("Ask the checks"),
    "rights": N_("Look at the roles"),
    "redeploy": N_("Deploy once more, unchanged"),
    "delete": N_("Delete the stack"),
}
_ALWAYS = ("account", "build", "deploy", "checks")
_SPOKEN = {
    "account": N_("opening an account"),
    "build": N_("building"),
    "deploy": N_("deploying"),
    "checks": N_("asking the checks"),
    "rights": N_("looking at the roles"),
    "redeploy": N_("deploying once more"),
    "delete": N_("deleting the stack"),
}


@dataclass(slots=True)
class Step:
    """One phase of a run: ``waiting``, ``started``, ``done`` or ``failed``."""

    name: str
    status: str = "waiting"
    elapsed_s: float | None = None
    since: datetime | None = None

    @property
    def words(self) -> str:
        """The phase in a learner's words."""
        return WORDS.get(self.name, self.name)


@dataclass(slots=True)
class Lane:
    """The run on one seed."""

    seed: int
    phases: dict[str, Step] = field(default_factory=lambda: {name: Step(name) for name in _ALWAYS})
    asked: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    total: int = 0
    note: str = ""

    @property
    def steps(self) -> list[Step]:
        """The phases in their order."""
        return list(self.phases.values())

    @property
    def checks(self) -> list[Mapping[str, Any]]:
        """Every check that has an answer, in the order of the answers."""
        return list(self.asked.values())

    def take(self, at: datetime, body: Mapping[str, Any]) -> None:
        """Note what an event says."""
        if "check_id" in body:
            self.asked[body["check_id"]] = body
            self.total = body.get("total", self.total)
            return
        step = self.phases.setdefault(body["phase"], Step(body["phase"]))
        if body["status"] != "started":
            step.status, step.elapsed_s = body["status"], body.get("elapsed_s", 0.0)
            self.note = ""
            return
        if body["phase"] == "account" and step.status != "waiting":
            self._begin_again()
            step = self.phases["account"]
        self.note = body.get("message", self.note)
        # What is said while a phase runs is no new beginning.
        step.since = at if step.status != "started" else step.since
        step.status, step.elapsed_s = "started", None

    def _begin_again(self) -> None:
        self.phases = {name: Step(name) for name in _ALWAYS}


@dataclass(frozen=True, slots=True)
class Run:
    """All that is known of a grading in progress."""

    lanes: tuple[Lane, ...]
    sentence: str


def run_of(attempt: Attempt, events: Iterable[tuple[datetime, Mapping[str, Any]]]) -> Run:
    """The events of one claim as lanes, one a seed, and a sentence for those who listen to the page."""
    lanes: dict[int, Lane] = {}
    for at, body in events:
        if body.get("phase") in WORDS and "status" in body:
            # A seed of 0 is left out of an event, like everything that is empty.
            seed = int(body.get("seed", 0))
            lanes.setdefault(seed, Lane(seed)).take(at, body)
    return Run(tuple(lanes.values()), _sentence(attempt, list(lanes.values())))


def _sentence(attempt: Attempt, lanes: list[Lane]) -> str:
    if attempt.state == "queued":
        return str(gettext("Waiting for a worker."))
    parts = [
        gettext("Run %(number)s: %(phase)s", number=number, phase=gettext(_SPOKEN.get(step.name, step.name)))
        for number, lane in enumerate(lanes, 1)
        for step in lane.steps
        if step.status == "started"
    ]
    return "; ".join(parts) + "." if parts else str(gettext("Grading."))
