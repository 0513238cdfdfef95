"""The log of one invocation: the platform's lines and the function's, into CloudWatch Logs.

Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs-logformat.html
"""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from moto.logs.models import logs_backends

from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions.credentials import role_principal
from sandbox.emulator.functions.log_levels import application_line_is_kept, platform_event_is_kept
from sandbox.emulator.functions.runtimes import version_arn, version_label
from sandbox.emulator.functions.store import FunctionVersion

TAIL_BYTES = 4096
# Initialization types, as the platform's events and AWS_LAMBDA_INITIALIZATION_TYPE name them.
ON_DEMAND, PROVISIONED = "on-demand", "provisioned-concurrency"


@dataclass(frozen=True, slots=True)
class Usage:
    """What REPORT says. ``init_ms`` is set for the invocation that started the environment."""

    duration_ms: float
    memory_mb: int
    init_ms: float | None = None
    status: str = ""
    error_type: str = ""

    @property
    def billed_ms(self) -> int:
        """Duration and initialisation, rounded up.

        Source: https://aws.amazon.com/blogs/compute/aws-lambda-standardizes-billing-for-init-phase/
        """
        return max(1, math.ceil(round(self.duration_ms, 2) + round(self.init_ms or 0.0, 2)))


class InvocationLog:
    """Collects the events of one invocation in order; text or JSON as the function is configured."""

    def __init__(self, version: FunctionVersion, now_ms: Callable[[], int]) -> None:
        self._version = version
        self._now_ms = now_ms
        self._json = version.log_format == "JSON"
        self._kind = ON_DEMAND
        self.events: list[tuple[int, str]] = []
        self._written = 0
        self._latest = 0

    def lines(self, lines: list[tuple[int, str]]) -> None:
        """What the function printed; as JSON, only what its application log level lets through."""
        lowest = self._version.log_level
        self.events += [
            (at, line) for at, line in lines if not self._json or application_line_is_kept(line, lowest)
        ]

    def init_start(self, kind: str = ON_DEMAND) -> None:
        """A new environment starts."""
        self._kind = kind
        runtime, region = self._version.runtime, self._version.region
        self._platform(
            "initStart",
            f"INIT_START Runtime Version: {version_label(runtime)}\t"
            f"Runtime Version ARN: {version_arn(runtime, region)}",
            {
                "initializationType": kind,
                "phase": "init",
                "runtimeVersion": version_label(runtime),
                "runtimeVersionArn": version_arn(runtime, region),
                "functionName": self._version.name,
                "functionVersion": self._version.version,
            },
        )

    def init_done(self, duration_ms: float) -> None:
        """An init in front of an event went well; only detailed logs as JSON tell of it."""
        if self._json:
            self._init_runtime_done("init", "success")
            self.init_report("init", duration_ms, "success")

    def _init_runtime_done(self, phase: str, status: str, error_type: str = "") -> None:
        record = {"initializationType": self._kind, "phase": phase, "status": status}
        self._platform("initRuntimeDone", "", record | ({"errorType": error_type} if error_type else {}))

    def init_report(self, phase: str, duration_ms: float, status: str, error_type: str = "") -> None:
        """How an init ended that no REPORT will tell of: it failed, or it came before any event."""
        kind = f"\tError Type: {error_type}" if error_type else ""
        if self._json and status != "success":
            self._init_runtime_done(phase, status, error_type)
        record: dict[str, Any] = {
            "phase": phase,
            "status": status,
            "metrics": {"durationMs": round(duration_ms, 3)},
        }
        if error_type:
            record["errorType"] = error_type
        self._platform(
            "initReport",
            f"INIT_REPORT Init Duration: {duration_ms:.2f} ms\tPhase: {phase}\tStatus: {status}{kind}",
            {"initializationType": self._kind, **record},
        )

    def start(self, request_id: str) -> None:
        """The event goes to the function."""
        self._platform(
            "start",
            f"START RequestId: {request_id} Version: {self._version.version}",
            {"requestId": request_id, "version": self._version.version},
        )

    def failure(self, message: str) -> None:
        """What the platform says about an invocation that it ended."""
        self.events.append((self._now_ms(), message))

    def report(self, request_id: str, usage: Usage) -> None:
        """The invocation is over: END and REPORT."""
        if not self._json:
            self.events.append((self._now_ms(), f"END RequestId: {request_id}"))
        init = f"Init Duration: {usage.init_ms:.2f} ms\t" if usage.init_ms is not None else ""
        status = f"Status: {usage.status}\t" if usage.status else ""
        kind = f"Error Type: {usage.error_type}\t" if usage.error_type else ""
        metrics: dict[str, Any] = {
            "durationMs": round(usage.duration_ms, 3),
            "billedDurationMs": usage.billed_ms,
            "memorySizeMB": self._version.memory_mb,
            "maxMemoryUsedMB": usage.memory_mb,
        }
        if usage.init_ms is not None:
            metrics["initDurationMs"] = round(usage.init_ms, 3)
        record: dict[str, Any] = {
            "requestId": request_id,
            "metrics": metrics,
            "status": usage.status or "success",
        }
        if usage.error_type:
            record["errorType"] = usage.error_type
        if self._json:
            done = {"metrics": {"durationMs": metrics["durationMs"]}}
            self._platform("runtimeDone", "", {**record, **done})
        self._platform(
            "report",
            f"REPORT RequestId: {request_id}\tDuration: {usage.duration_ms:.2f} ms\t"
            f"Billed Duration: {usage.billed_ms} ms\tMemory Size: {self._version.memory_mb} MB\t"
            f"Max Memory Used: {usage.memory_mb} MB\t{init}{status}{kind}",
            record,
        )

    def _platform(self, kind: str, text: str, record: dict[str, Any]) -> None:
        at = self._now_ms()
        if self._json:
            if not platform_event_is_kept(kind, record, self._version.system_log_level):
                return
            text = json.dumps({"time": timestamp(at), "type": f"platform.{kind}", "record": record})
        self.events.append((at, text))

    def unwritten(self) -> list[tuple[int, str]]:
        """The events since the last time, none earlier than the one before it."""
        fresh, self._written = self.events[self._written :], len(self.events)
        in_order = []
        for at, message in fresh:
            self._latest = max(at, self._latest)
            in_order.append((self._latest, message))
        return in_order

    def tail(self) -> bytes:
        """The last 4 KB, as LogType Tail returns them."""
        return "".join(f"{text}\n" for _at, text in self.events).encode()[-TAIL_BYTES:]


