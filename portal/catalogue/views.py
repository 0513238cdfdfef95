"""The catalogue and each lab's page."""

from __future__ import annotations

from flask import Blueprint, render_template
from flask.typing import ResponseReturnValue

from portal.catalogue.services import judged, progress, shelves
from portal.services import services
from portal.users.session import current_user, require_user

bp = Blueprint("catalogue", __name__)
bp.before_request(require_user)


@bp.get("/")
def home() -> ResponseReturnValue:
    """All tracks and labs with the learner's progress."""
    attempts = services().store.attempts_of(current_user().id, limit=5000)
    return render_template("home.html", shelves=shelves(services().catalogue(), attempts))


@bp.get("/labs/<slug>")
def lab(slug: str) -> ResponseReturnValue:
    """A lab: brief, contract, what is judged, ways to hand in, own attempts."""
    found = services().catalogue().get_lab(slug)
    user = current_user()
    attempts = services().store.attempts_of(user.id, found.slug)
    return render_template(
        "lab.html",
        lab=found,
        judged=judged(found),
        attempts=attempts,
        progress=progress(found, attempts),
        refused=services().store.refused(user.id, found.slug),
        running=next((item for item in attempts if item.is_open), None),
    )
