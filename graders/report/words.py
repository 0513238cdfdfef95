"""Words and figures that every shape of the report shares."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

OUTCOMES = {
    "passed": "passed",
    "partial": "partly",
    "failed": "failed",
    "not_assessed": "not assessed",
    "inconclusive": "inconclusive",
}
DIMENSIONS = {
    "FUN": "Function",
    "RES": "Resilience",
    "SEC": "Security",
    "OBS": "Observability",
    "IAC": "Delivery",
    "PERF": "Performance",
    "COST": "Cost",
    "DIAG": "Diagnosis",
}
VERDICTS = {"passed": "Passed", "not_passed": "Not passed", "inconclusive": "Inconclusive"}
EVIDENCE = (
    ("did", "What we did"),
    ("saw", "What we saw"),
    ("expected", "What was expected"),
    ("ruled_out", "What we ruled out"),
    ("means", "What this usually means"),
    ("look", "Where to look"),
)


def points(value: float) -> str:
    """A number of points without needless decimals."""
    return f"{value:g}"


def fact(entry: Any) -> str:
    """One entry of evidence as a line: time, source, what."""
    if isinstance(entry, str):
        return entry
    if "pattern" in entry:
        return f"{entry['pattern']} ({entry['likelihood']})"
    source = entry.get("api") or entry.get("source") or ""
    return "  ".join(part for part in (entry.get("at", ""), source, entry["what"]) if part)


def evidence_lines(check: Mapping[str, Any]) -> Iterator[str]:
    """A check's evidence as plain lines, in the order a learner reads it."""
    for key, title in EVIDENCE:
        value = check.get(key)
        if not value:
            continue
        yield f"{title}:"
        for entry in [value] if isinstance(value, str) else value:
            yield f"  {fact(entry)}"
    if check.get("hint"):
        yield f"Hint: {check['hint']}"


def summary(report: Mapping[str, Any]) -> str:
    """One sentence on how the verdict came about."""
    left_out = sum(item["worth"] - item["points_possible"] for item in report["checks"])
    scored = f"{points(report['points'])} of {points(report['points_possible'])} points"
    if report["outcome"] == "inconclusive":
        text = "Some checks could not be judged. The fault is ours and the attempt does not count."
    elif report["outcome"] == "passed":
        text = f"{scored} on every seed, with every condition met."
    else:
        text = f"{scored}. {_why(report)}"
    if left_out:
        text += (
            f" Checks worth {points(left_out)} points could not be assessed on this backend and are left out."
        )
    return text


def _why(report: Mapping[str, Any]) -> str:
    checks = report["checks"]
    if any(item["id"] == "G2" and item["outcome"] == "failed" for item in checks):
        return "The stack has to deploy before anything else can be assessed."
    unmet = [
        item["title"].rstrip(".") for item in checks if not item["worth"] and item["outcome"] == "failed"
    ]
    if unmet:
        return f"A pass also needs this condition: {'; '.join(unmet)}."
    return "A pass takes 80 % of the points, and 60 % of the security points, on every seed."
