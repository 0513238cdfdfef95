"""What a recording shows, as items on lanes; the page only draws them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from graders.timeline.recording import Recording, seconds
from graders.timeline.requests import began, number_requests

GROUPS = (
    "Run",
    "Alarms",
    "Functions",
    "State machines",
    "Deliveries",
    "Calls by functions",
    "Calls from outside",
    "Traces",
    "Metrics",
)
_QUIET = frozenset({"filtered", "no rule matched", "no target", "deduplicated", "started", "superseded"})
_WAITING = frozenset({"retry", "throttled", "returned", "partial", "pending", "held up"})
_ALARM_TONES = {"OK": "ok", "ALARM": "bad", "INSUFFICIENT_DATA": "quiet"}
_OUTCOME_TONES = {"passed": "ok", "partial": "warn", "failed": "bad"}
_LOUD = ("error", "exception", "traceback", "task timed out", "fatal")
_TOLD_APART = ("Bucket", "Key", "TableName", "QueueUrl", "TopicArn", "FunctionName", "StackName", "RoleName")


@dataclass(frozen=True, slots=True)
class Item:
    """Something on a lane, from ``begin`` to ``end`` in seconds since the epoch.

    ``tone`` is ok, bad, warn or quiet; ``request`` the number of the request it belongs to, or 0.
    """

    lane: str
    kind: str
    name: str
    begin: float
    end: float
    tone: str = "ok"
    outcome: str = ""
    request: int = 0
    text: str = ""
    detail: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Lane:
    """A row. ``points`` are pairs of time and value where it is drawn as a line."""

    id: str
    group: str
    name: str
    points: tuple[tuple[float, float], ...] = ()
    note: str = ""


def items(recording: Recording) -> list[Item]:
    """Everything but metrics, in the order in which it began."""
    numbers = number_requests(recording.events)
    found = [
        *_marks(recording),
        *_events(recording, numbers),
        *_faults(recording),
        *_alarms(recording),
        *_executions(recording, numbers),
        *_logs(recording, numbers),
        *_traces(recording, numbers),
    ]
    return sorted(found, key=lambda item: (item.begin, item.end))


def lanes(recording: Recording, shown: list[Item]) -> list[Lane]:
    """The rows, group by group; within a group by name."""
    rows = {item.lane: _lane(item.lane) for item in shown}
    drawn = [*rows.values(), *_metrics(recording)]
    return sorted(drawn, key=lambda lane: (GROUPS.index(lane.group), _rank(lane), lane.name.lower()))


def as_json(item: Item) -> dict[str, Any]:
    """Without what says nothing."""
    return {key: value for key, value in asdict(item).items() if value not in ("", 0, {}) or key == "begin"}


def _lane(name: str) -> Lane:
    group, _, own = name.partition("/")
    return Lane(name, group, own)


def _rank(lane: Lane) -> int:
    first = ("Checks", "Deployments", "Clock", "Faults", "Not emulated")
    return first.index(lane.name) if lane.group == "Run" and lane.name in first else 0


def _marks(recording: Recording) -> Iterator[Item]:
    for mark in recording.marks:
        tone = _OUTCOME_TONES.get(mark.outcome, "quiet")
        yield Item(
            "Run/Checks", "check", mark.name, mark.begin, mark.end, tone, mark.outcome, text=mark.headline
        )


def _events(recording: Recording, numbers: Mapping[int, int]) -> Iterator[Item]:
    for event in recording.events:
        place = place_of(event)
        if place is None:
            continue
        lane, name, tone = place
        detail = {key: value for key, value in event["detail"].items() if value not in (None, "", [], {})}
        text = str(detail.pop("reason", "") or detail.pop("message", "") or "")
        yield Item(
            lane=lane,
            kind=event["kind"],
            name=name,
            begin=_begin(event),
            end=seconds(event["at"]),
            tone=tone,
            outcome=event["outcome"],
            request=numbers.get(event["sequence"], 0),
            text=text,
            detail=detail | {"region": event["region"], "account": event["account_id"]},
        )


def _begin(event: Mapping[str, Any]) -> float:
    if event["kind"] == "clock" and event["detail"].get("before"):
        return seconds(event["detail"]["before"])
    return began(event)


def place_of(event: Mapping[str, Any]) -> tuple[str, str, str] | None:
    """An event's lane, name and tone; None for what is shown as a span of its own."""
    kind, subject, outcome, detail = event["kind"], event["subject"], event["outcome"], event["detail"]
    tone = (
        "ok"
        if outcome == "ok"
        else "quiet"
        if outcome in _QUIET
        else "warn"
        if outcome in _WAITING
        else "bad"
    )
    if kind == "api":
        service, _, operation = subject.partition(":")
        group = "Calls by functions" if detail.get("environment_id") else "Calls from outside"
        return f"{group}/{service}", f"{operation}{_about(detail.get('parameters'))}", tone
    if kind == "invocation":
        return f"Functions/{subject}", f"{subject} for {detail.get('source') or 'a caller'}", tone
    if kind == "delivery":
        if {"method", "path"} <= detail.keys():
            return f"Deliveries/{subject}", f"{detail['method']} {detail['path']}", tone
        return f"Deliveries/{subject}", f"{subject} → {_short(str(detail.get('target', 'nobody')))}", tone
    if kind == "replication":
        return f"Deliveries/{subject}", f"{subject}, {event['region']} → {detail['target']}", tone
    if kind == "deployment":
        tone = "bad" if "ROLLBACK" in outcome or "FAILED" in outcome else "ok"
        return "Run/Deployments", f"{subject} {outcome}", tone
    if kind == "clock":
        return "Run/Clock", f"the clock moved {detail.get('seconds', 0):,.0f} s", "quiet"
    if kind == "gap":
        return "Run/Not emulated", subject, "warn"
    return None if kind in ("fault", "alarm", "execution") else (f"Run/{kind.title()}", subject, tone)


