"""What a WebSocket API's routes call: functions, other services, HTTP end points, or nothing at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from concurrent.futures import TimeoutError as Overdue
from dataclasses import dataclass, replace
from typing import Any

from sandbox.emulator.calls import carrying
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import policies, roles
from sandbox.emulator.fabric.apigateway import http_integrations, services
from sandbox.emulator.fabric.apigateway.mappings import (
    Sources,
    Unmapped,
    map_request,
    map_response,
    mock_status,
)
from sandbox.emulator.fabric.apigateway.model import Integration, IntegrationResponse, Route, Stage
from sandbox.emulator.fabric.apigateway.requests import Request
from sandbox.emulator.fabric.apigateway.websockets.selection import DEFAULT, select
from sandbox.emulator.fabric.web import OutOfReach, Web
from sandbox.emulator.functions.contract import Functions

_SERVICE = "apigateway.amazonaws.com"
_JSON = "application/json"
Submit = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Result:
    """What came of an integration; ``error`` says what was wrong with calling it. ``gap``: it is ours."""

    status: int
    body: str = ""
    headers: Mapping[str, str] | None = None
    error: str = ""
    function: str = ""
    gap: bool = False


class Integrations:
    """Calls them. ``submit`` gives what runs something in a thread, so that nobody waits for too long."""

    def __init__(
        self, core: AccountCore, functions: Functions, web: Web | None, submit: Callable[[], Submit]
    ) -> None:
        self._core = core
        self._functions = functions
        self._web = web
        self._submit = submit

    def perform(self, stage: Stage, route: Route, request: Request, event: Mapping[str, Any]) -> Result:
        """Call a route's integration with a message, or with a client's coming or going."""
        integration = route.integration
        if integration is None:
            return Result(500, error="the route has no integration")
        if integration.gap:
            return Result(501, error=integration.gap, gap=True)
        header = request.header("x-amzn-trace-id")
        if integration.kind == "AWS_PROXY":
            return self._proxy(stage, route, integration, event, header)
        text = str(event.get("body", ""))
        asked = replace(request, body=text.encode(), headers=(("content-type", _JSON),))
        sources = Sources(asked, stage, route, {}, event["requestContext"])
        try:
            return self._mapped(_of_message(integration, text), sources, header)
        except Unmapped as error:
            return Result(error.answer.status, error=error.answer.error or error.answer.text)
        except Overdue:
            return Result(504, error=f"no answer within {integration.timeout_s:g} s")

    def _proxy(
        self, stage: Stage, route: Route, integration: Integration, event: Mapping[str, Any], header: str
    ) -> Result:
        function = integration.function(stage.variables)
        if not function:
            return Result(501, error=f"the integration {integration.uri}", gap=True)
        payload = json.dumps(event, ensure_ascii=False).encode()
        try:
            outcome = self._invoke(stage, route, integration, function, payload, header)
        except Overdue:
            return Result(504, error=f"no answer within {integration.timeout_s:g} s", function=function)
        if isinstance(outcome, str):
            return Result(500, error=outcome, function=function)
        if outcome.status >= 300 or outcome.function_error:
            what = outcome.function_error or f"status {outcome.status}"
            return Result(502, error=f"the function failed: {what}", function=function)
        return _read(outcome.payload, function)

    def _invoke(
        self, stage: Stage, route: Route, integration: Integration, function: str, payload: bytes, header: str
    ) -> Any:
        """The function's outcome, or why it can't be called."""
        if not integration.credentials:
            delivery = policies.Delivery(_SERVICE, stage.arn("", route.key), stage.account_id)
            try:
                refusal = policies.refusal(self._core, function, delivery)
            except ValueError as error:
                refusal = str(error)
            if refusal:
                return refusal
        running = self._submit()(
            self._functions.invoke,
            function,
            payload,
            account_id=stage.account_id,
            region=stage.region,
            source=f"apigateway:{stage.api_id}",
            trace_header=header,
        )
        return running.result(integration.timeout_s)

    def _mapped(self, integration: Integration, sources: Sources, header: str) -> Result:
        if integration.kind == "MOCK":
            status = mock_status(integration, sources)
            return _answered(integration, sources, str(status or 500), "", {}, status or 500)
        if integration.kind in http_integrations.KINDS:
            return self._send(integration, sources)
        mapped = map_request(integration, sources)
        function = integration.function(sources.stage.variables)
        if function:
            payload = mapped.body.encode() or b"{}"
            outcome = self._invoke(sources.stage, sources.route, integration, function, payload, header)
            if isinstance(outcome, str) or outcome.status >= 300:
                why = outcome if isinstance(outcome, str) else f"the function failed: status {outcome.status}"
                return Result(500, error=why, function=function)
            body = outcome.payload.decode("utf-8", "replace")
            subject = _error_message(body) if outcome.function_error else ""
            made = _answered(integration, sources, subject, body, {}, 500 if outcome.function_error else 200)
            return replace(made, function=function)
        try:
            principal = roles.assume(self._core, integration.credentials, _SERVICE)
        except roles.RoleRefused as error:
            return Result(500, error=f"API Gateway does not have permission to assume the role: {error}")
        try:
            with carrying(header):
                answer = services.perform(
                    self._core.clients,
                    principal,
                    integration.address(sources.stage.variables),
                    mapped.body,
                    mapped.path,
                    mapped.querystring,
                )
        except services.NotAService:
            return Result(501, error=f"the integration {integration.uri}", gap=True)
        return _answered(integration, sources, str(answer.status), answer.body, answer.headers, answer.status)

    def _send(self, integration: Integration, sources: Sources) -> Result:
        if self._web is None:
            return Result(501, error=f"{integration.kind} integrations", gap=True)
        request = http_integrations.outgoing(integration, sources)
        running = self._submit()(self._web.send, request.method, request.url, request.headers, request.body)
        try:
            reply = running.result(integration.timeout_s)
        except OutOfReach as error:
            return Result(501, error=str(error), gap=True)
        text = reply.body.decode("utf-8", "replace")
        if integration.kind == "HTTP_PROXY":
            return Result(reply.status, text)
        return _answered(integration, sources, str(reply.status), text, dict(reply.headers), reply.status)


def _of_message(integration: Integration, text: str) -> Integration:
    """The integration with the one template that its expression chooses for this message."""
    chosen = _template(integration.templates, integration.selection, text)
    if chosen is not None:
        return replace(integration, templates={_JSON: chosen})
    # One for another type: whether there are templates at all decides what WHEN_NO_TEMPLATES lets through.
    return replace(integration, templates={"none/none": ""} if integration.templates else {})


def _template(templates: Mapping[str, str], selection: str, text: str) -> str | None:
    key = select(selection.replace("\\$", "$"), text) if selection else None
    for name in (key, selection, DEFAULT, "\\$default", _JSON):
        if name is not None and name in templates:
            return templates[name]
    return None


def _answered(
    integration: Integration,
    sources: Sources,
    subject: str,
    body: str,
    headers: Mapping[str, str],
    status: int,
) -> Result:
    """What the client may be told, by the integration response that fits; without one, the answer itself."""
    if not integration.responses:
        return Result(status, body)
    responses = tuple(_with_one_template(each, body) for each in integration.responses)
    answer = map_response(replace(integration, responses=responses), sources, subject, body, headers)
    if answer.error:
        return Result(answer.status, error=answer.error)
    return Result(status, answer.body.decode("utf-8", "replace"))


def _with_one_template(response: IntegrationResponse, body: str) -> IntegrationResponse:
    chosen = _template(response.templates, response.selection, body)
    return replace(response, templates={} if chosen is None else {_JSON: chosen})


def _read(payload: bytes, function: str) -> Result:
    """What a function returned: of an object its ``statusCode``, ``body`` and headers."""
    try:
        returned = json.loads(payload) if payload else None
    except ValueError:
        return Result(502, error="the function returned no JSON", function=function)
    if not isinstance(returned, dict):
        return Result(502, error="Malformed Lambda proxy response: it is no JSON object", function=function)
    status = returned.get("statusCode", 200)
    if isinstance(status, str) and status.isdigit():
        status = int(status)
    if not isinstance(status, int) or isinstance(status, bool) or not 100 <= status <= 599:
        error = f"Malformed Lambda proxy response: the statusCode is {status!r}"
        return Result(502, error=error, function=function)
    body, headers = returned.get("body"), returned.get("headers")
    text = "" if body is None else body if isinstance(body, str) else json.dumps(body)
    told = {str(name).lower(): str(value) for name, value in headers.items()} if headers else None
    return Result(status, text, told, function=function)


def _error_message(body: str) -> str:
    try:
        found = json.loads(body)
    except ValueError:
        return ""
    return str(found.get("errorMessage", "")) if isinstance(found, dict) else ""
