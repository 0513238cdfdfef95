"""The learner's files for a lab: read, saved, renamed, replaced by a zip, taken home."""

from __future__ import annotations

import io
from collections.abc import Iterable, Mapping

from flask import Blueprint, Response, jsonify, redirect, render_template, request, send_file, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from curriculum.loader import Lab
from portal.catalogue.services import RUNTIME_NAMES
from portal.languages import N_
from portal.services import services
from portal.users.session import current_user, require_user
from portal.workspace.linting import is_machine
from records.errors import NotFound
from records.workspaces import Stored
from sandbox.errors import BadSubmission
from sandbox.submissions import TEMPLATE_NAMES, Limits, pack, read_zip
from sandbox.templates import parse_template

bp = Blueprint("workspace", __name__, url_prefix="/labs/<slug>/workspace", template_folder="templates")
bp.before_request(require_user)


def files_of(lab: Lab, user_id: int) -> dict[str, bytes]:
    """The workspace's files; the starter's the first time."""
    store = services().store
    files = store.workspace(user_id, lab.slug)
    if not files and lab.starters:
        files = lab.starter(first_starter(lab))
        store.save_files(user_id, lab.slug, files, services().now())
    return files


def first_starter(lab: Lab) -> str:
    """The runtime that a workspace begins with."""
    return "python" if "python" in lab.starters else lab.starters[0]


def likely_runtime(lab: Lab, paths: Iterable[str]) -> str:
    """The runtime that files are in, by what only its starter has; the first one's if that tells nothing."""
    present = set(paths)
    return max(lab.starters, key=lambda name: len(present & lab.starter(name).keys()), default="")


@bp.get("")
def show(slug: str) -> ResponseReturnValue:
    """The editor, on the learner's files."""
    return workspace_page(services().catalogue().get_lab(slug))


def workspace_page(
    lab: Lab, problem: Mapping[str, object] | None = None, *, title: str = N_("This was not graded.")
) -> str:
    """The editor, with what was wrong with a submission where there was something."""
    files = files_of(lab, current_user().id)
    shown, binary = {}, []
    for path, body in sorted(files.items()):
        try:
            shown[path] = body.decode("utf-8")
        except UnicodeDecodeError:
            binary.append(path)
    problems = [found for path, body in files.items() if (found := template_problem(path, body))]
    return render_template(
        "workspace.html",
        lab=lab,
        files=shown,
        language_of_files=likely_runtime(lab, files),
        runtimes=RUNTIME_NAMES,
        digests=services().workspaces.digests(current_user().id, lab.slug),
        binary=binary,
        running=services().store.open_of(current_user().id, lab.slug),
        problem=problem,
        problem_title=title,
        template_problem=problems[0] if problems else None,
        current_id=current_user().id,
        git_address=services().accounts.url + url_for("git.refs", slug=lab.slug).removesuffix("/info/refs"),
    )


def template_problem(path: str, body: bytes) -> dict[str, object] | None:
    """What is wrong with a template's text and on which line; None for other files and good ones."""
    if path not in TEMPLATE_NAMES:
        return None
    try:
        parse_template(path, body)
    except BadSubmission as error:
        _, _, place = error.where.partition(":")
        line = place.partition(":")[0]
        return {
            "where": error.where,
            "line": int(line) if line.isdecimal() else 1,
            "message": str(error.args[0]),
        }
    return None


@bp.put("/files")
def save(slug: str) -> ResponseReturnValue:
    """Save one file: ``{"path", "text"}``; with ``from``, it is renamed."""
    lab, body = services().catalogue().get_lab(slug), request.get_json()
    if not isinstance(body, dict) or not isinstance(body.get("text", ""), str):
        raise BadSubmission(N_("Send a path and a text."))
    store, user = services().store, current_user()
    files, path = store.workspace(user.id, lab.slug), str(body.get("path", ""))
    old = body.get("from")
    if old is not None:
        if old not in files:
            raise BadSubmission(
                N_("This file does not exist any more."), where=str(old), what_to_do=N_("Reload the page.")
            )
        if path in files:
            raise BadSubmission(
                N_("There is a file with this name already."), where=path, what_to_do=N_("Choose another.")
            )
        content = files.pop(old)
    else:
        content = body.get("text", "").encode()
    # The same rules as for a submission, so that what can be saved can be handed in.
    limits = Limits(unpacked_bytes=lab.manifest.limit_bytes)
    checked = read_zip(pack({**files, path: content}), limits=limits)
    if path not in checked.files and len(files) > 0:
        raise BadSubmission(
            N_("This name is not used for files here."),
            where=path,
            what_to_do=N_("Use relative paths with / between folders; leave build folders and caches out."),
        )
    if old is not None:
        store.save_files(user.id, lab.slug, {}, services().now(), deleted=[str(old)])
    base = body.get("base")
    stored = services().workspaces.save(
        user.id, lab.slug, path, content, services().now(), base if isinstance(base, str) else None
    )
    if stored.other is not None:
        return _elsewhere(path, stored)
    told: dict[str, object] = {"saved": path, "digest": stored.digest}
    if path in TEMPLATE_NAMES:
        told["problem"] = template_problem(path, content)
    return jsonify(told)


