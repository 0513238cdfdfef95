"""An HTTP request as a Lambda function sees it: payload formats 1.0 and 2.0."""

from __future__ import annotations

import base64
import datetime as dt
import secrets
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import parse_qsl

from sandbox.emulator.fabric.apigateway.model import Kind, Route, Stage
from sandbox.emulator.gateway.requests import HttpRequest, read_environ

# Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/limits.html
BODY_LIMIT_BYTES = 10_485_760

_TEXT_TYPES = ("application/json", "application/javascript", "application/xml")


# Where a WSGI environment has the request's target as the client wrote it, and signed it.
SIGNED_KEY = "coldstart.signed_target"


class BodyTooLarge(Exception):
    """The request's body is larger than API Gateway takes."""


@dataclass(frozen=True, slots=True)
class Request:
    """A request that came in for an API; ``headers`` in order, names in lower case.

    ``path`` is what follows the stage: still percent-encoded for REST APIs, decoded for HTTP APIs.
    ``request_id`` is what REST APIs call it, ``extended_id`` is the id that HTTP APIs give.
    """

    method: str
    host: str
    path: str
    query: str
    headers: tuple[tuple[str, str], ...]
    body: bytes
    source_ip: str
    protocol: str
    scheme: str = "https"
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    extended_id: str = field(default_factory=lambda: base64.b64encode(secrets.token_bytes(11)).decode())

    def header(self, name: str) -> str:
        """All values of a header, joined by commas; empty if there is none."""
        return ",".join(value for key, value in self.headers if key == name)

    @property
    def parameters(self) -> list[tuple[str, str]]:
        """The query's parameters, in order."""
        return parse_qsl(self.query, keep_blank_values=True)


def read_as_signed(environ: dict[str, Any]) -> HttpRequest:
    """The whole request as its client signed it, whatever it was turned into on the way to the API."""
    request = read_environ(environ)
    target = str(environ.get(SIGNED_KEY) or "").partition("?")[0]
    return replace(request, path=target) if target else request


def read_request(environ: Mapping[str, Any], path: str, host: str) -> Request:
    """The request in a WSGI environment, ``path`` being what follows the API's address.

    Raises:
        BodyTooLarge: it is; nothing more is read.
    """
    headers = [
        (name.removeprefix("HTTP_").replace("_", "-").lower(), str(value))
        for name, value in environ.items()
        if (name.startswith("HTTP_") or name in ("CONTENT_TYPE", "CONTENT_LENGTH")) and value != ""
    ]
    headers = [(name, host if name == "host" else value) for name, value in headers if name != "connection"]
    trace = dict(headers).get("x-amzn-trace-id")
    if not trace:
        headers.append(("x-amzn-trace-id", new_trace()))
    source = str(environ.get("REMOTE_ADDR", "127.0.0.1"))
    given = dict(headers)
    if "x-forwarded-for" not in given:
        headers += [("x-forwarded-for", source)]
    headers += [("x-forwarded-port", "443")] * ("x-forwarded-port" not in given)
    headers += [("x-forwarded-proto", "https")] * ("x-forwarded-proto" not in given)
    length = int(environ.get("CONTENT_LENGTH") or 0)
    if length > BODY_LIMIT_BYTES:
        raise BodyTooLarge
    stream = environ["wsgi.input"]
    if length:
        body = stream.read(length)
    elif environ.get("wsgi.input_terminated"):
        body = stream.read(BODY_LIMIT_BYTES + 1)
    else:
        body = b""
    if len(body) > BODY_LIMIT_BYTES:
        raise BodyTooLarge
    return Request(
        method=str(environ["REQUEST_METHOD"]).upper(),
        host=host,
        path=path,
        query=str(environ.get("QUERY_STRING", "")),
        headers=tuple(sorted(headers)),
        body=body,
        source_ip=source,
        protocol=str(environ.get("SERVER_PROTOCOL", "HTTP/1.1")),
    )


def new_trace() -> str:
    """A new trace header value. Its time is part of the id by X-Ray's rules."""
    now = int(dt.datetime.now(dt.UTC).timestamp())
    return f"Root=1-{now:08x}-{secrets.token_hex(12)}"


def is_text(media_type: str) -> bool:
    """Whether an HTTP API hands a body of this type over as text."""
    bare = media_type.split(";")[0].strip().lower()
    return not bare or bare.startswith("text/") or bare in _TEXT_TYPES or bare.endswith(("+json", "+xml"))


def matches_media_type(wanted: tuple[str, ...], given: str) -> bool:
    """Whether a Content-Type or Accept value is one of an API's binary media types."""
    bare = given.split(",")[0].split(";")[0].strip().lower()
    return any(
        kind in ("*/*", bare) or (kind.endswith("/*") and bare.startswith(kind[:-1])) for kind in wanted
    )


