"""Log events that are older than their group keeps them are deleted.

Source: https://docs.aws.amazon.com/AmazonCloudWatch/latest/logs/Working-with-log-groups-and-streams.html
"""

from __future__ import annotations

from typing import Any

from moto.logs.models import logs_backends

from sandbox.emulator.core import AccountCore

_DAY_MS = 86_400_000
_EVERY_S = 3600.0


class Retention:
    """Looks at every log group once an hour of the account's clock. AWS takes up to 72 hours."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    def start(self) -> None:
        """Begin to look; call once the account's work has started."""
        self._core.work.submit(self._tick, label="retention of logs", delay_s=_EVERY_S, observes=True)

    def _tick(self) -> None:
        self.start()
        now_ms = self._core.clock.time() * 1000
        with self._core.dispatch_lock:
            for regions in list(logs_backends.values()):
                for backend in list(regions.values()):
                    for group in backend.groups.values():
                        if group.retention_in_days:
                            _forget(group, now_ms - int(group.retention_in_days) * _DAY_MS)


def _forget(group: Any, before_ms: float) -> None:
    for stream in group.streams.values():
        if any(event.timestamp < before_ms for event in stream.events):
            stream.events = [event for event in stream.events if event.timestamp >= before_ms]
            stream.stored_bytes = sum(len(event.message) for event in stream.events)
