"""``coldstart notebooks``: the environment that notebooks run in, and the process that serves JupyterLab."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from datetime import UTC, datetime

import click

from cli.output import BAD_INPUT, OUR_FAULT, errors_for_humans, progress, stop
from curriculum.loader import Catalogue
from portal.notebooks.accounts import practice_accounts
from portal.notebooks.gateway import Gateway
from portal.notebooks.keeping import Keeper
from records.database import Database
from records.notebooks import Tickets
from records.people import People
from records.store import Store
from sandbox.isolation import levels
from sandbox.isolation.spec import IsolationLevel
from sandbox.runtimes.prepared_notebooks import prepare_notebook_environment
from settings import Settings


@click.group("notebooks", help="What notebooks run in, and JupyterLab for learners.")
def command() -> None:
    """Notebooks."""


@command.command("install", help="Install it now (JupyterLab, nbgrader), not at its first use.")
def install() -> None:
    """Install the environment."""
    with errors_for_humans():
        place = prepare_notebook_environment(Settings().home)
    progress.print(f"Notebooks run in {place}", markup=False)


@command.command("serve", help="Serve JupyterLab to the portal's learners; `coldstart serve` starts this.")
def serve() -> None:
    """Serve until stopped."""
    settings = Settings()
    if not settings.notebooks_url:
        stop("COLDSTART_NOTEBOOKS_URL has to say where browsers find JupyterLab.", BAD_INPUT)
    if levels.probe().level < IsolationLevel.NAMESPACES:
        stop(
            "JupyterLab runs other people's code, and this machine can't keep it in: `coldstart doctor`"
            " says what is missing for isolation level 3.",
            OUR_FAULT,
        )
    database = Database(settings.database)
    people = People(database)
    epochs: dict[int, int] = {}

    def is_current(user_id: int) -> bool:
        """Whether the user's sessions are those of when they first came."""
        epoch = people.get(user_id).session_epoch
        return epochs.setdefault(user_id, epoch) == epoch

    keeper = Keeper(
        Store(database),
        lambda: Catalogue(settings.labs_folder),
        lambda: prepare_notebook_environment(settings.home),
        practice_accounts(settings, database, _now),
        settings.notebooks_url.rstrip("/"),
        _now,
        settings.notebooks_limit,
        settings.notebooks_idle_s,
    )
    gateway = Gateway(keeper, Tickets(database), is_current, _now)
    port = settings.notebooks_port or settings.port + 1
    try:
        asyncio.run(_until_told(gateway, settings.host, port))
    except OSError as error:
        stop(f"Port {port} on {settings.host} can't be used ({error.strerror}).", BAD_INPUT)
    finally:
        database.close()


async def _until_told(gateway: Gateway, host: str, port: int) -> None:
    told = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, told.set)
    serving = asyncio.create_task(gateway.serve(host, port, lambda: None))
    waiting = asyncio.create_task(told.wait())
    await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
    waiting.cancel()
    serving.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await serving


def _now() -> datetime:
    return datetime.now(UTC)
