"""Java functions: Amazon's own runtime client on the Java installations of this machine."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sandbox.emulator.functions.runtimes.registry import Launch, Package, Say
from sandbox.errors import EnvironmentFault
from sandbox.isolation.spec import JAVA_AUTHORITIES
from sandbox.runtimes.java import JavaInstallation, java_command, pick, prepare_java_runtime

_IDENTIFIERS = {"java8.al2": 8, "java11": 11, "java17": 17, "java21": 21, "java25": 25}
_VARIABLES = {
    # What LambdaLogger is given is one log event, however many lines it has.
    "_LAMBDA_TELEMETRY_LOG_FD": "1",
    # LANG names a locale that Lambda has; here it may be missing, and Java would read text as ASCII.
    "LC_ALL": "C.UTF-8",
}


@dataclass(frozen=True, slots=True)
class JavaRuntime:
    """The exact version where it is installed, else the nearest; at least one of ``installed`` is needed."""

    home: Path
    installed: tuple[JavaInstallation, ...]
    identifiers: tuple[str, ...] = tuple(_IDENTIFIERS)

    def launch(self, identifier: str, package: Package) -> Launch:
        """The client, at /var/runtime as on Lambda; fetched once when it is not there yet."""
        java = self._installation(identifier)
        program, *arguments = java_command(java.major, package.memory_mb, package.handler)
        trusting = [f"-Djavax.net.ssl.trustStore={JAVA_AUTHORITIES}"] if package.trust else []
        return Launch(
            command=(program, *trusting, *arguments),
            runtime_dir=prepare_java_runtime(self.home, java),
            language_dir=java.home,
            variables=_VARIABLES,
        )

    def prepare(self, identifier: str, say: Say) -> None:
        """Fetch the client, and make its archive of classes."""
        prepare_java_runtime(self.home, self._installation(identifier), say)

    def runs_on(self, identifier: str) -> str:
        """The installation's version."""
        return f"Java {self._installation(identifier).version}"

    def _installation(self, identifier: str) -> JavaInstallation:
        java = pick(_IDENTIFIERS[identifier], self.installed)
        if java is None:
            raise EnvironmentFault("No Java is installed here.")
        return java
