"""Functions as moto keeps them, read into values that an execution can hold on to."""

from __future__ import annotations

import random
import threading
from dataclasses import dataclass, field
from typing import Any

from moto.awslambda.models import lambda_backends
from moto.core.exceptions import JsonRESTError

from sandbox.emulator.calls import AwsError
from sandbox.emulator.functions.names import LATEST, FunctionName

# What moto drops of a function's configuration is kept on moto's own object, so that it is versioned,
# updated and deleted with it. The dict is replaced, never changed: versions share it.
EXTRAS = "coldstart_extras"
ACCOUNT_CONCURRENCY = 1000


@dataclass(frozen=True, slots=True)
class Archive:
    """A zip; equal to another by its digest (SHA-256, hex)."""

    digest: str
    content: bytes = field(compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class FunctionVersion:
    """Everything that decides how one version of a function runs. Equal: an environment can be reused."""

    account_id: str
    region: str
    name: str
    version: str
    handler: str
    runtime: str
    role: str
    memory_mb: int
    timeout_s: int
    tmp_mb: int
    code: Archive
    layers: tuple[Archive, ...]
    variables: tuple[tuple[str, str], ...]
    tracing: str
    log_group: str
    log_format: str
    log_level: str
    system_log_level: str

    @property
    def arn(self) -> str:
        """The function's ARN, without version."""
        return f"arn:aws:lambda:{self.region}:{self.account_id}:function:{self.name}"


@dataclass(frozen=True, slots=True)
class Target:
    """A function as somebody asked for it, resolved to the version that will run.

    ``reserved`` is the function's reserved concurrency, None when it has none; ``unreserved`` what all such
    functions have together; ``dead_letter`` an ARN or "".
    """

    name: FunctionName
    version: FunctionVersion
    reserved: int | None
    dead_letter: str
    unreserved: int = ACCOUNT_CONCURRENCY


class FunctionStore:
    """Reads moto's Lambda backends, under the dispatch lock."""

    def __init__(self, lock: threading.RLock, chance: random.Random) -> None:
        self._lock = lock
        self._chance = chance

    def find(self, name: FunctionName) -> Any:
        """moto's own object of a version or alias. Hold the dispatch lock while using it.

        Raises:
            AwsError: ResourceNotFoundException, in AWS's words.
        """
        backend = lambda_backends[name.account_id][name.region]
        try:
            function = backend.get_function(name.name, name.qualifier or None)
        except JsonRESTError:
            function = None
        if function is None:
            raise AwsError(
                "ResourceNotFoundException", f"Function not found: {name.qualified_arn}", 404, Type="User"
            )
        return function

    def resolve(self, name: FunctionName) -> Target:
        """The version that an invocation under this name runs; a weighted alias draws.

        Raises:
            AwsError: ResourceNotFoundException, in AWS's words.
        """
        with self._lock:
            latest = self.find(name.at(""))
            chosen = self._draw(name)
            function = self.find(name.at(chosen)) if chosen else latest
            extras = read_extras(function)
            return Target(
                name=name,
                version=self._version(function),
                reserved=None if latest.reserved_concurrency is None else int(latest.reserved_concurrency),
                dead_letter=(extras.get("DeadLetterConfig") or {}).get("TargetArn", ""),
                unreserved=unreserved_concurrency(lambda_backends[name.account_id][name.region]),
            )

    def _draw(self, name: FunctionName) -> str:
        """The version behind a qualifier: an alias may send a share of the traffic elsewhere."""
        qualifier = name.qualifier
        if not qualifier or qualifier == LATEST or qualifier.isdigit():
            return qualifier
        storage = lambda_backends[name.account_id][name.region]._lambdas
        alias = storage._aliases[name.arn].get(qualifier)
        if alias is None:
            return qualifier
        weights = (alias.routing_config or {}).get("AdditionalVersionWeights") or {}
        draw = self._chance.random()
        for version, weight in weights.items():
            draw -= float(weight)
            if draw < 0:
                return str(version)
        return str(alias.function_version)

    def _version(self, function: Any) -> FunctionVersion:
        logging = logging_config(function)
        return FunctionVersion(
            account_id=function.account_id,
            region=function.region,
            name=function.function_name,
            version=str(function.version),
            handler=function.handler or "",
            runtime=function.run_time or "",
            role=function.role,
            memory_mb=int(function.memory_size),
            timeout_s=int(function.timeout),
            tmp_mb=int(function.ephemeral_storage),
            code=Archive(function.code_digest, function.code_bytes),
            layers=tuple(self._layer(function, layer["Arn"]) for layer in function.layers),
            variables=tuple(sorted((function.environment_vars or {}).items())),
            tracing=(function.tracing_config or {}).get("Mode", "PassThrough"),
            log_group=logging["LogGroup"],
            log_format=logging["LogFormat"],
            log_level=logging.get("ApplicationLogLevel", ""),
            system_log_level=logging.get("SystemLogLevel", ""),
        )

    def _layer(self, function: Any, arn: str) -> Archive:
        _, _, _, region, account_id, *_ = arn.split(":")
        layer = lambda_backends[account_id][region].layers_versions_by_arn(arn)
        if layer is None:
            # A layer version that was deleted goes on working for functions that have it.
            kept = read_extras(function).get("Layers", {}).get(arn)
            if kept is None:
                raise AwsError("ResourceNotFoundException", f"Layer version {arn} does not exist.", 404)
            return Archive(*kept)
        return Archive(layer.code_digest, layer.code_bytes)


def unreserved_concurrency(backend: Any, besides: str = "") -> int:
    """What no function of an account and region has reserved for itself. Hold the dispatch lock."""
    groups = backend._lambdas._functions.items()
    reserved = sum(
        int(group["latest"].reserved_concurrency or 0)
        for name, group in groups
        if group["latest"] is not None and name != besides
    )
    return ACCOUNT_CONCURRENCY - reserved


def read_extras(function: Any) -> dict[str, Any]:
    """What we keep beside moto's own attributes."""
    extras: dict[str, Any] = getattr(function, EXTRAS, {})
    return extras


def logging_config(function: Any) -> dict[str, Any]:
    """The function's LoggingConfig with its defaults."""
    given = read_extras(function).get("LoggingConfig") or {}
    config = {"LogFormat": "Text", "LogGroup": f"/aws/lambda/{function.function_name}", **given}
    if config["LogFormat"] == "JSON":
        config = {"ApplicationLogLevel": "INFO", "SystemLogLevel": "INFO", **config}
    return config
