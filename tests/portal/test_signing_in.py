"""Accounts: signing in and up, links that work once, sessions that end."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

PASSWORD = "correct horse battery"


def sign_up(visitor: Any, login: str = "grace", password: str = PASSWORD) -> Any:
    return visitor.post("/sign-up", {"login": login, "name": "Grace", "password": password})


def test_everything_asks_a_stranger_to_sign_in_and_remembers_where_they_wanted_to_go(visitor: Any) -> None:
    answer = visitor.get("/labs/say-hello")

    assert answer.status_code == 303
    assert answer.location == "/sign-in?next=/labs/say-hello?"
    for path in ("/", "/attempts", "/attempts/1", "/labs/say-hello/workspace", "/submissions/1/file"):
        assert visitor.get(path).status_code == 303


def test_a_new_account_is_signed_in_and_can_come_back(visitor: Any) -> None:
    assert sign_up(visitor).request.path == "/"
    assert visitor.post("/sign-out").request.path == "/sign-in"

    back = visitor.post("/sign-in", {"login": " Grace ", "password": PASSWORD, "next": "/attempts"})

    assert back.request.path == "/attempts"
    assert "Sign out" in back.text


def test_passwords_are_kept_as_argon2_hashes(visitor: Any, people: Any) -> None:
    sign_up(visitor)

    assert people.find("grace").password_hash.startswith("$argon2id$")


def test_a_wrong_password_and_an_unknown_login_look_the_same(visitor: Any) -> None:
    sign_up(visitor)
    visitor.post("/sign-out")

    answers = [
        visitor.post("/sign-in", {"login": login, "password": "something else"})
        for login in ("grace", "nobody")
    ]

    assert [item.status_code for item in answers] == [401, 401]
    assert all("Login and password do not belong together." in item.text for item in answers)


def test_eight_wrong_passwords_close_the_door_for_a_while_even_to_the_right_one(visitor: Any) -> None:
    sign_up(visitor)
    visitor.post("/sign-out")
    for _ in range(8):
        visitor.post("/sign-in", {"login": "grace", "password": "wrong wrong wrong"})

    answer = visitor.post("/sign-in", {"login": "grace", "password": PASSWORD})

    assert answer.status_code == 429
    assert "Wait fifteen minutes" in answer.text


def test_sign_up_says_everything_that_is_wrong_at_once(visitor: Any) -> None:
    answer = sign_up(visitor, login="!", password="short")

    assert answer.status_code == 422
    assert "Login: two or more letters" in answer.text
    assert "Password: at least 10 characters." in answer.text
    assert 'value="!"' in answer.text
    assert "short" not in answer.text


def test_a_taken_login_is_refused(visitor: Any, ada: Any) -> None:
    assert "Login: choose another one." in sign_up(visitor, login="ADA").text


def test_a_link_signs_in_once(visitor: Any, ada: Any, people: Any) -> None:
    address = f"/sign-in/link/{people.make_link(ada.id, datetime.now(UTC))}"

    assert visitor.get(address).location == "/"
    again = visitor.get(address)

    assert again.status_code == 410
    assert "used before or is too old" in again.text


def test_signing_out_ends_this_session_and_no_other(ada: Any, signed_in: Any, people: Any) -> None:
    here, elsewhere = signed_in(ada), signed_in(ada)

    here.post("/sign-out")

    assert here.get("/").status_code == 303
    assert elsewhere.get("/").status_code == 200
    # What was opened from them ends with the last one.
    assert people.get(ada.id).session_epoch == 0
    elsewhere.post("/sign-out")
    assert people.get(ada.id).session_epoch == 1


def test_a_session_s_cookie_is_worth_nothing_after_signing_out(ada: Any, signed_in: Any) -> None:
    here = signed_in(ada)
    kept = here.client.get_cookie("coldstart").value
    here.post("/sign-out")

    here.client.set_cookie("coldstart", kept)

    assert here.get("/").status_code == 303


@pytest.mark.parametrize(
    "wanted", ["https://evil.example/", "//evil.example", "/\\evil.example", "javascript:x"]
)
def test_signing_in_never_leads_to_another_site(visitor: Any, wanted: str) -> None:
    sign_up(visitor)
    visitor.post("/sign-out")

    answer = visitor.post("/sign-in", {"login": "grace", "password": PASSWORD, "next": wanted})

    assert answer.request.path == "/"


def test_a_form_without_its_token_is_refused(app: Any, visitor: Any) -> None:
    answer = visitor.client.post("/sign-in", data={"login": "ada", "password": "x"})

    assert answer.status_code == 400
    assert "too old or came from another site" in answer.text
