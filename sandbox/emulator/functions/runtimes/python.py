"""Python functions: AWS's own runtime client, forked from the spawner's warm parent."""

from __future__ import annotations

import sys
from dataclasses import dataclass

from sandbox.emulator.functions.runtimes.registry import Launch, Package
from sandbox.isolation.spec import AUTHORITIES

# botocore and requests each bring authorities of their own; OpenSSL's place for them depends on its build.
_TRUSTING = ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")


@dataclass(frozen=True, slots=True)
class PythonRuntime:
    """Python functions run on the interpreter that runs this program."""

    identifiers: tuple[str, ...] = tuple(f"python3.{minor}" for minor in range(9, 15))

    def launch(self, identifier: str, package: Package) -> Launch:
        """A fork."""
        return Launch(command=None, variables=dict.fromkeys(_TRUSTING, AUTHORITIES) if package.trust else {})

    def runs_on(self, identifier: str) -> str:
        """The interpreter's own version."""
        return f"Python {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"
