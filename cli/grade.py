"""``coldstart grade``: grade a folder and say what was seen."""

from __future__ import annotations

import sys
from pathlib import Path

import click
from click.core import ParameterSource

from cli.output import DONE, NOT_PASSED, OUR_FAULT, errors_for_humans, out, print_json, progress
from cli.remote import RemotePortal
from cli.watching import Watcher
from curriculum.loader import Catalogue
from curriculum.skins import dress
from graders.backend import open_backend
from graders.report import html, junit, terminal
from graders.runner import Graded, grade
from graders.timeline import page
from sandbox.submissions import Submission, pack, read_folder, read_zip
from settings import Settings

# What a portal decides for itself, or can't be had from there.
_LOCAL = ("seed", "only", "timeline_file", "provider", "squeeze", "keep", "skin")
_EXIT = {"passed": DONE, "not_passed": NOT_PASSED, "inconclusive": OUR_FAULT}


@click.command("grade", help="Grade the submission in DIR (a folder, or a zip of it) against lab SLUG.")
@click.argument("slug")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
@click.option(
    "--seed", type=click.IntRange(min=0), help="Repeat the grading of this seed; by default a fresh one."
)
@click.option("--only", metavar="CHECK", multiple=True, help="Ask this check alone, on one seed. Repeatable.")
@click.option("--json", "as_json", is_flag=True, help="The report as one JSON document on stdout.")
@click.option(
    "--junit", "junit_file", type=click.Path(path_type=Path, dir_okay=False), help="Also as JUnit XML."
)
@click.option("--html", "html_file", type=click.Path(path_type=Path, dir_okay=False), help="Also as a page.")
@click.option(
    "--timeline",
    "timeline_file",
    type=click.Path(path_type=Path, dir_okay=False),
    help="What happened under the first seed, as a page to look through.",
)
@click.option("--provider", type=click.Choice(["emulated", "aws"]), default="emulated", show_default=True)
@click.option(
    "--squeeze",
    is_flag=True,
    help="Run the first seed once more with each role limited to its smallest policy.",
)
@click.option("--keep", is_flag=True, help="Keep the first seed's account until Enter is pressed.")
@click.option("--skin", metavar="KEY", help="Against the lab as KEY dresses it: see coldstart lab skin.")
@click.option("--remote", is_flag=True, help="Hand in at a portal, with the token in $COLDSTART_TOKEN.")
@click.option(
    "--portal",
    metavar="URL",
    envvar="COLDSTART_PORTAL",
    default="http://127.0.0.1:8000",
    show_default=True,
    help="The portal for --remote; also from $COLDSTART_PORTAL.",
)
@click.option("--token", envvar="COLDSTART_TOKEN", default="", hidden=True)
@click.pass_context
def command(
    ctx: click.Context,
    slug: str,
    folder: Path,
    seed: int | None,
    only: tuple[str, ...],
    as_json: bool,
    junit_file: Path | None,
    html_file: Path | None,
    timeline_file: Path | None,
    provider: str,
    squeeze: bool,
    keep: bool,
    skin: str | None,
    remote: bool,
    portal: str,
    token: str,
) -> None:
    """Grade a folder."""
    with errors_for_humans():
        submission = read_zip(folder) if folder.is_file() else read_folder(folder)
        if remote:
            _refuse_what_is_local(ctx)
            graded = _grade_at(RemotePortal(portal, token), slug, submission)
            _tell(graded, as_json, junit_file, html_file)
            raise SystemExit(_EXIT[graded.outcome])
        lab = Catalogue().get_lab(slug)
        if skin:
            lab = dress(lab, skin, Settings().home / "skins")
        with open_backend(provider) as backend, Watcher(progress) as watcher:
            graded = grade(
                lab,
                submission,
                backend,
                seed=seed,
                only=only,
                keep=keep,
                squeeze=squeeze,
                recorded=timeline_file is not None,
                progress=watcher,
            )
            watcher.stop()
            if timeline_file:
                _write_timeline(timeline_file, graded)
            _tell(graded, as_json, junit_file, html_file)
            _hold(graded)
    raise SystemExit(_EXIT[graded.outcome])


def _refuse_what_is_local(ctx: click.Context) -> None:
    for name in _LOCAL:
        if ctx.get_parameter_source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(f"--{name.removesuffix('_file')} is for gradings on this machine.", ctx)


def _grade_at(portal: RemotePortal, slug: str, submission: Submission) -> Graded:
    attempt = portal.submit(slug, pack(submission.files))
    # Said first: whatever happens here, the grading goes on there.
    progress.print(f"Attempt {attempt['number']}: {portal.page(attempt)}", markup=False, soft_wrap=True)
    with Watcher(progress) as watcher:
        portal.follow(attempt, watcher)
    return Graded(portal.report(attempt))


def _tell(graded: Graded, as_json: bool, junit_file: Path | None, html_file: Path | None) -> None:
    if junit_file:
        junit_file.write_text(junit.render(graded.report), "utf-8")
    if html_file:
        html_file.write_text(html.render(graded.report), "utf-8")
    if as_json:
        print_json(graded.report)
    else:
        terminal.render(graded.report, out)


def _write_timeline(file: Path, graded: Graded) -> None:
    if graded.recording is None:
        progress.print("There is no timeline: the submission did not deploy, or the run ended early.")
        return
    report = graded.report
    title = f"{report['lab_code']} {report['lab_title']}, seed {report['seed']}"
    file.write_text(page.render(graded.recording, title), "utf-8")


def _hold(graded: Graded) -> None:
    """Keep what was asked to be kept until Enter is pressed or input ends."""
    for account in graded.kept:
        progress.print(f"\nKept: account {account.account_id} in {account.region}", markup=False)
        progress.print(f"export AWS_ENDPOINT_URL={account.endpoint_url}", markup=False)
        progress.print(f"export AWS_ACCESS_KEY_ID={account.keys.access_key_id}", markup=False)
        progress.print(f"export AWS_SECRET_ACCESS_KEY={account.keys.secret_access_key}", markup=False)
        if account.keys.session_token:
            progress.print(f"export AWS_SESSION_TOKEN={account.keys.session_token}", markup=False)
        progress.print(f"export AWS_DEFAULT_REGION={account.region}", markup=False)
    if graded.kept:
        progress.print("Press Enter to end it.")
        sys.stdin.readline()
    for account in graded.kept:
        account.close()
