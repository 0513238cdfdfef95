"""What a span tells of a request by HTTP, in the old words of OpenTelemetry's conventions and the new ones.

Source: https://opentelemetry.io/docs/specs/semconv/http/http-spans/
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.telemetry.otlp.spans import SERVER, Span

# Each thing by the names it has had, the newest last.
_METHOD = ("http.method", "http.request.method")
_STATUS = ("http.status_code", "http.response.status_code")
_CLIENT_IP = ("http.client_ip", "client.address")
_AGENT = ("http.user_agent", "user_agent.original")
_URL = ("http.url", "url.full")
_SCHEME = ("http.scheme", "url.scheme")
_TARGET = ("http.target",)
_PATH, _QUERY = ("url.path",), ("url.query",)
_PEER_IP = ("net.peer.ip", "net.sock.peer.addr", "network.peer.address")
_OF_HTTP = (
    _METHOD,
    _STATUS,
    _CLIENT_IP,
    _AGENT,
    _URL,
    _SCHEME,
    ("http.host",),
    _TARGET,
    ("http.server_name",),
    _PATH,
)
_OF_HOSTS = (
    *(("net.host.name",), ("host.name",), ("net.peer.name",), ("server.address",), _PEER_IP, _QUERY),
    *(("net.host.port",), ("net.peer.port",), ("server.port",)),
)
_USUAL = {"http": "80", "https": "443"}


def http_block(span: Span, left: dict[str, Any]) -> dict[str, Any] | None:
    """X-Ray's ``http``; takes what it tells out of ``left``. None where no request is told of."""
    given = span.attributes
    for names in (*_OF_HTTP, *_OF_HOSTS):
        for name in names:
            left.pop(name, None)
    if not any(name in given for names in _OF_HTTP for name in names):
        return None
    forwarded = _first(given, _CLIENT_IP)
    request = {
        "method": _first(given, _METHOD),
        "url": _url(given, serving=span.kind == SERVER),
        "user_agent": _first(given, _AGENT),
        "client_ip": forwarded or _first(given, _PEER_IP),
        "x_forwarded_for": bool(forwarded),
    }
    status = next((given[name] for name in _STATUS if isinstance(given.get(name), int)), None)
    response = {"status": status, "content_length": _received(span)}
    return {
        name: kept
        for name, block in (("request", request), ("response", response))
        if (kept := {key: value for key, value in block.items() if value not in ("", None, False)})
    }


def _first(given: Mapping[str, Any], names: tuple[str, ...]) -> str:
    """What is said by the first of these names that says something."""
    return next((str(given[name]) for name in names if given.get(name) not in (None, "")), "")


def _url(given: Mapping[str, Any], *, serving: bool) -> str:
    if whole := _first(given, _URL):
        return whole
    hosts: tuple[str, ...]
    if serving:
        hosts, ports = ("http.server_name", "net.host.name", "host.name"), ("net.host.port",)
    else:
        hosts, ports = ("net.peer.name", *_PEER_IP), ("net.peer.port",)
    host, port = _first(given, ("http.host",)), ""
    if not host:
        host, port = _first(given, (*hosts, "server.address")), _first(given, (*ports, "server.port"))
    if not host:
        return ""
    scheme = _first(given, _SCHEME) or "http"
    query = _first(given, _QUERY)
    target = _first(given, _TARGET) or _first(given, _PATH) + (f"?{query}" if query else "") or "/"
    return f"{scheme}://{host}{f':{port}' if port and port != _USUAL.get(scheme) else ''}{target}"


def _received(span: Span) -> int | None:
    """How long the answer was, where an event of the span or the span itself says so."""
    for told in (span.attributes, *(event.attributes for event in span.events)):
        size = told.get("messaging.message_payload_size_bytes")
        if told.get("message.type") == "RECEIVED" and isinstance(size, int):
            return size
    return None
