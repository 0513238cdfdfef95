"""A state machine's logs, as its LoggingConfiguration asks for them.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/cw-logs.html
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from moto.logs.models import logs_backends

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.stepfunctions.history import Event

if TYPE_CHECKING:
    from sandbox.emulator.fabric.stepfunctions.executions import Machine

_ERRORS = ("Failed", "TimedOut", "Aborted")
_FATAL = frozenset({"ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"})


class LogSink:
    """Collects events, and writes them when an execution ends or enough have come together."""

    def __init__(self, core: AccountCore, machine: Machine, execution_arn: str) -> None:
        self._core = core
        self._execution_arn = execution_arn
        self._level = str(machine.logging.get("level") or "OFF")
        self._with_data = bool(machine.logging.get("includeExecutionData"))
        self._machine = machine
        self._lines: list[dict[str, Any]] = []
        self.redrives = 0

    def note(self, event: Event) -> None:
        """Log an event, if the level asks for it."""
        wanted = {
            "ALL": True,
            "ERROR": event.type.endswith(_ERRORS),
            "FATAL": event.type in _FATAL,
        }
        if not wanted.get(self._level, False):
            return
        details = {
            name: value
            for name, value in event.details.items()
            if self._with_data
            or name not in ("input", "output", "parameters", "inputDetails", "outputDetails")
        }
        milliseconds = int(event.at.timestamp() * 1000)
        line = {
            "id": str(event.id),
            "type": event.type,
            "details": details,
            "previous_event_id": str(event.previous),
            "event_timestamp": str(milliseconds),
            "execution_arn": self._execution_arn,
            "redrive_count": str(self.redrives),
        }
        self._lines.append({"timestamp": milliseconds, "message": json.dumps(line, ensure_ascii=False)})
        if len(self._lines) == 1:
            self._core.work.submit(self.flush, label=f"logs of {self._machine.name}")

    def flush(self) -> None:
        """Write what was collected."""
        lines, self._lines = self._lines, []
        destinations = self._machine.logging.get("destinations") or ()
        if not lines or not destinations:
            return
        arn = destinations[0]["cloudWatchLogsLogGroup"]["logGroupArn"]
        parts = arn.split(":")
        group = parts[6]
        now = self._core.clock.now()
        stream = (
            f"states/{self._machine.name}/{now:%Y-%m-%d-%H-%M}/{self._execution_arn.rsplit(':', 1)[-1][:8]}"
        )
        with self._core.dispatch_lock:
            backend = logs_backends[parts[4]][parts[3]]
            if group not in backend.groups:
                return
            if stream not in backend.groups[group].streams:
                backend.create_log_stream(group, stream)
            backend.put_log_events(group, stream, lines)
