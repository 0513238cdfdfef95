"""What runs a function's code: one module per language, found and registered in ``installed``."""

from sandbox.emulator.functions.runtimes.installed import find_runtimes
from sandbox.emulator.functions.runtimes.registry import (
    EMULATED,
    Launch,
    Package,
    Runtime,
    Runtimes,
    is_exact,
    language,
    version_arn,
    version_label,
)

__all__ = [
    "EMULATED",
    "Launch",
    "Package",
    "Runtime",
    "Runtimes",
    "find_runtimes",
    "is_exact",
    "language",
    "version_arn",
    "version_label",
]
