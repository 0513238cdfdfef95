"""Taking submissions in: kept first, looked at next, queued last."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from curriculum.loader import Lab
from graders.shared import has_all
from portal.languages import N_
from records.errors import AlreadyOpen
from records.store import Attempt, Store
from sandbox.errors import BadSubmission
from sandbox.submissions import Limits, Submission, read_zip
from sandbox.templates import parse_template

_WAIT = N_("Submit again when its report is there.")


def read_checked(lab: Lab, archive: bytes) -> Submission:
    """The files of an archive that can be graded against this lab.

    Raises:
        BadSubmission: they can't be; says where and why.
    """
    submission = read_zip(archive, limits=Limits(unpacked_bytes=lab.manifest.limit_bytes))
    if not lab.manifest.deploys:
        has_all(submission.files, lab.manifest.required)
        return submission
    path = submission.template
    parse_template(path, submission.files[path])
    return submission


def problem_of(error: BadSubmission | AlreadyOpen) -> dict[str, str]:
    """Why something was not graded, as it is kept and shown: message, where, what to do."""
    if isinstance(error, AlreadyOpen):
        return {
            "message": N_("Another attempt at this lab is being graded."),
            "where": "",
            "what_to_do": _WAIT,
        }
    return {"message": str(error.args[0]), "where": error.where, "what_to_do": error.what_to_do}


@dataclass(frozen=True, slots=True)
class SubmissionService:
    """Records what learners hand in and queues it for grading."""

    store: Store
    now: Callable[[], datetime]

    def submit(self, user_id: int, lab: Lab, source: str, archive: bytes) -> Attempt:
        """Keep the archive as it came, then queue it.

        Raises:
            BadSubmission: it can't be graded; it is kept with the reason and costs no attempt.
            AlreadyOpen: another attempt at this lab waits or runs; it is kept all the same.
        """
        submission_id = self.store.receive(user_id, lab.slug, source, archive, self.now())
        try:
            read_checked(lab, archive)
            return self.store.open_attempt(user_id, lab.slug, submission_id, self.now())
        except BadSubmission as error:
            self.store.refuse(submission_id, problem_of(error))
            raise
        except AlreadyOpen as error:
            self.store.refuse(submission_id, problem_of(error))
            raise

    def again(self, attempt: Attempt, *, same_seed: bool = False) -> Attempt:
        """Queue what was handed in with an attempt once more, as it is.

        Raises:
            AlreadyOpen: another attempt at this lab waits or runs.
        """
        report = self.store.report(attempt.id) if same_seed else None
        return self.store.open_attempt(
            attempt.user_id,
            attempt.lab,
            attempt.submission_id,
            self.now(),
            seed=report["seed"] if report else None,
        )
