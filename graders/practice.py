"""A workspace deployed into an account that stays: the path of a grading, without its checks."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from curriculum.loader import Lab
from graders.backend import Backend
from graders.labs import load_checks
from graders.partners import open_partners
from sandbox.account import Account
from sandbox.errors import BadSubmission, DeploymentFailed
from sandbox.submissions import Submission
from sandbox.templates import TemplateText, parse_template

PHASES = ("build", "deploy")
_EVENTS = 200


@dataclass
class Progress:
    """What a page shows of a deployment; :meth:`as_json` is plain JSON."""

    told: Callable[[Mapping[str, Any]], None]
    steps: dict[str, dict[str, Any]] = field(
        default_factory=lambda: {name: {"name": name, "status": "waiting"} for name in PHASES}
    )
    note: str = ""
    problem: dict[str, str] | None = None
    result: dict[str, Any] | None = None

    def as_json(self) -> dict[str, Any]:
        """All of it."""
        return {
            "steps": list(self.steps.values()),
            "note": self.note,
            "problem": self.problem,
            "result": self.result,
        }

    def say(self, note: str) -> None:
        """What is going on within a phase."""
        self.note = note
        self.told(self.as_json())

    @contextmanager
    def phase(self, name: str) -> Iterator[None]:
        """A phase, from its beginning to its end."""
        step = self.steps[name]
        step["status"], began = "started", time.monotonic()
        self.say("")
        try:
            yield
            step["status"] = "done"
        except BaseException:
            step["status"] = "failed"
            raise
        finally:
            step["elapsed_s"] = round(time.monotonic() - began, 2)
            self.say("")


def deploy(
    lab: Lab,
    submission: Submission,
    account: Account,
    backend: Backend,
    stack: str,
    seed: int,
    progress: Progress,
) -> bool:
    """Build and deploy; whether it succeeded. What the learner has to know stands in ``progress``.

    The lab's parameters, files and partners are those that a grading with this seed would have.

    Raises:
        EnvironmentFault: our machinery broke.
    """
    checks = load_checks(lab.checks_path)
    drawn = checks.parameters(lab.manifest.version, seed)
    submission = submission.with_files(checks.overlay(drawn))
    written: TemplateText | None = None
    try:
        with progress.phase("build"):
            written = parse_template(submission.template, submission.files[submission.template])
            package = backend.build(
                account, submission, registries=lab.manifest.registries, tell=progress.say
            )
        addresses, _partners = open_partners(account, checks.partners(drawn))
        parameters = {**checks.stack_parameters(drawn), **addresses}
        with progress.phase("deploy"):
            made = backend.deploy(account, package, stack, parameters)
    except BadSubmission as error:
        progress.problem = {
            "message": str(error.args[0]),
            "where": error.where,
            "what_to_do": error.what_to_do,
        }
        return False
    except DeploymentFailed as error:
        progress.problem = {
            "message": error.reason,
            "where": _where(error, written) or submission.template,
            "what_to_do": "",
        }
        progress.result = {"events": _events(error.events)}
        return False
    declared = written.values.get("Parameters")
    progress.result = {
        "changed": made.changed,
        "outputs": dict(made.outputs),
        "parameters": {
            name: value
            for name, value in parameters.items()
            if isinstance(declared, Mapping) and name in declared
        },
        "events": _events(made.events),
    }
    return True


def _where(error: DeploymentFailed, written: TemplateText | None) -> str:
    """File and line of the resource that failed first."""
    if written is None:
        return ""
    names = [str(event["LogicalResourceId"]) for event in error.events if _is_cause(event)]
    names.append(error.reason.partition(" ")[0])
    known = written.resources()
    return next((written.line("Resources", name) for name in names if name in known), "")


def _is_cause(event: Mapping[str, Any]) -> bool:
    reason = str(event.get("ResourceStatusReason", ""))
    return str(event["ResourceStatus"]).endswith("_FAILED") and "cancelled" not in reason


def _events(events: Any) -> list[dict[str, str]]:
    return [
        {
            "at": event["Timestamp"].isoformat(timespec="milliseconds"),
            "resource": str(event["LogicalResourceId"]),
            "type": str(event["ResourceType"]),
            "status": str(event["ResourceStatus"]),
            "reason": str(event.get("ResourceStatusReason", "")),
        }
        for event in list(events)[-_EVENTS:]
    ]
