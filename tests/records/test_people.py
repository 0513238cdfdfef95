"""Users, their links and tokens."""

from __future__ import annotations

from typing import Any

import pytest
from sqlalchemy import select

from records.credentials import Credentials
from records.errors import LoginTaken
from records.tables import sign_in_links, tokens


def test_a_login_is_taken_once(records: Any) -> None:
    records.learner("ada")

    with pytest.raises(LoginTaken):
        records.people.add("ada", "Another Ada", None, records.clock())


def test_a_link_signs_in_once(records: Any) -> None:
    ada = records.learner("ada")
    token = records.people.make_link(ada.id, records.clock())

    assert records.people.use_link(token, records.clock()) == ada
    assert records.people.use_link(token, records.clock()) is None


def test_an_old_link_does_not_sign_in(records: Any) -> None:
    token = records.people.make_link(records.learner("ada").id, records.clock())
    records.clock.move(13 * 3600)

    assert records.people.use_link(token, records.clock()) is None


def test_a_token_names_its_user_and_is_kept_as_a_digest_only(records: Any, database: Any) -> None:
    ada = records.learner("ada")
    credentials = Credentials(database)
    token = credentials.make_token(ada.id, "laptop", records.clock())
    link = records.people.make_link(ada.id, records.clock())

    found = credentials.token(token, records.clock())
    assert found is not None
    assert found.user_id == ada.id
    assert credentials.token(f"{token}x", records.clock()) is None
    with database.read() as connection:
        kept = [*connection.scalars(select(tokens.c.token_hash))]
        kept += connection.scalars(select(sign_in_links.c.token_hash))
    assert token not in kept
    assert link not in kept


def test_failures_are_counted_within_their_window(records: Any) -> None:
    records.people.note_failure(["login:ada", "address:::1"], records.clock())
    records.clock.move(60)
    records.people.note_failure(["login:ada"], records.clock())

    assert records.people.failures(["login:ada"], records.clock()) == 1
    assert records.people.failures(["login:grace"], records.clock()) == 0