def _elsewhere(path: str, stored: Stored) -> ResponseReturnValue:
    """Another window saved this file since this one looked: both texts are kept, and the page asks which."""
    told = {
        "error": gettext("This file was saved in another window meanwhile."),
        "where": path,
        "digest": stored.digest,
        "theirs": (stored.other or b"").decode("utf-8", "replace"),
    }
    return jsonify(told), 409


@bp.post("/lint")
def lint(slug: str) -> ResponseReturnValue:
    """What cfn-lint and the SAM translator have against a template as it is saved: ``{"path"}``."""
    lab, body = services().catalogue().get_lab(slug), request.get_json()
    path = str(body.get("path", "")) if isinstance(body, dict) else ""
    content = services().store.workspace(current_user().id, lab.slug).get(path)
    if content is None or not (path in TEMPLATE_NAMES or is_machine(path)):
        raise BadSubmission(N_("This file does not exist any more."), where=path)
    return jsonify(path=path, problems=services().linter.lint(path, content.decode("utf-8", "replace")))


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
        raise BadSubmission(N_("No file was chosen."), where="archive", what_to_do=N_("Choose a zip file."))
    try:
        files = read_zip(sent.read(), limits=Limits(unpacked_bytes=lab.manifest.limit_bytes)).files
    except BadSubmission as error:
        told = {"message": str(error.args[0]), "where": error.where, "what_to_do": error.what_to_do}
        return workspace_page(lab, told, title=N_("This zip was not used.")), 422
    services().store.save_files(current_user().id, lab.slug, files, services().now(), replace_all=True)
    return redirect(url_for("workspace.show", slug=lab.slug), 303)


@bp.post("/add")
def add(slug: str) -> ResponseReturnValue:
    """Add files, or a folder's: each under the path that its browser names."""
    lab, user = services().catalogue().get_lab(slug), current_user()
    sent = {item.filename or "": item.read() for item in request.files.getlist("files") if item.filename}
    if not sent:
        raise BadSubmission(N_("No file was chosen."), where="files")
    before = files_of(lab, user.id)
    limits = Limits(unpacked_bytes=lab.manifest.limit_bytes)
    try:
        checked = read_zip(pack({**before, **sent}), limits=limits).files
    except BadSubmission as error:
        told = {"message": str(error.args[0]), "where": error.where, "what_to_do": error.what_to_do}
        return workspace_page(lab, told, title=N_("These files were not added.")), 422
    fresh = {path: body for path, body in sent.items() if path in checked and before.get(path) != body}
    services().store.save_files(user.id, lab.slug, fresh, services().now())
    return redirect(url_for("workspace.show", slug=lab.slug), 303)


@bp.post("/reset")
def reset(slug: str) -> ResponseReturnValue:
    """Start again from a starter; the earlier saves stay in the history."""
    lab = services().catalogue().get_lab(slug)
    asked = request.form.get("runtime", "")
    files = lab.starter(asked if asked in lab.starters else first_starter(lab)) if lab.starters else {}
    services().store.save_files(current_user().id, lab.slug, files, services().now(), replace_all=True)
    return redirect(url_for("workspace.show", slug=lab.slug), 303)


@bp.post("/restore/<int:attempt_id>")
def restore(slug: str, attempt_id: int) -> ResponseReturnValue:
    """Bring back what was handed in with an attempt; the earlier saves stay in the history."""
    lab, user = services().catalogue().get_lab(slug), current_user()
    attempt = services().store.attempt(attempt_id, user.id)
    if attempt.lab != lab.slug:
        raise NotFound("attempt", attempt_id)
    body = services().store.body_of(attempt.submission_id)
    files = read_zip(body, limits=Limits(unpacked_bytes=lab.manifest.limit_bytes)).files
    services().store.save_files(user.id, lab.slug, files, services().now(), replace_all=True)
    return redirect(url_for("workspace.show", slug=lab.slug), 303)


@bp.get("/download")
def download(slug: str) -> Response:
    """The files as a zip."""
    lab = services().catalogue().get_lab(slug)
    body = pack(files_of(lab, current_user().id))
    return send_file(io.BytesIO(body), "application/zip", as_attachment=True, download_name=f"{lab.slug}.zip")
