"""Grading a submission: two seeds in two accounts, in parallel, and one report."""

from __future__ import annotations

import hashlib
import secrets
import time
from collections.abc import Collection, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from curriculum.loader import Lab
from graders.backend import Backend
from graders.checks import LabChecks
from graders.errors import UnknownCheck
from graders.findings import Outcome
from graders.labs import grader_digest, load_checks, misconceptions
from graders.misconceptions import explain
from graders.progress import Progress, ProgressEvent, nobody, one_at_a_time
from graders.report.document import document
from graders.scoring import combine
from graders.seedrun import SeedRun, inconclusive_ids
from graders.timeline.recording import Recording
from sandbox.account import Account
from sandbox.submissions import Submission

RERUNS = 2
_SEEDS = 2**31


@dataclass(frozen=True, slots=True)
class Graded:
    """A grading's report, as ``coldstart.report/1``; on request the first seed's recording and account."""

    report: dict[str, Any]
    recording: Recording | None = field(default=None, repr=False)
    kept: tuple[Account, ...] = field(default=(), repr=False)

    @property
    def outcome(self) -> str:
        """``passed``, ``not_passed`` or ``inconclusive``."""
        return str(self.report["outcome"])


def grade(
    lab: Lab,
    submission: Submission,
    backend: Backend,
    *,
    seed: int | None = None,
    only: Collection[str] = (),
    seeds: int = 2,
    conditions: bool = True,
    keep: bool = False,
    squeeze: bool = False,
    recorded: bool = False,
    progress: Progress = nobody,
) -> Graded:
    """Grade a submission and return its report.

    The same lab version, submission and seed give the same parameters. ``only`` limits the run to
    some checks on one seed, for practice; ``conditions=False`` leaves out G3 and G4, which take a
    second deployment. ``squeeze`` runs the first seed once more with the minimal policies of that run as
    permissions boundaries; what it lost is in ``iam.squeezed``. ``recorded`` keeps what happened under
    the first seed. Our own failures end up as an inconclusive report, never as an exception.

    Raises:
        UnknownCheck: ``only`` names a check the lab does not have.
        LabBroken: the lab's checks can't be loaded.
    """
    started = time.monotonic()
    checks = load_checks(lab.checks_path)
    wanted = _wanted(checks, only)
    drawn = seeds_from(secrets.randbelow(_SEEDS) if seed is None else seed, 1 if only else seeds)
    watch = one_at_a_time(progress)

    def run(number: int) -> SeedRun:
        last = number == len(drawn) - 1
        return run_seed(
            lab,
            checks,
            submission,
            drawn[number],
            backend,
            watch,
            only=wanted,
            thorough=conditions and last and wanted is None,
            keep=keep and number == 0,
            inspect=number == 0 and wanted is None,
            recorded=recorded and number == 0,
        )

    if len(drawn) == 1:
        runs = [run(0)]
    else:
        with ThreadPoolExecutor(len(drawn), thread_name_prefix="seed") as pool:
            runs = list(pool.map(run, range(len(drawn))))
    results = explain(combine([(item.seed, item.ordered) for item in runs]), misconceptions(lab))
    watch(ProgressEvent("report", "done", drawn[0], elapsed_s=round(time.monotonic() - started, 3)))
    report = document(
        lab=lab,
        runs=runs,
        results=results,
        duration_s=time.monotonic() - started,
        submission_digest=submission.digest,
        grader_digest=grader_digest(lab),
    )
    if squeeze:
        report["iam"]["squeezed"] = _squeezed(lab, checks, submission, runs[0], backend, watch)
    return Graded(report, runs[0].recording, tuple(item.kept for item in runs if item.kept is not None))


def _squeezed(
    lab: Lab,
    checks: LabChecks,
    submission: Submission,
    before: SeedRun,
    backend: Backend,
    progress: Progress,
) -> dict[str, Any]:
    """What a run within the minimal policies of the one before lost, by check.

    ``held`` is None when there was nothing to squeeze.
    """
    squeeze = before.minimal
    if squeeze is None or not squeeze.policies:
        return {"held": None, "lost": [], "too_long": []}
    run = SeedRun(lab, checks, submission, before.seed, backend, progress, squeeze=squeeze).run()
    lost = [
        {"id": item.id, "headline": item.finding.headline}
        for item in run.ordered
        if item.outcome is not Outcome.PASSED and before.results[item.id].outcome is Outcome.PASSED
    ]
    return {"held": not lost, "lost": lost, "too_long": list(squeeze.too_long)}


def run_seed(
    lab: Lab,
    checks: LabChecks,
    submission: Submission,
    seed: int,
    backend: Backend,
    progress: Progress,
    *,
    only: frozenset[str] | None = None,
    thorough: bool = False,
    keep: bool = False,
    inspect: bool = False,
    recorded: bool = False,
) -> SeedRun:
    """One seed's run; what stays inconclusive is run again on a fresh account, up to twice."""
    run = SeedRun(
        lab,
        checks,
        submission,
        seed,
        backend,
        progress,
        only,
        thorough,
        keep,
        inspect,
        recorded=recorded,
    ).run()
    for _ in range(RERUNS):
        open_ids = inconclusive_ids(run)
        if not open_ids:
            break
        progress(
            ProgressEvent(
                "account", "started", seed, f"{len(open_ids)} checks could not be judged; running them again"
            )
        )
        whole = "G2" in open_ids
        again = SeedRun(
            lab,
            checks,
            submission,
            seed,
            backend,
            progress,
            only if whole else open_ids,
            thorough and (whole or bool(open_ids & {"G3", "G4"})),
        ).run()
        run.phases += again.phases
        for check_id in again.results:
            if check_id in open_ids or whole:
                run.results[check_id] = again.results[check_id]
        run.runtimes = run.runtimes or again.runtimes
        run.isolation = run.isolation or again.isolation
        run.backend_name = run.backend_name or again.backend_name
    return run


def seeds_from(seed: int, count: int) -> tuple[int, ...]:
    """The seed and those derived from it, so that one number reproduces a whole grading."""
    derived = [
        int.from_bytes(hashlib.sha256(f"{seed}/{number}".encode()).digest()[:4]) % _SEEDS
        for number in range(1, count)
    ]
    return (seed, *derived)


def _wanted(checks: LabChecks, only: Collection[str]) -> frozenset[str] | None:
    if not only:
        return None
    known: Sequence[str] = ("G2", *(check.id for check in checks.checks))
    for check_id in only:
        if check_id not in known:
            raise UnknownCheck(check_id, tuple(known))
    return frozenset(only)
