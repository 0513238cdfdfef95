"""What runs a function's code: one module per language, found and registered in ``installed``."""

from sandbox.emulator.functions.runtimes.installed import find_runtimes
from sandbox.emulator.functions.runtimes.registry import (
    Launch,
    Package,
    Runtime,
    Runtimes,
    version_arn,
    version_label,
)

__all__ = ["Launch", "Package", "Runtime", "Runtimes", "find_runtimes", "version_arn", "version_label"]
