"""What filter expressions may ask of a trace, or of one visit in it.

Source: https://docs.aws.amazon.com/xray/latest/devguide/xray-console-filters.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from sandbox.emulator.telemetry.traces.views import View, Visit

# A trace as a whole, or the visit that service() and edge() speak of.
Scope = tuple[View, Visit | None]


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _each(scope: Scope) -> tuple[Visit, ...]:
    view, visit = scope
    return view.visits if visit is None else (visit,)


def _own(scope: Scope) -> list[Visit]:
    """As :func:`_each`, without what callers alone tell of."""
    return [visit for visit in _each(scope) if scope[1] is not None or not visit.inferred]


def _http(part: str, name: str) -> Callable[[Scope], Iterable[str]]:
    def values(scope: Scope) -> Iterable[str]:
        for visit in _own(scope):
            found = visit.http.get(part)
            if isinstance(found, dict) and isinstance(found.get(name), str):
                yield found[name]

    return values


FLAGS: dict[str, Callable[[Scope], bool]] = {
    "ok": lambda scope: all(visit.ok for visit in _own(scope)),
    "error": lambda scope: any(visit.error for visit in _own(scope)),
    "fault": lambda scope: any(visit.fault for visit in _own(scope)),
    "throttle": lambda scope: any(visit.throttle for visit in _own(scope)),
    "partial": lambda scope: scope[0].partial,
    "inferred": lambda scope: any(visit.inferred for visit in _each(scope)),
    "remote": lambda scope: any(visit.service.kind == "remote" for visit in _each(scope)),
    "root": lambda scope: any(visit is scope[0].root for visit in _each(scope)),
    "first": lambda scope: any(visit is scope[0].visits[0] for visit in _each(scope)),
    "last": lambda scope: any(visit is scope[0].visits[-1] for visit in _each(scope)),
}
NUMBERS: dict[str, Callable[[Scope], Iterable[float]]] = {
    "responsetime": lambda scope: [
        scope[0].response_time_s if scope[1] is None else scope[1].span.duration_s
    ],
    "duration": lambda scope: [scope[0].span.duration_s if scope[1] is None else scope[1].span.duration_s],
    "http.status": lambda scope: [visit.status for visit in _own(scope) if visit.status is not None],
}
TEXTS: dict[str, Callable[[Scope], Iterable[str]]] = {
    "http.url": _http("request", "url"),
    "http.method": _http("request", "method"),
    "http.useragent": _http("request", "user_agent"),
    "http.clientip": _http("request", "client_ip"),
    "user": lambda scope: [user for user, _service in scope[0].users()],
    "name": lambda scope: [visit.service.name for visit in _each(scope)],
    "type": lambda scope: [visit.service.kind for visit in _each(scope)],
    "resource.arn": lambda scope: [
        str(visit.document["resource_arn"]) for visit in _own(scope) if "resource_arn" in visit.document
    ],
    "message": lambda scope: [
        str(exception.get("message", ""))
        for visit in _own(scope)
        if isinstance(visit.document.get("cause"), dict)
        for exception in _listed(visit.document["cause"].get("exceptions"))
        if isinstance(exception, dict)
    ],
}
