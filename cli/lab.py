"""``coldstart lab``: tools for those who write labs."""

from __future__ import annotations

import re
import shutil
from pathlib import Path

import click
from rich.table import Table
from rich.text import Text

from cli.output import BAD_INPUT, NOT_PASSED, OUR_FAULT, errors_for_humans, out, print_json, progress, stop
from curriculum.errors import ManifestInvalid
from curriculum.loader import LABS, Catalogue
from curriculum.skins import dress
from graders.authoring import lint
from graders.backend import open_backend
from graders.findings import Outcome
from graders.notebooks.cells import FOLDER, source_notebooks
from graders.notebooks.release import release
from graders.scoring import CheckResult
from graders.skeleton import skeleton
from graders.verification import Case, Verification, Verified, verify
from sandbox.runtimes.prepared_notebooks import prepare_notebook_environment
from settings import Settings

_SLUG = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_MARKS = {
    Outcome.PASSED: ("·", "dim"),
    Outcome.PARTIAL: ("◐", "yellow"),
    Outcome.FAILED: ("✗", "red"),
    Outcome.NOT_ASSESSED: ("–", "dim"),
    Outcome.INCONCLUSIVE: ("?", "magenta"),
}


@click.group("lab", help="Write, check and prove labs.")
def command() -> None:
    """Tools for those who write labs."""


@command.command("new", help="Write the skeleton of a new lab that deploys and lints.")
@click.argument("slug")
@click.option("--code", default="X01", show_default=True, help="Its short code.")
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), default=LABS, help="Folder of lab folders."
)
def new(slug: str, code: str, into: Path) -> None:
    """Write a new lab's folder."""
    if not _SLUG.fullmatch(slug):
        stop(
            f"`{slug}` can't be a lab's slug. Use lower-case words joined by hyphens, like order-queue.",
            BAD_INPUT,
        )
    folder = into / slug
    if folder.exists():
        stop(f"{folder} exists; nothing was written.", BAD_INPUT)
    for path, body in skeleton(slug, code).items():
        target = folder / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(body, "utf-8")
    progress.print(
        f"Wrote {folder}. Next: coldstart lab lint {slug}, then coldstart lab verify {slug}", markup=False
    )


@command.command("lint", help="Say everything that is wrong with lab SLUG without running it.")
@click.argument("slug")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option(
    "--labs", "labs_folder", type=click.Path(path_type=Path), default=LABS, help="Folder of lab folders."
)
def lint_command(slug: str, as_json: bool, labs_folder: Path) -> None:
    """Lint a lab."""
    lab = None
    with errors_for_humans():
        try:
            lab = Catalogue(labs_folder).get_lab(slug)
            problems = [{"where": item.where, "what": item.what} for item in lint(lab)]
        except ManifestInvalid as error:
            problems = [{"where": "lab.toml", "what": text} for text in error.problems]
    if as_json:
        print_json({"lab": lab.slug if lab else slug, "problems": problems, "ok": not problems})
    else:
        for item in problems:
            out.print(f"{item['where']}: {item['what']}", markup=False)
        if not problems:
            out.print(f"{lab.slug if lab else slug}: nothing to complain about.", markup=False)
    raise SystemExit(NOT_PASSED if problems else 0)


@command.command("release", help="Make what learners of lab SLUG get of its notebooks, with nbgrader.")
@click.argument("slug")
@click.option(
    "--labs", "labs_folder", type=click.Path(path_type=Path), default=LABS, help="Folder of lab folders."
)
def release_command(slug: str, labs_folder: Path) -> None:
    """Release a lab's notebooks into its starters."""
    with errors_for_humans():
        lab = Catalogue(labs_folder).get_lab(slug)
        sources = source_notebooks(lab.folder)
        if not sources:
            stop(f"{lab.slug} has no notebook in {FOLDER}/.", BAD_INPUT)
        environment = prepare_notebook_environment(Settings().home)
        for source in sources:
            body = release(source, environment)
            for runtime in lab.starters:
                target = lab.folder / "starter" / runtime / source.name
                target.write_bytes(body)
                progress.print(f"Wrote {target}", markup=False)


@command.command("skin", help="Write lab SLUG as KEY dresses it: other words and rules, the same work.")
@click.argument("slug")
@click.argument("key")
@click.option(
    "--into", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder of lab folders."
)
def skin_command(slug: str, key: str, into: Path) -> None:
    """Write a lab's folder in a skin."""
    with errors_for_humans():
        lab = Catalogue().get_lab(slug)
        if (into / lab.slug).exists():
            stop(f"{into / lab.slug} exists; nothing was written. Give another folder.", BAD_INPUT)
        dressed = dress(lab, key, Settings().home / "skins")
        shutil.copytree(dressed.folder, into / lab.slug)
    progress.print(
        f"Wrote {into / lab.slug}, skin {dressed.skin}. Next: coldstart lab verify {lab.slug} --labs {into}",
        markup=False,
    )


