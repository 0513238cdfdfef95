"""Who is signed in."""

from __future__ import annotations

from flask import g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from portal.services import services
from records.errors import NotFound
from records.people import User


def begin(user: User) -> None:
    """Sign a user in, in a session of its own."""
    session.clear()
    session["user"] = user.id
    session["epoch"] = user.session_epoch
    session.permanent = True


def find_user() -> User | None:
    """The signed-in user of this request, if there is one."""
    if "user" not in g:
        g.user = _from_session()
    return g.user  # type: ignore[no-any-return]


def current_user() -> User:
    """The signed-in user; only behind :func:`require_user`."""
    user = find_user()
    assert user is not None, "this view needs require_user"
    return user


def require_user() -> ResponseReturnValue | None:
    """For ``before_request``: to the sign-in page, and back afterwards."""
    if find_user() is not None:
        return None
    following = request.full_path if request.method == "GET" else None
    return redirect(url_for("users.sign_in", next=following), 303)


def _from_session() -> User | None:
    if "user" not in session:
        return None
    try:
        user = services().accounts.people.get(session["user"])
    except NotFound:
        return None
    return user if user.session_epoch == session.get("epoch") else None
