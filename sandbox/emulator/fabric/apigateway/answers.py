"""What comes back to the caller: a function's answer read by the rules of its payload format."""

from __future__ import annotations

import base64
import binascii
import json
from dataclasses import dataclass, replace
from typing import Any

from sandbox.emulator.fabric.apigateway.model import Cors, Kind
from sandbox.emulator.fabric.apigateway.requests import Request, matches_media_type

# The server in front sets these; a function's own would make the answer unreadable.
_NOT_THEIRS = frozenset({"content-length", "connection", "transfer-encoding", "keep-alive", "upgrade"})
_PROXY_KEYS = frozenset({"statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded", "cookies"})


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP response; ``error`` says for the logs what went wrong.

    ``reason`` is the type of gateway response that a REST API answers by itself (``UNAUTHORIZED``), empty
    for what an integration answered.
    """

    status: int
    headers: tuple[tuple[str, str], ...]
    body: bytes
    error: str = ""
    reason: str = ""

    @property
    def text(self) -> str:
        """The ``message`` of an answer of API Gateway's own, or empty."""
        try:
            found = json.loads(self.body)
        except ValueError:
            return ""
        return str(found.get("message", "")) if isinstance(found, dict) else ""

    def with_headers(self, *extra: tuple[str, str]) -> Answer:
        """The same with more headers."""
        return replace(self, headers=(*self.headers, *extra))


class Malformed(ValueError):
    """The function's answer is not one a proxy integration can use."""


def message(
    status: int, text: str | None, *, error: str = "", kind: str = "", reason: str = "", key: str = "message"
) -> Answer:
    """An answer of API Gateway's own."""
    headers = [("content-type", "application/json")]
    if kind:
        headers.append(("x-amzn-errortype", kind))
    body = json.dumps({key: text}, separators=(",", ":")).encode()
    return Answer(status, tuple(headers), body, error, reason)


def internal_error(kind: Kind, error: str) -> Answer:
    """The integration broke: 502 of a REST API, 500 of an HTTP API."""
    if kind is Kind.REST:
        return message(
            502,
            "Internal server error",
            error=error,
            kind="InternalServerErrorException",
            reason="INTEGRATION_FAILURE",
        )
    return message(500, "Internal Server Error", error=error)


def timed_out(kind: Kind, error: str) -> Answer:
    """The integration took too long."""
    if kind is Kind.REST:
        return message(
            504,
            "Endpoint request timed out",
            error=error,
            kind="GatewayTimeoutException",
            reason="INTEGRATION_TIMEOUT",
        )
    return message(503, "Service Unavailable", error=error)


def refused(kind: Kind, error: str) -> Answer:
    """API Gateway may not call the function, or the function can't take the call."""
    if kind is Kind.REST:
        return message(
            500,
            "Internal server error",
            error=error,
            kind="InternalServerErrorException",
            reason="API_CONFIGURATION_ERROR",
        )
    return message(500, "Internal Server Error", error=error)


def read_answer(
    payload: bytes, kind: Kind, version: str, binary_types: tuple[str, ...], request: Request
) -> Answer:
    """What a function returned, as an HTTP response.

    Raises:
        Malformed: says what is wrong with it.
    """
    try:
        returned = json.loads(payload) if payload else None
    except ValueError:
        raise Malformed("the function returned no JSON") from None
    if version == "2.0" and not (isinstance(returned, dict) and "statusCode" in returned):
        text = returned if isinstance(returned, str) else payload.decode()
        return Answer(200, (("content-type", "application/json"),), text.encode())
    if not isinstance(returned, dict):
        raise Malformed("the function returned no JSON object")
    if kind is Kind.REST and (unknown := returned.keys() - (_PROXY_KEYS - {"cookies"})):
        raise Malformed(f"the function's answer has unknown keys: {', '.join(sorted(unknown))}")
    status = _status(returned.get("statusCode", 200 if kind is Kind.REST else None))
    headers = _headers(returned, version)
    names = {name for name, _ in headers}
    if "content-type" not in names:
        default = "application/json" if kind is Kind.REST else "text/plain; charset=utf-8"
        headers.append(("content-type", default))
    return Answer(status, tuple(headers), _body(returned, kind, binary_types, request))


