"""Parameter mapping of HTTP APIs: what of a request and of an answer is changed on its way.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-parameter-mapping.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import urlencode

from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.mappings import Sources
from sandbox.emulator.fabric.apigateway.model import Integration
from sandbox.emulator.fabric.apigateway.requests import Request
from sandbox.emulator.fabric.apigateway.templates import BadTemplate, Input

_TARGET = re.compile(r"(append|overwrite|remove):(?:(header|querystring)\.(.+)|(path|statuscode))")
_BRACED = re.compile(r"\$\{([^}]+)\}")
_PLAIN = re.compile(r"\$((?:request|response|context|stageVariables)\.[\w.$\[\]\-*'\"]+)")
_JSON_BODY_LIMIT = 100 * 1024
# Source: the same page, "Reserved headers".
_RESERVED = re.compile(
    r"access-control-.*|apigw-.*|x-amz-.*|x-amzn-.*|authorization|connection|content-encoding|content-length"
    r"|content-location|forwarded|keep-alive|origin|proxy-.*|te|trailers?|transfer-encoding|upgrade"
    r"|x-forwarded-.*|via"
)


@dataclass(frozen=True, slots=True)
class Values:
    """What values may refer to: the request, what is known of it, and an answer once there is one."""

    sources: Sources
    response: Mapping[str, str] = field(default_factory=dict)
    body: str = ""

    def of(self, written: str) -> str:
        """A value: a text, one reference, or references in braces within a text."""
        if _PLAIN.fullmatch(written):
            return self._found(written[1:])
        return _BRACED.sub(lambda match: self._found(match[1]), written)

    def _found(self, reference: str) -> str:
        where, _, rest = reference.partition(".")
        if where == "stageVariables":
            return self.sources.stage.variables.get(rest, "")
        if where == "context":
            return _text(_inside(self.sources.context, rest))
        if where == "response":
            return self._of_response(rest)
        return self._of_request(rest)

    def _of_request(self, rest: str) -> str:
        request = self.sources.request
        place, _, name = rest.partition(".")
        match place:
            case "header":
                return request.header(name.lower())
            case "querystring":
                return ",".join(value for key, value in request.parameters if key == name)
            case "path":
                return self.sources.values.get(name, "") if name else request.path
            case "body":
                text = request.body.decode("utf-8", "replace")
                return _body(text, name) if name else text
        return ""

    def _of_response(self, rest: str) -> str:
        place, _, name = rest.partition(".")
        if place == "header":
            return self.response.get(name.lower(), "")
        return (_body(self.body, name) if name else self.body) if place == "body" else ""


def mapped_request(integration: Integration, sources: Sources) -> Request:
    """The request as the integration gets it."""
    values, request = Values(sources), sources.request
    headers, query, path = list(request.headers), list(request.parameters), request.path
    asked = False
    for target, written in integration.parameters.items():
        match = _TARGET.fullmatch(target)
        if match is None:
            continue
        how, place, name, whole = match.groups()
        value = "" if how == "remove" else values.of(str(written))
        if whole == "path":
            path = value if value.startswith("/") else f"/{value}"
        elif place == "querystring":
            asked = True
            query = _changed(query, how, name, value)
        elif place == "header":
            headers = _changed(headers, how, name.lower(), value)
    return replace(
        request,
        headers=tuple(sorted(headers)),
        query=urlencode(query) if asked else request.query,
        path=path,
    )


def mapped_answer(integration: Integration, sources: Sources, answer: Answer) -> Answer:
    """The answer as the caller gets it, by what is said for its status."""
    changes = integration.status_parameters.get(str(answer.status))
    if not changes or answer.error:
        return answer
    held = {name.lower(): value for name, value in answer.headers}
    values = Values(sources, held, answer.body.decode("utf-8", "replace"))
    headers, status = [(name.lower(), value) for name, value in answer.headers], answer.status
    for target, written in changes.items():
        match = _TARGET.fullmatch(target)
        if match is None:
            continue
        how, _, name, whole = match.groups()
        value = "" if how == "remove" else values.of(str(written))
        if whole == "statuscode" and value.isdigit():
            status = int(value)
        elif name:
            headers = _changed(headers, how, name.lower(), value)
    return replace(answer, status=status, headers=tuple(headers))


def problem(parameters: Mapping[str, Any], *, response: bool = False) -> str:
    """What is wrong with the keys of a mapping; empty if nothing is."""
    for target in parameters:
        match = _TARGET.fullmatch(target)
        place, name, whole = (match[2], match[3], match[4]) if match is not None else ("", "", "")
        fits = whole == "statuscode" or place == "header" if response else whole != "statuscode"
        if match is None or not fits or (whole and match[1] != "overwrite"):
            return f"Invalid mapping expression specified: {target}"
        if place == "header" and _RESERVED.fullmatch(name.lower()):
            return f"Operations on header {name} are restricted"
    return ""


def _changed(pairs: list[tuple[str, str]], how: str, name: str, value: str) -> list[tuple[str, str]]:
    if how == "append":
        return [*pairs, (name, value)] if value else pairs
    kept = [each for each in pairs if each[0] != name]
    return [*kept, (name, value)] if how == "overwrite" and value else kept


def _body(text: str, path: str) -> str:
    try:
        return _text(Input(text[:_JSON_BODY_LIMIT]).path(f"$.{path}"))
    except BadTemplate:
        return ""


def _inside(found: Any, path: str) -> Any:
    for part in path.split("."):
        found = found.get(part) if isinstance(found, Mapping) else None
    return found


def _text(found: Any) -> str:
    if found is None:
        return ""
    return found if isinstance(found, str) else json.dumps(found, separators=(",", ":"), ensure_ascii=False)
