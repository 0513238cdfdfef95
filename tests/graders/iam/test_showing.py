from __future__ import annotations

import io
from typing import Any

from rich.console import Console

from graders.report import html, junit, terminal

PATCH = """\
--- a/template.yaml
+++ b/template.yaml
@@ -1,1 +1,1 @@
-  Resource: "*"
+  Resource: !GetAtt Orders.Arn
"""


def report(**iam: Any) -> dict[str, Any]:
    role = {
        "role": "arn:aws:iam::111122223333:role/worker",
        "granted_unused": [{"action": "dynamodb:DeleteItem"}],
        "used": [{"action": "dynamodb:PutItem", "resource": "t", "times": 3}],
        "denied": [
            {"action": "sqs:CreateQueue", "resource": "q", "times": 2, "reason": "no policy allows it"}
        ],
        "minimal_policy": {"Statement": [{"Action": "dynamodb:PutItem"}]},
        "proof": {"holds": True},
        "findings": [
            {
                "kind": "wildcard_action",
                "headline": "`dynamodb:*` is wide.",
                "line": "template.yaml:9",
                "evidence": [],
            },
            {"kind": "escalation", "headline": "it may act as <admin>"},
        ],
        "patch": PATCH,
    }
    check = {
        "id": "s1",
        "title": "Narrow.",
        "dimension": "SEC",
        "outcome": "failed",
        "points": 0,
        "worth": 10,
        "points_possible": 10,
        "visibility": "V",
        "headline": "Too much.",
        "did": [],
        "saw": [],
        "ruled_out": [],
        "means": [],
        "look": ["template.yaml:9"],
        "docs": [],
        "patch": PATCH,
    }
    return {
        "lab": "x",
        "lab_code": "X01",
        "lab_title": "Lab",
        "lab_version": "1",
        "seed": 1,
        "seeds": [1],
        "backend": "emulated",
        "isolation": {"level": 4},
        "runtimes": [],
        "outcome": "not_passed",
        "points": 0,
        "points_possible": 10,
        "duration_s": 1.0,
        "phases": [],
        "checks": [check],
        "submission_digest": "d",
        "grader_digest": "g",
        "iam": {"roles": [role], "resources": [], **iam},
    }


def on_a_terminal(document: dict[str, Any]) -> str:
    out = io.StringIO()
    terminal.render(document, Console(file=out, width=60))
    return out.getvalue()


def test_a_terminal_shows_the_repair_unbroken_and_once() -> None:
    shown = on_a_terminal(report())

    assert shown.count("      +  Resource: !GetAtt Orders.Arn\n") == 1
    assert "Used 1 action; 1 grant not used; 2 calls refused." in " ".join(shown.split())
    assert "template.yaml:9  `dynamodb:*` is wide." in shown


def test_a_terminal_says_how_squeezing_went() -> None:
    held = on_a_terminal(report(squeezed={"held": True, "lost": [], "too_long": []}))
    lost = on_a_terminal(
        report(squeezed={"held": False, "lost": [{"id": "f1", "headline": "No rows."}], "too_long": []})
    )
    nothing = on_a_terminal(report(squeezed={"held": None, "lost": [], "too_long": []}))

    assert "nothing was lost" in held
    assert "f1  No rows." in lost
    assert "smallest policies" not in nothing


def test_the_page_has_roles_repairs_and_policies_and_nothing_unescaped() -> None:
    opened = [{"resource": "arn:q", "headline": "Anyone may <send>."}]
    page = html.render(report(resources=opened))

    assert "<ins>+  Resource: !GetAtt Orders.Arn</ins>" in page
    assert "The smallest policy" in page
    assert "it may act as &lt;admin&gt;" in page
    assert "Anyone may &lt;send&gt;." in page


def test_the_machine_readable_report_has_the_repair_too() -> None:
    assert "+  Resource: !GetAtt Orders.Arn" in junit.render(report())
