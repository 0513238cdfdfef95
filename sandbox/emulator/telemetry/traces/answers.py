"""Traces in the shapes that X-Ray's API tells of them."""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable
from typing import Any

from sandbox.emulator.telemetry.traces.views import CLIENT, Arrival, ServiceName, View, Visit, linked


def moment(seconds: float) -> dt.datetime:
    """A time as the API's."""
    return dt.datetime.fromtimestamp(seconds, dt.UTC)


def summary(view: View) -> dict[str, Any]:
    """What GetTraceSummaries tells of a trace.

    Source: https://docs.aws.amazon.com/xray/latest/api/API_TraceSummary.html
    """
    own, root = [visit for visit in view.visits if not visit.inferred], view.root
    found: dict[str, Any] = {
        "Id": view.trace.trace_id,
        "StartTime": moment(view.span.start),
        "Duration": round(view.span.duration_s, 3),
        "ResponseTime": round(view.response_time_s, 3),
        "HasFault": any(visit.fault for visit in own),
        "HasError": any(visit.error for visit in own),
        "HasThrottle": any(visit.throttle for visit in own),
        "IsPartial": view.partial,
        "Http": {} if root is None else _http(root),
        "Annotations": _annotations(view),
        "Users": [{"UserName": user, "ServiceIds": [_service_id(service)]} for user, service in view.users()],
        "ServiceIds": [_service_id(service) for service in dict.fromkeys(v.service for v in view.visits)],
        "ResourceARNs": [
            {"ARN": arn}
            for arn in dict.fromkeys(
                str(visit.document["resource_arn"]) for visit in own if "resource_arn" in visit.document
            )
        ],
        "Revision": view.trace.revision,
    }
    if root is not None:
        found["EntryPoint"] = _service_id(root.service)
    return found


def _http(root: Visit) -> dict[str, Any]:
    request = root.http.get("request")
    asked = request if isinstance(request, dict) else {}
    told = {
        "HttpURL": asked.get("url"),
        "HttpMethod": asked.get("method"),
        "UserAgent": asked.get("user_agent"),
        "ClientIp": asked.get("client_ip"),
        "HttpStatus": root.status,
    }
    return {name: value for name, value in told.items() if value is not None}


def _annotations(view: View) -> dict[str, list[dict[str, Any]]]:
    found: dict[str, list[dict[str, Any]]] = {}
    for key, value, service in view.annotations():
        kind = "Boolean" if isinstance(value, bool) else "String" if isinstance(value, str) else "Number"
        entry = {"AnnotationValue": {f"{kind}Value": value}, "ServiceIds": [_service_id(service)]}
        if entry not in found.setdefault(key, []):
            found[key].append(entry)
    return found


def _service_id(service: ServiceName) -> dict[str, Any]:
    return {
        "Name": service.name,
        "Names": [service.name],
        **({"Type": service.kind} if service.kind else {}),
    }


def service_graph(views: Iterable[View]) -> list[dict[str, Any]]:
    """Nodes with what was seen of them, and edges to whom they called.

    Source: https://docs.aws.amazon.com/xray/latest/api/API_Service.html
    """
    views = list(views)
    arrivals = linked(views)
    told = [id(arrival.visit) for arrival in arrivals]
    visits = [visit for each in views for visit in each.visits]
    called = [visit for visit in visits if id(visit) not in told]
    by_service: dict[ServiceName, list[Visit]] = {}
    for visit in visits:
        if id(visit) not in told:
            by_service.setdefault(visit.caller, [])
        by_service.setdefault(visit.service, []).append(visit)
    numbers = {service: number for number, service in enumerate(by_service)}
    return [_node(service, of, called, arrivals, numbers) for service, of in by_service.items()]


def _node(
    service: ServiceName,
    of: list[Visit],
    visits: list[Visit],
    arrivals: list[Arrival],
    numbers: dict[ServiceName, int],
) -> dict[str, Any]:
    calls: dict[ServiceName, list[Visit]] = {}
    for visit in visits:
        if visit.caller == service:
            calls.setdefault(visit.service, []).append(visit)
    taken: dict[ServiceName, list[Arrival]] = {}
    for arrival in arrivals:
        if arrival.source == service:
            taken.setdefault(arrival.visit.service, []).append(arrival)
    seen = of or [visit for each in calls.values() for visit in each]
    made: dict[str, Any] = {
        "ReferenceId": numbers[service],
        "Name": service.name,
        "Names": [service.name],
        "Type": service.kind,
        "State": "unknown" if service == CLIENT else "active",
        **_times(seen),
        "Edges": [
            {
                "ReferenceId": numbers[called],
                **_times(each),
                "SummaryStatistics": _statistics(each),
                "ResponseTimeHistogram": _histogram(each),
                "Aliases": [],
            }
            for called, each in calls.items()
        ]
        + [
            {
                "ReferenceId": numbers[taker],
                **_times([arrival.visit for arrival in each]),
                "SummaryStatistics": _statistics([arrival.visit for arrival in each]),
                "ReceivedEventAgeHistogram": _counted(arrival.age_s for arrival in each),
                "EdgeType": "link",
                "Aliases": [],
            }
            for taker, each in taken.items()
        ],
    }
    if service == CLIENT:
        return made
    if any(visit.caller == CLIENT for visit in visits if visit.service == service):
        made["Root"] = True
    histogram = _histogram(of)
    made |= {"SummaryStatistics": _statistics(of), "DurationHistogram": histogram}
    made["ResponseTimeHistogram"] = histogram
    account = next((visit.account_id for visit in of if visit.account_id), "")
    return made | ({"AccountId": account} if account else {})


def _times(visits: list[Visit]) -> dict[str, Any]:
    start = min(visit.span.start for visit in visits)
    return {"StartTime": moment(start), "EndTime": moment(max(visit.span.end for visit in visits))}


def _statistics(visits: list[Visit]) -> dict[str, Any]:
    """Each visit counts once: as a fault, else as a throttle, else as an error."""
    faults = sum(visit.fault for visit in visits)
    throttles = sum(visit.throttle and not visit.fault for visit in visits)
    errors = sum(visit.error and not visit.throttle and not visit.fault for visit in visits)
    return {
        "OkCount": len(visits) - faults - throttles - errors,
        "ErrorStatistics": {
            "ThrottleCount": throttles,
            "OtherCount": errors,
            "TotalCount": throttles + errors,
        },
        "FaultStatistics": {"OtherCount": faults, "TotalCount": faults},
        "TotalCount": len(visits),
        "TotalResponseTime": round(sum(visit.span.duration_s for visit in visits), 3),
    }


def _histogram(visits: list[Visit]) -> list[dict[str, Any]]:
    return _counted(visit.span.duration_s for visit in visits)


def _counted(durations: Iterable[float]) -> list[dict[str, Any]]:
    """Durations to the millisecond, and how often each came."""
    counts: dict[float, int] = {}
    for duration_s in durations:
        value = round(duration_s, 3)
        counts[value] = counts.get(value, 0) + 1
    return [{"Value": value, "Count": count} for value, count in sorted(counts.items())]
