"""Runtime identifiers: which exist on AWS, which run here and on what."""

from __future__ import annotations

import hashlib
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol

from sandbox.emulator.calls import AwsError
from sandbox.runtimes.public_layers import PublicLayers

# Source: https://docs.aws.amazon.com/lambda/latest/dg/lambda-runtimes.html
ON_AWS = (
    *("nodejs20.x", "nodejs22.x", "nodejs24.x"),
    *("python3.9", "python3.10", "python3.11", "python3.12", "python3.13", "python3.14"),
    *("java8.al2", "java11", "java17", "java21", "java25"),
    *("dotnet8", "dotnet10", "ruby3.2", "ruby3.3", "ruby3.4"),
    *("provided.al2", "provided.al2023"),
)
EMULATED = tuple(name for name in ON_AWS if not name.startswith(("dotnet", "ruby")))
_RETIRED = (
    *("nodejs", "nodejs4.3", "nodejs4.3-edge", "nodejs6.10", "nodejs8.10", "nodejs10.x", "nodejs12.x"),
    *("nodejs14.x", "nodejs16.x", "nodejs18.x", "python2.7", "python3.6", "python3.7", "python3.8"),
    *("java8", "dotnetcore1.0", "dotnetcore2.0", "dotnetcore2.1", "dotnetcore3.1", "dotnet6", "dotnet7"),
    *("ruby2.5", "ruby2.7", "go1.x", "provided"),
)


@dataclass(frozen=True, slots=True)
class Package:
    """What a runtime may look at before it says what to execute.

    ``code_dir`` becomes /var/task and ``layer_dir`` (layers merged) /opt; ``variables`` are the
    function's own. ``trust``: the environment has an authority of its own, for AWS's names.
    """

    handler: str
    memory_mb: int
    code_dir: Path
    layer_dir: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    trust: bool = False


@dataclass(frozen=True, slots=True)
class Launch:
    """What an environment executes, as paths seen inside, and what it finds there.

    ``command`` is None for Python, which forks from the warm parent. ``runtime_dir`` (on this machine)
    becomes /var/runtime and ``language_dir`` /var/lang, both read-only; None leaves those that every
    environment has. ``variables`` give way to the function's own of the same name. ``copies`` are entries of
    the package that the runtime has as well, byte for byte.
    """

    command: tuple[str, ...] | None
    runtime_dir: Path | None = None
    language_dir: Path | None = None
    variables: Mapping[str, str] = field(default_factory=dict)
    copies: frozenset[str] = frozenset()


Say = Callable[[str], None]


class Runtime(Protocol):
    """One language's executor: the identifiers it serves, and what runs for them."""

    @property
    def identifiers(self) -> tuple[str, ...]:
        """Those it serves, e.g. ``python3.12``."""

    def launch(self, identifier: str, package: Package) -> Launch:
        """What to execute for a function.

        Raises:
            EnvironmentFault: the runtime's own files can't be had.
        """

    def prepare(self, identifier: str, say: Say) -> None:
        """Have the runtime's own files ready, so that no invocation waits for them; ``say`` is told of work.

        Raises:
            EnvironmentFault: they can't be had.
        """

    def runs_on(self, identifier: str) -> str:
        """What the identifier really runs on, e.g. ``Python 3.11.7``."""


class Runtimes:
    """The runtimes installed here, and the layers that AWS has for everybody, if any are known."""

    def __init__(self, *runtimes: Runtime, public_layers: PublicLayers | None = None) -> None:
        self.public_layers = public_layers
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
        if identifier in ON_AWS:
            here = ", ".join(sorted(self._by_identifier)) or "none"
            raise AwsError(
                "NotEmulated",
                f"Coldstart cannot run {identifier} on this machine: AWS has this runtime, we do not. "
                f"Runtimes here: {here}. `coldstart doctor` says how to add others.",
                501,
            )
        raise AwsError(
            "InvalidParameterValueException",
            f"Value {identifier} at 'runtime' failed to satisfy constraint: Member must satisfy enum value "
            f"set: [{', '.join(ON_AWS)}] or be a valid ARN",
            Type="User",
        )

    def mapping(self) -> dict[str, str]:
        """Identifier → what it runs on here."""
        return {name: runtime.runs_on(name) for name, runtime in sorted(self._by_identifier.items())}


def is_exact(identifier: str, runs_on: str) -> bool:
    """Whether it runs on the version that it names, e.g. ``java17`` on ``Java 17.0.15``."""
    if identifier.startswith("provided"):
        return True
    wanted = re.findall(r"\d+", identifier.partition(".al2")[0])
    return bool(wanted) and re.findall(r"\d+", runs_on)[: len(wanted)] == wanted


def version_arn(identifier: str, region: str) -> str:
    """The ARN of a runtime version, as RuntimeVersionConfig and INIT_START name it."""
    digest = hashlib.sha256(f"{identifier} {sys.version}".encode()).hexdigest()
    return f"arn:aws:lambda:{region}::runtime:{digest}"


def version_label(identifier: str) -> str:
    """How INIT_START names a runtime: ``python:3.12.v1``, ``provided:al2023.v1``."""
    name = language(identifier)
    return f"{name}:{identifier.removeprefix(name).removesuffix('.x').lstrip('.')}.v1"


def language(identifier: str) -> str:
    """``python`` of ``python3.12``."""
    return identifier[: len(identifier) - len(identifier.lstrip("abcdefghijklmnopqrstuvwxyz"))]
