"""Sign-in, sign-up, sign-out, one-time links."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.paths import own_path
from portal.services import services
from portal.users.services import MINIMUM_PASSWORD
from portal.users.session import begin, current_user, find_user, require_user

bp = Blueprint("users", __name__, template_folder="templates")


@bp.get("/sign-in")
def sign_in() -> ResponseReturnValue:
    """The sign-in form."""
    if find_user():
        return redirect(_following())
    return _door(following=request.args.get("next", ""))


@bp.post("/sign-in")
def do_sign_in() -> ResponseReturnValue:
    """Sign in."""
    login = request.form.get("login", "")
    address = request.remote_addr or ""
    user = services().accounts.sign_in(login, request.form.get("password", ""), address)
    if user is None:
        problems = [gettext("Login and password do not belong together.")]
        return _door(following=request.form.get("next", ""), login=login, problems=problems), 401
    begin(user)
    return redirect(_following(), 303)


@bp.get("/sign-up")
def sign_up() -> ResponseReturnValue:
    """The form for a new account."""
    return _sign_up_form(open=services().accounts.sign_up_open)


@bp.post("/sign-up")
def do_sign_up() -> ResponseReturnValue:
    """Make an account and sign in."""
    accounts = services().accounts
    if not accounts.sign_up_open:
        return _sign_up_form(open=False), 403
    form = request.form
    user, problems = accounts.sign_up(form.get("login", ""), form.get("name", ""), form.get("password", ""))
    if user is None:
        typed = {"login": form.get("login", ""), "name": form.get("name", "")}
        return _sign_up_form(open=True, problems=problems, **typed), 422
    begin(user)
    return redirect(url_for("catalogue.home"), 303)


@bp.get("/sign-in/link/<token>")
def link(token: str) -> ResponseReturnValue:
    """Sign in with a link that works once."""
    user = services().accounts.people.use_link(token, services().now())
    if user is None:
        return _door(problems=[gettext("This link was used before or is too old. Ask for another.")]), 410
    begin(user)
    services().store.note(user.id, "signed_in_by_link", services().now())
    return redirect(url_for("catalogue.home"), 303)


@bp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End every session of this user."""
    if require_user() is None:
        services().accounts.people.end_sessions(current_user().id)
    session.clear()
    return redirect(url_for("users.sign_in"), 303)


def _door(*, following: str = "", login: str = "", problems: Sequence[str] = ()) -> str:
    return render_template(
        "sign_in.html",
        following=following,
        login=login,
        problems=problems,
        sign_up_open=services().accounts.sign_up_open,
    )


def _sign_up_form(*, open: bool, login: str = "", name: str = "", problems: Sequence[str] = ()) -> str:
    return render_template(
        "sign_up.html",
        open=open,
        login=login,
        name=name,
        problems=problems,
        minimum_password=MINIMUM_PASSWORD,
    )


def _following() -> str:
    """Where to go after signing in: a path of ours, never another site."""
    return own_path(request.values.get("next", "")) or url_for("catalogue.home")
