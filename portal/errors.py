"""Which error becomes which page and status."""

from __future__ import annotations

import structlog
from flask import Flask, Response, g, jsonify, render_template, request
from flask.typing import ResponseReturnValue
from flask_babel import gettext
from flask_wtf.csrf import CSRFError
from werkzeug.exceptions import HTTPException

from curriculum.errors import ManifestInvalid, UnknownLab, UnknownTrack
from portal.bodies import drain
from portal.languages import N_
from records.errors import AlreadyOpen, NotFound
from sandbox.errors import BadSubmission

log = structlog.get_logger()

_TITLES = {
    400: N_("That request can't be read"),
    401: N_("Sign in first"),
    403: N_("Not allowed"),
    404: N_("Nothing here"),
    405: N_("Not like this"),
    409: N_("Not now"),
    413: N_("Too large"),
    422: N_("That can't be graded"),
    429: N_("Too many tries"),
    500: N_("We made a mistake"),
}
_TEXTS = {
    404: N_("There is no such page, or it belongs to somebody else."),
    405: N_("This address does not take that kind of request."),
    413: N_("The upload is larger than this portal reads. Leave out dependencies and build output."),
    500: N_("The fault is ours and has been logged. Nothing you saved or handed in is lost."),
}


class TooManyTries(Exception):
    """Somebody did something too often."""


def answer(status: int, message: str, *, where: str = "", what_to_do: str = "") -> ResponseReturnValue:
    """An error as a page, or as JSON for scripts; what it says in the visitor's language where we have it."""
    message, what_to_do = gettext(message), gettext(what_to_do) if what_to_do else ""
    wants_json = request.path.startswith("/api/") or request.accept_mimetypes.best == "application/json"
    if wants_json:
        body = {"error": message, "where": where, "what_to_do": what_to_do}
        return jsonify({key: value for key, value in body.items() if value}), status
    title = gettext(_TITLES.get(status, N_("This did not work")))
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
        if status == 413:
            drain()
        return answer(status, _TEXTS.get(status, error.description or N_("This did not work.")))

    @app.errorhandler(CSRFError)
    def csrf(error: CSRFError) -> ResponseReturnValue:
        return answer(
            400,
            N_("This form is too old or came from another site."),
            what_to_do=N_("Go back, reload the page and send it again."),
        )

    @app.errorhandler(BadSubmission)
    def bad(error: BadSubmission) -> ResponseReturnValue:
        return answer(422, str(error.args[0]), where=error.where, what_to_do=error.what_to_do)

    @app.errorhandler(AlreadyOpen)
    def already(error: AlreadyOpen) -> ResponseReturnValue:
        return answer(409, str(error), what_to_do=N_("What you sent is kept."))

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
        return answer(500, N_("A lab's description is wrong. The fault is ours."))

    @app.errorhandler(TooManyTries)
    def slow(error: TooManyTries) -> ResponseReturnValue:
        return answer(
            429, N_("That was tried too often of late."), what_to_do=N_("Wait fifteen minutes and try again.")
        )

    @app.errorhandler(Exception)
    def ours(error: Exception) -> ResponseReturnValue:
        # The last boundary: whatever got here is logged whole and shown as a page without a traceback.
        log.exception("request_failed", path=request.path)
        # The page must not need what may just have failed, such as the database.
        g.setdefault("user", None)
        return answer(500, _TEXTS[500])
