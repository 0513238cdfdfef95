"""The languages of the portal's pages. Labs and evidence stay in the language their authors wrote."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

from flask import Blueprint, Flask, redirect, request
from flask.typing import ResponseReturnValue
from flask_babel import Babel, get_locale

from portal.paths import own_path

# By their own names, as people look for them.
LANGUAGES = {"en": "English", "de": "Deutsch"}
COOKIE = "language"
_TRANSLATIONS = Path(__file__).resolve().parent / "translations"
_YEAR_S = 365 * 86400


def N_(text: str) -> str:
    """Marks a text that is translated where it is shown."""
    return text


bp = Blueprint("languages", __name__)


def register(app: Flask) -> None:
    """Choose each request's language, and let visitors choose theirs."""
    Babel(app, locale_selector=chosen, default_translation_directories="translations")
    app.register_blueprint(bp)
    app.context_processor(_shared)
    app.add_template_global(lambda: str(get_locale()), "page_language")


def _shared() -> dict[str, object]:
    language = str(get_locale())
    return {"language": language, "languages": LANGUAGES, "script_texts": script_texts(language)}


@cache
def script_texts(language: str) -> dict[str, str]:
    """What scripts say, by its English; empty for English."""
    path = _TRANSLATIONS / language / "LC_MESSAGES" / "scripts.json"
    return json.loads(path.read_text("utf-8")) if path.is_file() else {}


def chosen() -> str:
    """What the visitor chose, else what the browser asks for, else English."""
    asked = request.cookies.get(COOKIE, "")
    return asked if asked in LANGUAGES else request.accept_languages.best_match(LANGUAGES, "en")


@bp.post("/language")
def choose() -> ResponseReturnValue:
    """Keep the visitor's language in a cookie, and go back to where they were."""
    answer = redirect(own_path(request.form.get("next", "")) or "/", 303)
    wanted = request.form.get("language", "")
    if wanted in LANGUAGES:
        answer.set_cookie(
            COOKIE, wanted, max_age=_YEAR_S, samesite="Lax", httponly=True, secure=request.is_secure
        )
    return answer