def _status(given: Any) -> int:
    if isinstance(given, str) and given.isdigit():
        given = int(given)
    if not isinstance(given, int) or isinstance(given, bool) or not 100 <= given <= 599:
        raise Malformed(f"the statusCode is {given!r}")
    return given


def _headers(returned: dict[str, Any], version: str) -> list[tuple[str, str]]:
    single, multiple = returned.get("headers") or {}, returned.get("multiValueHeaders") or {}
    if not isinstance(single, dict) or not isinstance(multiple, dict):
        raise Malformed("the headers are not a JSON object")
    if version == "2.0":
        multiple = {}
    many = {str(name).lower() for name in multiple}
    found = [
        (str(name).lower(), _header(value)) for name, value in single.items() if str(name).lower() not in many
    ]
    for name, values in multiple.items():
        if not isinstance(values, list):
            raise Malformed("multiValueHeaders holds something other than lists")
        found += [(str(name).lower(), _header(value)) for value in values]
    cookies = returned.get("cookies") or []
    if version == "2.0" and isinstance(cookies, list):
        found += [("set-cookie", _header(cookie)) for cookie in cookies]
    return [(name, value) for name, value in found if name not in _NOT_THEIRS and name.isascii()]


def _header(value: Any) -> str:
    if isinstance(value, bool):
        value = str(value).lower()
    if not isinstance(value, str | int | float):
        raise Malformed("a header is not text")
    # A line break would let a function write headers of its own into the answer.
    return str(value).replace("\r", "").replace("\n", " ").encode("latin-1", "replace").decode("latin-1")


def _body(returned: dict[str, Any], kind: Kind, binary_types: tuple[str, ...], request: Request) -> bytes:
    body = returned.get("body")
    if body is None:
        return b""
    if isinstance(body, int | float | bool) and kind is Kind.HTTP:
        body = json.dumps(body)
    if not isinstance(body, str):
        raise Malformed("the body is not text")
    if returned.get("isBase64Encoded") is True:
        accept = request.header("accept") or "*/*"
        if kind is Kind.HTTP or matches_media_type(binary_types, accept):
            try:
                return base64.b64decode(body, validate=True)
            except (binascii.Error, ValueError):
                raise Malformed("the body is not Base64") from None
    return body.encode()


def preflight(cors: Cors, request: Request) -> Answer:
    """An HTTP API's own answer to a CORS preflight; without CORS headers if it isn't allowed."""
    origin = cors.allowed_origin(request.header("origin"))
    method = request.header("access-control-request-method").upper()
    if not origin or not ({method, "*"} & set(cors.methods)):
        return Answer(204, (), b"")
    headers = [("access-control-allow-origin", origin)]
    headers += [("access-control-allow-methods", ",".join(cors.methods))] * bool(cors.methods)
    headers += [("access-control-allow-headers", ",".join(cors.headers))] * bool(cors.headers)
    headers += [("access-control-max-age", str(cors.max_age_s))] * (cors.max_age_s is not None)
    headers += [("access-control-allow-credentials", "true")] * cors.credentials
    return Answer(204, tuple(headers), b"")


def with_cors(answer: Answer, cors: Cors, request: Request) -> Answer:
    """An HTTP API with CORS configured replaces what the function said about CORS."""
    kept = tuple(item for item in answer.headers if not item[0].startswith("access-control-"))
    origin = cors.allowed_origin(request.header("origin")) if request.header("origin") else ""
    if origin:
        kept += (("access-control-allow-origin", origin),)
        kept += (("access-control-allow-credentials", "true"),) * cors.credentials
        kept += (("access-control-expose-headers", ",".join(cors.expose)),) * bool(cors.expose)
    return replace(answer, headers=kept)
