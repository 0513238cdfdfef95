"""``coldstart labs``: list the labs, or show one."""

from __future__ import annotations

from typing import Any

import click
from rich.markdown import Markdown
from rich.table import Table

from cli.output import errors_for_humans, out, print_json
from curriculum.loader import Catalogue, Lab
from graders.labs import load_checks
from graders.shared import COMPLETE, TITLES


@click.command("labs", help="List the labs, or show one. SLUG is its folder's name or its code, such as a02.")
@click.argument("slug", required=False)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def command(slug: str | None, as_json: bool) -> None:
    """List the labs, or show one."""
    with errors_for_humans():
        catalogue = Catalogue()
        if slug:
            _show(catalogue.get_lab(slug), as_json)
        elif as_json:
            print_json([summary(lab) for lab in catalogue.labs])
        else:
            _list(catalogue)


def summary(lab: Lab) -> dict[str, Any]:
    """A lab in a list."""
    manifest = lab.manifest
    return {
        "slug": lab.slug,
        "code": lab.code,
        "title": lab.title,
        "version": manifest.version,
        "level": manifest.level,
        "minutes": manifest.minutes,
        "summary": manifest.summary,
        "runtimes": list(manifest.runtimes),
        "services": list(manifest.services),
    }


def _list(catalogue: Catalogue) -> None:
    if not catalogue.labs:
        out.print("There are no labs yet. `coldstart lab new SLUG` writes one.", markup=False)
        return
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Code", "Lab", "Level", "Minutes", "Runtimes", "Slug"):
        table.add_column(title, justify="right" if title == "Minutes" else "left")
    for lab in catalogue.labs:
        table.add_row(
            lab.code,
            lab.title,
            lab.manifest.level,
            str(lab.manifest.minutes),
            ", ".join(lab.manifest.runtimes),
            lab.slug,
        )
    out.print(table)


def _show(lab: Lab, as_json: bool) -> None:
    checks = load_checks(lab.checks_path).checks
    public = [
        {
            "id": check.id,
            # A hidden check tells its dimension and number until an attempt is graded.
            "title": None if check.visibility == "H" else check.title,
            "dimension": str(check.dimension),
            "points": check.points,
            "visibility": str(check.visibility),
            "needs": sorted(check.needs),
        }
        for check in checks
    ]
    if as_json:
        contract = {
            "outputs": [
                {"name": item.name, "description": item.description} for item in lab.manifest.outputs
            ],
            "parameters": [
                {"name": item.name, "description": item.description} for item in lab.manifest.parameters
            ],
            "files": [
                {"path": item.name, "description": item.description} for item in lab.manifest.seeded_files
            ],
            "text": lab.contract,
        }
        print_json({**summary(lab), "brief": lab.brief, "contract": contract, "checks": public})
        return
    out.print(
        f"[bold]{lab.code} · {lab.title}[/bold]   "
        f"{lab.manifest.level}, about {lab.manifest.minutes} minutes\n"
    )
    out.print(Markdown(lab.brief))
    if lab.contract:
        out.print(Markdown(lab.contract))
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("Check", "Points", "Dimension", "What it asks"):
        table.add_column(title, justify="right" if title == "Points" else "left")
    gate = TITLES["G2"] if lab.manifest.deploys else COMPLETE
    table.add_row("G2", f"{lab.manifest.gate_points:g}", "IAC", gate)
    for item in public:
        shown = str(item["title"] or "[dim]hidden until graded[/dim]")
        table.add_row(str(item["id"]), f"{item['points']:g}", str(item["dimension"]), shown)
    out.print()
    out.print(table)
    out.print(f"\nBegin with: coldstart start {lab.slug} DIR")
