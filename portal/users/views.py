"""Sign-in, sign-up, sign-out, one-time links."""

from __future__ import annotations

from collections.abc import Sequence

from flask import Blueprint, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.paths import own_path
from portal.services import services
from portal.users.services import MINIMUM_PASSWORD
from portal.users.session import begin, current_session, current_user, find_user, require_user

SIGN_UPS_PER_ADDRESS = 20

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
    """Make an account and sign in; or mail the link that will."""
    accounts = services().accounts
    if not accounts.sign_up_open:
        return _sign_up_form(open=False), 403
    form = request.form
    typed = {"login": form.get("login", ""), "name": form.get("name", "")}
    password, address = form.get("password", ""), request.remote_addr or ""
    if accounts.verify_email:
        problems = accounts.ask_to_sign_up(typed["login"], typed["name"], password, address)
        if problems:
            return _sign_up_form(open=True, problems=problems, **typed), 422
        return render_template("mail_sent.html", email=typed["login"])
    accounts.limit("sign-up", address, SIGN_UPS_PER_ADDRESS)
    user, problems = accounts.sign_up(typed["login"], typed["name"], password)
    if user is None:
        return _sign_up_form(open=True, problems=problems, **typed), 422
    begin(user)
    return redirect(url_for("catalogue.home"), 303)


@bp.get("/sign-up/confirm/<token>")
def confirm(token: str) -> ResponseReturnValue:
    """What a link in a mail leads to. It does nothing by itself: programs open the links in mails too."""
    accounts = services().accounts
    if accounts.mails.look_at_link(token, "sign-up", accounts.now()) is None:
        return _old_link()
    return render_template("confirm.html", token=token)


@bp.post("/sign-up/confirm/<token>")
def do_confirm(token: str) -> ResponseReturnValue:
    """Make the account that a link was mailed for, and sign in."""
    user = services().accounts.finish_sign_up(token)
    if user is None:
        return _old_link()
    begin(user)
    return redirect(url_for("catalogue.home"), 303)


@bp.get("/sign-in/forgotten")
def forgotten() -> ResponseReturnValue:
    """Where one asks for a link to choose a new password."""
    return render_template("forgotten.html")


@bp.post("/sign-in/forgotten")
def do_forgotten() -> ResponseReturnValue:
    """Mail the link, if somebody has that address; the answer is the same for all."""
    email = request.form.get("email", "")
    services().accounts.ask_for_reset(email, request.remote_addr or "")
    return render_template("mail_sent.html", email=email)


@bp.get("/sign-in/reset/<token>")
def reset(token: str) -> ResponseReturnValue:
    """The form for a new password."""
    accounts = services().accounts
    if accounts.mails.look_at_link(token, "reset", accounts.now()) is None:
        return _old_link()
    return render_template("reset.html", token=token, problems=[], minimum_password=MINIMUM_PASSWORD)


@bp.post("/sign-in/reset/<token>")
def do_reset(token: str) -> ResponseReturnValue:
    """Take the new password, end all sessions, and begin one."""
    user, problems = services().accounts.reset(token, request.form.get("password", ""))
    if user is None:
        return _old_link()
    if problems:
        page = render_template(
            "reset.html", token=token, problems=problems, minimum_password=MINIMUM_PASSWORD
        )
        return page, 422
    begin(user)
    return redirect(url_for("catalogue.home"), 303)


@bp.get("/sign-in/link/<token>")
def link(token: str) -> ResponseReturnValue:
    """Sign in with a link that works once."""
    user = services().accounts.people.use_link(token, services().now())
    if user is None or user.disabled_at is not None:
        return _old_link()
    begin(user)
    services().store.note(user.id, "signed_in_by_link", services().now())
    return redirect(url_for("catalogue.home"), 303)


@bp.post("/sign-out")
def sign_out() -> ResponseReturnValue:
    """End this session. What was opened from the user's sessions ends with the last of them."""
    accounts = services().accounts
    if require_user() is None:
        user_id = current_user().id
        accounts.sessions.end(user_id, current_session().id)
        if not accounts.sessions.of(user_id):
            accounts.people.end_sessions(user_id)
    session.clear()
    return redirect(url_for("users.sign_in"), 303)


def _old_link() -> ResponseReturnValue:
    return _door(problems=[gettext("This link was used before or is too old. Ask for another.")]), 410


def _door(*, following: str = "", login: str = "", problems: Sequence[str] = ()) -> str:
    return render_template(
        "sign_in.html",
        following=following,
        login=login,
        problems=problems,
        sign_up_open=services().accounts.sign_up_open,
        providers=services().providers,
    )


def _sign_up_form(*, open: bool, login: str = "", name: str = "", problems: Sequence[str] = ()) -> str:
    return render_template(
        "sign_up.html",
        open=open,
        login=login,
        name=name,
        problems=problems,
        by_mail=services().accounts.verify_email,
        providers=services().providers,
        minimum_password=MINIMUM_PASSWORD,
    )


def _following() -> str:
    """Where to go after signing in: a path of ours, never another site."""
    return own_path(request.values.get("next", "")) or url_for("catalogue.home")
