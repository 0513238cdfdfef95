"""`git clone`, `pull` and `push` of a workspace, over HTTP with an API token as the password."""

from __future__ import annotations

import base64
import contextlib
import gzip
import json
import os
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, BinaryIO

import structlog
from flask import Blueprint, Response, request, url_for
from flask.typing import ResponseReturnValue
from werkzeug.exceptions import RequestEntityTooLarge

from curriculum.loader import Lab
from portal.bodies import drain, pieces
from portal.services import services
from portal.workspace.views import files_of
from records.errors import AlreadyOpen
from records.people import User
from sandbox.errors import BadSubmission
from sandbox.submissions import Limits, pack, read_zip

_SERVICES = ("upload-pack", "receive-pack")
_TIME_LIMIT_S = 60.0
_TRIES_PER_ADDRESS = 30
_ROOT = Path(__file__).resolve().parents[2]
_Verdict = Mapping[str, str]

log = structlog.get_logger()

bp = Blueprint("git", __name__, url_prefix="/git")


@bp.get("/<slug>.git/info/refs")
def refs(slug: str) -> ResponseReturnValue:
    """What there is: git's first question."""
    service = request.args.get("service", "").removeprefix("git-")
    return _answer(slug, service, "advertise")


@bp.post("/<slug>.git/git-<service>")
def serve(slug: str, service: str) -> ResponseReturnValue:
    """Fetch or push."""
    if request.content_type != f"application/x-git-{service}-request":
        return _refuse(415, "This address is for git.")
    return _answer(slug, service, "serve")


def _answer(slug: str, service: str, what: str) -> ResponseReturnValue:
    if service not in _SERVICES:
        return _refuse(403, "This git is too old: it needs the smart HTTP protocol.")
    user = _user()
    if isinstance(user, Response):
        return user
    lab = services().catalogue().get_lab(slug)
    with tempfile.TemporaryFile() as asked, tempfile.TemporaryFile() as answer:
        asked.write(_head(user, lab))
        if what == "serve" and not _body(asked):
            drain()
            return _refuse(413, "This is larger than a workspace may be.")
        asked.seek(0)
        place = services().repositories.place(user.id, lab.slug)
        failed = _run([str(place), service, what], asked, answer, lambda found: _take(user, lab, found))
        if failed:
            return _refuse(503, f"{failed} What you pushed was not taken; nothing else is lost.")
        answer.seek(0)
        kind = "advertisement" if what == "advertise" else "result"
        made = Response(answer.read(), mimetype=f"application/x-git-{service}-{kind}")
    made.headers["Cache-Control"] = "no-cache"
    return made


def _run(
    arguments: list[str], asked: BinaryIO, answer: BinaryIO, judge: Callable[[Mapping[str, Any]], _Verdict]
) -> str:
    """Run the process that has the repository, and answer its questions; why it failed, if it did."""
    ours, theirs = socket.socketpair()
    command = [sys.executable, "-m", "portal.workspace.repository", *arguments]
    with ours, ours.makefile("rwb") as stream:
        with theirs:
            process = subprocess.Popen(
                [*command, str(theirs.fileno())],
                stdin=asked,
                stdout=answer,
                stderr=subprocess.PIPE,
                pass_fds=[theirs.fileno()],
                cwd=_ROOT,
                env={"PATH": os.defpath, "PYTHONPATH": str(_ROOT)},
            )
        ours.settimeout(_TIME_LIMIT_S)
        try:
            for line in stream:
                stream.write(json.dumps(dict(judge(json.loads(line)))).encode() + b"\n")
                stream.flush()
            _, told = process.communicate(timeout=_TIME_LIMIT_S)
        except (TimeoutError, subprocess.TimeoutExpired, ConnectionError):
            process.kill()
            process.communicate()
            return "It took too long."
    if process.returncode:
        last = told.decode("utf-8", "replace").strip().splitlines()[-1:] or [""]
        log.warning("git_failed", status=process.returncode, error=last[0][:300])
        return "Memory or time did not suffice, or the request was not git's."
    return ""


def _take(user: User, lab: Lab, found: Mapping[str, Any]) -> _Verdict:
    """Save what was pushed, and hand it in if that is wanted; or say why not."""
    files = {path: base64.b64decode(content) for path, content in found["files"].items()}
    try:
        checked = read_zip(pack(files), limits=Limits(unpacked_bytes=lab.manifest.limit_bytes)).files
    except BadSubmission as error:
        return {"error": f"{error.where}: {error.args[0]}".removeprefix(": ")}
    left_out = sorted(files.keys() - checked.keys())
    if left_out:
        return {"error": f"{left_out[0]}: build folders and caches are left out; see .gitignore"}
    store, before = services().store, services().store.workspace(user.id, lab.slug)
    changed = {path: body for path, body in files.items() if before.get(path) != body}
    gone = sorted(before.keys() - files.keys())
    store.save_files(user.id, lab.slug, changed, services().now(), deleted=gone)
    told = f"Saved: {len(changed)} changed, {len(gone)} deleted. {_link('workspace.show', slug=lab.slug)}"
    if not found["submit"]:
        return {"told": told}
    try:
        attempt = services().submissions.submit(user.id, lab, "git", pack(files))
    except (BadSubmission, AlreadyOpen) as error:
        where = f"{error.where}: " if isinstance(error, BadSubmission) and error.where else ""
        return {"told": f"{told}\nNot graded. {where}{error}"}
    return {"told": f"{told}\nHanded in: {_link('submissions.show', attempt_id=attempt.id)}"}


def _link(endpoint: str, **values: Any) -> str:
    return services().accounts.url + url_for(endpoint, **values)


def _head(user: User, lab: Lab) -> bytes:
    """What the process is told first: what the workspace holds, and whose it is."""
    name = user.name.translate({ord(mark): None for mark in "<>\n\r\0"}) or user.login
    files = {path: base64.b64encode(body).decode() for path, body in files_of(lab, user.id).items()}
    told = {
        "files": files,
        "author": f"{name} <{user.email or user.login}>",
        "at": int(services().now().timestamp()),
    }
    return json.dumps(told).encode() + b"\n"


def _body(into: BinaryIO) -> bool:
    """Write the request's body; false when that is too large."""
    try:
        with contextlib.suppress(EOFError, gzip.BadGzipFile):
            into.writelines(pieces())
    except RequestEntityTooLarge:
        return False
    return True


def _user() -> User | Response:
    """Who asks, by the token that is the password."""
    accounts, given = services().accounts, request.authorization
    address = request.remote_addr or ""
    if given is None or given.type != "basic" or not given.password:
        return _refuse(401, "Give an API token with the scope `workspace` as the password.")
    token = services().credentials.token(given.password, services().now())
    if token is None:
        accounts.limit("git", address, _TRIES_PER_ADDRESS)
        return _refuse(401, "There is no such token, or it has ended.")
    if not token.may("workspace"):
        return _refuse(403, "This token is not for the workspace: it needs the scope `workspace`.")
    return accounts.active(token.user_id) or _refuse(401, "This account is closed.")


def _refuse(status: int, text: str) -> Response:
    answer = Response(f"{text}\n", status, mimetype="text/plain")
    if status == 401:
        answer.headers["WWW-Authenticate"] = 'Basic realm="Coldstart", charset="UTF-8"'
    return answer