def timestamp(at_ms: int) -> str:
    """Milliseconds since the epoch in ISO 8601."""
    at = dt.datetime.fromtimestamp(at_ms / 1000, dt.UTC)
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def stream_name(version: FunctionVersion, environment_id: str, now: dt.datetime) -> str:
    """The log stream of one environment; a log group that functions share names the function too."""
    shared = version.log_group != f"/aws/lambda/{version.name}"
    function = f"{version.name}" if shared else ""
    return f"{now:%Y/%m/%d}/{function}[{version.version}]{environment_id}"


class LogWriter:
    """Puts events into moto's CloudWatch Logs, creating group and stream on demand.

    It writes with the function's role, as Lambda does: without the permission there is no log. What the
    role may do is asked when an invocation begins. AWS takes seconds to delete a function and for changes
    of its role to be felt, and Lambda hands on lines as they come: the lines of a function that a stack's
    deletion has called last are there.
    Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-cloudwatchlogs.html
    """

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    def write(
        self, version: FunctionVersion, stream: str, events: list[tuple[int, str]], refusal: str | None = None
    ) -> None:
        """Append ``events``, in order of time; what the role may not write is dropped, and told.

        ``refusal`` is what :meth:`refusal` said when the invocation began; it is asked again only where
        that was not, and where the log group has been deleted since.
        """
        if refusal is None or not self._has_group(version):
            refusal = self.refusal(version, stream)
        if refusal:
            self._core.timeline.add(
                "delivery",
                f"logs:{version.name}",
                account_id=version.account_id,
                region=version.region,
                outcome="AccessDenied",
                target=version.log_group,
                lines_dropped=len(events),
                message=refusal,
            )
            return
        batch = [{"timestamp": at, "message": message} for at, message in events]
        with self._core.dispatch_lock:
            backend = logs_backends[version.account_id][version.region]
            backend.ensure_log_group(version.log_group)
            backend.ensure_log_stream(version.log_group, stream)
            backend.put_log_events(version.log_group, stream, batch)

    def _has_group(self, version: FunctionVersion) -> bool:
        with self._core.dispatch_lock:
            return version.log_group in logs_backends[version.account_id][version.region].groups

    def refusal(self, version: FunctionVersion, stream: str) -> str:
        """Why the function's role may not write, in AWS's words; empty when it may."""
        group = f"arn:aws:logs:{version.region}:{version.account_id}:log-group:{version.log_group}"
        group += ":log-stream:"
        with self._core.dispatch_lock:
            groups = logs_backends[version.account_id][version.region].groups
            known = groups.get(version.log_group)
            fresh = known is None or stream not in known.streams
        wanted = [("logs:CreateLogGroup", group)] if known is None else []
        wanted += [("logs:CreateLogStream", f"{group}{stream}")] if fresh else []
        wanted.append(("logs:PutLogEvents", f"{group}{stream}"))
        principal = role_principal(version)
        for action, resource in wanted:
            refusal = self._core.guard.refusal(principal, action, resource, region=version.region)
            if refusal:
                return refusal
        return ""
