"""The report's ``iam`` part, in plain JSON types. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from graders.iam.evidence import Seen
from graders.iam.inspection import InspectedRole, Inspection


def as_json(inspection: Inspection) -> dict[str, Any]:
    """``{"roles": […], "resources": […]}``; a role without findings is there too."""
    return {
        "roles": [role_json(item) for item in inspection.roles],
        "resources": [
            {
                "resource": item.arn,
                "kind": item.kind,
                "headline": item.sentence,
                "actions": list(item.actions),
                "statement": item.index,
                "sid": item.sid,
            }
            for item in inspection.exposures
        ],
    }


def role_json(item: InspectedRole) -> dict[str, Any]:
    """One role: the four promised members, then who runs as it, what is wrong, and the proof."""
    return {
        "role": item.role.arn,
        "granted_unused": [dict(each) for each in item.unused],
        "used": _counted(item.evidence.used),
        "denied": _counted(item.evidence.denied, reasons=True),
        "minimal_policy": dict(item.minimal),
        "functions": list(item.functions),
        "findings": [_finding(found) for found in item.findings]
        + [
            {
                "kind": "escalation",
                "headline": found.sentence,
                "towards": found.towards,
                "statements": [ref.as_json() for ref in found.statements],
            }
            for found in item.escalations
        ],
        "patch": item.patch,
        "proof": {
            "replayed": item.proof.replayed,
            "holds": item.proof.holds,
            "refused": [f"{each.action} on {each.resource}" for each in item.proof.refused],
            "idle": list(item.proof.idle),
        },
    }


def _finding(found: Any) -> dict[str, Any]:
    return {
        "kind": found.kind,
        "headline": found.headline,
        "policy": found.policy.name,
        "statement": found.index,
        "line": found.line,
        "evidence": list(found.evidence),
        "narrower": [dict(each) for each in found.narrower],
        "patch": found.patch,
    }


def _counted(seen: Iterable[Seen], *, reasons: bool = False) -> list[Mapping[str, Any]]:
    items = list(seen)
    counted = Counter((item.action, item.resource) for item in items)
    why = {(item.action, item.resource): item.reason for item in items}
    return [
        {
            "action": action,
            "resource": resource,
            "times": times,
            **({"reason": why[action, resource]} if reasons else {}),
        }
        for (action, resource), times in sorted(counted.items())
    ]
