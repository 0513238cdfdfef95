"""moto behind the gateway: one request in, one answer out, under the dispatch lock.

moto's own server wraps each service in a Flask application; its handlers are called directly here,
which halves the cost of a call.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping
from typing import Any

import structlog
from botocore.exceptions import ClientError
from moto import backends
from moto.core import DEFAULT_ACCOUNT_ID
from moto.core.errors import ErrorLookupFactory
from moto.core.request import Request
from moto.core.utils import get_service_model
from moto.s3.models import s3_backends
from werkzeug.exceptions import HTTPException
from werkzeug.routing import BaseConverter, Map, Rule

from sandbox.emulator.calls import AwsError, Principal
from sandbox.emulator.gateway.operations import SERVICES
from sandbox.emulator.gateway.requests import HttpAnswer, HttpRequest

log = structlog.get_logger()

Handler = Callable[[Request, str, dict[str, str]], Any]


class _Pattern(BaseConverter):
    """moto's paths hold regular expressions."""

    part_isolating = False

    def __init__(self, url_map: Map, pattern: str) -> None:
        super().__init__(url_map)
        self.regex = pattern


class _ServedRequest(Request):  # type: ignore[misc]
    """A request that a real server took; moto then leaves the Date header to it."""

    from_wsgi_server = True

    def __init__(self, request: HttpRequest, *, host: str, extra: Mapping[str, str]) -> None:
        super().__init__(request.environ(host=host, extra=extra))
        self._cached_data = request.body  # werkzeug would read it again in pieces


@functools.cache
def _paths(service: str) -> Map:
    backend: Any = backends.get_backend(SERVICES[service])[DEFAULT_ACCOUNT_ID]
    region = "us-east-1" if "us-east-1" in backend else "aws"
    rules = [
        Rule(path, endpoint=handler, strict_slashes=False)
        for path, handler in backend[region].flask_paths.items()
        if path
    ]
    return Map(rules, converters={"regex": _Pattern}, merge_slashes=False)


def warm_up(service: str) -> None:
    """Import the service and compile its paths."""
    if SERVICES[service]:
        _paths(service).update()
        ErrorLookupFactory().for_service(get_service_model(service))


def perform(request: HttpRequest, service: str, principal: Principal, region: str) -> HttpAnswer:
    """Have moto answer. The caller holds the dispatch lock and has verified who asks.

    Raises:
        AwsError: moto lacks the operation (``NotEmulated``) or broke (``InternalFailure``): both are ours.
    """
    if not SERVICES[service]:
        raise AwsError("NotEmulated", f"Coldstart does not emulate this operation of {service} yet.", 501)
    # moto reads the region off the host's name, and the account off this header, which no client can set.
    host = f"{service}.{region}.amazonaws.com"
    extra = {"x-moto-account-id": principal.account_id}
    if "authorization" not in request.headers:
        # Who asks was verified; moto only looks whether anybody signed, and with which key.
        key = principal.access_key_id or "ASIA0000000000000000"
        scope = f"{key}/20200101/{region}/{service}/aws4_request"
        extra["authorization"] = f"AWS4-HMAC-SHA256 Credential={scope}, SignedHeaders=host, Signature=0"
    served = _ServedRequest(request, host=host, extra=extra)
    try:
        handler: Handler = _paths(service).bind(host).match(served.path, method="GET")[0]
    except HTTPException:
        raise AwsError(
            "NotEmulated", f"Coldstart does not emulate {request.method} {request.path} yet.", 501
        ) from None
    try:
        result = handler(served, served.raw_url, dict(served.headers))
    except AwsError:
        raise  # moto would have performed another operation.
    except NotImplementedError as error:
        raise AwsError("NotEmulated", f"Coldstart does not emulate this yet: {error}", 501) from error
    except ClientError as error:
        result = 400, {}, error.response["Error"]["Message"]
    except HTTPException as error:
        result = error.code or 400, dict(error.get_headers()), error.description or ""
    except Exception as error:
        log.exception("moto_failed", service=service, method=request.method, path=request.path)
        raise AwsError(
            "InternalFailure", f"The emulator failed ({type(error).__name__}). This is our fault.", 500
        ) from error
    status, headers, content = result if len(result) == 3 else (200, {}, result)
    return HttpAnswer(int(status), _headers(headers), _body(content))


def bucket_region(name: str) -> str:
    """Where a bucket is; empty when there is none. The caller holds the dispatch lock."""
    _, owner = s3_backends.bucket_accounts.get(name, ("aws", ""))
    bucket = s3_backends[owner]["aws"].buckets.get(name) if owner else None
    return str(bucket.region_name) if bucket is not None else ""


def _headers(given: Any) -> tuple[tuple[str, str], ...]:
    return tuple((str(name), str(value)) for name, value in dict(given).items() if name != "status")


def _body(content: Any) -> bytes:
    if content is None:
        return b""
    if isinstance(content, str):
        return content.encode()
    if isinstance(content, bytes | bytearray):
        return bytes(content)
    if hasattr(content, "read"):
        return bytes(content.read())
    return b"".join(part.encode() if isinstance(part, str) else bytes(part) for part in content)
