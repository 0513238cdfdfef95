"""In-process AWS clients: botocore's own, whose requests never touch a socket."""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable
from typing import Any
from urllib.parse import urlsplit

import botocore.session
from botocore import UNSIGNED, xform_name
from botocore.awsrequest import AWSResponse
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError

from sandbox.emulator.calls import TRACE_HEADER, AwsError, Call, Principal, trace_header
from sandbox.emulator.gateway import cbor
from sandbox.emulator.gateway.requests import HttpAnswer, HttpRequest

Answer = Callable[[HttpRequest, str, str, Principal], HttpAnswer]

_CONFIG = Config(
    signature_version=UNSIGNED,
    retries={"total_max_attempts": 1, "mode": "standard"},
    s3={"addressing_style": "path"},
    parameter_validation=False,
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    inject_host_prefix=False,
)


@functools.cache
def _session() -> Any:
    """One session, so that service models are loaded once; forked accounts share its memory."""
    session = botocore.session.Session(profile=None)
    session.set_config_variable("region", "us-east-1")
    loader = session.get_component("data_loader")
    load = loader.load_service_model

    @functools.cache
    def load_service_model(service_name: str, type_name: str, api_version: str | None = None) -> Any:
        model = load(service_name, type_name, api_version)
        metadata = model.get("metadata", {})
        if cbor.PROTOCOL in metadata.get("protocols", ()):
            # In process there is nothing to win by a protocol that moto does not speak.
            plain = "query" if "query" in metadata["protocols"] else "json"
            return {**model, "metadata": {**metadata, "protocol": plain, "protocols": [plain]}}
        return model

    loader.load_service_model = load_service_model
    return session


def warm_up(services: Iterable[str]) -> None:
    """Load the models that clients are made of; what this process forks then shares them."""
    for service in services:
        _pattern(service, "us-east-1")


@functools.cache
def _pattern(service: str, region: str) -> Any:
    return _session().create_client(
        service,
        region_name=region,
        endpoint_url=f"https://{service}.{region}.amazonaws.com",
        aws_access_key_id="in-process",
        aws_secret_access_key="in-process",
        config=_CONFIG,
    )


class _InProcess:
    """Stands where botocore has its HTTP connections."""

    def __init__(self, send: Callable[[HttpRequest], HttpAnswer]) -> None:
        self._send = send

    def send(self, request: Any) -> AWSResponse:
        answer = self._send(_read_prepared(request))
        headers: Any = _Headers({name.lower(): value for name, value in answer.headers})
        body = answer.body if answer.stream is None else b"".join(answer.stream)
        return AWSResponse(request.url, answer.status, headers, _Raw(body))

    def close(self) -> None:
        """There is nothing to close."""


class _Raw:
    """A response's body as botocore reads it."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def stream(self, *_arguments: Any, **_options: Any) -> Any:
        yield self._body

    def read(self, amount: int | None = None) -> bytes:
        taken = self._body if amount is None else self._body[:amount]
        self._body = self._body[len(taken) :]
        return taken


class Clients:
    """Makes clients that act as a principal; implements ``core.Clients``."""

    def __init__(self, answer: Answer) -> None:
        self._answer = answer
        self._lock = threading.Lock()
        self._made: dict[tuple[str, str, Principal], Any] = {}

    def client(self, service: str, *, region: str, principal: Principal) -> Any:
        """A botocore client whose calls are made as ``principal``. Cached; safe across threads."""
        key = (service, region, principal)
        with self._lock:
            if key not in self._made:
                self._made[key] = self._make(service, region, principal)
            return self._made[key]

    def _make(self, service: str, region: str, principal: Principal) -> Any:
        """A copy of the pattern that sends elsewhere: making a client anew takes botocore 5 to 30 ms."""
        endpoint = copied(_pattern(service, region)._endpoint)
        endpoint.http_session = _InProcess(lambda request: self._answer(request, service, region, principal))
        return copied(_pattern(service, region), _endpoint=endpoint)


def copied(original: Any, **changes: Any) -> Any:
    """A shallow copy; ``copy.copy`` asks a client for attributes that it takes for operations."""
    made = object.__new__(type(original))
    made.__dict__.update(original.__dict__, **changes)
    return made


class _Headers(dict[str, str]):
    """Headers in lower case, found by any spelling."""

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(name.lower(), default)

    def __getitem__(self, name: str) -> str:
        return super().__getitem__(name.lower())

    def __contains__(self, name: object) -> bool:
        return super().__contains__(str(name).lower())


def _read_prepared(request: Any) -> HttpRequest:
    parts = urlsplit(request.url)
    headers = {
        name.lower(): value.decode("latin-1") if isinstance(value, bytes) else str(value)
        for name, value in request.headers.items()
    }
    body = request.body or b""
    if hasattr(body, "read"):
        body = body.read()
    if isinstance(body, str):
        body = body.encode()
    headers.setdefault("host", parts.netloc)
    if header := trace_header():
        headers.setdefault(TRACE_HEADER, header)
    headers["content-length"] = str(len(body))
    return HttpRequest(request.method, parts.path or "/", parts.query, headers, bytes(body))


def perform(client: Any, call: Call) -> dict[str, Any]:
    """Do a call again through a client.

    Raises:
        AwsError: what the service answered.
    """
    try:
        result: dict[str, Any] = getattr(client, xform_name(call.operation))(**call.params)
    except ClientError as error:
        told = error.response["Error"]
        status = error.response["ResponseMetadata"].get("HTTPStatusCode", 400)
        raise AwsError(told.get("Code", "InternalFailure"), told.get("Message", ""), int(status)) from error
    except ParamValidationError as error:
        raise AwsError("ValidationException", str(error), 400) from error
    result.pop("ResponseMetadata", None)
    return result