@command.command("verify", help="Grade every solution of lab SLUG and print the matrix mutants × checks.")
@click.argument("slug")
@click.option(
    "--runs", type=click.IntRange(min=1), default=1, show_default=True, help="Runs of each solution."
)
@click.option("--mutants", type=click.Choice(["all", "sample"]), default="all", show_default=True)
@click.option("--only", multiple=True, metavar="NAME", help="These solutions alone. Repeatable.")
@click.option(
    "--seed", type=click.IntRange(min=0), default=1, show_default=True, help="The first run's seed."
)
@click.option(
    "--parallel", type=click.IntRange(min=1), default=2, show_default=True, help="Accounts at once."
)
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
@click.option("--provider", type=click.Choice(["emulated", "aws"]), default="emulated", show_default=True)
@click.option(
    "--labs", "labs_folder", type=click.Path(path_type=Path), default=LABS, help="Folder of lab folders."
)
def verify_command(
    slug: str,
    runs: int,
    mutants: str,
    only: tuple[str, ...],
    seed: int,
    parallel: int,
    as_json: bool,
    provider: str,
    labs_folder: Path,
) -> None:
    """Verify a lab."""
    with errors_for_humans():
        lab = Catalogue(labs_folder).get_lab(slug)
        with open_backend(provider) as backend:
            found = verify(
                lab,
                backend,
                runs=runs,
                sample=mutants == "sample",
                parallel=parallel,
                first_seed=seed,
                only=only,
                told=_told,
            )
    if as_json:
        print_json(found.as_json())
    else:
        _print(found)
    broken = any(item.inconclusive for item in found.cases)
    raise SystemExit(0 if found.ok else OUR_FAULT if broken else NOT_PASSED)


def _told(case: Case, number: int, results: dict[str, CheckResult]) -> None:
    lost = [key for key, item in results.items() if item.outcome in (Outcome.FAILED, Outcome.PARTIAL)]
    open_ = [key for key, item in results.items() if item.outcome is Outcome.INCONCLUSIVE]
    told = f"failed {', '.join(lost)}" if lost else "nothing failed"
    if open_:
        told += f"; inconclusive {', '.join(open_)}: {results[open_[0]].finding.headline}"
    progress.print(f"{case.kind} {case.name}, run {number + 1}: {told}", markup=False)


def _print(found: Verification) -> None:
    ids = ["G2", *(check.id for check in found.checks.checks), *_broken_conditions(found)]
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 1, 0, 0))
    table.add_column("Solution", no_wrap=True)
    for check_id in ids:
        table.add_column(check_id, justify="center", no_wrap=True, min_width=2)
    table.add_column("Points", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True, min_width=12)
    for item in found.cases:
        table.add_row(
            Text(f"{item.case.name}", style="" if item.case.kind == "mutant" else "bold"),
            *(_cell(item, check_id) for check_id in ids),
            f"{item.points:g}/{item.points_possible:g}",
            _remark(item, found),
        )
    out.print(f"[bold]{found.lab.code} · {found.lab.title}[/bold], {found.runs} runs of each\n")
    # A matrix is of no use with columns left out: let the terminal wrap it rather than rich drop some.
    out.print(
        table,
        width=max(out.width, out.measure(table, options=out.options.update(width=500)).maximum),
        crop=False,
    )
    mutants = found.of("mutant")
    assessed = [item for item in mutants if item.assessed]
    out.print(
        "\n· passed   ✗ failed   ◐ partly   – not assessed   ? inconclusive   ~ differs between runs",
        style="dim",
    )
    out.print(
        f"{sum(item.killed for item in assessed)} of {len(assessed)} assessed mutants killed"
        f" ({sum(item.by_behaviour for item in assessed)} by behaviour),"
        f" {len(mutants) - len(assessed)} not assessed; starter {found.starter_points:g} points;"
        f" {found.flips} flips: " + ("[green]ok[/green]" if found.ok else "[red]not ok[/red]")
    )


def _broken_conditions(found: Verification) -> list[str]:
    """The conditions (G1, G3 to G6) that did not hold somewhere; those that always do need no column."""
    return [
        check_id
        for check_id in ("G1", "G3", "G4", "G5", "G6")
        if any(
            check_id in run and run[check_id].outcome is not Outcome.PASSED
            for item in found.cases
            for run in item.runs
        )
    ]


def _cell(item: Verified, check_id: str) -> Text:
    outcomes = [run[check_id].outcome for run in item.runs if check_id in run]
    if not outcomes:
        return Text(" ")
    if len(set(outcomes)) > 1:
        return Text("~", style="bold magenta")
    mark, style = _MARKS[outcomes[0]]
    expected = item.case.variant is not None and check_id in item.case.variant.must_fail
    if expected and outcomes[0] in (Outcome.PASSED, Outcome.INCONCLUSIVE):
        return Text(mark, style="bold white on red")
    return Text(mark, style=f"bold {style}" if expected else style)


def _remark(item: Verified, found: Verification) -> Text:
    if item.case.kind == "mutant":
        if not item.assessed:
            return Text("not assessed", style="dim")
        if not item.killed:
            return Text(f"SURVIVES: {', '.join(item.missed)}", style="red")
        surprises = f", also {', '.join(item.surprises)}" if item.surprises else ""
        return Text(f"killed{surprises}", style="yellow" if surprises else "green")
    if item.case.kind == "starter":
        return Text("starter", style="red" if item.points > found.lab.manifest.starter_points else "green")
    return Text(item.case.kind, style="green" if item.full else "red")
