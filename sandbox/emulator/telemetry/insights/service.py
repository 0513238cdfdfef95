"""The API of Logs Insights: queries that run, and definitions that are kept.

Source: https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_StartQuery.html
"""

from __future__ import annotations

import threading
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.telemetry.insights.groups import LogGroups
from sandbox.emulator.telemetry.insights.pipeline import Answer, run
from sandbox.emulator.telemetry.insights.reader import MOST_ROWS, Malformed, NotEvaluated, read_query
from sandbox.emulator.telemetry.insights.syntax import Command
from sandbox.emulator.telemetry.insights.values import shown

_MOST_GROUPS, _LONGEST_QUERY = 50, 10_000
_KEPT_S = 7 * 86_400
_AROUND_MS = 8 * 60_000
_LATELY_MS = 15 * 60_000
_NAMED_BY = ("logGroupName", "logGroupNames", "logGroupIdentifiers")


@dataclass(slots=True)
class Query:
    """One query: Scheduled until it is run, then Complete, or Cancelled."""

    id: str
    source: str
    commands: Sequence[Command]
    groups: Sequence[str]
    start_ms: int
    end_ms: int
    limit: int | None
    created_s: float
    status: str = "Scheduled"
    answer: Answer = field(default_factory=lambda: Answer([], 0))
    scanned: int = 0
    scanned_bytes: int = 0


