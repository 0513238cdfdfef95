"""Answers at functions' own addresses.

Source: https://docs.aws.amazon.com/lambda/latest/dg/urls-invocation.html and, for streams,
https://docs.aws.amazon.com/lambda/latest/dg/configuration-response-streaming.html
"""

from __future__ import annotations

import io
import json
import re
from collections.abc import Iterable, Iterator, Mapping
from http.client import responses as reasons
from typing import Any, Protocol
from urllib.parse import unquote

from waitress.channel import ClientDisconnected

from sandbox.emulator.calls import AwsError, Principal, PrincipalKind
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.apigateway import answers
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.model import Cors, Kind, Route, Snapshot, Stage
from sandbox.emulator.fabric.apigateway.requests import BodyTooLarge, Request, payload_2, read_request
from sandbox.emulator.functions.contract import InvokeOutcome
from sandbox.emulator.functions.execution import Invocation
from sandbox.emulator.functions.names import FunctionName
from sandbox.emulator.functions.streaming import Chunk, ResponseStream
from sandbox.emulator.functions.urls.access import UrlAccess
from sandbox.emulator.functions.urls.configs import FunctionUrl, FunctionUrls
from sandbox.emulator.gateway.requests import raw_path, read_environ

_HOST = re.compile(r"([a-z0-9]+)\.lambda-url\.(?:[a-z0-9-]+\.on\.aws|localhost)")
_PATH = re.compile(r"/_aws/lambda-url/([a-z0-9]+)(/.*)?")
REQUEST_LIMIT_BYTES = 6 * 1024 * 1024
PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response"
_PRELUDE_END = bytes(8)
_PRELUDE_LIMIT_BYTES = 64 * 1024
_FORBIDDEN = (
    "Forbidden. For troubleshooting Function URL authorization issues, see: "
    "https://docs.aws.amazon.com/lambda/latest/dg/urls-auth.html"
)


class Runner(Protocol):
    """Runs one invocation, whole or streamed."""

    def run(self, name: FunctionName, invocation: Invocation) -> InvokeOutcome:
        """Run it now."""

    def stream(self, name: FunctionName, invocation: Invocation) -> ResponseStream:
        """Run it now, and have its response as it comes."""


