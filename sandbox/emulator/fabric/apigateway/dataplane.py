"""Answers requests for deployed APIs."""

from __future__ import annotations

import datetime as dt
import io
import json
import re
import threading
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures import TimeoutError as Overdue
from dataclasses import dataclass, field, replace
from http.client import responses as reasons
from typing import Any
from urllib.parse import unquote

from sandbox.emulator.calls import carrying
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import policies, roles
from sandbox.emulator.fabric.apigateway import (
    access_logs,
    answers,
    http_integrations,
    http_parameters,
    http_services,
    services,
    validation,
)
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.authorization import Authorization, Keys, LetIn, Refused
from sandbox.emulator.fabric.apigateway.caching import ResponseCaches
from sandbox.emulator.fabric.apigateway.deployments import Deployments, Found, find_api
from sandbox.emulator.fabric.apigateway.gateway_responses import shaped
from sandbox.emulator.fabric.apigateway.identities import Asked
from sandbox.emulator.fabric.apigateway.limits import Limits
from sandbox.emulator.fabric.apigateway.mappings import (
    Mapped,
    Sources,
    Unmapped,
    map_request,
    map_response,
    mock_status,
)
from sandbox.emulator.fabric.apigateway.matching import match
from sandbox.emulator.fabric.apigateway.model import Integration, Kind, Route, Stage
from sandbox.emulator.fabric.apigateway.requests import (
    BODY_LIMIT_BYTES,
    BodyTooLarge,
    Request,
    payload_1,
    payload_2,
    read_as_signed,
    read_request,
)
from sandbox.emulator.fabric.apigateway.tracing import RequestTrace, StageTracer
from sandbox.emulator.fabric.apigateway.websockets.integrations import Integrations
from sandbox.emulator.fabric.apigateway.websockets.plane import WebSockets
from sandbox.emulator.fabric.web import OutOfReach, Web
from sandbox.emulator.functions.contract import Functions, InvokeOutcome
from sandbox.emulator.gateway.requests import HttpRequest, raw_path
from sandbox.emulator.telemetry.traces.service import Traces

_HOST = re.compile(r"([a-z0-9]+)\.execute-api(?:\.([a-z0-9-]+))?\.(?:amazonaws\.com|localhost)")
_PATH = re.compile(r"/_aws/execute-api/([a-z0-9]+)(/.*)?")
_SERVICE = "apigateway.amazonaws.com"
# Where a WSGI environment says by which custom domain name a request came.
HOST_KEY = "coldstart.custom_domain"
# More requests than this wait for one of them to be answered.
_MOST_AT_ONCE = 256


@dataclass(slots=True)
class Exchange:
    """One request on its way; what of it is known grows, and is what the logs are told."""

    request: Request
    raw: HttpRequest
    stage: Stage
    started: dt.datetime
    traced: RequestTrace
    mapped: Request | None = None
    """What the integration is sent, where it is not the request as it came in."""
    route: Route | None = None
    values: Mapping[str, str] = field(default_factory=dict)
    function: str = ""
    outcome: InvokeOutcome | None = None
    integration_ms: int | None = None
    integration_status: int | None = None
    """What an integration that is no function answered."""
    latency_ms: int = 0
    cached: str = ""
    """Whether a stage's cache had the answer: ``hit`` or ``miss``; empty without a cache."""
    let_in: LetIn = field(default_factory=LetIn)


