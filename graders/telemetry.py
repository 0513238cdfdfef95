"""What the platform recorded: invocations and logs."""

from __future__ import annotations

import datetime as dt
from dataclasses import dataclass
from typing import Any

from graders.evidence.aws import is_missing
from graders.functions import FunctionView
from sandbox.account import Account


@dataclass(frozen=True, slots=True)
class Mark:
    """A moment in an account: its time and its place in the timeline."""

    at: dt.datetime
    sequence: int


@dataclass(frozen=True, slots=True)
class InvocationRecord:
    """One invocation as the platform recorded it. ``source`` is what caused it, where known."""

    at: str
    request_id: str
    outcome: str = ""
    source: str = ""
    duration_ms: float | None = None


@dataclass(frozen=True, slots=True)
class LogEvent:
    """One log event. ``at`` is account time."""

    at: dt.datetime
    message: str
    stream: str


@dataclass(slots=True)
class Cursor:
    """How far somebody has read an account's timeline, so that only the rest is fetched."""

    sequence: int = 0


def mark(account: Account, cursor: Cursor) -> Mark:
    """This moment."""
    events = account.timeline(cursor.sequence)
    if events:
        cursor.sequence = events[-1]["sequence"]
    return Mark(account.now(), cursor.sequence)


def invocations(account: Account, function: FunctionView, since: Mark | None) -> list[InvocationRecord]:
    """A function's invocations since a moment, from the timeline, or from START lines on a real account."""
    events = account.timeline(since.sequence if since else 0)
    if account.backend == "emulated":
        return [
            _record(event)
            for event in events
            if event["kind"] == "invocation" and _is_of(event["subject"], function.name)
        ]
    starts = [
        event
        for event in logs(account, function.log_group, since)
        if event.message.startswith("START RequestId: ")
    ]
    return [InvocationRecord(event.at.isoformat(), event.message.split()[2]) for event in starts]


def logs(account: Account, group: str, since: Mark | None) -> list[LogEvent]:
    """The events of a log group since a moment, oldest first; none when the group does not exist."""
    client = account.client("logs")
    arguments: dict[str, Any] = {"logGroupName": group}
    if since is not None:
        arguments["startTime"] = int(since.at.timestamp() * 1000)
    found: list[LogEvent] = []
    try:
        while True:
            page = client.filter_log_events(**arguments)
            found += [
                LogEvent(
                    dt.datetime.fromtimestamp(event["timestamp"] / 1000, dt.UTC),
                    event["message"].rstrip("\n"),
                    event.get("logStreamName", ""),
                )
                for event in page["events"]
            ]
            if not page.get("nextToken"):
                return found
            arguments["nextToken"] = page["nextToken"]
    except Exception as error:  # narrowed at once: only a missing group is an answer
        if is_missing(error):
            return []
        raise


def log_groups(account: Account) -> dict[str, int]:
    """The days that each log group of the account keeps its events, 0 for ever, by name."""
    client = account.client("logs")
    arguments: dict[str, str] = {}
    found: dict[str, int] = {}
    while True:
        page = client.describe_log_groups(**arguments)
        found |= {item["logGroupName"]: int(item.get("retentionInDays") or 0) for item in page["logGroups"]}
        if not page.get("nextToken"):
            return found
        arguments["nextToken"] = page["nextToken"]


def _is_of(subject: str, name: str) -> bool:
    return subject == name or subject.startswith(f"{name}:")


def _record(event: dict[str, Any]) -> InvocationRecord:
    detail = event.get("detail", {})
    return InvocationRecord(
        at=event["at"],
        request_id=str(detail.get("request_id", "")),
        outcome=str(event.get("outcome", "")),
        source=str(detail.get("source", "")),
        duration_ms=detail.get("duration_ms"),
    )
