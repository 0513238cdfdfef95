"""A user's own page: name, address, password, passkeys, other ways in, sessions, tokens, data."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from flask import Blueprint, Response, redirect, render_template, request, session, url_for
from flask.typing import ResponseReturnValue
from flask_babel import gettext

from portal.services import services
from portal.users.exporting import export
from portal.users.services import MINIMUM_PASSWORD
from portal.users.session import begin, current_session, current_user, require_user
from records.credentials import SCOPES, Identity, Passkey

TOKENS_PER_USER = 20
_DAYS = (7, 30, 90, 365)

bp = Blueprint("account", __name__, url_prefix="/account", template_folder="templates")
bp.before_request(require_user)


@bp.get("")
def show() -> ResponseReturnValue:
    """Everything in one place."""
    return _page()


@bp.post("/profile")
def change_profile() -> ResponseReturnValue:
    """Take another name."""
    name = request.form.get("name", "").strip()
    if not name or len(name) > 120:
        return _page([gettext("Name: 1 to 120 characters.")])
    services().accounts.people.change(current_user().id, name=name)
    return _back("profile")


@bp.post("/email")
def change_email() -> ResponseReturnValue:
    """Mail a link to another address."""
    email = request.form.get("email", "")
    accounts, user = services().accounts, current_user()
    if (refused := _refuse_unproven()) is not None:
        return refused
    problems = accounts.ask_to_change_email(user, email, request.remote_addr or "")
    return _page(problems) if problems else render_template("mail_sent.html", email=email)


@bp.get("/email/<token>")
def confirm_email(token: str) -> ResponseReturnValue:
    """What the link in that mail leads to."""
    return render_template("confirm_email.html", token=token)


@bp.post("/email/<token>")
def do_confirm_email(token: str) -> ResponseReturnValue:
    """Take the address."""
    if not services().accounts.change_email(current_user(), token):
        return _page([gettext("This link was used before or is too old. Ask for another.")], 410)
    return _back("profile")


@bp.post("/password")
def change_password() -> ResponseReturnValue:
    """Take another password, and end all other sessions."""
    if (refused := _refuse_unproven()) is not None:
        return refused
    accounts, user = services().accounts, current_user()
    problems = accounts.set_password(user, request.form.get("new_password", ""))
    if problems:
        return _page(problems)
    accounts.end_all(user.id)
    begin(accounts.people.get(user.id))
    return _back("password")


@bp.post("/sessions/<int:session_id>/end")
def end_session(session_id: int) -> ResponseReturnValue:
    """Sign out somewhere else."""
    services().accounts.sessions.end(current_user().id, session_id)
    return _back("sessions")


@bp.post("/sessions/end")
def end_sessions() -> ResponseReturnValue:
    """Sign out everywhere, here too."""
    services().accounts.end_all(current_user().id)
    session.clear()
    return redirect(url_for("users.sign_in"), 303)


@bp.post("/tokens")
def make_token() -> ResponseReturnValue:
    """Make a token and show it, once."""
    form, user, credentials = request.form, current_user(), services().credentials
    name = form.get("name", "").strip()
    scopes = [scope for scope in SCOPES if scope in form.getlist("scope")]
    days = form.get("days", type=int)
    if not name or len(name) > 80:
        return _page([gettext("Token: give it a name of at most 80 characters.")])
    if not scopes:
        return _page([gettext("Token: choose what it is for.")])
    if len(credentials.tokens_of(user.id)) >= TOKENS_PER_USER:
        return _page([gettext("Token: you have %(number)s. End one first.", number=TOKENS_PER_USER)])
    valid = timedelta(days=days) if days in _DAYS else None
    made = credentials.make_token(user.id, name, services().now(), scopes, valid)
    services().store.note(user.id, "token_made", services().now(), name=name, scopes=scopes)
    return render_template("account_token.html", token=made, name=name)


@bp.post("/tokens/<int:token_id>/revoke")
def revoke_token(token_id: int) -> ResponseReturnValue:
    """End a token."""
    services().credentials.revoke(current_user().id, token_id)
    return _back("tokens")


@bp.post("/passkeys/<int:passkey_id>/remove")
def remove_passkey(passkey_id: int) -> ResponseReturnValue:
    """Forget a passkey, if there is another way in."""
    user, credentials = current_user(), services().credentials
    others = [item for item in credentials.passkeys_of(user.id) if item.id != passkey_id]
    if not _has_another_way(others, credentials.identities_of(user.id)):
        return _page([gettext("Passkey: it is your only way in. Choose a password first.")])
    credentials.remove_passkey(user.id, passkey_id)
    services().store.note(user.id, "passkey_removed", services().now())
    return _back("passkeys")


@bp.post("/identities/<int:identity_id>/unlink")
def unlink(identity_id: int) -> ResponseReturnValue:
    """Forget who the user is elsewhere, if there is another way in."""
    user, credentials = current_user(), services().credentials
    others = [item for item in credentials.identities_of(user.id) if item.id != identity_id]
    if not _has_another_way(credentials.passkeys_of(user.id), others):
        return _page([gettext("It is your only way in. Choose a password first.")])
    credentials.unlink(user.id, identity_id)
    return _back("passkeys")


@bp.post("/export")
def download() -> ResponseReturnValue:
    """All of one's data, as a zip."""
    user = current_user()
    services().accounts.limit("export", str(user.id), 10)
    answer = Response(export(services(), user), mimetype="application/zip")
    answer.headers["Content-Disposition"] = 'attachment; filename="coldstart-data.zip"'
    answer.headers["Cache-Control"] = "no-store"
    return answer


@bp.post("/delete")
def delete() -> ResponseReturnValue:
    """Delete the account and all that is its own."""
    user, accounts = current_user(), services().accounts
    if (refused := _refuse_unproven()) is not None:
        return refused
    if request.form.get("login", "").strip().casefold() != user.login:
        return _page([gettext("To delete your account, write its login as it is shown.")])
    services().practice.accounts.close(user.id)
    services().repositories.forget(user.id)
    accounts.end_all(user.id)
    accounts.people.remove(user.id)
    services().store.note(None, "account_deleted", services().now())
    session.clear()
    return render_template("account_deleted.html")


def _has_another_way(passkeys: Sequence[Passkey], identities: Sequence[Identity]) -> bool:
    """Whether the user gets in again when only these are left besides password and address."""
    user = current_user()
    return bool(user.password_hash or user.email or passkeys or identities)


def _refuse_unproven() -> ResponseReturnValue | None:
    """A browser left open is not enough for some things: the password is asked for, if there is one."""
    user, accounts = current_user(), services().accounts
    if user.password_hash is None:
        return None
    if accounts.sign_in(user.login, request.form.get("password", ""), request.remote_addr or "") is None:
        return _page([gettext("Password: this is not the one you have now.")], 403)
    return None


def _page(problems: list[str] | None = None, status: int = 422) -> ResponseReturnValue:
    user, credentials = current_user(), services().credentials
    page = render_template(
        "account.html",
        problems=problems or [],
        sessions=services().accounts.sessions.of(user.id),
        this_session=current_session().id,
        tokens=credentials.tokens_of(user.id),
        passkeys=credentials.passkeys_of(user.id),
        identities=credentials.identities_of(user.id),
        providers=services().providers,
        scopes=SCOPES,
        days=_DAYS,
        minimum_password=MINIMUM_PASSWORD,
        at=services().now(),
    )
    return (page, status) if problems else page


def _back(part: str) -> ResponseReturnValue:
    return redirect(url_for("account.show", _anchor=part), 303)
