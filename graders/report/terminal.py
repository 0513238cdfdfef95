"""The report on a terminal."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from rich.console import Console
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

from graders.report.words import EVIDENCE, OUTCOMES, VERDICTS, fact, open_resources, points, roles, summary

_STYLES = {
    "passed": "green",
    "partial": "yellow",
    "failed": "red",
    "not_assessed": "dim",
    "inconclusive": "magenta",
    "not_passed": "red",
}
_MARKS = {"passed": "✓", "partial": "◐", "failed": "✗", "not_assessed": "–", "inconclusive": "?"}


def render(report: Mapping[str, Any], console: Console) -> None:
    """Print the report: the table of checks first, then the evidence of what did not pass."""
    console.print(f"[bold]{report['lab_code']} · {report['lab_title']}[/bold]\n")
    table = Table(box=None, pad_edge=False, show_header=False, padding=(0, 2, 0, 0))
    for justify in ("left", "left", "left", "right"):
        table.add_column(justify=justify)
    for item in report["checks"]:
        style = _STYLES[item["outcome"]]
        earned = f"{points(item['points'])}/{points(item['points_possible'])}" if item["worth"] else ""
        table.add_row(
            Text(f"{_MARKS[item['outcome']]} {item['id']}", style=style),
            Text(item["title"]),
            Text(OUTCOMES[item["outcome"]], style=style),
            Text(earned),
        )
    console.print(table)
    for item in report["checks"]:
        if item["outcome"] in ("failed", "partial", "inconclusive"):
            _evidence(item, console)
    _rights(report, console)
    outcome = report["outcome"]
    console.print(
        Text.assemble(
            "\n",
            (VERDICTS[outcome], f"bold {_STYLES[outcome]}"),
            "  ",
            (f"{points(report['points'])}/{points(report['points_possible'])} points", "bold"),
        )
    )
    console.print(Text(summary(report)))
    level = report["isolation"].get("level", "?")
    console.print(
        Text(
            f"seed {report['seed']} · {report['backend']} · isolation {level} · "
            f"{report['duration_s']:.2f} s · {report['submission_digest'][:19]}",
            style="dim",
        )
    )


def _evidence(item: Mapping[str, Any], console: Console) -> None:
    console.print()
    console.print(Text.assemble((f"{item['id']}  ", _STYLES[item["outcome"]]), (item["headline"], "bold")))
    for key, title in EVIDENCE:
        value = item.get(key)
        if not value:
            continue
        lines = [value] if isinstance(value, str) else [fact(entry) for entry in value]
        console.print(Padding(Text(title, style="dim"), (0, 0, 0, 4)))
        for line in lines:
            console.print(Padding(Text(line), (0, 0, 0, 6)))
    if item.get("hint"):
        console.print(Padding(Text(item["hint"], style="italic"), (0, 0, 0, 4)))
    if item.get("patch"):
        console.print(Padding(Text("A repair, for `git apply`", style="dim"), (0, 0, 0, 4)))
        _patch(item["patch"], console)


def _rights(report: Mapping[str, Any], console: Console) -> None:
    """What roles may and did, where something is wrong with them; the whole is in the other shapes."""
    wrong = [role for role in roles(report) if role.problems]
    resources = open_resources(report)
    squeezed = report.get("iam", {}).get("squeezed")
    if squeezed and squeezed["held"] is not None:
        console.print()
        if squeezed["held"]:
            console.print(Text("Run again within the smallest policies: nothing was lost.", style="green"))
        else:
            console.print(Text("Run again within the smallest policies, this was lost:", style="red"))
        for item in squeezed["lost"]:
            console.print(Padding(Text(f"{item['id']}  {item['headline']}"), (0, 0, 0, 4)))
    if not wrong and not resources:
        return
    console.print(Text("\nRights", style="bold"))
    for role in wrong:
        console.print(Text.assemble("  ", (role.name, "bold"), "  ", (role.told, "dim")))
        for place, told in role.problems:
            console.print(Padding(Text.assemble((f"{place}  ", "dim"), told), (0, 0, 0, 4)))
        # A failed check has shown it already.
        if role.patch and not any(check.get("patch") == role.patch for check in report["checks"]):
            _patch(role.patch, console)
    for arn, told in resources:
        console.print(Padding(Text.assemble((f"{arn}  ", "dim"), told), (0, 0, 0, 2)))


def _patch(patch: str, console: Console) -> None:
    for line in patch.splitlines():
        style = {"+": "green", "-": "red", "@": "dim"}.get(line[:1], "")
        # Unbroken, whatever the width: it is to be copied.
        console.print(Text(f"      {line}", style=style), soft_wrap=True)
