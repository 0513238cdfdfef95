"""Looking at reports again: beside an earlier one, and together with others."""

from __future__ import annotations

from flask import Blueprint, abort, make_response, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from graders.report.words import OUTCOMES
from portal.services import services
from portal.submissions.comparing import compare
from portal.submissions.pages import lab_of, report_page
from portal.users.session import current_user, require_user
from records.errors import NotFound
from records.store import Attempt
from sandbox.submissions import read_zip

bp = Blueprint("reviewing", __name__, template_folder="templates")
shared = Blueprint("shared", __name__, template_folder="templates")
bp.before_request(require_user)


@bp.get("/attempts/<int:attempt_id>/compare")
def comparison(attempt_id: int) -> ResponseReturnValue:
    """What changed from another attempt at the same lab, by default the one before."""
    attempt = services().store.attempt(attempt_id, current_user().id)
    others = others_of(attempt)
    if not others or attempt.outcome is None:
        raise NotFound("attempt to compare with", attempt_id)
    asked = request.args.get("with", type=int)
    other = next((each for each in others if each.id == asked), None) or _before(attempt, others)
    before, after = sorted((attempt, other), key=lambda each: each.number)
    reports = services().store.report(before.id), services().store.report(after.id)
    if reports[0] is None or reports[1] is None:
        raise NotFound("report", attempt_id)
    return render_template(
        "comparison.html",
        attempt=attempt,
        before=before,
        after=after,
        others=others,
        lab=lab_of(attempt),
        comparison=compare(reports[0], reports[1], _files(before), _files(after)),
        words=OUTCOMES,
    )


@bp.post("/attempts/<int:attempt_id>/share")
def share(attempt_id: int) -> ResponseReturnValue:
    """Make a link that shows the report to whoever has it."""
    attempt = services().store.attempt(attempt_id, current_user().id)
    if services().store.report(attempt.id) is None:
        raise NotFound("report", attempt_id)
    services().sharing.share(attempt.id, current_user().id, services().now())
    return redirect(url_for("submissions.show", attempt_id=attempt.id, _anchor="shared"), 303)


@bp.post("/attempts/<int:attempt_id>/unshare")
def unshare(attempt_id: int) -> ResponseReturnValue:
    """End the link."""
    attempt = services().store.attempt(attempt_id, current_user().id)
    services().sharing.take_back(attempt.id, current_user().id, services().now())
    return redirect(url_for("submissions.show", attempt_id=attempt.id, _anchor="shared"), 303)


@shared.get("/shared/<key>")
def show(key: str) -> ResponseReturnValue:
    """A report that its learner shows; nobody has to sign in, and no search engine keeps it."""
    attempt_id = services().sharing.find(key)
    if attempt_id is None:
        abort(404)
    attempt = services().store.attempt(attempt_id)
    learner = services().accounts.people.get(attempt.user_id)
    response = make_response(report_page(attempt, shown_by=learner.name))
    response.headers["X-Robots-Tag"] = "noindex, nofollow"
    response.headers["Referrer-Policy"] = "no-referrer"
    return response


def others_of(attempt: Attempt) -> list[Attempt]:
    """The learner's other attempts at the lab that have a report, newest first."""
    found = services().store.attempts_of(attempt.user_id, attempt.lab)
    return [each for each in found if each.id != attempt.id and each.points is not None]


def _before(attempt: Attempt, others: list[Attempt]) -> Attempt:
    return next((each for each in others if each.number < attempt.number), others[-1])


def _files(attempt: Attempt) -> dict[str, bytes]:
    return dict(read_zip(services().store.body_of(attempt.submission_id)).files)
