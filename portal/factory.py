"""The Flask application around the services it is given."""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Callable
from datetime import timedelta
from functools import lru_cache
from pathlib import Path

from flask import Flask, Response, g, request, url_for
from flask_wtf.csrf import CSRFProtect
from werkzeug.middleware.proxy_fix import ProxyFix

from portal import errors, filters, languages
from portal.api.views import bp as api
from portal.catalogue.views import bp as catalogue
from portal.hints.views import bp as hints
from portal.hub import provider as hub
from portal.notebooks.views import bp as notebooks
from portal.sandboxes.views import bp as sandbox
from portal.sandboxes.views import streams as practice_streams
from portal.services import Services
from portal.submissions.reviewing import bp as reviewing
from portal.submissions.reviewing import shared
from portal.submissions.views import bp as submissions
from portal.submissions.views import streams
from portal.users import elsewhere, passkeys
from portal.users.account import bp as account
from portal.users.session import find_user
from portal.users.views import bp as users
from portal.workspace.git import bp as git
from portal.workspace.history import bp as history
from portal.workspace.views import bp as workspace

_THEMES = ("light", "dark", "contrast")
_HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "X-Frame-Options": "DENY",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
}


def create(
    services: Services,
    *,
    secret_key: str,
    upload_limit_bytes: int,
    secure_cookies: bool,
    trusted_proxies: int = 0,
) -> Flask:
    """The portal."""
    app = Flask(__name__)
    app.config.update(
        SECRET_KEY=secret_key,
        MAX_CONTENT_LENGTH=upload_limit_bytes,
        MAX_FORM_MEMORY_SIZE=2_000_000,
        SESSION_COOKIE_NAME="coldstart",
        SESSION_COOKIE_SAMESITE="Lax",
        SESSION_COOKIE_HTTPONLY=True,
        SESSION_COOKIE_SECURE=secure_cookies,
        PERMANENT_SESSION_LIFETIME=timedelta(days=14),
        SEND_FILE_MAX_AGE_DEFAULT=timedelta(days=365),
        WTF_CSRF_TIME_LIMIT=None,
        WTF_CSRF_SSL_STRICT=secure_cookies,
    )
    app.extensions["coldstart"] = services
    if trusted_proxies:
        app.wsgi_app = ProxyFix(app.wsgi_app, x_for=trusted_proxies, x_proto=trusted_proxies)  # type: ignore[method-assign]
    guard = CSRFProtect(app)
    # Tokens in a header are no cookies: no other site can make a browser send them.
    guard.exempt(api)
    guard.exempt(git)
    # A language is nothing to protect, and a visitor gets no session for choosing one.
    guard.exempt(languages.bp)
    for blueprint in (
        users,
        account,
        passkeys.bp,
        catalogue,
        workspace,
        git,
        history,
        notebooks,
        sandbox,
        practice_streams,
        submissions,
        reviewing,
        shared,
        hints,
        streams,
        api,
    ):
        app.register_blueprint(blueprint)
    elsewhere.register(app, services.providers)
    hub.register(app, services.hub)
    guard.exempt(hub.bp)
    languages.register(app)
    errors.register(app)
    app.before_request(_nonce)
    app.after_request(_secure)
    app.add_url_rule("/healthz", "healthz", _healthz)
    app.context_processor(_shared)
    app.add_template_global(passkeys.offered, "passkeys_offered")
    app.add_template_global(assets(Path(app.static_folder or "")), "asset")
    filters.register(app, services.now)
    return app


def assets(folder: Path) -> Callable[[str], str]:
    """Addresses of static files that change with their content, so that browsers may keep them."""

    @lru_cache(maxsize=64)
    def digest(name: str) -> str:
        return hashlib.sha256((folder / name).read_bytes()).hexdigest()[:12]

    return lambda name: url_for("static", filename=name, v=digest(name))


def _shared() -> dict[str, object]:
    theme = request.cookies.get("theme", "")
    return {
        "user": find_user(),
        "nonce": g.get("nonce", ""),
        "theme": theme if theme in _THEMES else "",
    }


def _healthz() -> tuple[dict[str, str], int]:
    return {"status": "ok"}, 200


def _nonce() -> None:
    g.nonce = secrets.token_urlsafe(16)


def _secure(response: Response) -> Response:
    nonce = g.get("nonce", "")
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
    response.headers.setdefault(
        "Content-Security-Policy",
        f"default-src 'self'; script-src 'self' 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; "
        "img-src 'self' data:; object-src 'none'; base-uri 'none'; "
        f"form-action 'self'{g.get('form_action', '')}; frame-ancestors 'none'",
    )
    if response.mimetype == "text/html":
        response.headers.setdefault("Cache-Control", "no-store")
    return response
