"""``coldstart iam``: ask whether policies allow a request, and which policy a run needed."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import click

from cli.output import BAD_INPUT, NOT_PASSED, OUR_FAULT, errors_for_humans, out, print_json, progress, stop
from cli.watching import Watcher
from curriculum.loader import Catalogue
from graders.backend import open_backend
from graders.iam import reporting
from graders.iam.declared import right
from graders.iam.inspection import Inspector
from graders.runner import grade
from sandbox.emulator.iam.evaluation import explain
from sandbox.emulator.iam.evaluation.cases import BadCases, Case, answer, read_cases
from sandbox.providers.emulated import KeptSandboxes
from sandbox.submissions import read_folder, read_zip
from sandbox.supervisor.client import Wanted
from sandbox.supervisor.wire import NoSuchSandbox
from settings import Settings


@click.group("iam", help="Ask whether policies allow a request, and which policy a run needed.")
def command() -> None:
    """IAM, as the sandbox enforces it."""


@command.command("evaluate")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def evaluate_command(file: Path, as_json: bool) -> None:
    """Decide the cases in FILE (`-`: standard input) as AWS would, and say why.

    FILE holds one case or a list of cases as JSON; docs/iam.md describes it.
    """
    try:
        asked = read_cases(_read(file))
    except BadCases as error:
        stop("\n".join(f"{file}: {problem}" for problem in error.problems), BAD_INPUT)
    explained = [(case, explain(case.caller, case.request, case.policies)) for case in asked.cases]
    if as_json:
        answers = [answer(case, explanation.decision) for case, explanation in explained]
        print_json(answers if asked.as_list else answers[0])
        return
    for case, explanation in explained:
        out.print(f"{_title(case)}\n{explanation.text}", markup=False, soft_wrap=True)


@command.command("minimal")
@click.argument("slug", required=False)
@click.argument("folder", metavar="[DIR]", default=".", type=click.Path(path_type=Path))
@click.option("--sandbox", "name", metavar="NAME", help="A running sandbox, in place of a lab.")
@click.option(
    "--generalise",
    "patterns",
    metavar="PATTERN",
    multiple=True,
    help="With --sandbox: name what this covers (`arn:aws:s3:::b/in/*`) by it. Repeatable.",
)
@click.option("--seed", type=click.IntRange(min=0), help="With a lab: the seed of the run.")
@click.option("--json", "as_json", is_flag=True, help="One JSON document on stdout.")
def minimal_command(
    slug: str | None,
    folder: Path,
    name: str | None,
    patterns: tuple[str, ...],
    seed: int | None,
    as_json: bool,
) -> None:
    """Print the smallest policy that a run needed, per role.

    \b
    coldstart iam minimal a02 my-folder    grade the folder on one seed, then look
    coldstart iam minimal --sandbox demo   what the roles of a sandbox did until now

    Proven by deciding every call of the run again: all stay allowed, and without any part one would not.
    """
    if (slug is None) == (name is None):
        stop("Name a lab, or a sandbox with --sandbox; one of them.", BAD_INPUT)
    if slug is not None and patterns:
        stop("A lab says itself what is generalised; --generalise goes with --sandbox.", BAD_INPUT)
    with errors_for_humans():
        roles = _of_lab(slug, folder, seed) if slug is not None else _of_sandbox(name or "", patterns)
    if as_json:
        print_json({"roles": roles})
    else:
        _print(roles)
    raise SystemExit(0 if all(role["proof"]["holds"] for role in roles) else OUR_FAULT)


def _of_lab(slug: str, folder: Path, seed: int | None) -> list[dict[str, Any]]:
    lab = Catalogue().get_lab(slug)
    submission = read_zip(folder) if folder.is_file() else read_folder(folder)
    with open_backend("emulated") as backend, Watcher(progress) as watcher:
        graded = grade(lab, submission, backend, seed=seed, seeds=1, conditions=False, progress=watcher)
    roles: list[dict[str, Any]] = graded.report["iam"]["roles"]
    if not roles:
        first = next(check for check in graded.report["checks"] if check["id"] == "G2")
        stop(f"There is nothing to look at: {first['headline']}", NOT_PASSED)
    return roles


def _of_sandbox(name: str, patterns: tuple[str, ...]) -> list[dict[str, Any]]:
    settings = Settings()
    kept = KeptSandboxes(settings.home, Wanted.named(settings.isolation))
    rules = (right("*", patterns),) if patterns else ()
    try:
        account = kept.get(name)
    except NoSuchSandbox as error:
        stop(str(error), BAD_INPUT)
    return [reporting.role_json(item) for item in Inspector(account, ()).every_role(rules)]


def _print(roles: list[dict[str, Any]]) -> None:
    for role in roles:
        used = role["used"]
        out.print(f"{role['role']}", style="bold", markup=False, soft_wrap=True)
        if not used and not role["minimal_policy"]["Statement"]:
            out.print("  It made no call, so it needs no policy.\n")
            continue
        out.print(
            json.dumps(role["minimal_policy"], indent=2, ensure_ascii=False), markup=False, soft_wrap=True
        )
        calls, proof = sum(each["times"] for each in used), role["proof"]
        told = f"{calls} authorisations of the run decided again as {proof['replayed']} requests"
        held = "all allowed, and no part of the policy can be left out" if proof["holds"] else "NOT proven"
        out.print(f"  {told}: {held}.\n", style="green" if proof["holds"] else "red", soft_wrap=True)


def _read(file: Path) -> str:
    try:
        if str(file) == "-":
            return sys.stdin.buffer.read().decode("utf-8")
        return file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise BadCases([f"not UTF-8 text: {error.reason} at byte {error.start}"]) from error
    except OSError as error:
        raise BadCases([f"cannot be read: {error.strerror}"]) from error


def _title(case: Case) -> str:
    asked = f"{case.request.action} on {case.request.resource}"
    return f"{case.id}: {asked}" if case.id is not None else asked
