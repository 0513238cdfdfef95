"""Handing in, watching the grading, reading the report, looking back."""

from __future__ import annotations

import io

from flask import Blueprint, Response, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue

from graders.report.words import OUTCOMES
from portal.catalogue.views import lab_page
from portal.hints.services import Ladder
from portal.languages import N_
from portal.services import services
from portal.submissions.pages import lab_of, report_page
from portal.submissions.progress import run_of
from portal.submissions.reviewing import others_of
from portal.submissions.services import problem_of
from portal.submissions.streams import attempt_of, follow, token_for
from portal.users.session import current_user, require_user
from portal.workspace.views import files_of, workspace_page
from records.errors import AlreadyOpen
from records.store import Attempt
from sandbox.errors import BadSubmission
from sandbox.submissions import pack

bp = Blueprint("submissions", __name__, template_folder="templates")
streams = Blueprint("streams", __name__)
bp.before_request(require_user)


@bp.post("/labs/<slug>/submissions")
def submit(slug: str) -> ResponseReturnValue:
    """Take a zip, or the workspace when no zip is sent, and queue it.

    What can't be graded is told where it was handed in, beside everything else on that page.
    """
    lab, user = services().catalogue().get_lab(slug), current_user()
    zipped = "archive" in request.files
    try:
        body = _sent() if zipped else pack(files_of(lab, user.id))
        source = "zip" if zipped else "workspace"
        attempt = services().submissions.submit(user.id, lab, source, body)
    except (BadSubmission, AlreadyOpen) as error:
        page = lab_page if zipped else workspace_page
        return page(lab, _told(error)), 409 if isinstance(error, AlreadyOpen) else 422
    return redirect(url_for("submissions.show", attempt_id=attempt.id), 303)


@bp.get("/attempts/<int:attempt_id>")
def show(attempt_id: int) -> ResponseReturnValue:
    """An attempt: live phases while it is open, then its report."""
    attempt = services().store.attempt(attempt_id, current_user().id)
    if attempt.is_open:
        # The cursor is read first: an event in between is then shown twice rather than never.
        after = services().store.last_event(attempt.id)
        token = token_for(services().streams, attempt.id)
        return render_template(
            "attempt_live.html", lab=lab_of(attempt), stream=token, after=after, **_running(attempt_id)
        )
    key = services().sharing.key_of(attempt.id)
    link = url_for("shared.show", key=key, _external=True) if key else ""
    return report_page(attempt, others=others_of(attempt), link=link, ladders=_ladders(attempt))


@bp.get("/attempts/<int:attempt_id>/progress")
def progress(attempt_id: int) -> ResponseReturnValue:
    """How far the grading is: the part of the live page that changes."""
    return render_template("progress.html", **_running(attempt_id))


@bp.post("/attempts/<int:attempt_id>/again")
def again(attempt_id: int) -> ResponseReturnValue:
    """Grade once more what was handed in: an attempt that we could not judge, or one to be repeated."""
    attempt = services().store.attempt(attempt_id, current_user().id)
    following = services().submissions.again(attempt, same_seed=request.form.get("seed") == "same")
    return redirect(url_for("submissions.show", attempt_id=following.id), 303)


@bp.get("/attempts")
def history() -> ResponseReturnValue:
    """All attempts of the learner."""
    attempts = services().store.attempts_of(current_user().id)
    titles = {lab.slug: lab for lab in services().catalogue().labs}
    return render_template("history.html", attempts=attempts, labs=titles)


@bp.get("/attempts/<int:attempt_id>/submission")
def download(attempt_id: int) -> Response:
    """What was handed in, byte by byte."""
    attempt = services().store.attempt(attempt_id, current_user().id)
    return _file(attempt.submission_id, f"{attempt.lab}-{attempt.number}.zip")


@bp.get("/submissions/<int:submission_id>/file")
def kept(submission_id: int) -> Response:
    """A submission that was not graded, byte by byte."""
    received = services().store.owned(submission_id, current_user().id)
    return _file(received.id, f"{received.lab}-kept-{received.id}.zip")


@bp.get("/attempts/<int:attempt_id>/report.json")
def report_json(attempt_id: int) -> ResponseReturnValue:
    """The report as `coldstart.report/1`."""
    attempt = services().store.attempt(attempt_id, current_user().id)
    return services().store.report(attempt.id) or ({"error": "There is no report yet."}, 404)


@streams.get("/events/<token>")
def events(token: str) -> ResponseReturnValue:
    """Progress for servers without ASGI."""
    attempt_id = attempt_of(services().streams, token)
    if attempt_id is None:
        return "", 204
    asked = request.headers.get("Last-Event-ID") or request.args.get("after", "0")
    after = int(asked) if asked.isdecimal() else 0
    return Response(follow(services().store, attempt_id, after), mimetype="text/event-stream")


def _running(attempt_id: int) -> dict[str, object]:
    store, queue = services().store, services().queue
    attempt = store.attempt(attempt_id, current_user().id)
    return {
        "attempt": attempt,
        "run": run_of(attempt, store.events_of(attempt)),
        "position": queue.position(attempt),
        "wait_s": queue.wait_s(attempt) if attempt.state == "queued" else None,
        "typical_s": queue.typical_s(attempt.lab),
        "words": OUTCOMES,
    }


def _ladders(attempt: Attempt) -> dict[str, Ladder]:
    report = services().store.report(attempt.id)
    if report is None or not lab_of(attempt).exists:
        return {}
    lab = services().catalogue().get_lab(attempt.lab)
    return services().hints.ladders(lab, attempt, report, services().now())


def _sent() -> bytes:
    sent = request.files["archive"]
    if not sent.filename:
        raise BadSubmission(N_("No file was chosen."), where="archive", what_to_do=N_("Choose a zip file."))
    return bytes(sent.read())


def _told(error: BadSubmission | AlreadyOpen) -> dict[str, object]:
    running = error.attempt_id if isinstance(error, AlreadyOpen) else 0
    return {**problem_of(error), "attempt_id": running}


def _file(submission_id: int, name: str) -> Response:
    body = services().store.body_of(submission_id)
    return send_file(io.BytesIO(body), "application/zip", as_attachment=True, download_name=name)
