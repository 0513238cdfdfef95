"""``coldstart iam``: ask whether policies allow a request."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from cli.output import BAD_INPUT, out, print_json, stop
from sandbox.emulator.iam.evaluation import explain
from sandbox.emulator.iam.evaluation.cases import BadCases, Case, answer, read_cases


@click.group("iam", help="Ask whether policies allow a request.")
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
