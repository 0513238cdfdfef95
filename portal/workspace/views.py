"""The learner's files for a lab: read, saved, renamed, replaced by a zip, taken home."""

from __future__ import annotations

import io

from flask import Blueprint, Response, jsonify, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue

from curriculum.loader import Lab
from portal.services import services
from portal.submissions.services import pack
from portal.users.session import current_user, require_user
from sandbox.errors import BadSubmission
from sandbox.submissions import Limits, read_zip

bp = Blueprint("workspace", __name__, url_prefix="/labs/<slug>/workspace")
bp.before_request(require_user)


def files_of(lab: Lab, user_id: int) -> dict[str, bytes]:
    """The workspace's files; the starter's the first time."""
    store = services().store
    files = store.workspace(user_id, lab.slug)
    if not files and lab.starters:
        files = lab.starter("python" if "python" in lab.starters else lab.starters[0])
        store.save_files(user_id, lab.slug, files, services().now())
    return files


@bp.get("")
def show(slug: str) -> ResponseReturnValue:
    """The editor."""
    lab = services().catalogue().get_lab(slug)
    shown, binary = {}, []
    for path, body in sorted(files_of(lab, current_user().id).items()):
        try:
            shown[path] = body.decode("utf-8")
        except UnicodeDecodeError:
            binary.append(path)
    running = services().store.open_of(current_user().id, lab.slug)
    return render_template("workspace.html", lab=lab, files=shown, binary=binary, running=running)


@bp.put("/files")
def save(slug: str) -> ResponseReturnValue:
    """Save one file: ``{"path", "text"}``; with ``from``, it is renamed."""
    lab, body = services().catalogue().get_lab(slug), request.get_json()
    if not isinstance(body, dict) or not isinstance(body.get("text", ""), str):
        raise BadSubmission("Send a path and a text.")
    store, user = services().store, current_user()
    files, path = store.workspace(user.id, lab.slug), str(body.get("path", ""))
    old = body.get("from")
    if old is not None:
        if old not in files:
            raise BadSubmission(
                "This file does not exist any more.", where=str(old), what_to_do="Reload the page."
            )
        if path in files:
            raise BadSubmission(
                "There is a file with this name already.", where=path, what_to_do="Choose another."
            )
        content = files.pop(old)
    else:
        content = body.get("text", "").encode()
    # The same rules as for a submission, so that what can be saved can be handed in.
    limits = Limits(unpacked_bytes=lab.manifest.limit_bytes)
    checked = read_zip(pack({**files, path: content}), limits=limits)
    if path not in checked.files and len(files) > 0:
        raise BadSubmission(
            "This name is not used for files here.",
            where=path,
            what_to_do="Use relative paths with / between folders; leave build folders and caches out.",
        )
    store.save_files(user.id, lab.slug, {path: content}, services().now(), deleted=[old] if old else [])
    return jsonify(saved=path)


@bp.delete("/files")
def remove(slug: str) -> ResponseReturnValue:
    """Delete one file; its history stays."""
    lab = services().catalogue().get_lab(slug)
    path = request.args.get("path", "")
    services().store.save_files(current_user().id, lab.slug, {}, services().now(), deleted=[path])
    return jsonify(deleted=path)


@bp.post("/upload")
def upload(slug: str) -> ResponseReturnValue:
    """Replace the workspace by the files of a zip; the earlier saves stay in its history."""
    lab, sent = services().catalogue().get_lab(slug), request.files.get("archive")
    if sent is None or not sent.filename:
        raise BadSubmission("No file was chosen.", where="archive", what_to_do="Choose a zip file.")
    files = read_zip(sent.read(), limits=Limits(unpacked_bytes=lab.manifest.limit_bytes)).files
    services().store.save_files(current_user().id, lab.slug, files, services().now(), replace_all=True)
    return redirect(url_for("workspace.show", slug=lab.slug), 303)


@bp.post("/reset")
def reset(slug: str) -> ResponseReturnValue:
    """Start again from the starter; the earlier saves stay in the history."""
    lab = services().catalogue().get_lab(slug)
    files = lab.starter("python" if "python" in lab.starters else lab.starters[0]) if lab.starters else {}
    services().store.save_files(current_user().id, lab.slug, files, services().now(), replace_all=True)
    return redirect(url_for("workspace.show", slug=lab.slug), 303)


@bp.get("/download")
def download(slug: str) -> Response:
    """The files as a zip."""
    lab = services().catalogue().get_lab(slug)
    body = pack(files_of(lab, current_user().id))
    return send_file(io.BytesIO(body), "application/zip", as_attachment=True, download_name=f"{lab.slug}.zip")