def _about(parameters: Any) -> str:
    named = parameters if isinstance(parameters, Mapping) else {}
    words = [str(named[key]) for key in _TOLD_APART if isinstance(named.get(key), str)]
    return f" {'/'.join(_short(word) for word in words)}" if words else ""


def _short(name: str) -> str:
    """The last part of an ARN or URL."""
    if name.startswith("arn:"):
        return name.split(":", 5)[-1].removeprefix("function:")
    return name.rsplit("/", 1)[-1] if name.startswith("http") else name


def _faults(recording: Recording) -> Iterator[Item]:
    """From when a fault began until it was ended."""
    begun: dict[str, Mapping[str, Any]] = {}
    for event in (each for each in recording.events if each["kind"] == "fault"):
        name = str(event["detail"].get("id", event["subject"]))
        if event["outcome"] == "began":
            begun[name] = event
        elif (start := begun.pop(name, None)) is not None:
            yield _fault(start, seconds(event["at"]))
    for start in begun.values():
        yield _fault(start, recording.end)


def _fault(start: Mapping[str, Any], end: float) -> Item:
    return Item(
        "Run/Faults",
        "fault",
        start["subject"],
        seconds(start["at"]),
        end,
        "warn",
        detail=dict(start["detail"]),
    )


def _alarms(recording: Recording) -> Iterator[Item]:
    """Each alarm's states, one after another."""
    changes = [event for event in recording.events if event["kind"] == "alarm"]
    for name in sorted({event["subject"] for event in changes} | recording.alarms.keys()):
        own = [event for event in changes if event["subject"] == name]
        initial = own[0]["detail"].get("before", "") if own else recording.alarms[name]
        states = [
            (recording.begin, initial, ""),
            *((seconds(e["at"]), e["outcome"], _reason(e)) for e in own),
        ]
        ends = [*(begin for begin, _, _ in states[1:]), recording.end]
        for (begin, state, reason), end in zip(states, ends, strict=True):
            tone = _ALARM_TONES.get(state, "quiet")
            yield Item(f"Alarms/{name}", "alarm", f"{name}: {state}", begin, end, tone, state, text=reason)


