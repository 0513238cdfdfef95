"""Integrations with HTTP end points: what they are sent, and what of their answers comes back.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/setup-http-integrations.html
and https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-http.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import quote, urlencode, urlsplit, urlunsplit

from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.mappings import Mapped, Sources, map_request
from sandbox.emulator.fabric.apigateway.model import Integration, Kind
from sandbox.emulator.fabric.web import Reply

_SAFE = "/%:@!$&'()*+,;=~-._"
KINDS = frozenset({"HTTP", "HTTP_PROXY"})
# What is between two neighbours and goes no further.
_HOP = frozenset(
    {
        *("connection", "content-length", "expect", "host", "keep-alive", "proxy-authenticate"),
        *("te", "trailer", "transfer-encoding", "upgrade"),
    }
)
# What REST APIs say themselves; the end point's own is told under another name.
# Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-known-issues.html
_REMAPPED = frozenset({"connection", "content-length", "date", "server", "www-authenticate"})


@dataclass(frozen=True, slots=True)
class Outgoing:
    """The request that an end point is sent."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: bytes


def outgoing(integration: Integration, sources: Sources) -> Outgoing:
    """What the integration's end point is sent.

    Raises:
        Unmapped: the request can't be mapped.
    """
    request, stage = sources.request, sources.stage
    method = request.method if integration.method in ("ANY", "") else integration.method
    if stage.kind is Kind.HTTP:
        url = _filled(integration.address(stage.variables), sources.values)
        if "overwrite:path" in integration.parameters:
            url = urlsplit(url)._replace(path=quote(request.path, safe=_SAFE)).geturl()
        query = list(request.parameters)
        forwarded = f"by=127.0.0.1;for={request.source_ip};host={request.host};proto={request.scheme}"
        extra: tuple[tuple[str, str], ...] = (
            ("forwarded", forwarded),
            ("via", "HTTP/1.1 AmazonAPIGateway"),
        )
        return Outgoing(method, _with_query(url, query), (*_passed(sources), *extra), request.body)
    if integration.kind == "HTTP_PROXY" and not integration.templates:
        mapped = Mapped("")
        body = request.body
        _map_parameters(integration, sources, mapped)
    else:
        mapped = map_request(integration, sources)
        body = mapped.body.encode()
    url = _filled(integration.address(stage.variables), mapped.path)
    own = {name.lower(): value for name, value in mapped.header.items()}
    if integration.kind == "HTTP_PROXY":
        headers = tuple(each for each in _passed(sources) if each[0] not in own)
        query = [each for each in request.parameters if each[0] not in mapped.querystring]
    else:
        content_type = request.header("content-type") or "application/json"
        headers = () if "content-type" in own else (("content-type", content_type),)
        query = []
    told = ("x-amzn-apigateway-api-id", stage.api_id), ("user-agent", f"AmazonAPIGateway_{stage.api_id}")
    names = {name for name, _ in headers} | own.keys()
    extra = tuple(each for each in told if each[0] not in names)
    url = _with_query(url, [*query, *mapped.querystring.items()])
    return Outgoing(method, url, (*headers, *own.items(), *extra), body)


def passed_on(reply: Reply, kind: Kind) -> Answer:
    """An end point's answer as a proxy integration gives it to the caller."""
    headers = []
    for name, value in reply.headers:
        if kind is Kind.REST and name in _REMAPPED:
            headers.append((f"x-amzn-remapped-{name}", value))
        elif name not in _HOP:
            headers.append((name, value))
    return Answer(reply.status, tuple(headers), reply.body)


def _passed(sources: Sources) -> tuple[tuple[str, str], ...]:
    return tuple(each for each in sources.request.headers if each[0] not in _HOP)


def _map_parameters(integration: Integration, sources: Sources, mapped: Mapped) -> None:
    for target, written in integration.parameters.items():
        match = re.fullmatch(r"integration\.request\.(header|path|querystring)\.(.+)", target)
        if match and (value := sources.value(written)):
            getattr(mapped, match[1])[match[2]] = value


def _filled(url: str, values: Mapping[str, str]) -> str:
    """The URL with its ``{name}`` parts filled in."""

    def value(match: re.Match[str]) -> str:
        found = values.get(match[1].removesuffix("+"))
        return match[0] if found is None else quote(found, safe=_SAFE)

    return re.sub(r"\{([\w.-]+\+?)\}", value, url)


def _with_query(url: str, parameters: list[tuple[str, str]]) -> str:
    if not parameters:
        return url
    parts = urlsplit(url)
    query = "&".join(filter(None, (parts.query, urlencode(parameters))))
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, parts.fragment))
