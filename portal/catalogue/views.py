"""The catalogue and each lab's page."""

from __future__ import annotations

from collections.abc import Mapping

from flask import Blueprint, render_template, request
from flask.typing import ResponseReturnValue

from curriculum.loader import Lab
from graders.shared import TITLES, WITHOUT_STACK
from portal.catalogue.services import (
    RUNTIME_NAMES,
    competencies,
    judged,
    levels,
    progress,
    search,
    shelves,
    tally,
)
from portal.languages import N_
from portal.services import services
from portal.users.session import current_user, require_user

bp = Blueprint("catalogue", __name__, template_folder="templates")
bp.before_request(require_user)


@bp.get("/")
def home() -> ResponseReturnValue:
    """All tracks and labs with the learner's progress; with ``q`` or ``competency`` those that fit."""
    attempts = services().store.attempts_of(current_user().id, limit=5000)
    catalogue = services().catalogue()
    found = shelves(catalogue, attempts)
    words, competency = request.args.get("q", "").strip()[:100], request.args.get("competency", "")
    shown = search(catalogue, found, words, competency) if words or competency else found
    labs = {item.lab.slug: item for shelf in found for item in shelf.labs}
    return render_template(
        "home.html",
        shelves=shown,
        searched=bool(words or competency),
        words=words,
        competency=catalogue.competencies.get(competency, competency),
        matches=len({item.lab.slug for shelf in shown for item in shelf.labs}),
        levels=levels(found),
        competencies=competencies(catalogue, found),
        tally=tally(found, len(attempts)),
        running=[item for item in labs.values() if item.open],
    )


@bp.get("/labs/<slug>")
def lab(slug: str) -> ResponseReturnValue:
    """A lab: brief, contract, what is judged, ways to hand in, own attempts."""
    return lab_page(services().catalogue().get_lab(slug))


def lab_page(found: Lab, problem: Mapping[str, object] | None = None) -> str:
    """A lab's page, with what was wrong with a submission where there was something."""
    user = current_user()
    attempts = services().store.attempts_of(user.id, found.slug)
    groups = judged(found)
    return render_template(
        "lab.html",
        lab=found,
        judged=groups,
        total=sum(item.points for item in groups) + found.manifest.gate_points,
        conditions=TITLES if found.manifest.deploys else WITHOUT_STACK,
        contract=_tables(found),
        runtimes=RUNTIME_NAMES,
        attempts=attempts,
        progress=progress(found, attempts),
        refused=services().store.refused(user.id, found.slug),
        running=next((item for item in attempts if item.is_open), None),
        problem=problem,
    )


def _tables(found: Lab) -> list[tuple[str, str, tuple[object, ...]]]:
    """The contract's tables that have rows: title, first column, rows."""
    manifest = found.manifest
    tables: list[tuple[str, str, tuple[object, ...]]] = [
        (N_("Stack outputs"), N_("Output"), manifest.outputs),
        (N_("Stack parameters"), N_("Parameter"), manifest.parameters),
        (N_("Files that are replaced before grading"), N_("File"), manifest.seeded_files),
    ]
    return [table for table in tables if table[2]]
