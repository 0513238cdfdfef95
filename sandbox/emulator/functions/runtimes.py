"""Runtime identifiers: which exist on AWS, which run here and on what."""

from __future__ import annotations

import hashlib
import sys
from dataclasses import dataclass
from typing import Protocol

from sandbox.emulator.calls import AwsError

# Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
_ON_AWS = (
    *("nodejs20.x", "nodejs22.x", "nodejs24.x"),
    *("python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14"),
    *("java8.al2", "java11", "java17", "java21", "java25"),
    *("dotnet8", "dotnet10", "ruby3.2", "ruby3.3", "ruby3.4"),
    *("provided.al2", "provided.al2023"),
)
_RETIRED = (
    *("nodejs", "nodejs4.3", "nodejs4.3-edge", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x"),
    *("nodejs14.x", "nodejs16.x", "nodejs18.x", "python2.7", "python3.6", "python3.7", "python3.8"),
    *("java8", "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1", "dotnetcore3.1", "dotnet6", "dotnet7"),
    *("ruby2.5", "ruby2.7", "go1.x", "provided"),
)


class Runtime(Protocol):
    """One language's executor: the identifiers it serves, and what runs for them."""

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Those it serves, e.g. ``python3.12``."""

    def command(self, identifier: str) -> tuple[str, ...] | None:
        """The argv to execute inside an environment; None for Python, which forks from the warm parent."""

    def runs_on(self, identifier: str) -> str:
        """What the identifier really runs on, e.g. ``Python 3.11.7``."""

    def can_import(self, handler: str) -> bool:
        """Whether a handler has the runtime's form, e.g. ``module.function``."""


@dataclass(frozen=True, slots=True)
class PythonRuntime:
    """Python functions run on the interpreter that runs this program, with AWS's own runtime client."""

    identifiers: tuple[str, ...] = tuple(f"python3.{minor}" for minor in range(9, 15))

    def command(self, identifier: str) -> tuple[str, ...] | None:
        """None: Python forks."""
        return None

    def runs_on(self, identifier: str) -> str:
        """The interpreter's own version."""
        return f"Python {sys.version_info.major}.{sys.version_info.minor}.{sys.version_info.micro}"

    def can_import(self, handler: str) -> bool:
        """``module.function``."""
        return "." in handler


class Runtimes:
    """The runtimes installed here."""

    def __init__(self, *runtimes: Runtime) -> None:
        self._by_identifier = {name: runtime for runtime in runtimes for name in runtime.identifiers}

    def get(self, identifier: str) -> Runtime:
        """The executor for an identifier.

        Raises:
            AwsError: AWS refuses the identifier, or it is one that is not emulated here (``NotEmulated``).
        """
        found = self._by_identifier.get(identifier)
        if found is not None:
            return found
        if identifier in _RETIRED:
            raise AwsError(
                "InvalidParameterValueException",
                f"The runtime parameter of {identifier} is no longer supported for creating or updating "
                "AWS Lambda functions. We recommend you use a supported runtime while creating or "
                "updating functions.",
                Type="User",
            )
        if identifier in _ON_AWS:
            here = ", ".join(sorted(self._by_identifier)) or "none"
            raise AwsError(
                "NotEmulated",
                f"Coldstart cannot run {identifier} on this machine: AWS has this runtime, we do not. "
                f"Runtimes here: {here}.",
                501,
            )
        raise AwsError(
            "InvalidParameterValueException",
            f"Value {identifier} at 'runtime' failed to satisfy constraint: Member must satisfy enum value "
            f"set: [{', '.join(_ON_AWS)}] or be a valid ARN",
            Type="User",
        )

    def mapping(self) -> dict[str, str]:
        """Identifier → what it runs on here."""
        return {name: runtime.runs_on(name) for name, runtime in sorted(self._by_identifier.items())}


def version_arn(identifier: str, region: str) -> str:
    """The ARN of a runtime version, as RuntimeVersionConfig and INIT_START name it."""
    digest = hashlib.sha256(f"{identifier} {sys.version}".encode()).hexdigest()
    return f"arn:aws:lambda:{region}::runtime:{digest}"


def version_label(identifier: str) -> str:
    """How INIT_START names a runtime: ``python:3.12.v1``."""
    language = identifier.rstrip("0123456789.x")
    return f"{language}:{identifier.removeprefix(language).removesuffix('.x')}.v1"
