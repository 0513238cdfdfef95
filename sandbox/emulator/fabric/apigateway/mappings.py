"""Integrations that are not proxies: requests and responses by parameters and templates.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/request-response-data-mappings.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.fabric.apigateway import answers
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.model import Integration, IntegrationResponse, Kind, Route, Stage
from sandbox.emulator.fabric.apigateway.requests import Request
from sandbox.emulator.fabric.apigateway.templates import BadTemplate, Input, render

_JSON = "application/json"
_PLACE = re.compile(r"method\.request\.((?:multivalue)?(?:header|path|querystring))\.(.+)")


@dataclass(slots=True)
class Mapped:
    """What an integration is sent: a body, and parameters by their place."""

    body: str
    header: dict[str, str] = field(default_factory=dict)
    path: dict[str, str] = field(default_factory=dict)
    querystring: dict[str, str] = field(default_factory=dict)


class Unmapped(Exception):
    """The request can't be mapped: what to answer."""

    def __init__(self, answer: Answer) -> None:
        super().__init__(answer.error)
        self.answer = answer


@dataclass(frozen=True, slots=True)
class Sources:
    """What templates and parameters of one request can refer to."""

    request: Request
    stage: Stage
    route: Route
    values: Mapping[str, str]
    context: Mapping[str, Any]

    def given(self) -> Input:
        """``$input`` of the request."""
        return Input(
            self.request.body.decode("utf-8", "replace"),
            {
                "path": dict(self.values),
                "querystring": dict(self.request.parameters),
                "header": dict(self.request.headers),
            },
        )

    def value(self, written: str) -> str:
        """A parameter's value: a text in quotation marks, or a place in the request."""
        if written.startswith("'") and written.endswith("'"):
            return written[1:-1]
        place = _PLACE.fullmatch(written)
        if place is not None:
            name = place[2]
            found: Mapping[str, Callable[[], str]] = {
                "header": lambda: self.request.header(name.lower()),
                "path": lambda: self.values.get(name, ""),
                "querystring": lambda: dict(self.request.parameters).get(name, ""),
            }
            return found[place[1].removeprefix("multivalue")]()
        if written.startswith("method.request.body"):
            return _text(self.given().path(_body_path(written, "method.request.body")))
        where, _, name = written.partition(".")
        if where == "context":
            held: Any = self.context
            for part in name.split("."):
                held = held.get(part) if isinstance(held, Mapping) else None
            return "" if held is None else str(held)
        if where == "stageVariables":
            return self.stage.variables.get(name, "")
        return ""


def map_request(integration: Integration, sources: Sources) -> Mapped:
    """What the integration is sent.

    Raises:
        Unmapped: there is no template for such a body, or it fails.
    """
    kind = sources.request.header("content-type").split(";")[0].strip().lower() or _JSON
    template = integration.templates.get(kind)
    passes = {"WHEN_NO_MATCH": True, "WHEN_NO_TEMPLATES": not integration.templates}
    if template is None and not passes.get(integration.passthrough, False):
        raise Unmapped(
            answers.message(
                415,
                "Unsupported Media Type",
                kind="UnsupportedMediaTypeException",
                reason="UNSUPPORTED_MEDIA_TYPE",
            )
        )
    body = sources.request.body.decode("utf-8", "replace")
    overrides: dict[str, Any] = {}
    if template:
        try:
            body = render(template, sources.given(), sources.context, sources.stage.variables, overrides)
        except BadTemplate as error:
            raise Unmapped(_broken(f"Unable to transform request: {error}")) from None
    mapped = Mapped(body)
    for target, written in integration.parameters.items():
        match = re.fullmatch(r"integration\.request\.(header|path|querystring)\.(.+)", target)
        if match:
            value = sources.value(written)
            if value:
                getattr(mapped, match[1])[match[2]] = value
    for place in ("header", "path", "querystring"):
        getattr(mapped, place).update(overrides.get("request", {}).get(place) or {})
    return mapped


def mock_status(integration: Integration, sources: Sources) -> int:
    """The status that a MOCK integration's template makes, 0 if it makes none.

    Raises:
        Unmapped: the template fails.
    """
    body = map_request(integration, sources).body
    try:
        return int(json.loads(body)["statusCode"])
    except (ValueError, KeyError, TypeError):
        return 0


def map_response(
    integration: Integration, sources: Sources, subject: str, body: str, headers: Mapping[str, str]
) -> Answer:
    """The answer by the integration response whose pattern fits ``subject``, or by the default one.

    ``subject`` is the status of a service's or a mock's answer, or the message of a function's error.
    """
    chosen = _choose(integration.responses, subject)
    if chosen is None:
        return answers.refused(Kind.REST, "No match for output mapping and no default endpoint configured")
    accept = sources.request.header("accept").split(",")[0].split(";")[0].strip() or _JSON
    template = chosen.templates.get(accept)
    kind = accept if template is not None else next(iter(chosen.templates), _JSON)
    template = chosen.templates.get(kind)
    overrides: dict[str, Any] = {}
    shown = body
    if template:
        try:
            shown = render(template, Input(body), sources.context, sources.stage.variables, overrides)
        except BadTemplate as error:
            return _broken(f"Unable to transform response: {error}")
    found = {"content-type": kind}
    for target, written in chosen.parameters.items():
        value = _response_value(written, body, headers, sources)
        if value:
            found[target.removeprefix("method.response.header.").lower()] = value
    override = overrides.get("response") or {}
    found |= {str(name).lower(): str(value) for name, value in (override.get("header") or {}).items()}
    status = int(override.get("status") or chosen.status)
    return Answer(status, tuple(found.items()), shown.encode())


def _choose(responses: tuple[IntegrationResponse, ...], subject: str) -> IntegrationResponse | None:
    default = None
    for response in responses:
        if not response.pattern:
            default = default or response
        elif re.fullmatch(response.pattern, subject, re.DOTALL):
            return response
    return default


def _response_value(written: str, body: str, headers: Mapping[str, str], sources: Sources) -> str:
    if written.startswith("integration.response.header."):
        return headers.get(written.rsplit(".", 1)[-1].lower(), "")
    if written.startswith("integration.response.body"):
        return _text(Input(body).path(_body_path(written, "integration.response.body")))
    return sources.value(written)


def _body_path(written: str, prefix: str) -> str:
    path = written.removeprefix(prefix).lstrip(".")
    return f"$.{path}" if path else "$"


def _text(found: Any) -> str:
    return found if isinstance(found, str) else json.dumps(found)


def _broken(error: str) -> Answer:
    return answers.message(
        500,
        "Internal server error",
        error=error,
        kind="InternalServerErrorException",
        reason="API_CONFIGURATION_ERROR",
    )
