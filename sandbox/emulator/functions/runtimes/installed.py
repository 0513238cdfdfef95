"""Which runtimes this machine has."""

from __future__ import annotations

from pathlib import Path

from sandbox.emulator.functions.runtimes.python import PythonRuntime
from sandbox.emulator.functions.runtimes.registry import Runtimes


def find_runtimes(home: Path) -> Runtimes:
    """The runtimes found here and prepared below the installation's ``home``; looks, installs nothing."""
    return Runtimes(PythonRuntime())
