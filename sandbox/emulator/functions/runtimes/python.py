"""Python functions: AWS's own runtime client, forked from the spawner's warm parent."""

from __future__ import annotations

import functools
import sys
from dataclasses import dataclass
from pathlib import Path

from sandbox.emulator.functions.runtimes.registry import Launch, Package, Say
from sandbox.isolation.spec import AUTHORITIES
from sandbox.isolation.warm import package_places
from sandbox.runtimes.copies import same_as_runtime
from sandbox.runtimes.prepared import VERSION

# botocore and requests each bring authorities of their own; OpenSSL's place for them depends on its build.
_TRUSTING = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class PythonRuntime:
    """Python functions run on the interpreter that runs this program.

    ``runtime_dir`` is what they find at /var/runtime. When it is known, a function that brings along the
    very libraries that are there is forked like one that does not.
    """

    runtime_dir: Path | None = None
    identifiers: tuple[str, ...] = tuple(f"python3.{minor}" for minor in range(9, 15))

    def launch(self, identifier: str, package: Package) -> Launch:
        """A fork, unless the function has libraries of its own where the parent has others."""
        return Launch(
            command=None,
            variables=dict.fromkeys(_TRUSTING, AUTHORITIES) if package.trust else {},
            copies=_copies(self.runtime_dir, package.code_dir, package.layer_dir),
        )

    def prepare(self, identifier: str, say: Say) -> None:
        """It is there since the account's process began."""

    def runs_on(self, identifier: str) -> str:
        """The interpreter's own version."""
        return f"Python {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"


@functools.lru_cache(maxsize=1024)
def _copies(runtime_dir: Path | None, code_dir: Path, layer_dir: Path | None) -> frozenset[str]:
    """Looked at once: the directories are named by their content."""
    if runtime_dir is None:
        return frozenset()
    return same_as_runtime(runtime_dir, package_places(code_dir, layer_dir, VERSION))
