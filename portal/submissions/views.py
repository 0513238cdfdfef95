"""Handing in, watching the grading, reading the report, looking back."""

from __future__ import annotations

import io
from typing import Any

from flask import Blueprint, Response, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue

from graders.report.words import DIMENSIONS, OUTCOMES, VERDICTS, summary
from portal.services import services
from portal.submissions.services import pack
from portal.submissions.streams import attempt_of, follow, token_for
from portal.users.session import current_user, require_user
from portal.workspace.views import files_of
from sandbox.errors import BadSubmission

bp = Blueprint("submissions", __name__)
streams = Blueprint("streams", __name__)
bp.before_request(require_user)


@bp.post("/labs/<slug>/submissions")
def submit(slug: str) -> ResponseReturnValue:
    """Take a zip, or the workspace when no zip is sent, and queue it."""
    lab, user = services().catalogue().get_lab(slug), current_user()
    if "archive" in request.files:
        sent = request.files["archive"]
        if not sent.filename:
            raise BadSubmission("No file was chosen.", where="archive", what_to_do="Choose a zip file.")
        source, body = "zip", sent.read()
    else:
        source, body = "workspace", pack(files_of(lab, user.id))
    attempt = services().submissions.submit(user.id, lab, source, body)
    return redirect(url_for("submissions.show", attempt_id=attempt.id), 303)


@bp.get("/attempts/<int:attempt_id>")
def show(attempt_id: int) -> ResponseReturnValue:
    """An attempt: live phases while it is open, then its report."""
    attempt = services().store.attempt(attempt_id, current_user().id)
    lab = services().catalogue().get_lab(attempt.lab)
    if attempt.is_open:
        seen = services().store.events_after([attempt.id], 0)
        return render_template(
            "attempt_live.html",
            attempt=attempt,
            lab=lab,
            seen=[body for _, _, body in seen],
            after=seen[-1][0] if seen else 0,
            stream=token_for(services().streams, attempt.id),
            position=services().queue.position(attempt),
            typical_s=services().queue.typical_s(attempt.lab),
        )
    report = services().store.report(attempt.id)
    return render_template(
        "report.html",
        attempt=attempt,
        lab=lab,
        report=report,
        groups=_by_dimension(report["checks"]) if report else [],
        summary=summary(report) if report else attempt.note,
        verdict=VERDICTS.get(attempt.outcome or "", "Inconclusive"),
        words=OUTCOMES,
    )


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
    body = services().store.body_of(attempt.submission_id)
    name = f"{attempt.lab}-{attempt.number}.zip"
    return send_file(io.BytesIO(body), "application/zip", as_attachment=True, download_name=name)


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


def _by_dimension(checks: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Checks under their dimension, in the order the report has them; what needs reading comes open."""
    groups: dict[str, dict[str, Any]] = {}
    for check in checks:
        group = groups.setdefault(
            check["dimension"],
            {
                "title": DIMENSIONS.get(check["dimension"], check["dimension"]),
                "checks": [],
                "points": 0,
                "possible": 0,
            },
        )
        group["checks"].append(check)
        group["points"] += check["points"]
        group["possible"] += check["points_possible"]
    return list(groups.values())
