"""The page of a report, for its learner and for those it is shown to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from flask import render_template

from curriculum.errors import UnknownLab
from graders.report.words import EVIDENCE, OUTCOMES, VERDICTS, open_resources, roles, summary
from portal.services import services
from portal.submissions import presentation
from records.store import Attempt


@dataclass(frozen=True, slots=True)
class LabName:
    """What pages about attempts need of a lab."""

    slug: str
    code: str
    title: str
    exists: bool = True
    version: str = ""


def lab_of(attempt: Attempt) -> LabName:
    """How the attempt's lab is called; a report outlives its lab."""
    try:
        lab = services().catalogue().get_lab(attempt.lab)
    except UnknownLab:
        return LabName(attempt.lab, attempt.lab, attempt.lab, False)
    return LabName(lab.slug, lab.code, lab.title, version=lab.manifest.version)


def report_page(attempt: Attempt, **more: Any) -> str:
    """A closed attempt with its report, if it has one."""
    report = services().store.report(attempt.id)
    return render_template(
        "report.html",
        attempt=attempt,
        lab=lab_of(attempt),
        report=report,
        groups=presentation.groups(report) if report else [],
        bars=presentation.bars(report) if report else [],
        waterfall=presentation.waterfall(report) if report else [],
        roles=roles(report) if report else [],
        open_resources=open_resources(report) if report else [],
        summary=summary(report) if report else attempt.note,
        verdict=VERDICTS.get(attempt.outcome or "", "Inconclusive"),
        words=OUTCOMES,
        evidence=EVIDENCE,
        **{"ladders": {}, **more},
    )