class UrlDataPlane:
    """The addresses of functions; implements ``gateway.edge.DataPlane``."""

    def __init__(self, core: AccountCore, urls: FunctionUrls, access: UrlAccess, runner: Runner) -> None:
        self._core = core
        self._urls = urls
        self._access = access
        self._runner = runner

    def find(self, host: str, path: str) -> bool:
        """Whether the request is for a function URL: by its Host header, or by a path of ours."""
        return bool(_HOST.fullmatch(host) or _PATH.fullmatch(path))

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request that :meth:`find` said is for a function URL."""
        answer, rest = self._answer(environ)
        headers = [(name, value) for name, value in answer.headers if name != "content-length"]
        bare = answer.status in (204, 304) or answer.status < 200
        if rest is None and not bare:
            headers.append(("content-length", str(len(answer.body))))
        start_response(f"{answer.status} {reasons.get(answer.status, 'Unknown')}", headers)
        if bare or environ["REQUEST_METHOD"] == "HEAD":
            return []
        return [answer.body] if rest is None else rest

    def _answer(self, environ: dict[str, Any]) -> tuple[Answer, Iterator[bytes] | None]:
        url_id, path = _address(environ)
        url = self._urls.find(url_id)
        if url is None:
            return _refused(403, "AccessDeniedException", None), None
        if self._core.faults.region_down(url.name.region):
            return _refused(503, "ServiceUnavailableException", "Service Unavailable"), None
        if int(environ.get("CONTENT_LENGTH") or 0) > REQUEST_LIMIT_BYTES:
            return _refused(413, "RequestEntityTooLargeException", "Request Entity Too Large"), None
        raw = read_environ(environ)
        held = {**environ, "wsgi.input": io.BytesIO(raw.body), "CONTENT_LENGTH": str(len(raw.body))}
        try:
            request = read_request(held, path, url.host)
        except BodyTooLarge:
            return _refused(413, "RequestEntityTooLargeException", "Request Entity Too Large"), None
        cors = _cors(url)
        if cors is not None and request.method == "OPTIONS" and request.header("origin"):
            told = answers.preflight(cors, request)
            return Answer(200, told.headers, b""), None
        try:
            caller = self._access.caller(url, raw)
            refusal = self._access.refusal(url, caller)
        except AwsError as error:
            answer = _refused(403, error.code, error.message)
            refusal = error.message
        else:
            answer = _refused(403, "AccessDeniedException", _FORBIDDEN)
        rest: Iterator[bytes] | None = None
        if not refusal:
            answer, rest = self._invoke(url, request, caller)
        if cors is not None:
            answer = answers.with_cors(answer, cors, request)
        self._record(url, request, answer, refusal)
        ids = (
            ("x-amzn-requestid", request.request_id),
            ("x-amzn-trace-id", request.header("x-amzn-trace-id")),
        )
        return answer.with_headers(*ids), rest

    def _invoke(
        self, url: FunctionUrl, request: Request, caller: Principal
    ) -> tuple[Answer, Iterator[bytes] | None]:
        invocation = Invocation(
            payload=json.dumps(self._event(url, request, caller), ensure_ascii=False).encode(),
            source=f"url:{url.url_id}",
            trace_header=request.header("x-amzn-trace-id"),
            request_id=request.request_id,
        )
        if url.invoke_mode == "RESPONSE_STREAM":
            return _streamed(self._runner.stream(url.name, invocation))
        outcome = self._runner.run(url.name, invocation)
        if outcome.status >= 400 or outcome.function_error:
            return _failed(outcome), None
        try:
            return answers.read_answer(outcome.payload, Kind.HTTP, "2.0", (), request), None
        except answers.Malformed as error:
            return _broken(str(error)), None

    def _event(self, url: FunctionUrl, request: Request, caller: Principal) -> dict[str, Any]:
        """Payload format 2.0, as HTTP APIs have it, with the caller as its authorizer."""
        anonymous = caller.kind is PrincipalKind.ANONYMOUS
        stage = Stage(
            kind=Kind.HTTP,
            api_id=url.url_id,
            account_id="anonymous" if anonymous else caller.account_id,
            region=url.name.region,
            name="$default",
            deployment_id="",
            variables={},
            snapshot=Snapshot(()),
        )
        event = payload_2(request, stage, Route("ANY", "$default", None), {}, self._core.clock.now())
        event["requestContext"]["requestId"] = request.request_id
        if not anonymous:
            user_id = self._access.unique_id(caller)
            event["requestContext"]["authorizer"] = {
                "iam": {
                    "accessKey": caller.access_key_id,
                    "accountId": caller.account_id,
                    "callerId": user_id,
                    "cognitoIdentity": None,
                    "principalOrgId": None,
                    "userArn": caller.arn,
                    "userId": user_id,
                }
            }
        return event

    def _record(self, url: FunctionUrl, request: Request, answer: Answer, refusal: str) -> None:
        self._core.timeline.add(
            "delivery",
            f"url:{url.url_id}",
            account_id=url.name.account_id,
            region=url.name.region,
            outcome=refusal or answer.error or ("ok" if answer.status < 400 else str(answer.status)),
            method=request.method,
            path=request.path,
            status=answer.status,
            function=url.name.qualified_arn,
            request_id=request.request_id,
            **(
                {"reason": refusal or answer.error or f"answered {answer.status}"}
                if answer.status >= 400
                else {}
            ),
        )


def _address(environ: Mapping[str, Any]) -> tuple[str, str]:
    """Which address is meant, and the decoded path at it."""
    target = raw_path(environ)
    by_path = _PATH.fullmatch(target)
    if by_path:
        return by_path[1], unquote(by_path[2] or "/", errors="replace")
    by_host = _HOST.fullmatch(str(environ.get("HTTP_HOST", "")).partition(":")[0].lower())
    return (by_host[1] if by_host else ""), unquote(target or "/", errors="replace")


def _cors(url: FunctionUrl) -> Cors | None:
    if not url.cors:
        return None
    given = url.cors
    return Cors(
        origins=tuple(given.get("AllowOrigins") or ()),
        methods=tuple(method.upper() for method in given.get("AllowMethods") or ()),
        headers=tuple(name.lower() for name in given.get("AllowHeaders") or ()),
        expose=tuple(name.lower() for name in given.get("ExposeHeaders") or ()),
        max_age_s=given.get("MaxAge"),
        credentials=bool(given.get("AllowCredentials")),
    )


def _refused(status: int, kind: str, message: str | None) -> Answer:
    headers = (("content-type", "application/json"), ("x-amzn-errortype", kind))
    return Answer(status, headers, json.dumps({"Message": message}, separators=(",", ":")).encode(), kind)


def _broken(error: str) -> Answer:
    """The function did not answer as it should."""
    headers = (("content-type", "application/json"), ("x-amzn-errortype", "InternalServerErrorException"))
    return Answer(502, headers, b"Internal Server Error", error)


def _failed(outcome: InvokeOutcome) -> Answer:
    if outcome.status == 429:
        headers = (("content-type", "application/json"), ("x-amzn-errortype", outcome.error_code))
        return Answer(429, headers, outcome.payload, "throttled")
    return _broken(outcome.error_code or "the function returned an error")


def _streamed(stream: ResponseStream) -> tuple[Answer, Iterator[bytes] | None]:
    """Status and headers from the stream's prelude, if it has one; then the rest as it comes."""
    if (outcome := stream.begin()) is not None:
        return _failed(outcome), None
    chunks = stream.chunks()
    first = next(chunks, None)
    if first is None:
        assert stream.outcome is not None
        if stream.outcome.function_error:
            return _failed(stream.outcome), None
        return Answer(200, (("content-type", "application/octet-stream"),), b""), None
    if not first.content_type.startswith(PRELUDE_TYPE):
        return Answer(200, (("content-type", first.content_type),), b""), _rest(first.data, chunks, stream)
    held = bytearray(first.data)
    while _PRELUDE_END not in held and len(held) <= _PRELUDE_LIMIT_BYTES:
        more = next(chunks, None)
        if more is None:
            break
        held += more.data
    prelude, end, body = bytes(held).partition(_PRELUDE_END)
    try:
        if not end:
            raise ValueError("the stream's metadata does not end")
        answer = _read_prelude(prelude)
    except ValueError as error:
        stream.abandon()
        return _broken(str(error)), None
    return answer, _rest(body, chunks, stream)


def _read_prelude(prelude: bytes) -> Answer:
    told = json.loads(prelude)
    if not isinstance(told, dict):
        raise ValueError("the stream's metadata is no JSON object")
    given = {**told, "statusCode": told.get("statusCode", 200), "body": ""}
    request = Request("GET", "", "/", "", (), b"", "", "")
    answer = answers.read_answer(json.dumps(given).encode(), Kind.HTTP, "2.0", (), request)
    if not any(str(name).lower() == "content-type" for name in told.get("headers") or {}):
        kept = tuple(item for item in answer.headers if item[0] != "content-type")
        return Answer(answer.status, (*kept, ("content-type", "application/octet-stream")), b"")
    return answer


def _rest(first: bytes, chunks: Iterator[Chunk], stream: ResponseStream) -> Iterator[bytes]:
    try:
        if first:
            yield first
        for chunk in chunks:
            yield chunk.data
        if stream.outcome is not None and stream.outcome.function_error:
            # The status is sent long since: the connection breaks off, so the client sees it is not whole.
            raise ClientDisconnected
    finally:
        stream.abandon()
