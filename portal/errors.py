"""Which error becomes which page and status."""

from __future__ import annotations

import structlog
from flask import Flask, Response, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from curriculum.errors import ManifestInvalid, UnknownLab, UnknownTrack
from records.errors import AlreadyOpen, NotFound
from sandbox.errors import BadSubmission

log = structlog.get_logger()

_TITLES = {
    400: "That request can't be read",
    401: "Sign in first",
    403: "Not allowed",
    404: "Nothing here",
    405: "Not like this",
    409: "Not now",
    413: "Too large",
    422: "That can't be graded",
    429: "Too many tries",
    500: "We made a mistake",
}
_TEXTS = {
    404: "There is no such page, or it belongs to somebody else.",
    405: "This address does not take that kind of request.",
    413: "The upload is larger than this portal reads. Leave out dependencies and build output.",
    500: "The fault is ours and has been logged. Nothing you saved or handed in is lost.",
}


class TooManyTries(Exception):
    """Somebody failed to sign in too often."""


def answer(status: int, message: str, *, where: str = "", what_to_do: str = "") -> ResponseReturnValue:
    """An error as a page, or as JSON for scripts."""
    wants_json = request.path.startswith("/api/") or request.accept_mimetypes.best == "application/json"
    if wants_json:
        body = {"error": message, "where": where, "what_to_do": what_to_do}
        return jsonify({key: value for key, value in body.items() if value}), status
    title = _TITLES.get(status, "This did not work")
    page = render_template(
        "error.html", title=title, message=message, where=where, what_to_do=what_to_do, status=status
    )
    return page, status


def register(app: Flask) -> None:
    """Attach all handlers."""

    @app.errorhandler(HTTPException)
    def http(error: HTTPException) -> ResponseReturnValue:
        if isinstance(error.response, Response):
            return error.response
        status = error.code or 500
        return answer(status, _TEXTS.get(status, error.description or "This did not work."))

    @app.errorhandler(CSRFError)
    def csrf(error: CSRFError) -> ResponseReturnValue:
        return answer(
            400,
            "This form is too old or came from another site.",
            what_to_do="Go back, reload the page and send it again.",
        )

    @app.errorhandler(BadSubmission)
    def bad(error: BadSubmission) -> ResponseReturnValue:
        return answer(422, str(error.args[0]), where=error.where, what_to_do=error.what_to_do)

    @app.errorhandler(AlreadyOpen)
    def already(error: AlreadyOpen) -> ResponseReturnValue:
        return answer(409, str(error), what_to_do="What you sent is kept.")

    @app.errorhandler(NotFound)
    def missing(error: NotFound) -> ResponseReturnValue:
        return answer(404, _TEXTS[404])

    @app.errorhandler(UnknownLab)
    @app.errorhandler(UnknownTrack)
    def unknown(error: Exception) -> ResponseReturnValue:
        return answer(404, str(error))

    @app.errorhandler(ManifestInvalid)
    def invalid(error: ManifestInvalid) -> ResponseReturnValue:
        log.error("manifest_invalid", problems=error.problems)
        return answer(500, "A lab's description is wrong. The fault is ours.")

    @app.errorhandler(TooManyTries)
    def slow(error: TooManyTries) -> ResponseReturnValue:
        return answer(429, "Too many failed sign-ins.", what_to_do="Wait fifteen minutes and try again.")

    @app.errorhandler(Exception)
    def ours(error: Exception) -> ResponseReturnValue:
        # The last boundary: whatever got here is logged whole and shown as a page without a traceback.
        log.exception("request_failed", path=request.path)
        # The page must not need what may just have failed, such as the database.
        g.setdefault("user", None)
        return answer(500, _TEXTS[500])
