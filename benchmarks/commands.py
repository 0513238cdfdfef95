"""``coldstart grade a02`` as it is typed: from nothing, and while a sandbox is up."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator

from benchmarks.figures import Bench, Figure, timed
from curriculum.loader import Catalogue
from sandbox.supervisor.client import find_shared

RUNS = 3
SANDBOX = "bench"


def measure(bench: Bench) -> Iterator[Figure]:
    """Both seeds, with the start of everything they need. Without a figure when a sandbox is up already."""
    folder = Catalogue().get_lab("a02").folder / "solutions" / "reference-python"
    environment = {**os.environ, "COLDSTART_HOME": str(bench.home)}

    def coldstart(*words: str) -> None:
        command = [sys.executable, "-m", "cli", *words]
        subprocess.run(command, env=environment, check=True, capture_output=True)

    def grade() -> None:
        coldstart("grade", "a02", str(folder))

    if find_shared(bench.home) is None:
        seconds = tuple(timed(grade) / 1000 for _ in range(RUNS))
        yield Figure("`coldstart grade a02` from nothing", "s", seconds, 5.0)
        coldstart("sandbox", "up", "--name", SANDBOX)
        try:
            seconds = tuple(timed(grade) / 1000 for _ in range(RUNS))
        finally:
            coldstart("sandbox", "down", "--name", SANDBOX)
        yield Figure("`coldstart grade a02` while a sandbox is up", "s", seconds, 1.5)
