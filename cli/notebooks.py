"""``coldstart notebooks``: the environment that notebooks run in."""

from __future__ import annotations

import click

from cli.output import errors_for_humans, progress
from sandbox.runtimes.prepared_notebooks import prepare_notebook_environment
from settings import Settings


@click.group("notebooks", help="The environment that notebooks run in.")
def command() -> None:
    """Notebooks."""


@command.command("install", help="Install it now (JupyterLab, nbgrader), not at its first use.")
def install() -> None:
    """Install the environment."""
    with errors_for_humans():
        place = prepare_notebook_environment(Settings().home)
    progress.print(f"Notebooks run in {place}", markup=False)
