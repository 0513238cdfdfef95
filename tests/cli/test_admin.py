"""`coldstart admin`: users, their roles, closing accounts, tokens, mails that wait."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from cli.admin import command
from records.credentials import Credentials
from records.database import Database
from records.mails import Mails
from records.people import People


@pytest.fixture
def database(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Database:
    monkeypatch.setenv("COLDSTART_HOME", str(tmp_path))
    monkeypatch.setenv("COLDSTART_URL", "https://lab.example.com/")
    database = Database(f"sqlite:///{tmp_path / 'coldstart.db'}")
    database.upgrade()
    return database


def run(*arguments: str) -> Result:
    return CliRunner().invoke(command, arguments)


def test_users_are_added_listed_closed_and_opened_again(database: Database) -> None:
    link = run("users", "add", "Ada", "--name", "Ada Lovelace").output

    assert link.startswith("https://lab.example.com/sign-in/link/")
    assert run("users", "role", "ada", "admin").exit_code == 0
    assert run("users", "list").output == "ada\tadmin\t-\n"
    assert run("users", "close", "ada").exit_code == 0
    assert "closed" in run("users", "list").output
    run("users", "reopen", "ada")
    user = People(database).find("ada")
    assert user is not None
    assert (user.disabled_at, user.session_epoch) == (None, 1)
    assert run("users", "close", "nobody").exit_code == 2


def test_a_token_is_for_what_it_is_asked_for(database: Database) -> None:
    run("users", "add", "ada")
    all_, some = (run("token", "ada", *more).output.strip() for more in ((), ("--scope", "read")))
    credentials = Credentials(database)

    found = [credentials.token(token, datetime.now(UTC)) for token in (all_, some)]

    assert [item and item.scopes for item in found] == ["read submit workspace practice", "read"]


def test_mails_that_wait_are_listed_with_the_reason(database: Database) -> None:
    mails, now = Mails(database), datetime.now(UTC)
    mails.post("ada@example.org", "Hello", "text", now)
    mail = mails.take(now)
    assert mail is not None
    mails.failed(mail, "nobody listens", now)

    assert run("mails").output == "ada@example.org\t1 tries\tnobody listens\n"
