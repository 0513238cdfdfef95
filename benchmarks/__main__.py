"""Prints each figure as median and range, with its goal and their ratio. Fails nothing: machines differ.

``python -m benchmarks`` measures every topic, ``python -m benchmarks accounts gradings`` only those; with
``--small`` a twentieth of it, where a topic does things by the hundred.
A topic is a module of this package with ``measure(bench: Bench) -> Iterator[Figure]``, named in TOPICS.
"""

from __future__ import annotations

import os
import platform
import sys
from importlib import import_module

from rich.console import Console
from rich.table import Table

from benchmarks.figures import Bench
from sandbox.providers.emulated import EmulatedProvider
from settings import Settings

TOPICS = (
    "accounts",
    "invocations",
    "deliveries",
    "telemetry",
    "gradings",
    "commands",
    "runtimes",
    "iam",
    "portal",
)


def main(arguments: list[str]) -> None:
    """Measure the topics and print the table."""
    small = "--small" in arguments
    topics = [argument for argument in arguments if argument != "--small"]
    if unknown := [topic for topic in topics if topic not in TOPICS]:
        raise SystemExit(f"No benchmark named {', '.join(unknown)}. There are: {', '.join(TOPICS)}.")
    console = Console(width=max(120, Console().width))
    cores, machine = os.cpu_count(), platform.machine()
    console.print(
        f"{cores} cores, {machine}, Python {platform.python_version()}, load {os.getloadavg()[0]:.1f}"
    )
    table = Table("figure", "median", "range", "n", "goal", "ratio", "")
    settings = Settings()
    with EmulatedProvider(settings.home) as provider:
        provider.open().close()
        bench = Bench(provider, settings.home, small=small)
        for topic in topics or TOPICS:
            for figure in import_module(f"benchmarks.{topic}").measure(bench):
                table.add_row(*figure.row())
                console.print(f"  {figure.row()[0]}: {figure.row()[1]}")
    console.print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
