"""``coldstart admin``: users, sign-in links, API tokens, the database and its backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import click

from cli.output import BAD_INPUT, stop
from records.credentials import SCOPES, Credentials
from records.database import Database
from records.errors import LoginTaken
from records.mails import Mails
from records.people import People, User
from records.sessions import Sessions
from settings import Settings


@click.group("admin", help="Users, sign-in links, tokens, mails, the database and its backup.")
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


@command.group("users", help="Add, list, close users.")
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


@users.command("list", help="Everybody: login, role, address, and whether the account is closed.")
def list_users() -> None:
    """List users."""
    for user in People(_database()).all():
        closed = f"closed {user.disabled_at:%Y-%m-%d}" if user.disabled_at else ""
        click.echo("\t".join([user.login, user.role, user.email or "-", closed]).rstrip())


@users.command("role", help="Make a user an admin, or a learner again.")
@click.argument("login")
@click.argument("role", type=click.Choice(["learner", "admin"]))
def role(login: str, role: str) -> None:
    """Change a role."""
    people = People(_database())
    people.change(_user(people, login).id, role=role)


@users.command("close", help="Close an account: nobody signs in to it, its tokens are refused.")
@click.argument("login")
def close(login: str) -> None:
    """Close an account."""
    database = _database()
    people = People(database)
    user = _user(people, login)
    people.change(user.id, disabled_at=datetime.now(UTC))
    Sessions(database).end_all(user.id)
    people.end_sessions(user.id)


@users.command("reopen", help="Open a closed account again.")
@click.argument("login")
def reopen(login: str) -> None:
    """Reopen an account."""
    people = People(_database())
    people.change(_user(people, login).id, disabled_at=None)


@command.command("mails", help="Mails that wait to be handed over, and why.")
def mails() -> None:
    """List waiting mails."""
    for to, tries, error in Mails(_database()).waiting():
        click.echo(f"{to}\t{tries} tries\t{error}".rstrip())


@command.command("link", help="Print a link that signs a user in once.")
@click.argument("login")
def link(login: str) -> None:
    """A sign-in link."""
    people = People(_database())
    _print_link(people, _user(people, login))


@command.command("token", help="Print a new API token of a user. It is shown once.")
@click.argument("login")
@click.option("--name", default="command line", show_default=True)
@click.option(
    "--scope", "scopes", type=click.Choice(SCOPES), multiple=True, help="What it is for; all by default."
)
def token(login: str, name: str, scopes: tuple[str, ...]) -> None:
    """An API token."""
    database = _database()
    user = _user(People(database), login)
    click.echo(Credentials(database).make_token(user.id, name, datetime.now(UTC), scopes or SCOPES))


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
    made = people.make_link(user.id, datetime.now(UTC))
    click.echo(f"{Settings().public_url}/sign-in/link/{made}")
