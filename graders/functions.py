"""Functions as a check sees them: configuration, invocations, fresh environments."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from graders.errors import PositiveControlFailed, ResourceNotFound
from graders.evidence.aws import error_code, is_missing

# The names in a report of the JSON log format, and those in one as text.
_METRICS = {
    "durationMs": "Duration",
    "billedDurationMs": "Billed Duration",
    "memorySizeMB": "Memory Size",
    "maxMemoryUsedMB": "Max Memory Used",
    "initDurationMs": "Init Duration",
}
_ARN = re.compile(r"arn:[^:]+:lambda:[^:]+:\d+:function:(?P<name>[^:]+)(:(?P<qualifier>[^:]+))?$")


@dataclass(frozen=True, slots=True)
class Invocation:
    """One finished invocation.

    ``payload`` is the decoded JSON answer (bytes when it is not JSON, None for asynchronous ones).
    ``function_error`` is empty, ``Handled`` or ``Unhandled``. ``log_tail`` is the end of its log.
    """

    status: int
    payload: Any
    function_error: str = ""
    log_tail: str = ""
    executed_version: str = "$LATEST"
    request_id: str = ""

    @property
    def succeeded(self) -> bool:
        """The function ran and returned normally."""
        return self.status < 300 and not self.function_error

    @property
    def report(self) -> Mapping[str, float]:
        """The numbers of the platform's REPORT line by name, e.g. ``{"Duration": 12.3}`` (ms and MB)."""
        for line in self.log_tail.splitlines():
            if line.startswith("REPORT "):
                found = re.findall(r"([A-Z][A-Za-z ]+): ([\d.]+) (?:ms|MB)", line)
                return {key: float(value) for key, value in found}
            if '"platform.report"' in line:
                metrics = json.loads(line)["record"]["metrics"]
                return {name: metrics[key] for key, name in _METRICS.items() if key in metrics}
        return {}

    def describe(self) -> str:
        """What came of it in a few words, for evidence."""
        if self.function_error:
            return f"{self.function_error} error: {_short(self.payload)}"
        return f"status {self.status}: {_short(self.payload)}"


@dataclass(frozen=True, slots=True)
class FunctionView:
    """A function's configuration. ``qualifier`` is the alias or version it was named by, if any."""

    name: str
    arn: str
    runtime: str
    handler: str
    timeout_s: int
    memory_mb: int
    role_arn: str
    log_group: str
    variables: Mapping[str, str]
    qualifier: str = ""
    alias_version: str = ""
    architectures: tuple[str, ...] = ("x86_64",)

    @property
    def is_alias(self) -> bool:
        """It was named by an alias."""
        return bool(self.alias_version)


def describe(client: Any, function: str) -> FunctionView:
    """A function's configuration; raises ResourceNotFound when there is none."""
    name, qualifier = split(function)
    arguments = {"FunctionName": name, **({"Qualifier": qualifier} if qualifier else {})}
    try:
        found = client.get_function_configuration(**arguments)
        alias_version = ""
        if qualifier and qualifier != "$LATEST" and not qualifier.isdigit():
            alias_version = client.get_alias(FunctionName=name, Name=qualifier)["FunctionVersion"]
    except Exception as error:
        raise _missing(error, function) from error
    return FunctionView(
        name=found["FunctionName"],
        arn=found["FunctionArn"],
        runtime=found.get("Runtime", ""),
        handler=found.get("Handler", ""),
        timeout_s=found.get("Timeout", 3),
        memory_mb=found.get("MemorySize", 128),
        role_arn=found.get("Role", ""),
        log_group=found.get("LoggingConfig", {}).get("LogGroup") or f"/aws/lambda/{found['FunctionName']}",
        variables=found.get("Environment", {}).get("Variables", {}),
        qualifier=qualifier,
        alias_version=alias_version,
        architectures=tuple(found.get("Architectures", ("x86_64",))),
    )


def invoke(client: Any, function: str, payload: Any, *, asynchronous: bool) -> Invocation:
    """Invoke; a function error is a result, a missing function is ResourceNotFound."""
    name, qualifier = split(function)
    body = payload if isinstance(payload, bytes) else json.dumps(payload).encode()
    arguments: dict[str, Any] = {"FunctionName": name, "Payload": body}
    if qualifier:
        arguments["Qualifier"] = qualifier
    arguments |= {"InvocationType": "Event"} if asynchronous else {"LogType": "Tail"}
    try:
        answer = client.invoke(**arguments)
    except Exception as error:
        raise _missing(error, function) from error
    raw = answer["Payload"].read() if answer.get("Payload") is not None else b""
    return Invocation(
        status=answer["StatusCode"],
        payload=None if asynchronous else _decode(raw),
        function_error=answer.get("FunctionError", ""),
        log_tail=base64.b64decode(answer.get("LogResult", "")).decode("utf-8", "replace"),
        executed_version=answer.get("ExecutedVersion", "$LATEST"),
        request_id=answer.get("ResponseMetadata", {}).get("RequestId", ""),
    )


@contextmanager
def renew_environments(
    client: Any, function: str, variables: Mapping[str, str] | None = None
) -> Iterator[None]:
    """New environments for a function by a configuration update, and for its alias by a new version.

    The configuration and the alias are what they were when the block ends; a published version stays.
    """
    view = describe(client, function)
    marker = {"COLDSTART_RENEWED": "1"} if not variables else dict(variables)
    _update(client, view.name, {**view.variables, **marker})
    try:
        if view.is_alias:
            version = client.publish_version(FunctionName=view.name)["Version"]
            client.update_alias(FunctionName=view.name, Name=view.qualifier, FunctionVersion=version)
        yield
    finally:
        if view.is_alias:
            client.update_alias(
                FunctionName=view.name, Name=view.qualifier, FunctionVersion=view.alias_version
            )
        _update(client, view.name, dict(view.variables))


def split(function: str) -> tuple[str, str]:
    """A function's name and qualifier, from a name, ``name:qualifier`` or ARN."""
    match = _ARN.match(function)
    if match:
        return match["name"], match["qualifier"] or ""
    name, _, qualifier = function.partition(":")
    return name, qualifier


def _update(client: Any, name: str, variables: dict[str, str]) -> None:
    client.update_function_configuration(FunctionName=name, Environment={"Variables": variables})
    for _ in range(100):
        found = client.get_function_configuration(FunctionName=name)
        if found.get("LastUpdateStatus", "Successful") != "InProgress":
            return
    raise PositiveControlFailed(f"The update of `{name}` did not end.")


def _missing(error: Exception, function: str) -> Exception:
    if is_missing(error):
        return ResourceNotFound(
            f"There is no function `{function}` ({error_code(error)}).",
            hint="The output or logical id named in the contract has to lead to a deployed function.",
            look=("Outputs in template.yaml",),
        )
    return error


def _decode(raw: bytes) -> Any:
    try:
        return json.loads(raw)
    except ValueError:
        return raw


def _short(value: Any, limit: int = 300) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else json.dumps(value, default=str)
    return text if len(text) <= limit else f"{text[:limit]}… ({len(text)} characters)"
