"""Words and figures that every shape of the report shares."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
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
    if check.get("patch"):
        yield f"A repair:\n{check['patch']}"


@dataclass(frozen=True, slots=True)
class RoleInWords:
    """A role of the report: its name, how much it may and did, what is wrong, and the repair."""

    name: str
    told: str
    problems: tuple[tuple[str, str], ...]
    patch: str
    policy: str


def roles(report: Mapping[str, Any]) -> list[RoleInWords]:
    """The roles of the stack, those with problems first. ``problems`` are pairs of place and sentence."""
    found = [_role(item) for item in report.get("iam", {}).get("roles", ())]
    return sorted(found, key=lambda role: not role.problems)


def open_resources(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Resources whose policies let others in, as pairs of ARN and sentence."""
    return [(item["resource"], item["headline"]) for item in report.get("iam", {}).get("resources", ())]


def _role(item: Mapping[str, Any]) -> RoleInWords:
    used = {each["action"] for each in item["used"]}
    told = f"Used {_count(len(used), 'action')}; {_count(len(item['granted_unused']), 'grant')} not used"
    denied = sum(each["times"] for each in item["denied"])
    told += f"; {_count(denied, 'call')} refused." if denied else "."
    problems = [
        (
            found.get("line") or found.get("policy", ""),
            " ".join((found["headline"], *found.get("evidence", ()))),
        )
        for found in item.get("findings", ())
    ]
    problems += [
        ("refused", f"{each['action']} on {each['resource']} ({each['times']} ×): {each['reason']}")
        for each in item["denied"]
    ]
    policy = json.dumps(item["minimal_policy"], indent=2, ensure_ascii=False)
    proven = item.get("proof", {}).get("holds", False)
    return RoleInWords(
        item["role"].rsplit("/", 1)[-1],
        told,
        tuple(problems),
        item.get("patch", ""),
        policy if proven and item["minimal_policy"]["Statement"] else "",
    )


def _count(number: int, thing: str) -> str:
    return f"{number} {thing}{'' if number == 1 else 's'}"


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
