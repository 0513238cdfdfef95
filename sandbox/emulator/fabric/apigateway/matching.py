"""Which route answers a request."""

from __future__ import annotations

from sandbox.emulator.fabric.apigateway.model import Kind, Route, Snapshot

_STATIC, _VARIABLE, _GREEDY = 0, 1, 2


def match(kind: Kind, snapshot: Snapshot, method: str, path: str) -> tuple[Route, dict[str, str]] | None:
    """The route for ``method`` and ``path``, with its path parameters.

    HTTP APIs choose among the routes that take the method; REST APIs choose the resource by its path
    alone and then look for the method on it.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-routes.html
    """
    if kind is Kind.REST:
        path = path.rstrip("/") or "/"
    found = []
    for route in snapshot.routes:
        values = _values(route.path, path)
        if values is None or (kind is Kind.HTTP and route.method not in (method, "ANY")):
            continue
        found.append((_rank(route), route, values))
    if kind is Kind.REST and found:
        best = min(rank[0] for rank, _, _ in found)
        found = [item for item in found if item[0][0] == best and item[1].method in (method, "ANY")]
    if not found:
        default = next((route for route in snapshot.routes if route.path == "$default"), None)
        return (default, {}) if default is not None else None
    _, route, values = min(found, key=lambda item: item[0])
    return route, values


def _rank(route: Route) -> tuple[tuple[int, ...], bool]:
    """Smaller is more specific: static before variable before greedy, a method before ANY."""
    kinds = tuple(_kind(segment) for segment in route.path.split("/"))
    return (int(_GREEDY in kinds), *kinds, -len(kinds)), route.method == "ANY"


def _kind(segment: str) -> int:
    if segment.startswith("{") and segment.endswith("}"):
        return _GREEDY if segment.endswith("+}") else _VARIABLE
    return _STATIC


def _values(pattern: str, path: str) -> dict[str, str] | None:
    if pattern == "$default":
        return None
    wanted, given = pattern.split("/"), path.split("/")
    values: dict[str, str] = {}
    for index, segment in enumerate(wanted):
        kind = _kind(segment)
        if kind == _GREEDY:
            rest = "/".join(given[index:])
            if not rest:
                return None
            return {**values, segment[1:-2]: rest}
        if index >= len(given):
            return None
        if kind == _VARIABLE:
            if not given[index]:
                return None
            values[segment[1:-1]] = given[index]
        elif segment != given[index]:
            return None
    return values if len(wanted) == len(given) else None
