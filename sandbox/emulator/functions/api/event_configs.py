"""Event invoke configurations: retries, age and destinations of asynchronous events.

moto appends to a list and answers with its first entry, so these are kept here.
Source: https://docs.aws.amazon.com/lambda/latest/api/API_PutFunctionEventInvokeConfig.html
"""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions import names
from sandbox.emulator.functions.asynchronous import MAXIMUM_AGE_S, MAXIMUM_RETRIES, AsyncConfig
from sandbox.emulator.functions.destinations import SERVICES
from sandbox.emulator.functions.names import LATEST, FunctionName
from sandbox.emulator.functions.store import FunctionStore

_MINIMUM_AGE_S = 60


@dataclass(frozen=True, slots=True)
class _Kept:
    """One configuration, as members of the API."""

    settings: dict[str, Any]
    modified: dt.datetime


@dataclass(slots=True)
class EventInvokeConfigs:
    """Keeps and answers them, by function and qualifier. Unqualified means ``$LATEST``."""

    _core: AccountCore
    _store: FunctionStore
    _kept: dict[FunctionName, _Kept] = field(default_factory=dict)

    def handlers(self) -> Handlers:
        """The operations taken over from moto."""
        return {
            ("lambda", "PutFunctionEventInvokeConfig"): self.put,
            ("lambda", "UpdateFunctionEventInvokeConfig"): self.update,
            ("lambda", "GetFunctionEventInvokeConfig"): self.get,
            ("lambda", "DeleteFunctionEventInvokeConfig"): self.delete,
            ("lambda", "ListFunctionEventInvokeConfigs"): self.list_configs,
        }

    def find(self, name: FunctionName) -> AsyncConfig:
        """The configuration for a name; the defaults when there is none."""
        kept = self._kept.get(name.at(name.qualifier or LATEST))
        if kept is None:
            return AsyncConfig()
        destinations = kept.settings.get("DestinationConfig") or {}
        return AsyncConfig(
            maximum_retries=int(kept.settings.get("MaximumRetryAttempts", MAXIMUM_RETRIES)),
            maximum_age_s=int(kept.settings.get("MaximumEventAgeInSeconds", MAXIMUM_AGE_S)),
            on_success=(destinations.get("OnSuccess") or {}).get("Destination", ""),
            on_failure=(destinations.get("OnFailure") or {}).get("Destination", ""),
        )

    def forget(self, name: FunctionName) -> None:
        """Drop what a deleted function, version or alias had; unqualified: everything of the function."""
        self._kept = {
            key: kept
            for key, kept in self._kept.items()
            if key.arn != name.arn or (name.qualifier and key.qualifier != name.qualifier)
        }

    def put(self, call: Call) -> dict[str, Any]:
        """Replace the configuration."""
        name = self._name(call)
        return self._keep(name, _settings(name, call.params))

    def update(self, call: Call) -> dict[str, Any]:
        """Change some members of it."""
        name = self._name(call)
        return self._keep(name, {**self._get(name).settings, **_settings(name, call.params)})

    def get(self, call: Call) -> dict[str, Any]:
        """Read it."""
        name = self._name(call)
        return _answer(name, self._get(name))

    def delete(self, call: Call) -> dict[str, Any]:
        """Back to the defaults."""
        name = self._name(call)
        self._get(name)
        self._kept = {key: kept for key, kept in self._kept.items() if key != name}
        return {}

    def list_configs(self, call: Call) -> dict[str, Any]:
        """All configurations of a function."""
        name = self._name(call)
        found = sorted(
            (item for item in self._kept.items() if item[0].arn == name.arn),
            key=lambda item: item[0].qualifier,
        )
        return {"FunctionEventInvokeConfigs": [_answer(key, kept) for key, kept in found]}

    def _name(self, call: Call) -> FunctionName:
        name = names.of(call)
        with self._core.dispatch_lock:
            self._store.find(name)
        return name.at(name.qualifier or LATEST)

    def _get(self, name: FunctionName) -> _Kept:
        kept = self._kept.get(name)
        if kept is None:
            raise AwsError(
                "ResourceNotFoundException",
                f"The function {name.qualified_arn} doesn't have an EventInvokeConfig",
                404,
                Type="User",
            )
        return kept

    def _keep(self, name: FunctionName, settings: dict[str, Any]) -> dict[str, Any]:
        kept = _Kept(settings, self._core.clock.now())
        self._kept = {**self._kept, name: kept}
        return _answer(name, kept)


def _answer(name: FunctionName, kept: _Kept) -> dict[str, Any]:
    destinations = {"OnSuccess": {}, "OnFailure": {}, **(kept.settings.get("DestinationConfig") or {})}
    return {
        **kept.settings,
        "DestinationConfig": destinations,
        "FunctionArn": name.qualified_arn,
        "LastModified": kept.modified,
    }


def _settings(name: FunctionName, params: dict[str, Any]) -> dict[str, Any]:
    members = ("MaximumRetryAttempts", "MaximumEventAgeInSeconds", "DestinationConfig")
    settings = {member: params[member] for member in members if params.get(member) is not None}
    if not settings:
        raise _invalid("You must specify at least one of error handling or destination setting.")
    _check_range("maximumRetryAttempts", settings.get("MaximumRetryAttempts"), 0, MAXIMUM_RETRIES)
    _check_range(
        "maximumEventAgeInSeconds", settings.get("MaximumEventAgeInSeconds"), _MINIMUM_AGE_S, MAXIMUM_AGE_S
    )
    for kind in ("OnSuccess", "OnFailure"):
        destination = ((settings.get("DestinationConfig") or {}).get(kind) or {}).get("Destination")
        if destination:
            _check_destination(name, destination)
    return settings


def _check_destination(name: FunctionName, arn: str) -> None:
    parts = arn.split(":")
    if len(parts) < 6 or parts[0] != "arn":
        raise AwsError(
            "ValidationException",
            f"1 validation error detected: Value '{arn}' at 'destinationConfig' failed to satisfy "
            "constraint: Member must satisfy regular expression pattern: "
            r"^$|kafka://([^.]([a-zA-Z0-9\-_.]{0,248}))|arn:(aws[a-zA-Z0-9-]*):([a-zA-Z0-9\-])+:((eusc-)?"
            r"[a-z]{2}((-gov)|(-iso([a-z]?)))?-[a-z]+-\d{1})?:(\d{12})?:(.*)",
        )
    if parts[2] == "s3":
        raise AwsError("NotEmulated", "Coldstart does not emulate S3 as a destination. This is our gap.", 501)
    if parts[2] not in SERVICES:
        raise _invalid(f"The provided destination {arn} is not supported.")
    if parts[2] == "sqs" and arn.endswith(".fifo"):
        raise _invalid(
            f"The provided destination {arn} is invalid. Amazon SQS FIFO queues are not supported."
        )
    if parts[2] == "lambda" and ":".join(parts[:7]) == name.arn:
        raise _invalid("You can't specify the function as a destination for itself.")


def _check_range(member: str, value: int | None, least: int, most: int) -> None:
    if value is None or least <= int(value) <= most:
        return
    bound = f"greater than or equal to {least}" if int(value) < least else f"less than or equal to {most}"
    raise AwsError(
        "ValidationException",
        f"1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: "
        f"Member must have value {bound}",
    )


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterValueException", message, Type="User")
