"""A database of its own for each test, SQLite and PostgreSQL, and a clock that only the test moves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from records.database import Database
from records.people import People, User
from records.queue import Queue
from records.store import Attempt, Store
from tests.postgres import postgres, programs


@dataclass
class Clock:
    """Stands still until it is moved."""

    at: datetime = field(default_factory=lambda: datetime(2031, 3, 30, 12, tzinfo=UTC))

    def __call__(self) -> datetime:
        return self.at

    def move(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class Records:
    """Everything over one database."""

    database: Database
    clock: Clock

    def __post_init__(self) -> None:
        self.store = Store(self.database)
        self.people = People(self.database)
        self.queue = Queue(self.database, self.clock, timedelta(seconds=15))

    def learner(self, login: str) -> User:
        return self.people.find(login) or self.people.add(login, login.title(), None, self.clock())

    def hand_in(self, login: str = "ada", lab: str = "say-hello", priority: int = 0) -> Attempt:
        user = self.learner(login)
        submission = self.store.receive(user.id, lab, "zip", b"as it came", self.clock())
        return self.store.open_attempt(user.id, lab, submission, self.clock(), priority=priority)


@pytest.fixture(scope="session")
def server() -> Iterator[str]:
    """The URL of a PostgreSQL server's database."""
    if programs() is None:
        pytest.skip("no PostgreSQL: apt-get install postgresql")
    with postgres() as url:
        yield url


@pytest.fixture
def empty_postgres(server: str) -> str:
    """The same, with nothing in it."""
    engine = create_engine(server)
    with engine.begin() as connection:
        connection.execute(text("DROP SCHEMA public CASCADE"))
        connection.execute(text("CREATE SCHEMA public"))
    engine.dispose()
    return server


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    sqlite = f"sqlite:///{tmp_path / 'records.db'}"
    database = Database(sqlite if request.param == "sqlite" else request.getfixturevalue("empty_postgres"))
    database.upgrade()
    yield database
    database.close()


@pytest.fixture
def records(database: Database) -> Records:
    return Records(database, Clock())
