"""Custom runtimes and Go: the package's own ``bootstrap``."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass

from sandbox.emulator.functions.runtimes.registry import Launch, Package, Say

BOOTSTRAPS = ("/var/task/bootstrap", "/opt/bootstrap")


@dataclass(frozen=True, slots=True)
class CustomRuntime:
    """``provided``: whatever the package brings, made for this machine's processor."""

    identifiers: tuple[str, ...] = ("provided.al2", "provided.al2023")

    def launch(self, identifier: str, package: Package) -> Launch:
        """The bootstrap of the function, else of its layers; a missing one fails as on AWS."""
        in_layer = package.layer_dir is not None and os.path.isfile(package.layer_dir / "bootstrap")
        in_code = os.path.isfile(package.code_dir / "bootstrap")
        return Launch((BOOTSTRAPS[1] if in_layer and not in_code else BOOTSTRAPS[0],))

    def prepare(self, identifier: str, say: Say) -> None:
        """It comes with the package."""

    def runs_on(self, identifier: str) -> str:
        """The system's own kind."""
        return f"{platform.system()} {platform.machine()}"
