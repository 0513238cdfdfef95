"""The log groups that queries read."""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence
from typing import Any

from moto.core.utils import unix_time_millis
from moto.logs.models import logs_backends

from sandbox.emulator.calls import AwsError, Call
from sandbox.emulator.core import AccountCore
from sandbox.emulator.telemetry.insights.events import Event

_DAY_MS = 86_400_000


class LogGroups:
    """Reads moto's log groups under the dispatch lock."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    def named(self, call: Call, identifiers: Sequence[str]) -> list[str]:
        """The names of groups given by name or ARN.

        Raises:
            AwsError: one does not exist.
        """
        names = [_name(call, each) for each in identifiers]
        with self._core.dispatch_lock:
            groups = logs_backends[call.account_id][call.region].groups
            for name, given in zip(names, identifiers, strict=True):
                if name not in groups:
                    raise AwsError(
                        "ResourceNotFoundException",
                        f"Log group '{given}' does not exist for account ID "
                        f"'{call.account_id}' (Service: AWSLogs; Status Code: 400)",
                    )
        return list(dict.fromkeys(names))

    def may_hold(self, call: Call, names: Sequence[str], end_ms: int) -> bool:
        """Whether any of the groups was there at ``end_ms`` and still keeps what it had then."""
        with self._core.dispatch_lock:
            groups = logs_backends[call.account_id][call.region].groups
            found = [groups[name] for name in names if name in groups]
            return any(
                unix_time_millis(group.creation_time) - 1000 <= end_ms and end_ms >= self._kept_since(group)
                for group in found
            )

    def _kept_since(self, group: Any) -> float:
        days = group.retention_in_days
        return self._core.clock.time() * 1000 - int(days) * _DAY_MS if days else 0.0

    def events(self, call: Call, names: Sequence[str], start_ms: int, end_ms: int) -> list[Event]:
        """What groups hold between two moments, both included."""
        with self._core.dispatch_lock:
            groups = logs_backends[call.account_id][call.region].groups
            return [
                _event(stream, found)
                for name in names
                if name in groups
                for stream in groups[name].streams.values()
                for found in stream.events
                if max(start_ms, self._kept_since(groups[name])) <= found.timestamp <= end_ms
            ]

    def at(self, call: Call, pointer: str) -> Event | None:
        """The event that an ``@ptr`` points to."""
        try:
            group, stream, event_id = base64.urlsafe_b64decode(pointer).decode().split("\n")
        except (binascii.Error, ValueError):
            return None
        with self._core.dispatch_lock:
            groups = logs_backends[call.account_id][call.region].groups
            held = groups[group].streams.get(stream) if group in groups else None
            for found in held.events if held is not None else ():
                if str(found.event_id) == event_id:
                    return _event(held, found)
        return None


def _event(stream: Any, found: Any) -> Event:
    group, name = stream.log_group.name, stream.log_stream_name
    pointer = base64.urlsafe_b64encode(f"{group}\n{name}\n{found.event_id}".encode()).decode()
    return Event(
        stream.account_id, group, name, found.message, found.timestamp, found.ingestion_time, pointer
    )


def _name(call: Call, identifier: str) -> str:
    """A group's name; of an ARN in another account or region an impossible one."""
    if not identifier.startswith("arn:"):
        return identifier
    parts = identifier.removesuffix(":*").split(":", 6)
    here = len(parts) == 7 and parts[3:5] == [call.region, call.account_id]
    return parts[6] if here else identifier
