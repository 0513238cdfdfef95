"""An account with API Gateway in it, and functions that answer as a test says."""

from __future__ import annotations

import io
import json
from dataclasses import dataclass
from typing import Any
from urllib.parse import unquote_to_bytes, urlsplit

import pytest

from sandbox.emulator.fabric.apigateway import ApiGateway
from sandbox.emulator.fabric.web import Web as OwnAddresses
from tests.emulator.fabric.fakes import RecordingFunctions, create_function


@dataclass(frozen=True)
class HttpAnswer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def header(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key.lower() == name), None)

    def json(self) -> Any:
        return json.loads(self.body)


class Web:
    """Requests to deployed APIs, the way the gateway hands them over."""

    def __init__(self, gateway: ApiGateway) -> None:
        self.gateway = gateway

    def __call__(
        self, url: str, method: str = "GET", headers: dict[str, str] | None = None, body: bytes = b""
    ) -> HttpAnswer:
        parts = urlsplit(url)
        path = parts.path or "/"
        environ: dict[str, Any] = {
            "REQUEST_METHOD": method,
            "PATH_INFO": _wsgi_path(path),
            "REQUEST_URI": path + (f"?{parts.query}" if parts.query else ""),
            "QUERY_STRING": parts.query,
            "HTTP_HOST": parts.netloc,
            "REMOTE_ADDR": "192.0.2.7",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "wsgi.input": io.BytesIO(body),
        }
        if body:
            environ["CONTENT_LENGTH"] = str(len(body))
        for name, value in (headers or {}).items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        seen: list[Any] = []
        assert self.gateway.find(parts.netloc.partition(":")[0].lower(), environ["PATH_INFO"])
        chunks = self.gateway.wsgi(environ, lambda status, found: seen.extend((status, found)))
        return HttpAnswer(int(seen[0].split()[0]), seen[1], b"".join(chunks))


def _wsgi_path(path: str) -> str:
    return unquote_to_bytes(path).decode("latin-1")


@pytest.fixture
def functions() -> RecordingFunctions:
    return RecordingFunctions(lambda event: {"statusCode": 200, "body": "ok"})


@pytest.fixture
def gateway(account: Any, functions: RecordingFunctions) -> ApiGateway:
    beyond = OwnAddresses(account.gateway.application(), account.core.gateway_port)
    made = ApiGateway(account.core, functions, account.gateway.keys, beyond)
    account.add(made.handlers())
    account.gateway.data_planes.append(made)
    return made


@pytest.fixture
def web(gateway: ApiGateway) -> Web:
    return Web(gateway)


@pytest.fixture
def function_arn(account: Any) -> str:
    """A function ``hello`` that anybody at API Gateway in this account may call."""
    arn = create_function(account, "hello")
    account.client("lambda").add_permission(
        FunctionName="hello",
        StatementId="apis",
        Action="lambda:InvokeFunction",
        Principal="apigateway.amazonaws.com",
        SourceArn=f"arn:aws:execute-api:{account.core.region}:{account.core.account_id}:*",
    )
    return arn


def proxy_uri(region: str, arn: str) -> str:
    """How an integration names a function."""
    return f"arn:aws:apigateway:{region}:lambda:path/2015-03-31/functions/{arn}/invocations"
