"""One submission, one seed, one fresh account: deploy, ask every question, clean up."""

from __future__ import annotations

import datetime as dt
import random
import time
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from typing import Any

import structlog

from curriculum.loader import Lab
from graders import shared
from graders.backend import Backend
from graders.checks import Check, LabChecks
from graders.deadline import Deadline
from graders.evidence.masking import Mask
from graders.findings import Finding, Outcome, failed, inconclusive, not_assessed, passed
from graders.iam import reporting
from graders.iam.squeezing import Squeeze
from graders.judging import judge, result
from graders.partners import open_partners
from graders.progress import Progress, ProgressEvent
from graders.sandbox import Sandbox, Stack
from graders.scoring import CheckResult
from graders.stacks import RunStacks
from graders.template import Template
from graders.timeline.recording import Mark, Recording, record
from graders.workbench import Workbench
from sandbox.account import Account
from sandbox.errors import BadSubmission, DeploymentFailed, EnvironmentFault
from sandbox.programs.notebooks import NotebookLimits
from sandbox.submissions import Submission
from sandbox.templates import TemplateText, parse_template

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Phase:
    """One span of a run, in wall time."""

    name: str
    started_at: str
    duration_s: float
    seed: int


@dataclass(slots=True)
class SeedRun:
    """Grades a submission under one seed. Use it once.

    ``only`` limits the checks to these ids and what they build on. ``thorough`` also judges what takes
    a second deployment and the deletion (G3, G4). ``inspect`` looks at the stack's roles afterwards.
    ``squeeze`` limits the roles to another run's minimal policies. ``recorded`` keeps everything that
    happened until the checks had been asked, in :attr:`recording`.
    """

    lab: Lab
    checks: LabChecks
    submission: Submission
    seed: int
    backend: Backend
    progress: Progress
    only: frozenset[str] | None = None
    thorough: bool = False
    keep: bool = False
    inspect: bool = False
    squeeze: Squeeze | None = None
    recorded: bool = False
    results: dict[str, CheckResult] = field(default_factory=dict)
    phases: list[Phase] = field(default_factory=list)
    isolation: dict[str, Any] = field(default_factory=dict)
    runtimes: tuple[str, ...] = ()
    backend_name: str = ""
    kept: Account | None = None
    iam: dict[str, Any] = field(default_factory=lambda: {"roles": [], "resources": []})
    minimal: Squeeze | None = None
    recording: Recording | None = None
    _marks: list[Mark] = field(default_factory=list)
    _stack: Stack | None = None

    def run(self) -> SeedRun:
        """Run it; every outcome, our own failures included, is in :attr:`results` afterwards."""
        try:
            self._run()
        except EnvironmentFault as error:
            log.warning("environment_fault", seed=self.seed, error=str(error))
            self._give_up(str(error))
        except (
            Exception
        ) as error:  # the boundary where our own defect becomes inconclusive, not a lost attempt
            log.exception("grading_broke", seed=self.seed)
            self._give_up(f"{type(error).__name__}: {error}")
        return self

    @property
    def ordered(self) -> tuple[CheckResult, ...]:
        """The results in the order a learner reads them: gate, checks, conditions."""
        order = ["G2", *(check.id for check in self.checks.checks), "G1", "G3", "G4", "G5", "G6"]
        return tuple(self.results[check_id] for check_id in order if check_id in self.results)

    @property
    def wanted(self) -> tuple[Check, ...]:
        """The checks of this run, with what they build on."""
        if self.only is None:
            return self.checks.checks
        ids = closure(self.checks, self.only)
        return tuple(check for check in self.checks.checks if check.id in ids)

    def _run(self) -> None:
        with self._phase("account"):
            account = self.backend.open()
        try:
            self.backend_name = account.backend
            self.isolation = dict(account.isolation)
            deploys = self.lab.manifest.deploys
            sandbox = self._deploy(account) if deploys else self._take_up(account)
            if sandbox is not None:
                with self._squeezed(sandbox), self._workbench(sandbox):
                    in_time = self._ask(sandbox)
                if in_time and self.recorded:
                    self._keep_record(account)
                if in_time and self.inspect and deploys:
                    self._inspect(sandbox)
                if self.thorough and in_time and deploys:
                    self._clean_up(sandbox)
        finally:
            if self.keep:
                self.kept = account
            else:
                account.close()

    def _deploy(self, account: Account) -> Sandbox | None:
        parameters = self.checks.parameters(self.lab.manifest.version, self.seed)
        submission = self.submission.with_files(self.checks.overlay(parameters))
        try:
            written = self._unpack(submission)
            with self._phase("build"):
                package = self.backend.build(
                    account, submission, registries=self.lab.manifest.registries, tell=self._building
                )
            addresses, partners = open_partners(account, self.checks.partners(parameters))
            stacks = RunStacks(
                self.backend,
                account,
                package,
                {**self.checks.stack_parameters(parameters), **addresses},
                written,
            )
            with self._phase("deploy"):
                self._stack = stacks.first(self._stack_name())
        except (BadSubmission, DeploymentFailed) as error:
            self._refuse(error)
            return None
        template = self._stack.template
        named = {str(item.get("Runtime") or "") for item in template.resources("AWS::Lambda::Function")}
        self.runtimes = tuple(_where_run(name, account.runtimes) for name in sorted(named - {""}))
        self._record(
            shared.result(
                "G2", shared.deployed(self._stack.name, len(self._stack.resources)), worth=self._gate
            )
        )
        if self.only is None:
            self._record(shared.result("G5", shared.no_secrets(self.submission.files, template)))
            self._record(shared.result("G6", shared.no_admin(template)))
        return Sandbox(
            account=account,
            stack=self._stack,
            parameters=parameters,
            seed=self.seed,
            lab_version=self.lab.manifest.version,
            stacks=stacks,
            partners=partners,
            rights=self.checks.rights,
            files=submission.files,
            hints={
                item.name: f"The contract asks for it: {item.description}"
                for item in self.lab.manifest.outputs
            },
        )

    def _take_up(self, account: Account) -> Sandbox | None:
        """What is handed in to be run as it is, without a stack: programs and notebooks."""
        parameters = self.checks.parameters(self.lab.manifest.version, self.seed)
        submission = self.submission.with_files(self.checks.overlay(parameters))
        try:
            self._weigh(submission)
            shared.has_all(submission.files, self.lab.manifest.required)
        except BadSubmission as error:
            self._refuse(error)
            return None
        if self.only is None:
            self._record(
                shared.result(
                    "G1", passed(f"{len(submission.files)} files, {submission.size / 1000:.0f} kB.")
                )
            )
        nothing = Template({}, {}, None)
        self._record(shared.complete(self.lab.manifest.required, worth=self._gate))
        if self.only is None:
            self._record(shared.result("G5", shared.no_secrets(self.submission.files, nothing)))
        return Sandbox(
            account=account,
            stack=Stack("", {}, {}, (), nothing),
            parameters=parameters,
            seed=self.seed,
            lab_version=self.lab.manifest.version,
            files=submission.files,
        )

    @contextmanager
    def _workbench(self, sandbox: Sandbox) -> Iterator[None]:
        """With a place for the submission's programs and notebooks to run in."""
        manifest = self.lab.manifest
        limits = NotebookLimits(memory_mb=manifest.notebook_memory_mb, time_s=manifest.notebook_time_s)
        sandbox.workbench = Workbench(
            sandbox.files, sandbox.account, lambda: self.backend.notebook_environment(), limits
        )
        try:
            yield
        finally:
            sandbox.workbench.close()

    def _unpack(self, submission: Submission) -> TemplateText:
        """G1, and the template as written; raises BadSubmission where files can't be used."""
        self._weigh(submission)
        path = submission.template
        written = parse_template(path, submission.files[path])
        if self.only is None:
            self._record(
                shared.result(
                    "G1", passed(f"{len(submission.files)} files, {submission.size / 1000:.0f} kB.")
                )
            )
        return written

    def _weigh(self, submission: Submission) -> None:
        """Refuse what is too large."""
        limit = self.lab.manifest.limit_bytes
        if submission.size > limit:
            finding = failed(
                f"The submission has {submission.size / 1e6:.1f} MB.",
                expected=f"at most {limit / 1e6:.0f} MB",
                hint="Leave out dependencies; requirements.txt is installed for you.",
            )
            self._record(shared.result("G1", finding))
            raise BadSubmission(f"The submission is larger than {limit / 1e6:.0f} MB.")

    def _refuse(self, error: BadSubmission | DeploymentFailed) -> None:
        found = shared.result("G2", shared.refused(error), worth=self._gate)
        why = "The stack did not deploy."
        if not self.lab.manifest.deploys:
            found, why = replace(found, title=shared.COMPLETE), "Something that was asked for is missing."
        self._record(found)
        for check in self.wanted:
            self._record(result(check, not_assessed(why, blocked=True)))

    def _ask(self, sandbox: Sandbox) -> bool:
        """Ask every check; false when the run overran its time and its account is gone."""
        keys = sandbox.account.keys
        mask = Mask.of((keys.secret_access_key, keys.session_token))
        wanted = self.wanted
        with self._phase("checks"), Deadline(sandbox.account, self.lab.manifest.time_limit_s) as deadline:
            for index, check in enumerate(wanted, 1):
                if not deadline.passed:
                    began = sandbox.account.settle(timeout_s=1.0).now
                    found = judge(check, sandbox.for_check(check.id), self.results, mask)
                    if self.recorded and not deadline.passed:
                        self._mark(found, began, sandbox.account.now())
                if deadline.passed:
                    found = result(check, deadline.finding())
                self._record(found, index, len(wanted))
        return not deadline.passed

    def _mark(self, found: CheckResult, began: dt.datetime, ended: dt.datetime) -> None:
        name = f"{found.id} {found.title}"
        outcome, headline = str(found.outcome), found.finding.headline
        self._marks.append(Mark(name, began.timestamp(), ended.timestamp(), outcome, headline))

    def _keep_record(self, account: Account) -> None:
        try:
            self.recording = record(account, marks=tuple(self._marks))
        except Exception:  # It carries no points: a grading does not fail for it.
            log.exception("recording_broke", seed=self.seed)

    def _inspect(self, sandbox: Sandbox) -> None:
        """What the roles may do and did; where that can't be told the report has nothing on it."""
        if "IS" not in sandbox.account.capabilities:
            return
        try:
            with self._phase("rights"):
                self.iam = reporting.as_json(sandbox.inspector().inspect())
                self.minimal = Squeeze.of(self.iam, sandbox.stack, sandbox.account_id)
        except Exception:  # It carries no points: a grading does not fail for it.
            log.exception("inspection_broke", seed=self.seed)

    @contextmanager
    def _squeezed(self, sandbox: Sandbox) -> Iterator[None]:
        """With the boundaries of squeeze mode, if it is on."""
        if self.squeeze is None:
            yield
        else:
            with self.squeeze.applied(sandbox.account, sandbox.stack):
                yield

    def _clean_up(self, sandbox: Sandbox) -> None:
        with self._phase("redeploy"):
            self._record(self._condition("G3", lambda: shared.redeploy(sandbox)))
        if self.keep:
            return
        assert sandbox.stacks is not None
        stacks, allowed = sandbox.stacks, self.lab.manifest.leftovers
        with self._phase("delete"):
            self._record(
                self._condition("G4", lambda: shared.leaves_nothing(stacks.delete(sandbox.stack), allowed))
            )

    @staticmethod
    def _condition(check_id: str, question: Any) -> CheckResult:
        try:
            finding: Finding = question()
        except Exception as error:  # as for a check: what breaks here is ours
            log.warning("condition_broke", check=check_id, error=str(error), exc_info=True)
            finding = inconclusive(f"The check could not be finished: {type(error).__name__}: {error}")
        return shared.result(check_id, finding)

    def _give_up(self, reason: str) -> None:
        told = f"Our environment failed, so this is not counted: {reason}"
        if "G2" not in self.results:
            self._record(shared.result("G2", inconclusive(told), worth=self._gate))
        for check in self.wanted:
            if check.id not in self.results:
                self._record(result(check, inconclusive(told)))
        if self.thorough:
            for check_id in ("G3", "G4"):
                self.results.setdefault(check_id, shared.result(check_id, inconclusive(told)))

    def _record(self, found: CheckResult, index: int = 0, total: int = 0) -> None:
        self.results[found.id] = found
        if total:
            self.progress(
                ProgressEvent(
                    "checks",
                    "done",
                    self.seed,
                    found.finding.headline,
                    found.id,
                    found.title,
                    str(found.outcome),
                    index,
                    total,
                )
            )

    @contextmanager
    def _phase(self, name: str) -> Iterator[None]:
        at = dt.datetime.now(dt.UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        started = time.monotonic()
        self.progress(ProgressEvent(name, "started", self.seed))
        status = "failed"
        try:
            yield
            status = "done"
        finally:
            duration_s = round(time.monotonic() - started, 3)
            self.phases.append(Phase(name, at, duration_s, self.seed))
            self.progress(ProgressEvent(name, status, self.seed, elapsed_s=duration_s))

    def _building(self, says: str) -> None:
        self.progress(ProgressEvent("build", "started", self.seed, says))

    def _stack_name(self) -> str:
        # Drawn per seed, so that nothing can be built on a known stack name (G8).
        drawn = random.Random(f"stack/{self.lab.manifest.version}/{self.seed}")
        return f"{drawn.choice('abcdefghijklmnopqrstuvwxyz')}{drawn.getrandbits(28):07x}"

    @property
    def _gate(self) -> float:
        return self.lab.manifest.gate_points


def closure(checks: LabChecks, ids: Collection[str]) -> frozenset[str]:
    """These checks and everything they build on."""
    by_id = {check.id: check for check in checks.checks}
    found: set[str] = set()
    waiting = [check_id for check_id in ids if check_id in by_id]
    while waiting:
        check_id = waiting.pop()
        if check_id not in found:
            found.add(check_id)
            waiting += by_id[check_id].after
    return frozenset(found)


def inconclusive_ids(run: SeedRun) -> frozenset[str]:
    """The checks of a run that could not be judged."""
    return frozenset(item.id for item in run.results.values() if item.outcome is Outcome.INCONCLUSIVE)


def _where_run(runtime: str, here: Mapping[str, str]) -> str:
    """``python3.12 on Python 3.11.7``: what a runtime stood for; on AWS it is itself."""
    return f"{runtime} on {here[runtime]}" if here.get(runtime, runtime) != runtime else runtime
