"""A lab's notebook: opened in JupyterLab, handed in from here."""

from __future__ import annotations

from flask import Blueprint, g, redirect, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from curriculum.loader import Lab
from portal.notebooks.door import NotSaved
from portal.services import services
from portal.submissions.views import submit as hand_in
from portal.users.session import current_user, require_user
from records.errors import NotFound

bp = Blueprint("notebooks", __name__, url_prefix="/labs/<slug>/notebook", template_folder="templates")
bp.before_request(require_user)


@bp.get("")
def show(slug: str) -> ResponseReturnValue:
    """What there is to do with the notebook."""
    return _page(_lab(slug))


@bp.post("/open")
def open_lab(slug: str) -> ResponseReturnValue:
    """Let this browser in to its learner's JupyterLab."""
    lab, door = _lab(slug), services().notebooks
    reason = _why_not()
    if reason:
        return _page(lab, reason), 503
    services().store.note(current_user().id, "jupyter opened", services().now(), lab=lab.slug)
    return redirect(door.entrance(current_user().id, lab.slug), 303)


@bp.post("/submit")
def submit(slug: str) -> ResponseReturnValue:
    """Bring what is open in JupyterLab into the workspace, and hand that in."""
    lab = _lab(slug)
    try:
        services().notebooks.save(current_user().id, lab.slug)
    except NotSaved as error:
        return _page(lab, f"{gettext('This was not graded.')} {error}"), 409
    return hand_in(lab.slug)


def _page(lab: Lab, problem: str = "") -> str:
    # The form that opens JupyterLab ends at its origin.
    g.form_action = f" {services().notebooks.origin}" if services().notebooks.origin else ""
    return render_template(
        "notebook.html",
        lab=lab,
        problem=problem,
        unavailable=_why_not(),
        running=services().store.open_of(current_user().id, lab.slug),
        attempts=services().store.attempts_of(current_user().id, lab.slug, limit=5),
    )


def _why_not() -> str:
    """Why JupyterLab can't be opened here; empty when it can."""
    door = services().notebooks
    if not door.url:
        return str(
            gettext("JupyterLab is not offered here. Download the files, work on them, and upload them.")
        )
    if not door.is_apart_from(request.host):
        told = gettext(
            "JupyterLab has the same host name as this page (%(host)s), so your session would be within its"
            " reach. Open the portal under another name, or tell the operator.",
            host=request.host,
        )
        return str(told)
    return ""


def _lab(slug: str) -> Lab:
    lab = services().catalogue().get_lab(slug)
    if not lab.notebooks:
        raise NotFound("notebook", slug)
    return lab
