"""Putting one check to a sandbox, and telling the learner's faults from ours."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import replace

import structlog

from graders.checks import Check
from graders.errors import NotAssessed, PathNotAlive, PositiveControlFailed, ResourceNotFound
from graders.evidence.aws import error_code, is_missing
from graders.evidence.masking import Mask
from graders.findings import Did, Finding, Outcome, Saw, failed, inconclusive, not_assessed
from graders.sandbox import Sandbox
from graders.scoring import CheckResult
from sandbox.errors import DeploymentFailed

log = structlog.get_logger()

EVIDENCE_LIMIT = 12


def judge(check: Check, sandbox: Sandbox, earlier: Mapping[str, CheckResult], mask: Mask) -> CheckResult:
    """A check's result; whatever the check raises becomes an outcome."""
    finding = _blocked(check, sandbox, earlier) or _asked(check, sandbox)
    return result(check, mask.finding(_short(finding)))


def result(check: Check, finding: Finding) -> CheckResult:
    """A finding with what the check is worth."""
    return CheckResult(
        check.id, check.title, check.dimension, check.visibility, check.points, finding, check.static
    )


def _short(finding: Finding) -> Finding:
    """A finding a person can read: the first entries of long evidence, and how many more there were."""
    did, saw = finding.did, finding.saw
    if len(did) > EVIDENCE_LIMIT:
        more = Did("…", f"and {len(did) - EVIDENCE_LIMIT + 1} more", did[-1].at)
        did = (*did[: EVIDENCE_LIMIT - 1], more)
    if len(saw) > EVIDENCE_LIMIT:
        rest = Saw("…", f"and {len(saw) - EVIDENCE_LIMIT + 1} more", saw[-1].at)
        saw = (*saw[: EVIDENCE_LIMIT - 1], rest)
    return replace(finding, did=did, saw=saw)


def _blocked(check: Check, sandbox: Sandbox, earlier: Mapping[str, CheckResult]) -> Finding | None:
    missing = sorted(check.needs - sandbox.account.capabilities)
    if missing:
        return not_assessed(
            f"The {sandbox.account.backend} backend does not provide {', '.join(missing)} yet, "
            "so the points of this check are left out."
        )
    for check_id in check.after:
        before = earlier.get(check_id)
        if before is None or before.outcome is Outcome.PASSED:
            continue
        if before.outcome is Outcome.INCONCLUSIVE:
            return inconclusive(f"It builds on {check_id}, which could not be judged.")
        # A check the backend could not assess is no reason to skip what stands on it.
        if before.outcome is Outcome.NOT_ASSESSED and not before.finding.blocked:
            continue
        return not_assessed(f"It builds on {check_id}, which did not pass.", blocked=True)
    return None


def _asked(check: Check, sandbox: Sandbox) -> Finding:
    start = sandbox.now()
    try:
        finding = check(sandbox).with_evidence(sandbox.did_log, sandbox.saw_log)
    except ResourceNotFound as error:
        finding = _with(sandbox, failed(str(error), hint=error.hint, look=error.look))
    except PathNotAlive as error:
        return _with(sandbox, not_assessed(str(error), blocked=True))
    except NotAssessed as error:
        return not_assessed(str(error))
    except PositiveControlFailed as error:
        return _with(sandbox, inconclusive(f"Our own path did not work: {error}"))
    except DeploymentFailed as error:
        finding = _with(
            sandbox,
            failed(
                "A further deployment of the same artefact failed.", saw=Saw("cloudformation", error.reason)
            ),
        )
    except Exception as error:  # the boundary where a broken check becomes ours and not the learner's
        if is_missing(error):
            finding = _with(
                sandbox,
                failed(
                    "Something the contract names does not exist in the account.",
                    saw=Saw(getattr(error, "operation_name", "AWS"), f"{error_code(error)}: {error}"),
                    look=("Outputs in the template",),
                ),
            )
        else:
            log.warning(
                "check_broke", check=check.id, error=f"{type(error).__name__}: {error}", exc_info=True
            )
            return _with(
                sandbox, inconclusive(f"The check could not be finished: {type(error).__name__}: {error}")
            )
    return _with(sandbox, inconclusive(reason)) if (reason := _gap(finding, sandbox, start)) else finding


def _with(sandbox: Sandbox, finding: Finding) -> Finding:
    return finding.with_evidence(sandbox.did_log, sandbox.saw_log)


def _gap(finding: Finding, sandbox: Sandbox, start: dt.datetime) -> str:
    """Why a failed finding proves nothing: something is not emulated, or broke on our side."""
    if finding.outcome not in (Outcome.FAILED, Outcome.PARTIAL):
        return ""
    gaps = [
        event
        for event in sandbox.timeline()
        if event["kind"] == "gap" and dt.datetime.fromisoformat(event["at"]) >= start
    ]
    if not gaps:
        return ""
    named = ", ".join(sorted({event["subject"] for event in gaps})[:3])
    if any(event.get("outcome") == "InternalFailure" for event in gaps):
        return f"The emulated account failed at {named}."
    return f"The submission used {named}, which this backend does not emulate."
