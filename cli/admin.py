"""``coldstart admin``: users, sign-in links, API tokens, the database and its backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.output import BAD_INPUT, stop
from records.database import Database
from records.errors import LoginTaken
from records.people import People, User
from settings import Settings


@click.group("admin", help="Users, sign-in links, tokens, the database and its backup.")
def command() -> None:
    """Administration."""


def _database() -> Database:
    database = Database(Settings().database)
    database.upgrade()
    return database


def _user(people: People, login: str) -> User:
    found = people.find(login.strip().casefold())
    if found is None:
        stop(f"There is no user {login}. Add one with `coldstart admin users add {login}`.", BAD_INPUT)
    return found


@command.group("users", help="Add users.")
def users() -> None:
    """Users."""


@users.command("add", help="Add a user and print a link that signs them in once.")
@click.argument("login")
@click.option("--name", default="", help="How the portal addresses them; the login by default.")
@click.option("--role", type=click.Choice(["learner", "admin"]), default="learner", show_default=True)
def add(login: str, name: str, role: str) -> None:
    """Add a user."""
    people, now = People(_database()), datetime.now(UTC)
    try:
        user = people.add(login.strip().casefold(), name or login, None, now, role)
    except LoginTaken:
        stop(f"The login {login} is taken.", BAD_INPUT)
    _print_link(people, user)


@command.command("link", help="Print a link that signs a user in once.")
@click.argument("login")
def link(login: str) -> None:
    """A sign-in link."""
    people = People(_database())
    _print_link(people, _user(people, login))


@command.command("token", help="Print a new API token of a user. It is shown once.")
@click.argument("login")
@click.option("--name", default="command line", show_default=True)
def token(login: str, name: str) -> None:
    """An API token."""
    people = People(_database())
    click.echo(people.make_token(_user(people, login).id, name, datetime.now(UTC)))


@command.group("db", help="The database's tables.")
def db() -> None:
    """Tables."""


@db.command("upgrade", help="Bring the tables to the newest version.")
def upgrade() -> None:
    """Migrate."""
    click.echo(f"The tables of {_database().engine.url!r} are up to date.")


@command.command("backup", help="Copy the SQLite database to FILE while it is in use.")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
def backup(file: Path) -> None:
    """Back up."""
    url = Settings().database
    if not url.startswith("sqlite:///"):
        stop("This installation uses PostgreSQL. Back it up with pg_dump.", BAD_INPUT)
    if file.exists():
        stop(f"{file} exists. Give a new file's name.", BAD_INPUT)
    with (
        closing(sqlite3.connect(url.removeprefix("sqlite:///"))) as source,
        closing(sqlite3.connect(file)) as to,
    ):
        source.backup(to)
    click.echo(f"{file}: {file.stat().st_size} bytes")


def _print_link(people: People, user: User) -> None:
    settings = Settings()
    made = people.make_link(user.id, datetime.now(UTC))
    click.echo(f"http://{settings.host}:{settings.port}/sign-in/link/{made}")
