"""A JupyterHub signs its people in here: OAuth as its own client speaks it."""

from __future__ import annotations

from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from authlib.common.security import generate_token
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from settings import Settings

BACK = "https://hub.example.com/hub/oauth_callback"
SECRET = "for tests only"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"hub_url": "https://hub.example.com/", "hub_secret": SECRET})


def ask(visitor: Any, **changed: str) -> Any:
    asked = {
        "response_type": "code",
        "client_id": "jupyterhub",
        "redirect_uri": BACK,
        "state": "s1",
        **changed,
    }
    return visitor.get("/oauth/authorize", query_string=asked)


def redeem(visitor: Any, code: str, **changed: str) -> Any:
    form = {
        "grant_type": "authorization_code",
        "code": code,
        "redirect_uri": BACK,
        "client_id": "jupyterhub",
        "client_secret": SECRET,
        **changed,
    }
    return visitor.client.post("/oauth/token", data=form)


def code_of(answer: Any) -> str:
    target = urlsplit(answer.location)
    assert f"{target.scheme}://{target.netloc}{target.path}" == BACK
    told = parse_qs(target.query)
    assert told["state"] == ["s1"]
    return told["code"][0]


def test_who_is_signed_in_here_is_signed_in_there(learner: Any, visitor: Any, ada: Any) -> None:
    verifier = generate_token(48)
    challenge = create_s256_code_challenge(verifier)
    code = code_of(ask(learner, code_challenge=challenge, code_challenge_method="S256"))

    told = redeem(visitor, code, code_verifier=verifier).json
    header = {"Authorization": f"Bearer {told['access_token']}"}
    person = visitor.get("/oauth/userinfo", headers=header).json

    assert (told["token_type"], told["scope"]) == ("Bearer", "read workspace")
    assert (person["sub"], person["username"], person["admin"]) == (str(ada.id), f"learner-{ada.id}", False)
    assert visitor.get("/api/v1/labs", headers=header).status_code == 200
    assert visitor.client.post("/api/v1/labs/say-hello/submissions", headers=header).status_code == 403


def test_a_stranger_signs_in_first_and_comes_back(visitor: Any) -> None:
    answer = ask(visitor)

    assert answer.status_code == 303
    assert answer.location.startswith("/sign-in?next=/oauth/authorize")


def test_a_code_is_good_once_for_its_client_and_its_verifier(learner: Any, visitor: Any) -> None:
    first = code_of(ask(learner))
    assert redeem(visitor, first).status_code == 200
    assert redeem(visitor, first).status_code == 400
    assert redeem(visitor, code_of(ask(learner)), client_secret="wrong").status_code == 401
    challenge = create_s256_code_challenge(generate_token(48))
    bound = code_of(ask(learner, code_challenge=challenge, code_challenge_method="S256"))
    assert redeem(visitor, bound, code_verifier=generate_token(48)).status_code == 400
    bare = code_of(ask(learner, code_challenge=challenge, code_challenge_method="S256"))
    assert redeem(visitor, bare).status_code == 400


@pytest.mark.parametrize(
    "changed",
    [
        {"redirect_uri": "https://evil.example/hub/oauth_callback"},
        {"client_id": "another"},
        {"response_type": "token"},
    ],
)
def test_nobody_else_gets_a_code(learner: Any, changed: dict[str, str]) -> None:
    answer = ask(learner, **changed)

    assert answer.status_code >= 400 or "code=" not in (answer.location or "")
    assert "evil.example" not in (answer.location or "")


def test_a_token_that_ended_is_nobody_s(visitor: Any) -> None:
    assert visitor.get("/oauth/userinfo", headers={"Authorization": "Bearer cst_made_up"}).status_code == 401
