"""Who is signed in."""

from __future__ import annotations

from flask import g, redirect, request, session, url_for
from flask.typing import ResponseReturnValue

from portal.services import services
from records.people import User
from records.sessions import Session


def begin(user: User) -> None:
    """Sign a user in, in a session of its own."""
    accounts = services().accounts
    session.clear()
    session["key"] = accounts.sessions.begin(
        user.id, request.user_agent.string, request.remote_addr or "", services().now()
    )
    session.permanent = True
    g.pop("user", None)


def find_user() -> User | None:
    """The signed-in user of this request, if there is one."""
    if "user" not in g:
        g.user, g.user_session = _from_session()
    return g.user  # type: ignore[no-any-return]


def current_user() -> User:
    """The signed-in user; only behind :func:`require_user`."""
    user = find_user()
    assert user is not None, "this view needs require_user"
    return user


def current_session() -> Session:
    """The session of this request; only behind :func:`require_user`."""
    assert find_user() is not None, "this view needs require_user"
    return g.user_session  # type: ignore[no-any-return]


def require_user() -> ResponseReturnValue | None:
    """For ``before_request``: to the sign-in page, and back afterwards."""
    if find_user() is not None:
        return None
    following = request.full_path if request.method == "GET" else None
    return redirect(url_for("users.sign_in", next=following), 303)


def _from_session() -> tuple[User | None, Session | None]:
    accounts = services().accounts
    found = accounts.sessions.find(session["key"], services().now()) if "key" in session else None
    if found is None:
        return None, None
    user = accounts.active(found.user_id)
    return (user, found) if user is not None else (None, None)