def payload_2(
    request: Request, stage: Stage, route: Route, values: Mapping[str, str], now: dt.datetime
) -> dict[str, Any]:
    """Payload format 2.0 of HTTP APIs.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-develop-integrations-lambda.html
    """
    headers: dict[str, str] = {}
    for name, value in request.headers:
        if name != "cookie":
            headers[name] = f"{headers[name]},{value}" if name in headers else value
    query: dict[str, str] = {}
    for name, value in request.parameters:
        query[name] = f"{query[name]},{value}" if name in query else value
    cookies = [part.strip() for part in request.header("cookie").split(";") if part.strip()]
    path = _full_path(request, stage)
    body, encoded = _body(request, not is_text(request.header("content-type")))
    event: dict[str, Any] = {
        "version": "2.0",
        "routeKey": route.key,
        "rawPath": path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": stage.account_id,
            "apiId": stage.api_id,
            "domainName": request.host,
            "domainPrefix": request.host.split(".")[0],
            "http": {
                "method": request.method,
                "path": path,
                "protocol": request.protocol,
                "sourceIp": request.source_ip,
                "userAgent": request.header("user-agent"),
            },
            "requestId": request.extended_id,
            "routeKey": route.key,
            "stage": stage.name,
            "time": common_log_time(now),
            "timeEpoch": int(now.timestamp() * 1000),
        },
        "isBase64Encoded": encoded,
    }
    optional: dict[str, Any] = {
        "cookies": cookies,
        "queryStringParameters": query,
        "pathParameters": dict(values),
        "stageVariables": dict(stage.variables),
        "body": body,
    }
    return event | {name: value for name, value in optional.items() if value}


def payload_1(
    request: Request, stage: Stage, route: Route, values: Mapping[str, str], now: dt.datetime
) -> dict[str, Any]:
    """Payload format 1.0: REST APIs, and HTTP APIs that ask for it (with a ``version``).

    Source: https://docs.aws.amazon.com/lambda/latest/dg/services-apigateway.html
    """
    rest = stage.kind is Kind.REST
    multi_headers: dict[str, list[str]] = {}
    for name, value in request.headers:
        multi_headers.setdefault("-".join(part.capitalize() for part in name.split("-")), []).append(value)
    multi_query: dict[str, list[str]] = {}
    for name, value in request.parameters:
        multi_query.setdefault(name, []).append(value)
    content_type = request.header("content-type")
    binary = (
        matches_media_type(stage.snapshot.binary_media_types, content_type)
        if rest
        else not is_text(content_type)
    )
    body, encoded = _body(request, binary)
    context: dict[str, Any] = {
        "resourceId": route.resource_id,
        "resourcePath": route.path,
        "httpMethod": request.method,
        "extendedRequestId": request.extended_id,
        "requestTime": common_log_time(now),
        "path": f"/{stage.name}{request.path}" if rest else _full_path(request, stage),
        "accountId": stage.account_id,
        "protocol": request.protocol,
        "stage": stage.name,
        "domainPrefix": request.host.split(".")[0],
        "requestTimeEpoch": int(now.timestamp() * 1000),
        "requestId": request.request_id if rest else request.extended_id,
        "identity": {
            "cognitoIdentityPoolId": None,
            "accountId": None,
            "cognitoIdentityId": None,
            "caller": None,
            "sourceIp": request.source_ip,
            "principalOrgId": None,
            "accessKey": None,
            "cognitoAuthenticationType": None,
            "cognitoAuthenticationProvider": None,
            "userArn": None,
            "userAgent": request.header("user-agent") or None,
            "user": None,
        },
        "domainName": request.host,
        "deploymentId": stage.deployment_id,
        "apiId": stage.api_id,
    }
    event = {
        "resource": route.path,
        "path": request.path if rest else _full_path(request, stage),
        "httpMethod": request.method,
        "headers": {name: held[-1] for name, held in multi_headers.items()} or None,
        "multiValueHeaders": multi_headers or None,
        "queryStringParameters": {name: held[-1] for name, held in multi_query.items()} or None,
        "multiValueQueryStringParameters": multi_query or None,
        "pathParameters": dict(values) or None,
        "stageVariables": dict(stage.variables) or None,
        "requestContext": context,
        "body": body or None,
        "isBase64Encoded": encoded,
    }
    return event if rest else {"version": "1.0", **event}


def _full_path(request: Request, stage: Stage) -> str:
    return request.path if stage.name == "$default" else f"/{stage.name}{request.path}"


def _body(request: Request, binary: bool) -> tuple[str, bool]:
    if not request.body:
        return "", False
    if not binary:
        try:
            return request.body.decode(), False
        except UnicodeDecodeError:
            if not request.header("content-type"):
                return base64.b64encode(request.body).decode(), True
            return request.body.decode(errors="replace"), False
    return base64.b64encode(request.body).decode(), True


def common_log_time(now: dt.datetime) -> str:
    """A time as access logs write it; month names never follow the machine's language."""
    months = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
    return f"{now.day:02d}/{months[now.month - 1]}/{now:%Y:%H:%M:%S} +0000"
