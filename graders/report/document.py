"""The report as the promised JSON document, ``coldstart.report/1``. The other shapes are made from it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from curriculum.loader import Lab
from graders.findings import Finding, Outcome
from graders.scoring import CheckResult, Verdict, score, verdict
from graders.seedrun import SeedRun

SCHEMA = "coldstart.report/1"


def document(
    *,
    lab: Lab,
    runs: Sequence[SeedRun],
    results: Sequence[CheckResult],
    duration_s: float,
    submission_digest: str,
    grader_digest: str,
) -> dict[str, Any]:
    """The report of a grading, in plain JSON types."""
    total = score(results)
    first = next((run for run in runs if run.backend_name), runs[0])
    return {
        "schema": SCHEMA,
        "lab": lab.slug,
        "lab_code": lab.code,
        "lab_title": lab.title,
        "lab_version": lab.manifest.version,
        "seed": runs[0].seed,
        "seeds": [run.seed for run in runs],
        "backend": first.backend_name or "none",
        "isolation": first.isolation,
        "runtimes": sorted({name for run in runs for name in run.runtimes}),
        "outcome": str(_outcome(runs, results)),
        "points": total.points,
        "points_possible": total.points_possible,
        "duration_s": round(duration_s, 3),
        "phases": [asdict(phase) for run in runs for phase in run.phases],
        "checks": [check_document(item) for item in results],
        "iam": runs[0].iam,
        "cost": {},
        **({"skin": lab.skin} if lab.skin else {}),
        "submission_digest": submission_digest,
        "grader_digest": grader_digest,
    }


def check_document(item: CheckResult) -> dict[str, Any]:
    """One check of the report."""
    finding = item.finding
    return {
        "id": item.id,
        "title": item.title,
        "dimension": str(item.dimension),
        "outcome": str(item.outcome),
        "points": item.points,
        "points_possible": item.points_possible,
        "worth": item.worth,
        "visibility": str(item.visibility),
        "headline": finding.headline,
        "did": [asdict(entry) for entry in finding.did],
        "saw": [asdict(entry) for entry in finding.saw],
        "ruled_out": list(finding.ruled_out),
        "means": [asdict(entry) for entry in finding.means],
        "look": list(finding.look),
        "docs": list(finding.docs),
        **_optional(finding),
    }


def _optional(finding: Finding) -> dict[str, Any]:
    texts = {
        "expected": finding.expected,
        "hint": finding.hint,
        "reason": finding.reason,
        "patch": finding.patch,
    }
    return {key: value for key, value in texts.items() if value}


def _outcome(runs: Sequence[SeedRun], results: Sequence[CheckResult]) -> Verdict:
    """The verdict over all seeds: every one has to pass, and an inconclusive check is nobody's failure."""
    verdicts = {verdict(run.ordered) for run in runs} | {verdict(results)}
    for worst in (Verdict.INCONCLUSIVE, Verdict.NOT_PASSED):
        if worst in verdicts:
            return worst
    # Nothing could be assessed at all: that is our lack, not a pass.
    judged = any(item.outcome is not Outcome.NOT_ASSESSED for item in results)
    return Verdict.PASSED if judged else Verdict.INCONCLUSIVE