class DataPlane:
    """The addresses of deployed APIs."""

    def __init__(
        self,
        core: AccountCore,
        functions: Functions,
        deployments: Deployments,
        keys: Keys | None,
        traces: Traces,
        web: Web | None = None,
        caches: ResponseCaches | None = None,
    ) -> None:
        self._caches = caches or ResponseCaches(core.clock.time)
        self._web = web
        self._core = core
        self._authorization = Authorization(core, functions, keys)
        self._limits = Limits(core)
        self._functions = functions
        self._deployments = deployments
        self._logs = access_logs.AccessLogs(core)
        self._tracer = StageTracer(core, traces)
        self._pool: ThreadPoolExecutor | None = None
        self._pool_lock = threading.Lock()
        self._websockets = WebSockets(
            core,
            deployments,
            self._authorization,
            self._limits,
            self._logs,
            Integrations(core, functions, web, lambda: self._threads().submit),
        )

    @staticmethod
    def find(host: str, path: str) -> bool:
        """Whether the request is for an API: by its Host header, or by a path of ours."""
        return bool(_HOST.fullmatch(host.partition(":")[0].lower()) or _PATH.fullmatch(path))

    def wsgi(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        """Answer a request that :meth:`find` said is for an API."""
        answer = self._answer(environ)
        headers = [(name, value) for name, value in answer.headers if name != "content-length"]
        bare = answer.status in (204, 304) or answer.status < 200
        if not bare:
            headers.append(("content-length", str(len(answer.body))))
        start_response(f"{answer.status} {reasons.get(answer.status, 'Unknown')}", headers)
        return [] if bare or environ["REQUEST_METHOD"] == "HEAD" else [answer.body]

    def _answer(self, environ: dict[str, Any]) -> Answer:
        api_id, path = _address(environ)
        with self._core.dispatch_lock:
            found = find_api(api_id)
            stage, rest = self._stage(found, path) if found is not None else (None, "")
        if found is None:
            return answers.message(403, "Forbidden", error="there is no such API", kind="ForbiddenException")
        if stage is None:
            if found.kind is not Kind.HTTP:
                return answers.message(403, "Forbidden", kind="ForbiddenException")
            return answers.message(404, "Not Found")
        if self._core.faults.region_down(found.region):
            self._note_dark(found, api_id, str(environ["REQUEST_METHOD"]), path)
            return answers.message(503, "Service Unavailable")
        host = str(environ.get(HOST_KEY) or f"{api_id}.execute-api.{found.region}.amazonaws.com")
        if int(environ.get("CONTENT_LENGTH") or 0) > BODY_LIMIT_BYTES:
            return _too_large(stage.kind)
        if stage.kind is Kind.WEBSOCKET:
            return self._websockets.answer(environ, stage, rest, host)
        raw = read_as_signed(environ)
        held = {**environ, "wsgi.input": io.BytesIO(raw.body), "CONTENT_LENGTH": str(len(raw.body))}
        try:
            request = read_request(held, rest if stage.kind is Kind.REST else _decoded(rest), host)
        except BodyTooLarge:
            return _too_large(stage.kind)
        traced = self._tracer.begin(stage, request)
        exchange = Exchange(request, raw, stage, self._core.clock.now(), traced)
        answer = shaped(self._respond(exchange), stage, request, exchange.let_in.authorizer)
        answer = self._with_ids(exchange, answer)
        self._record(exchange, answer)
        self._tracer.tell(traced, stage, request, exchange.function, answer)
        return answer

    def _note_dark(self, found: Found, api_id: str, method: str, path: str) -> None:
        self._core.timeline.add(
            "api",
            f"execute-api:{api_id}",
            account_id=found.account_id,
            region=found.region,
            outcome="ServiceUnavailable",
            status=503,
            method=method,
            path=path,
            reason=f"{found.region} is unavailable",
        )

    def _stage(self, found: Found, path: str) -> tuple[Stage | None, str]:
        """The stage a path names, and the rest of the path."""
        first, _, rest = path.removeprefix("/").partition("/")
        named = self._deployments.stage(found, unquote(first)) if first else None
        if named is not None:
            return named, f"/{rest}"
        if found.kind is not Kind.HTTP:
            return None, path
        return self._deployments.stage(found, "$default"), path

    def _respond(self, exchange: Exchange) -> Answer:
        stage, request = exchange.stage, exchange.request
        cors = stage.snapshot.cors if stage.kind is Kind.HTTP else None
        if stage.snapshot.disabled:
            if stage.kind is Kind.REST:
                return answers.message(403, "Forbidden", kind="ForbiddenException")
            return answers.message(404, "Not Found")
        if cors is not None and request.method == "OPTIONS" and request.header("origin"):
            return answers.preflight(cors, request)
        answer = self._route(exchange)
        return answers.with_cors(answer, cors, request) if cors is not None else answer

    def _route(self, exchange: Exchange) -> Answer:
        stage, request = exchange.stage, exchange.request
        matched = match(stage.kind, stage.snapshot, request.method, request.path)
        if matched is None:
            if stage.kind is Kind.REST:
                return answers.message(
                    403,
                    "Missing Authentication Token",
                    kind="MissingAuthenticationTokenException",
                    reason="MISSING_AUTHENTICATION_TOKEN",
                )
            return answers.message(404, "Not Found")
        exchange.route, exchange.values = matched
        try:
            exchange.let_in = self._let_in(exchange, exchange.route)
        except Refused as refused:
            exchange.let_in = LetIn(refused.authorizer)
            return refused.answer
        missing = _not_emulated(exchange.route)
        if missing:
            return self._gap_in(exchange, missing)
        integration = exchange.route.integration
        if integration is None:
            return answers.refused(stage.kind, "the route has no integration")
        if stage.kind is Kind.HTTP:
            return self._integrated(exchange, exchange.route, integration)
        policy = stage.cache(exchange.route, request.method)
        if policy is None:
            return self._asked(exchange, exchange.route, integration)
        route = exchange.route
        answer, exchange.cached = self._caches.answered(
            policy,
            integration,
            self._sources(exchange, route),
            lambda: self._asked(exchange, route, integration),
        )
        return answer

    def _asked(self, exchange: Exchange, route: Route, integration: Integration) -> Answer:
        """What a REST API's integration answers."""
        call = self._call if integration.kind == "AWS_PROXY" else self._mapped
        return call(exchange, route, integration)

    def _integrated(self, exchange: Exchange, route: Route, integration: Integration) -> Answer:
        """An integration of an HTTP API, with what is mapped before and after it."""
        sources = self._sources(exchange, route)
        if integration.subtype:
            answer = self._first_class(exchange, integration, sources)
        else:
            if integration.parameters:
                exchange.mapped = http_parameters.mapped_request(integration, sources)
            call = self._call if integration.kind == "AWS_PROXY" else self._mapped
            answer = call(exchange, route, integration)
        return http_parameters.mapped_answer(integration, sources, answer)

    def _first_class(self, exchange: Exchange, integration: Integration, sources: Sources) -> Answer:
        try:
            principal = roles.assume(self._core, integration.credentials, _SERVICE)
        except roles.RoleRefused as error:
            return answers.refused(
                Kind.HTTP, f"API Gateway does not have permission to assume the role: {error}"
            )
        began = self._core.clock.time()
        with carrying(exchange.traced.header):
            answer = http_services.perform(
                self._core.clients, principal, integration, http_parameters.Values(sources)
            )
        exchange.integration_ms = round((self._core.clock.time() - began) * 1000)
        exchange.integration_status = answer.status
        return answer

    def _sources(self, exchange: Exchange, route: Route) -> Sources:
        """What mappings may refer to."""
        stage, request, told = exchange.stage, exchange.request, exchange.let_in.authorizer
        context = payload_1(request, stage, route, exchange.values, exchange.started)["requestContext"]
        if stage.kind is Kind.HTTP and told:
            told = told.get("lambda") or told.get("jwt") or told
        context |= {"authorizer": told} if told else {}
        context["identity"] |= exchange.let_in.identity
        context |= {"isCanaryRequest": stage.canary} if stage.canary is not None else {}
        return Sources(exchange.mapped or request, stage, route, exchange.values, context)

    def _let_in(self, exchange: Exchange, route: Route) -> LetIn:
        """Everything that stands before the integration.

        Raises:
            Refused: the request gets no further.
        """
        stage, request = exchange.stage, exchange.request
        asked = Asked(request, exchange.raw, stage, route, exchange.values, exchange.started)
        let_in = self._authorization.let_in(asked)
        if route.api_key_required and stage.kind is Kind.REST:
            answer, key = self._limits.admit(stage, let_in.usage_key or request.header("x-api-key"))
            if answer is not None:
                raise Refused(answer)
            let_in = replace(let_in, identity={**let_in.identity, **key})
        if throttled := self._limits.throttled(stage, route):
            raise Refused(throttled)
        if bad := validation.problem(request, route, exchange.values):
            raise Refused(bad)
        return let_in

    def _call(self, exchange: Exchange, route: Route, integration: Integration) -> Answer:
        stage, request = exchange.stage, exchange.mapped or exchange.request
        exchange.function = integration.function(stage.variables)
        if not exchange.function:
            return self._gap_in(exchange, f"the integration {integration.uri or integration.kind}")
        refusal = "" if integration.credentials else self._refusal(exchange, route)
        if refusal:
            return answers.refused(stage.kind, refusal)
        version = integration.payload_version if stage.kind is Kind.HTTP else "1.0"
        write = payload_2 if version == "2.0" else payload_1
        event = write(request, stage, route, exchange.values, exchange.started)
        if exchange.let_in.authorizer is not None:
            event["requestContext"]["authorizer"] = exchange.let_in.authorizer
        if exchange.let_in.identity:
            event["requestContext"]["identity"] |= exchange.let_in.identity
        began = self._core.clock.time()
        try:
            outcome = self._invoke(exchange, json.dumps(event, ensure_ascii=False).encode(), integration)
        except Overdue:
            return answers.timed_out(stage.kind, f"no answer within {integration.timeout_s:g} s")
        exchange.outcome = outcome
        exchange.integration_ms = round((self._core.clock.time() - began) * 1000)
        if outcome.status == 429 and stage.kind is Kind.HTTP:
            return answers.timed_out(stage.kind, "the function was throttled")
        if outcome.status >= 300:
            return answers.refused(
                stage.kind, f"Lambda invocation failed with status {outcome.status} ({outcome.error_code})"
            )
        if outcome.function_error:
            return answers.internal_error(stage.kind, "the function returned an error")
        try:
            return answers.read_answer(
                outcome.payload, stage.kind, version, stage.snapshot.binary_media_types, request
            )
        except answers.Malformed as error:
            return answers.internal_error(stage.kind, f"Malformed Lambda proxy response: {error}")

    def _mapped(self, exchange: Exchange, route: Route, integration: Integration) -> Answer:
        """An integration that is no proxy: a function, another service, or nothing at all."""
        stage = exchange.stage
        sources = self._sources(exchange, route)
        began = self._core.clock.time()
        try:
            if integration.kind == "MOCK":
                status = mock_status(integration, sources)
                if not status:
                    return answers.refused(Kind.REST, "the MOCK integration's template makes no statusCode")
                return map_response(integration, sources, str(status), "", {})
            if integration.kind in http_integrations.KINDS:
                return self._send(exchange, integration, sources)
            mapped = map_request(integration, sources)
        except Unmapped as error:
            return error.answer
        exchange.function = integration.function(stage.variables)
        answer = (
            self._mapped_function(exchange, route, integration, sources, mapped)
            if exchange.function
            else self._mapped_service(exchange, integration, sources, mapped)
        )
        exchange.integration_ms = round((self._core.clock.time() - began) * 1000)
        return answer

    def _send(self, exchange: Exchange, integration: Integration, sources: Sources) -> Answer:
        """Ask an HTTP end point; one that takes longer than the integration may is not waited for."""
        kind = exchange.stage.kind
        request = http_integrations.outgoing(integration, sources)
        if self._web is None:
            return self._gap_in(exchange, f"{integration.kind} integrations")
        began = self._core.clock.time()
        sending = self._threads().submit(
            self._web.send, request.method, request.url, request.headers, request.body
        )
        try:
            reply = sending.result(integration.timeout_s)
        except OutOfReach as error:
            return self._gap_in(exchange, str(error))
        except Overdue:
            return answers.timed_out(kind, f"no answer within {integration.timeout_s:g} s")
        exchange.integration_ms = round((self._core.clock.time() - began) * 1000)
        exchange.integration_status = reply.status
        if integration.kind == "HTTP_PROXY":
            return http_integrations.passed_on(reply, kind)
        text = reply.body.decode("utf-8", "replace")
        return map_response(integration, sources, str(reply.status), text, dict(reply.headers))

    def _mapped_function(
        self, exchange: Exchange, route: Route, integration: Integration, sources: Sources, mapped: Mapped
    ) -> Answer:
        refusal = "" if integration.credentials else self._refusal(exchange, route)
        if refusal:
            return answers.refused(Kind.REST, refusal)
        try:
            outcome = self._invoke(exchange, mapped.body.encode() or b"{}", integration)
        except Overdue:
            return answers.timed_out(Kind.REST, f"no answer within {integration.timeout_s:g} s")
        exchange.outcome = outcome
        if outcome.status >= 300:
            return answers.refused(Kind.REST, f"Lambda invocation failed with status {outcome.status}")
        body = outcome.payload.decode("utf-8", "replace")
        subject = str(_error_message(body)) if outcome.function_error else ""
        return map_response(integration, sources, subject, body, {})

    def _mapped_service(
        self, exchange: Exchange, integration: Integration, sources: Sources, mapped: Mapped
    ) -> Answer:
        try:
            principal = roles.assume(self._core, integration.credentials, _SERVICE)
        except roles.RoleRefused as error:
            return answers.refused(
                Kind.REST, f"API Gateway does not have permission to assume the role: {error}"
            )
        query = mapped.querystring | ({"x-method": "PUT"} if integration.method == "PUT" else {})
        began = self._core.clock.time()
        try:
            with carrying(exchange.traced.header):
                answer = services.perform(
                    self._core.clients, principal, integration.uri, mapped.body, mapped.path, query
                )
        except services.NotAService:
            return self._gap_in(exchange, f"the integration {integration.uri}")
        exchange.integration_status = answer.status
        exchange.traced.call, exchange.traced.uri = (began, self._core.clock.time()), integration.uri
        return map_response(integration, sources, str(answer.status), answer.body, answer.headers)

    def _invoke(self, exchange: Exchange, payload: bytes, integration: Integration) -> InvokeOutcome:
        """Run the function; one that takes longer than the integration may goes on without us."""
        stage = exchange.stage
        running = self._threads().submit(
            self._functions.invoke,
            exchange.function,
            payload,
            account_id=stage.account_id,
            region=stage.region,
            source=f"apigateway:{stage.api_id}",
            trace_header=exchange.traced.header,
        )
        began = self._core.clock.time()
        try:
            return running.result(integration.timeout_s)
        finally:
            exchange.traced.call = (began, self._core.clock.time())

    def _threads(self) -> ThreadPoolExecutor:
        with self._pool_lock:
            if self._pool is None:
                self._pool = ThreadPoolExecutor(_MOST_AT_ONCE, thread_name_prefix="execute-api")
            return self._pool

    def _refusal(self, exchange: Exchange, route: Route) -> str:
        """Why the function's policy doesn't let this route call it; empty if it does."""
        stage = exchange.stage
        path = route.path if route.path.startswith("/") else f"/{route.path}"
        resource = path if route.path == "$default" else f"/{exchange.request.method}{path}"
        source = (
            f"arn:aws:execute-api:{stage.region}:{stage.account_id}:{stage.api_id}/{stage.name}{resource}"
        )
        try:
            return policies.refusal(
                self._core, exchange.function, policies.Delivery(_SERVICE, source, stage.account_id)
            )
        except ValueError as error:
            return str(error)

    def _with_ids(self, exchange: Exchange, answer: Answer) -> Answer:
        request = exchange.request
        if exchange.stage.kind is Kind.HTTP:
            return answer.with_headers(("apigw-requestid", request.extended_id))
        extra = [("x-amzn-requestid", request.request_id), ("x-amz-apigw-id", request.extended_id)]
        if exchange.outcome is not None:
            extra.append(("x-amzn-trace-id", request.header("x-amzn-trace-id")))
        return answer.with_headers(*extra)

    def _record(self, exchange: Exchange, answer: Answer) -> None:
        stage, request = exchange.stage, exchange.request
        exchange.latency_ms = round((self._core.clock.now() - exchange.started).total_seconds() * 1000)
        self._core.timeline.add(
            "delivery",
            f"apigateway:{stage.api_id}",
            account_id=stage.account_id,
            region=stage.region,
            outcome=answer.error or ("ok" if answer.status < 400 else str(answer.status)),
            method=request.method,
            path=request.path,
            stage=stage.name,
            route=exchange.route.key if exchange.route is not None else "",
            status=answer.status,
            latency_ms=exchange.latency_ms,
            **({"integration_ms": exchange.integration_ms} if exchange.integration_ms is not None else {}),
            **({"api_name": stage.api_name} if stage.api_name else {}),
            **({"canary": stage.canary} if stage.canary is not None else {}),
            **({"cache": exchange.cached} if exchange.cached else {}),
            function=exchange.function,
            **({"reason": answer.error or f"answered {answer.status}"} if answer.status >= 400 else {}),
        )
        if stage.log_destination:
            self._logs.write(exchange, answer)

    def _gap_in(self, exchange: Exchange, what: str) -> Answer:
        stage = exchange.stage
        return self._gap(stage.account_id, stage.region, stage.api_id, what)

    def _gap(self, account_id: str, region: str, api_id: str, what: str) -> Answer:
        text = f"The emulated account does not do this yet: {what}. This is our gap, not your mistake."
        self._core.timeline.add(
            "gap",
            f"apigateway:{api_id}",
            account_id=account_id,
            region=region,
            outcome="NotEmulated",
            message=text,
        )
        return answers.message(501, text, error=f"not emulated: {what}", kind="NotEmulated")


def _address(environ: Mapping[str, Any]) -> tuple[str, str]:
    """Which API is meant, and the percent-encoded path at it."""
    target = raw_path(environ)
    by_path = _PATH.fullmatch(target)
    if by_path:
        path = by_path[2] or "/"
        return by_path[1], re.sub(r"^/(\$|%24)default(?=/|$)", "", path) or "/"
    by_host = _HOST.fullmatch(str(environ.get("HTTP_HOST", "")).partition(":")[0].lower())
    return (by_host[1] if by_host else ""), target or "/"


def _decoded(path: str) -> str:
    return unquote(path, errors="replace")


def _too_large(kind: Kind) -> Answer:
    if kind is Kind.REST:
        return answers.message(
            413, "Request Too Long", kind="RequestTooLargeException", reason="REQUEST_TOO_LARGE"
        )
    return answers.message(413, "Request Entity Too Large")


def _not_emulated(route: Route) -> str:
    integration = route.integration
    if integration is None:
        return ""
    if integration.kind not in ("AWS_PROXY", "AWS", "MOCK", *http_integrations.KINDS):
        return f"{integration.kind} integrations"
    return integration.gap


def _error_message(body: str) -> str:
    """What a function's error says, which integration responses are chosen by."""
    try:
        found = json.loads(body)
    except ValueError:
        return body
    return str(found.get("errorMessage", "")) if isinstance(found, dict) else body