class Insights:
    """Runs queries on the account's work queue and keeps what they found for a week."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self._groups = LogGroups(core)
        self._lock = threading.Lock()
        self._queries: dict[tuple[str, str], dict[str, Query]] = {}

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        return {
            ("logs", "StartQuery"): self._start,
            ("logs", "StopQuery"): self._stop,
            ("logs", "GetQueryResults"): self._results,
            ("logs", "DescribeQueries"): self._describe,
            ("logs", "GetLogRecord"): self._record,
            ("logs", "GetLogGroupFields"): self._fields,
        }

    def _of(self, call: Call) -> dict[str, Query]:
        """The queries of an account and region; those too old are forgotten."""
        found = self._queries.setdefault((call.account_id, call.region), {})
        now = self._core.clock.time()
        for query in [each for each in found.values() if each.created_s < now - _KEPT_S]:
            del found[query.id]
        return found

    def _start(self, call: Call) -> dict[str, Any]:
        params = call.params
        if params.get("queryLanguage") not in (None, "CWLI"):
            raise _not_emulated(f"queries in {params['queryLanguage']}")
        start_s, end_s = int(params["startTime"]), int(params["endTime"])
        if start_s > end_s:
            raise AwsError("InvalidParameterException", "End time should not be before start time.")
        limit = params.get("limit")
        if limit is not None and not 1 <= int(limit) <= MOST_ROWS:
            raise AwsError(
                "InvalidParameterException",
                f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: "
                f"Member must have value between 1 and {MOST_ROWS}",
            )
        if len(params["queryString"]) > _LONGEST_QUERY:
            raise AwsError(
                "InvalidParameterException",
                "1 validation error detected: Value at 'queryString' failed to satisfy constraint: "
                f"Member must have length less than or equal to {_LONGEST_QUERY}",
            )
        commands = _read(str(params["queryString"]))
        names = self._groups.named(call, _named(params))
        # Both ends belong to the range, and a second is as long as it is.
        query = Query(
            id=str(uuid.uuid4()),
            source=str(params["queryString"]),
            commands=commands,
            groups=names,
            start_ms=start_s * 1000,
            end_ms=end_s * 1000 + 999,
            limit=int(limit) if limit is not None else None,
            created_s=self._core.clock.time(),
        )
        if not self._groups.may_hold(call, names, query.end_ms):
            message = (
                "Query's end date and time is either before the log groups creation time or exceeds the "
                f"log groups log retention settings ([{start_s},{end_s}])"
            )
            raise AwsError("MalformedQueryException", message, queryCompileError={"message": message})
        with self._lock:
            self._of(call)[query.id] = query
        self._core.work.submit(lambda: self._run(call, query), label="logs: a query of Logs Insights")
        return {"queryId": query.id}

    def _run(self, call: Call, query: Query) -> None:
        with self._lock:
            if query.status != "Scheduled":
                return
            query.status = "Running"
        events = self._groups.events(call, query.groups, query.start_ms, query.end_ms)
        try:
            answer = run(query.commands, events, int(self._core.clock.time() * 1000), query.limit)
        except RecursionError:
            # A sum of thousands of terms; AWS's limits for these are not documented.
            with self._lock:
                query.status = "Failed"
            return
        with self._lock:
            query.scanned, query.answer = len(events), answer
            query.scanned_bytes = sum(len(event.message.encode()) for event in events)
            if query.status == "Running":
                query.status = "Complete"

    def _find(self, call: Call) -> Query:
        query = self._of(call).get(call.params["queryId"])
        if query is None:
            raise AwsError("ResourceNotFoundException", "The specified query does not exist.")
        return query

    def _stop(self, call: Call) -> dict[str, Any]:
        with self._lock:
            query = self._find(call)
            if query.status not in ("Scheduled", "Running"):
                raise AwsError(
                    "InvalidParameterException", f"Query is not in a running state. Status: {query.status}"
                )
            query.status = "Cancelled"
        return {"success": True}

    def _results(self, call: Call) -> dict[str, Any]:
        with self._lock:
            query = self._find(call)
            statistics = {
                "recordsMatched": float(query.answer.matched),
                "recordsScanned": float(query.scanned),
                "estimatedRecordsSkipped": 0.0,
                "bytesScanned": float(query.scanned_bytes),
                "estimatedBytesSkipped": 0.0,
                "logGroupsScanned": float(len(query.groups) if query.status == "Complete" else 0),
            }
            return {
                "queryLanguage": "CWLI",
                "results": query.answer.rows,
                "statistics": statistics,
                "status": query.status,
            }

    def _describe(self, call: Call) -> dict[str, Any]:
        params = call.params
        group, status = params.get("logGroupName"), params.get("status")
        language = params.get("queryLanguage")
        with self._lock:
            found = [
                {
                    "queryLanguage": "CWLI",
                    "queryId": query.id,
                    "queryString": query.source,
                    "status": query.status,
                    "createTime": int(query.created_s * 1000),
                    "logGroupName": group or query.groups[0],
                }
                for query in reversed(self._of(call).values())
                if group in (None, *query.groups) and status in (None, query.status)
            ]
        return page("queries", found if language in (None, "CWLI") else [], params)

    def _record(self, call: Call) -> dict[str, Any]:
        event = self._groups.at(call, str(call.params["logRecordPointer"]))
        if event is None:
            raise AwsError("InvalidParameterException", "The specified log record pointer is not valid.")
        return {"logRecord": {name: shown(event.get(name)) for name in event.names()}}

    def _fields(self, call: Call) -> dict[str, Any]:
        """The share of recent events that have each field, in percent."""
        params = call.params
        names = self._groups.named(
            call, [str(params.get("logGroupName") or params.get("logGroupIdentifier") or "")]
        )
        now_ms = int(self._core.clock.time() * 1000)
        start, end = now_ms - _LATELY_MS, now_ms
        if params.get("time") is not None:
            center = int(params["time"]) * 1000
            start, end = center - _AROUND_MS, center + _AROUND_MS
        events = self._groups.events(call, names, start, end)
        counts: dict[str, int] = {}
        for event in events:
            for name in event.names():
                counts[name] = counts.get(name, 0) + 1
        told = [{"name": name, "percent": round(100 * n / len(events))} for name, n in counts.items()]
        return {"logGroupFields": sorted(told, key=lambda each: (-int(str(each["percent"])), each["name"]))}


def page(
    member: str, found: list[dict[str, Any]], params: Mapping[str, Any], size: int = 50
) -> dict[str, Any]:
    """One page of a list, and where the next one begins."""
    first, most = int(params.get("nextToken") or 0), int(params.get("maxResults") or size)
    more = {"nextToken": str(first + most)} if first + most < len(found) else {}
    return {member: found[first : first + most], **more}


def _named(params: Mapping[str, Any]) -> list[str]:
    given = [name for name in _NAMED_BY if params.get(name)]
    if len(given) != 1:
        raise AwsError(
            "InvalidParameterException",
            "Exactly one of logGroupName, logGroupNames or logGroupIdentifiers has to be given.",
        )
    found = params[given[0]]
    names = [str(found)] if isinstance(found, str) else [str(name) for name in found]
    if len(names) > _MOST_GROUPS:
        raise AwsError("InvalidParameterException", f"A query can be of at most {_MOST_GROUPS} log groups.")
    return names


def _read(source: str) -> Sequence[Command]:
    try:
        return read_query(source)
    except Malformed as error:
        raise AwsError(
            "MalformedQueryException",
            error.message,
            queryCompileError={
                "location": {"startCharOffset": error.start, "endCharOffset": error.end},
                "message": error.message,
            },
        ) from None
    except NotEvaluated as error:
        raise _not_emulated(f"`{error}` in Logs Insights queries") from None


def _not_emulated(what: str) -> AwsError:
    return AwsError("NotEmulated", f"Coldstart does not emulate {what}; this is a gap of ours.", 501)
