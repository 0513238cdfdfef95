"""Opening the next hint of a check."""

from __future__ import annotations

from flask import Blueprint, redirect, url_for
from flask.typing import ResponseReturnValue

from portal.services import services
from portal.users.session import current_user, require_user
from records.errors import NotFound

bp = Blueprint("hints", __name__, template_folder="templates")
bp.before_request(require_user)


@bp.post("/attempts/<int:attempt_id>/hints/<check_id>")
def open_next(attempt_id: int, check_id: str) -> ResponseReturnValue:
    """Open the next hint, if it is its time, and go back to the check."""
    attempt = services().store.attempt(attempt_id, current_user().id)
    report = services().store.report(attempt.id)
    if report is None:
        raise NotFound("report", attempt_id)
    lab = services().catalogue().get_lab(attempt.lab)
    services().hints.open_next(lab, attempt, report, check_id, services().now())
    return redirect(url_for("submissions.show", attempt_id=attempt.id, _anchor=check_id), 303)
