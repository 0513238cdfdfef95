"""The ``coldstart`` command. Each subcommand's module is imported when it is used."""

from __future__ import annotations

import importlib
import importlib.metadata
from typing import NoReturn

import click

# What `coldstart --help` says, so that it need not import what it speaks of.
COMMANDS = {
    "labs": "List the labs, or show one.",
    "start": "Write the brief, the contract and the starter of a lab into a folder.",
    "grade": "Grade a folder against a lab.",
    "sandbox": "Start an emulated AWS account and drive it.",
    "lab": "Write, check and prove labs.",
    "iam": "Ask whether policies allow a request, and which policy a run needed.",
    "notebooks": "Install what notebooks run in; serve JupyterLab to learners.",
    "serve": "Serve the portal.",
    "worker": "Grade what the portal queues.",
    "admin": "Users, sign-in links, tokens, the database and its backup.",
    "doctor": "Say what this machine can and cannot do.",
}


class Commands(click.Group):
    """Loads a subcommand's module on demand; its ``command`` is the command."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """In the order of the table above."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import the module that has it."""
        if cmd_name not in COMMANDS:
            return None
        command: click.Command = importlib.import_module(f"cli.{cmd_name}").command
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """The table, without importing anything."""
        with formatter.section("Commands"):
            formatter.write_dl(list(COMMANDS.items()))


@click.command(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(importlib.metadata.version("coldstart"), prog_name="coldstart")
def coldstart() -> None:
    """Labs, grading and a private AWS for serverless engineers.

    Exit status: 0 done or passed, 1 not passed, 2 usage or bad input, 3 our environment failed.
    """


def main() -> NoReturn:
    """Run a command; what goes wrong on purpose ends in one message and the promised status."""
    try:
        coldstart(prog_name="coldstart")
    except Exception as error:
        # Imported late: `coldstart --help` needs none of it.
        from cli.output import errors_for_humans

        with errors_for_humans():
            raise error
    raise SystemExit(0)
