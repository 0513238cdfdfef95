"""Sessions, mails and their links, passkeys and identities, on every database."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from records.credentials import Credentials
from records.errors import LoginTaken, Taken
from records.mails import Mails
from records.sessions import LIFETIME, Sessions


def test_a_session_lives_while_it_is_used_and_two_weeks_longer(records: Any, database: Any) -> None:
    ada, sessions = records.learner("ada"), Sessions(database)
    token = sessions.begin(ada.id, "Firefox/140", "127.0.0.1", records.clock())
    for _ in range(3):
        records.clock.move(LIFETIME.total_seconds() - 60)
        assert sessions.find(token, records.clock()).user_id == ada.id

    records.clock.move(LIFETIME.total_seconds() + 60)
    assert sessions.find(token, records.clock()) is None


def test_of_two_who_take_mails_each_gets_another_one(records: Any, database: Any) -> None:
    mails, now = Mails(database), records.clock()
    for number in range(2):
        mails.post(f"{number}@example.org", "Hello", "text", now)

    taken = [mails.take(now), mails.take(now), mails.take(now)]

    assert [mail and mail.to for mail in taken] == ["0@example.org", "1@example.org", None]
    # Who took one and died loses it to the next one, two minutes later.
    again = mails.take(now + timedelta(minutes=3))
    assert again.to == "0@example.org"
    mails.sent(again, now)
    assert [to for to, _, _ in mails.waiting()] == ["1@example.org"]


def test_a_link_is_good_once_and_for_its_purpose(records: Any, database: Any) -> None:
    mails, now = Mails(database), records.clock()
    token = mails.make_link("sign-up", "a@example.org", now, timedelta(hours=2), body={"name": "A"})

    assert mails.use_link(token, "reset", now) is None
    assert mails.use_link(token, "sign-up", now).body == {"name": "A"}
    assert mails.use_link(token, "sign-up", now) is None


def test_addresses_passkeys_and_identities_belong_to_one(records: Any, database: Any) -> None:
    ada, grace, now = records.learner("ada"), records.learner("grace"), records.clock()
    credentials = Credentials(database)
    records.people.change(ada.id, email="a@example.org")
    credentials.add_passkey(ada.id, "Key", "id", b"public", 0, now)
    credentials.link(ada.id, "campus", "1", "ada", now)

    with pytest.raises(LoginTaken):
        records.people.change(grace.id, email="a@example.org")
    with pytest.raises(Taken):
        credentials.add_passkey(grace.id, "Key", "id", b"public", 0, now)
    with pytest.raises(Taken):
        credentials.link(grace.id, "campus", "1", "grace", now)

    records.people.remove(ada.id)
    assert credentials.passkey("id") is None
    assert credentials.identity("campus", "1") is None
