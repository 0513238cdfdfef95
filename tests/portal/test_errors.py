"""Pages for what goes wrong, and the headers of every page."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy.exc import OperationalError


def test_no_such_page(learner: Any) -> None:
    answer = learner.get("/nope")

    assert answer.status_code == 404
    assert "Nothing here" in answer.text
    assert "Go to the labs" in answer.text


def test_a_wrong_method(learner: Any) -> None:
    assert learner.get("/sign-out").status_code == 405


def test_a_script_gets_an_error_as_json(learner: Any) -> None:
    answer = learner.get("/attempts/99", headers={"Accept": "application/json"})

    assert answer.status_code == 404
    assert answer.json["error"]


def test_our_own_mistake_is_a_page_without_a_traceback(
    learner: Any, portal: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: Any, **__: Any) -> Any:
        raise OperationalError("SELECT secret", {}, Exception("disk I/O error"))

    # The page has to hold even when the database that knows who is signed in does not.
    monkeypatch.setattr("records.people.People.get", broken)

    answer = learner.get("/")

    assert answer.status_code == 500
    assert "The fault is ours and has been logged." in answer.text
    assert "secret" not in answer.text


def test_every_page_carries_a_strict_policy_with_a_fresh_nonce(learner: Any) -> None:
    first, second = (learner.get("/").headers["Content-Security-Policy"] for _ in range(2))

    assert first != second
    assert "default-src 'self'" in first
    assert "unsafe" not in first
    assert "frame-ancestors 'none'" in first
    assert learner.get("/").headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/", "/labs/say-hello", "/labs/say-hello/workspace", "/attempts", "/nope"])
def test_no_page_has_styles_or_handlers_that_the_policy_would_block(learner: Any, path: str) -> None:
    page = learner.get(path).text

    assert " style=" not in page
    assert "<style" not in page
    assert " onclick" not in page
    assert page.count("<script>") == 0


def test_static_files_have_addresses_that_change_with_them(learner: Any) -> None:
    page = learner.get("/").text
    start = page.index("/static/dist/style.css?v=")
    address = page[start : page.index('"', start)]

    answer = learner.get(address)
    answer.close()

    assert answer.status_code == 200
    assert "max-age=31536000" in answer.headers["Cache-Control"]


def test_the_chosen_colours_are_there_from_the_first_byte(learner: Any) -> None:
    learner.client.set_cookie("theme", "dark")
    assert '<html lang="en" data-theme="dark">' in learner.get("/").text

    learner.client.set_cookie("theme", '"><script>')
    assert '<html lang="en">' in learner.get("/").text


def test_health_needs_no_account(visitor: Any) -> None:
    assert visitor.get("/healthz").json == {"status": "ok"}
