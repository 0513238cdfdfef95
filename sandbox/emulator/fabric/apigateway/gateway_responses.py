"""What a REST API answers by itself, as its author wants it.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-gatewayResponse-definition.html
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.model import Stage
from sandbox.emulator.fabric.apigateway.requests import Request

_JSON = "application/json"


def shaped(answer: Answer, stage: Stage, request: Request, authorizer: Mapping[str, Any] | None) -> Answer:
    """An answer of the API's own in the form that the API gives it; any other as it is."""
    if not answer.reason:
        return answer
    default = "DEFAULT_5XX" if answer.status >= 500 else "DEFAULT_4XX"
    responses = stage.snapshot.responses
    found = responses.get(answer.reason) or responses.get(default)
    if found is None:
        return answer
    headers = [(name, value) for name, value in answer.headers if name != "content-type"]
    for name, written in found.headers.items():
        value = written[1:-1] if written.startswith("'") else _mapped(written, request, stage)
        if value:
            headers = [(key, held) for key, held in headers if key != name.lower()]
            headers.append((name.lower(), value))
    template = found.templates.get(_JSON)
    kind, template = (_JSON, template) if template else next(iter(found.templates.items()), (_JSON, None))
    body = answer.body if template is None else _fill(template, answer, stage, request, authorizer).encode()
    return replace(
        answer, status=found.status or answer.status, headers=(("content-type", kind), *headers), body=body
    )


def _mapped(written: str, request: Request, stage: Stage) -> str:
    if written.startswith("method.request.header."):
        return request.header(written.rsplit(".", 1)[-1].lower())
    if written == "context.requestId":
        return request.request_id
    if written.startswith("stageVariables."):
        return stage.variables.get(written.partition(".")[2], "")
    return ""


def _fill(
    template: str, answer: Answer, stage: Stage, request: Request, authorizer: Mapping[str, Any] | None
) -> str:
    values = {
        "context.error.message": answer.text,
        "context.error.messageString": json.dumps(answer.text),
        "context.error.responseType": answer.reason,
        "context.error.validationErrorString": answer.error
        if answer.reason.startswith("BAD_REQUEST")
        else "",
        "context.requestId": request.request_id,
        "context.extendedRequestId": request.extended_id,
        "context.apiId": stage.api_id,
        "context.stage": stage.name,
        "context.httpMethod": request.method,
        "context.path": f"/{stage.name}{request.path}",
        "context.resourcePath": request.path,
        "context.identity.sourceIp": request.source_ip,
    }
    values |= {f"context.authorizer.{name}": str(value) for name, value in (authorizer or {}).items()}
    values |= {f"stageVariables.{name}": value for name, value in stage.variables.items()}
    return re.sub(
        r"\$\{?((?:context|stageVariables)(?:\.\w+)+)\}?", lambda found: values.get(found[1], ""), template
    )
