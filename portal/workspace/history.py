"""Looking back at what was saved, and bringing it back."""

from __future__ import annotations

from flask import Blueprint, redirect, render_template, request, url_for
from flask.typing import ResponseReturnValue

from portal.differences import changes
from portal.services import services
from portal.users.session import current_user, require_user

bp = Blueprint("history", __name__, url_prefix="/labs/<slug>/workspace/history", template_folder="templates")
bp.before_request(require_user)


@bp.get("")
def show(slug: str) -> ResponseReturnValue:
    """Every save, the newest first; of one file with `?path=`."""
    lab, path = services().catalogue().get_lab(slug), request.args.get("path", "")
    saves = services().workspaces.saves(current_user().id, lab.slug, path)
    return render_template("saves.html", lab=lab, saves=saves, path=path)


@bp.get("/<int:save_id>")
def compare(slug: str, save_id: int) -> ResponseReturnValue:
    """A save against what the file holds now."""
    lab = services().catalogue().get_lab(slug)
    save, body = services().workspaces.saved(save_id, current_user().id, lab.slug)
    now = services().store.workspace(current_user().id, lab.slug).get(save.path)
    before = {} if save.deleted else {save.path: body}
    after = {} if now is None else {save.path: now}
    changed = list(changes(before, after))
    return render_template("save.html", lab=lab, save=save, changed=changed)


@bp.post("/<int:save_id>/restore")
def restore(slug: str, save_id: int) -> ResponseReturnValue:
    """Have the file hold again what was saved then; what it holds now stays in the history."""
    lab, user = services().catalogue().get_lab(slug), current_user()
    save, body = services().workspaces.saved(save_id, user.id, lab.slug)
    now = services().now()
    if save.deleted:
        services().store.save_files(user.id, lab.slug, {}, now, deleted=[save.path])
    else:
        services().workspaces.save(user.id, lab.slug, save.path, body, now, None)
    return redirect(url_for("workspace.show", slug=lab.slug, _anchor=save.path), 303)
