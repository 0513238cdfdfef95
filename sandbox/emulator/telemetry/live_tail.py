"""Live Tail: log events handed on while they come in.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartLiveTail.html
"""

from __future__ import annotations

import json
import queue
import threading
import time
import uuid
from collections.abc import Iterator, Mapping
from typing import Any

from moto.core.utils import unix_time_millis
from moto.logs.models import logs_backends

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.functions.streaming import frame
from sandbox.emulator.telemetry.ingestion import LogIngestion
from sandbox.emulator.telemetry.pattern_conditions import BadPattern
from sandbox.emulator.telemetry.patterns import Pattern, read_pattern

_MOST_GROUPS = 10
# AWS allows 15 sessions; each occupies a thread of the gateway.
_MOST_SESSIONS = 8
_MOST_EVENTS = 500
_UPDATE_S = 1.0
_SESSION_S = 3 * 3600.0
_WAITING = 20_000
_JSON = "application/json"


class LiveTail:
    """Holds the sessions that listen; hands each what its groups, streams and pattern let through."""

    def __init__(self, core: AccountCore, ingestion: LogIngestion) -> None:
        self._core = core
        self._lock = threading.Lock()
        self._sessions: list[Session] = []
        ingestion.listeners.append(self._take)

    def handlers(self) -> Handlers:
        """The operation it takes over from moto."""
        return {("logs", "StartLiveTail"): self._start}

    def _start(self, call: Call) -> dict[str, Any]:
        session = Session(call, self._read(call))
        with self._lock:
            if len(self._sessions) >= _MOST_SESSIONS:
                raise AwsError(
                    "LimitExceededException",
                    f"At most {_MOST_SESSIONS} Live Tail sessions can be open at a time.",
                )
            self._sessions.append(session)
        return {"responseStream": self._frames(session)}

    def _read(self, call: Call) -> Pattern:
        params = call.params
        groups = list(params["logGroupIdentifiers"])
        names, prefixes = params.get("logStreamNames"), params.get("logStreamNamePrefixes")
        if len(groups) > _MOST_GROUPS:
            raise _invalid(f"A session can be of at most {_MOST_GROUPS} log groups.")
        if names and prefixes:
            raise _invalid("Only one of logStreamNames and logStreamNamePrefixes can be given.")
        if (names or prefixes) and len(groups) != 1:
            raise _invalid("Log streams can be chosen in a single log group only.")
        with self._core.dispatch_lock:
            known = {group.arn for group in logs_backends[call.account_id][call.region].groups.values()}
        for arn in groups:
            if not arn.startswith("arn:") or arn.endswith("*"):
                raise _invalid(f"'{arn}' is not the ARN of a log group; it must not end with an asterisk.")
            if arn not in known:
                raise AwsError("ResourceNotFoundException", f"The log group {arn} does not exist.")
        try:
            return read_pattern(params.get("logEventFilterPattern") or "")
        except BadPattern as error:
            raise _invalid(str(error)) from None

    def _take(self, stream: Any, events: list[dict[str, Any]]) -> None:
        """Called with the dispatch lock held, as events come in."""
        with self._lock:
            sessions = list(self._sessions)
        for session in sessions:
            session.offer(stream, events)

    def _frames(self, session: Session) -> Iterator[bytes]:
        try:
            yield from session.frames()
        finally:
            with self._lock:
                self._sessions.remove(session)


class Session:
    """One session: what it wants, and what waits to be sent to it."""

    def __init__(self, call: Call, pattern: Pattern) -> None:
        self._params: Mapping[str, Any] = call.params
        self._request_id = call.request_id
        self._groups = frozenset(call.params["logGroupIdentifiers"])
        self._names = frozenset(call.params.get("logStreamNames") or ())
        self._prefixes = tuple(call.params.get("logStreamNamePrefixes") or ())
        self._pattern = pattern
        self._waiting: queue.SimpleQueue[dict[str, Any]] = queue.SimpleQueue()

    def offer(self, stream: Any, events: list[dict[str, Any]]) -> None:
        """Keep what the session wants of new events; whoever reads too slowly sees a sample."""
        name = stream.log_stream_name
        if stream.log_group.arn not in self._groups or (self._names and name not in self._names):
            return
        if self._prefixes and not name.startswith(self._prefixes):
            return
        for event in events:
            if self._pattern.matches(event["message"]) and self._waiting.qsize() < _WAITING:
                self._waiting.put(
                    {
                        "logStreamName": name,
                        "logGroupIdentifier": stream.log_group.arn,
                        "message": event["message"],
                        "timestamp": event["timestamp"],
                        "ingestionTime": int(unix_time_millis(stream.last_ingestion_time)),
                    }
                )

    def frames(self) -> Iterator[bytes]:
        """The event stream: a start, an update every second, and an exception when the time is over."""
        yield frame("initial-response", _JSON, b"{}")
        chosen = ("logGroupIdentifiers", "logStreamNames", "logStreamNamePrefixes")
        start = {
            "requestId": self._request_id,
            "sessionId": str(uuid.uuid4()),
            **{name: list(self._params.get(name) or ()) for name in chosen},
            "logEventFilterPattern": self._params.get("logEventFilterPattern") or "",
        }
        yield _frame("sessionStart", start)
        until = time.monotonic() + _SESSION_S
        while time.monotonic() < until:
            found = self._collect()
            sampled = len(found) > _MOST_EVENTS
            update = {"sessionMetadata": {"sampled": sampled}, "sessionResults": found[:_MOST_EVENTS]}
            yield _frame("sessionUpdate", update)
        message = json.dumps({"message": "The session has been open for three hours."}).encode()
        yield frame("SessionTimeoutException", _JSON, message, kind="exception")

    def _collect(self) -> list[dict[str, Any]]:
        """What comes in within a second."""
        found: list[dict[str, Any]] = []
        until = time.monotonic() + _UPDATE_S
        while (left := until - time.monotonic()) > 0:
            try:
                found.append(self._waiting.get(timeout=left))
            except queue.Empty:
                break
        return found


def _frame(event: str, payload: Mapping[str, Any]) -> bytes:
    return frame(event, _JSON, json.dumps(payload, separators=(",", ":")).encode())


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)