def _reason(event: Mapping[str, Any]) -> str:
    return str(event["detail"].get("reason", ""))


def _executions(recording: Recording, numbers: Mapping[int, int]) -> Iterator[Item]:
    begun: dict[str, Mapping[str, Any]] = {}
    for event in (each for each in recording.events if each["kind"] == "execution"):
        arn = str(event["detail"].get("execution", event["sequence"]))
        if event["outcome"] == "started":
            begun[arn] = event
        else:
            yield _execution(begun.pop(arn, event), event, seconds(event["at"]), numbers)
    for start in begun.values():
        yield _execution(start, start, recording.end, numbers)


def _execution(
    start: Mapping[str, Any], last: Mapping[str, Any], end: float, numbers: Mapping[int, int]
) -> Item:
    running = start is last and last["outcome"] == "started"
    return Item(
        lane=f"State machines/{start['subject']}",
        kind="execution",
        name=_short(str(last["detail"].get("execution", start["subject"]))),
        begin=seconds(start["at"]),
        end=end,
        tone="quiet" if running else "ok" if last["outcome"] == "ok" else "bad",
        outcome="running" if running else last["outcome"],
        request=numbers.get(start["sequence"], 0),
        text=str(last["detail"].get("cause", "")),
        detail=dict(last["detail"]),
    )


def _logs(recording: Recording, numbers: Mapping[int, int]) -> Iterator[Item]:
    """Log lines; a function's belong to the invocation whose request they name, or named before."""
    requests = {
        str(event["detail"].get("request_id")): numbers.get(event["sequence"], 0)
        for event in recording.events
        if event["kind"] == "invocation"
    }
    current: dict[tuple[str, str], int] = {}
    for line in recording.logs:
        stream, group = (line["group"], line["stream"]), line["group"]
        message = line["message"].rstrip()
        request = next((number for name, number in requests.items() if name and name in message), None)
        if request is not None:
            current[stream] = request
        lane = (
            f"Functions/{group.removeprefix('/aws/lambda/')}"
            if group.startswith("/aws/lambda/")
            else f"Functions/{group}"
        )
        tone = "bad" if any(word in message.lower() for word in _LOUD) else "quiet"
        yield Item(
            lane=lane,
            kind="log",
            name=message if len(message) <= 240 else f"{message[:239]}…",
            begin=line["at"],
            end=line["at"],
            tone=tone,
            request=current.get(stream, 0),
            text=message if len(message) > 240 else "",
            detail={"group": group, "stream": line["stream"]},
        )


def _traces(recording: Recording, numbers: Mapping[int, int]) -> Iterator[Item]:
    by_trace = {
        event["detail"].get("trace_id"): numbers.get(event["sequence"], 0)
        for event in recording.events
        if event["detail"].get("trace_id")
    }
    for trace in recording.traces:
        begin = trace["StartTime"].timestamp()
        flags = [word for word in ("Fault", "Throttle", "Error") if trace.get(f"Has{word}")]
        yield Item(
            lane="Traces/X-Ray",
            kind="trace",
            name=trace["Id"],
            begin=begin,
            end=begin + float(trace["Duration"]),
            tone="bad" if "Fault" in flags else "warn" if flags else "ok",
            outcome=", ".join(flags).lower(),
            request=by_trace.get(trace["Id"], 0),
            detail={"trace_id": trace["Id"], "segments": trace["Segments"]},
        )


def _metrics(recording: Recording) -> Iterator[Lane]:
    for metric in recording.metrics:
        dimensions = ", ".join(f"{key}={_short(value)}" for key, value in metric["dimensions"].items())
        name = f"{metric['name']} {dimensions}".strip()
        key = f"Metrics/{metric['namespace']}/{name}"
        yield Lane(
            key,
            "Metrics",
            name,
            tuple(metric["points"]),
            f"{metric['namespace']}, {metric['stat'].lower()} by the minute",
        )
