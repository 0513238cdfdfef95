"""The HTTP API under ``/api/v1``: the same services as the pages, authenticated by token."""

from __future__ import annotations

import re
from typing import Any

from flask import Blueprint, current_app, g, jsonify, request, url_for
from flask.typing import ResponseReturnValue

from curriculum.loader import Lab
from portal.api.description import describe
from portal.bodies import pieces
from portal.errors import answer
from portal.services import services
from portal.submissions.streams import token_for
from records.people import User
from records.store import Attempt

# What a token has to be for. A route that is not here is nobody's.
SCOPES = {
    "api.labs": "read",
    "api.lab": "read",
    "api.attempts": "read",
    "api.attempt": "read",
    "api.report": "read",
    "api.submit": "submit",
}

_ARGUMENT = re.compile(r"<(?:\w+:)?(\w+)>")

bp = Blueprint("api", __name__, url_prefix="/api/v1")


@bp.before_request
def authenticate() -> ResponseReturnValue | None:
    """Every call carries `Authorization: Bearer <token>`."""
    if request.endpoint == "api.openapi":
        return None
    scheme, _, given = request.headers.get("Authorization", "").partition(" ")
    token = services().credentials.token(given, services().now()) if scheme.lower() == "bearer" else None
    user = services().accounts.active(token.user_id) if token else None
    if token is None or user is None:
        return answer(401, "Send a valid token as `Authorization: Bearer cst_…`.")
    needed = SCOPES.get(request.endpoint or "")
    if needed is None or not token.may(needed):
        return answer(403, f"This token is not for that: it needs the scope `{needed or 'none there is'}`.")
    g.api_user = user
    return None


@bp.get("/openapi.json")
def openapi() -> ResponseReturnValue:
    """What there is here, for programs that read descriptions. The one route that needs no token."""
    rules = current_app.url_map.iter_rules()
    paths = {rule.endpoint: _ARGUMENT.sub(r"{\1}", rule.rule) for rule in rules if rule.endpoint in SCOPES}
    return jsonify(describe(paths, SCOPES, services().accounts.url))


@bp.get("/labs")
def labs() -> ResponseReturnValue:
    """All labs."""
    return jsonify(labs=[_lab(lab) for lab in services().catalogue().labs])


@bp.get("/labs/<slug>")
def lab(slug: str) -> ResponseReturnValue:
    """One lab with its brief."""
    found = services().catalogue().get_lab(slug)
    return jsonify({**_lab(found), "brief": found.brief, "contract": found.contract})


@bp.post("/labs/<slug>/submissions")
def submit(slug: str) -> ResponseReturnValue:
    """Hand in a zip: the request's body."""
    found = services().catalogue().get_lab(slug)
    attempt = services().submissions.submit(_user().id, found, "api", b"".join(pieces()))
    return jsonify(_attempt(attempt)), 201


@bp.get("/attempts")
def attempts() -> ResponseReturnValue:
    """The caller's attempts, newest first."""
    found = services().store.attempts_of(_user().id, request.args.get("lab"))
    return jsonify(attempts=[_attempt(item) for item in found])


@bp.get("/attempts/<int:attempt_id>")
def attempt(attempt_id: int) -> ResponseReturnValue:
    """One attempt."""
    return jsonify(_attempt(services().store.attempt(attempt_id, _user().id)))


@bp.get("/attempts/<int:attempt_id>/report")
def report(attempt_id: int) -> ResponseReturnValue:
    """An attempt's report, `coldstart.report/1`."""
    found = services().store.report(services().store.attempt(attempt_id, _user().id).id)
    return jsonify(found) if found is not None else answer(404, "There is no report for this attempt yet.")


def _user() -> User:
    return g.api_user  # type: ignore[no-any-return]


def _lab(found: Lab) -> dict[str, Any]:
    manifest = found.manifest
    return {
        "slug": found.slug,
        "code": found.code,
        "title": found.title,
        "version": manifest.version,
        "level": manifest.level,
        "minutes": manifest.minutes,
        "summary": manifest.summary,
        "runtimes": list(manifest.runtimes),
        "services": list(manifest.services),
        "notebooks": list(found.notebooks),
    }


def _attempt(found: Attempt) -> dict[str, Any]:
    moments = {"queued_at": found.queued_at, "started_at": found.started_at, "closed_at": found.closed_at}
    return {
        "id": found.id,
        "lab": found.lab,
        "number": found.number,
        "state": found.state,
        "outcome": found.outcome,
        "points": found.points,
        "points_possible": found.points_possible,
        "counted": found.counted,
        "note": found.note,
        "page": url_for("submissions.show", attempt_id=found.id),
        "events": url_for("streams.events", token=token_for(services().streams, found.id)),
        **{name: at.isoformat() if at else None for name, at in moments.items()},
    }
