"""Access logs of stages: one line per request, in the stage's own format, in CloudWatch Logs."""

from __future__ import annotations

import hashlib
import json
import re
from typing import TYPE_CHECKING

from moto.logs.models import logs_backends

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.model import Kind, Stage
from sandbox.emulator.fabric.apigateway.requests import common_log_time
from sandbox.emulator.fabric.arns import Arn

if TYPE_CHECKING:
    from sandbox.emulator.fabric.apigateway.dataplane import Exchange

_VARIABLE = re.compile(r"\$context\.([A-Za-z][\w.]*\w|\w)")


class AccessLogs:
    """Writes to the log groups that stages name."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core

    def write(self, exchange: Exchange, answer: Answer) -> None:
        """Log one request. A destination that does not exist swallows its lines, as on AWS."""
        moment = round(exchange.started.timestamp() * 1000)
        self.put(exchange.stage, moment, variables(exchange, answer))

    def put(self, stage: Stage, moment_ms: int, known: dict[str, str]) -> None:
        """Log what is known of something that happened at a stage."""
        line = render(stage.log_format, known)
        try:
            where = Arn.parse(stage.log_destination)
        except ValueError:
            return
        if where.service != "logs":
            return
        group = where.resource.removeprefix("log-group:").removesuffix(":*")
        stream = hashlib.md5(f"{stage.api_id}/{stage.name}".encode(), usedforsecurity=False).hexdigest()
        entry = {"timestamp": moment_ms, "message": line}
        with self._core.dispatch_lock:
            backend = logs_backends[where.account_id][where.region]
            if group not in backend.groups:
                return
            if stream not in backend.groups[group].streams:
                backend.create_log_stream(group, stream)
            backend.put_log_events(group, stream, [entry])


def render(form: str, known: dict[str, str]) -> str:
    """A format with its variables filled in; what is not known is a dash."""
    return _VARIABLE.sub(lambda found: known.get(found[1]) or "-", form)


def variables(exchange: Exchange, answer: Answer) -> dict[str, str]:
    """What a format may name after ``$context.``.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-logging-variables.html
    """
    request, stage, route, outcome = exchange.request, exchange.stage, exchange.route, exchange.outcome
    rest = stage.kind is Kind.REST
    path = request.path if stage.name == "$default" else f"/{stage.name}{request.path}"
    known = {
        "accountId": stage.account_id,
        "apiId": stage.api_id,
        "domainName": request.host,
        "domainPrefix": request.host.split(".")[0],
        "stage": stage.name,
        "deploymentId": stage.deployment_id,
        "extendedRequestId": request.extended_id,
        "requestId": request.request_id if rest else request.extended_id,
        "httpMethod": request.method,
        "path": path,
        "protocol": request.protocol,
        "requestTime": common_log_time(exchange.started),
        "requestTimeEpoch": str(round(exchange.started.timestamp() * 1000)),
        "identity.sourceIp": request.source_ip,
        "identity.userAgent": request.header("user-agent"),
        "status": str(answer.status),
        "responseLength": str(len(answer.body)),
        "responseLatency": str(exchange.latency_ms),
        "xrayTraceId": request.header("x-amzn-trace-id").partition(";")[0].removeprefix("Root="),
    }
    if route is not None:
        known |= {"resourcePath": route.path, "resourceId": route.resource_id, "routeKey": route.key}
    if outcome is not None:
        known |= {
            "integrationStatus": str(outcome.status),
            "integration.integrationStatus": str(outcome.status),
            "integration.status": "200" if outcome.succeeded else str(answer.status),
            "integration.requestId": outcome.request_id,
        }
    if exchange.integration_status is not None:
        status = str(exchange.integration_status)
        known |= {"integrationStatus": status, "integration.integrationStatus": status}
        known["integration.status"] = status
    if exchange.integration_ms is not None:
        latency = str(exchange.integration_ms)
        known |= {"integrationLatency": latency, "integration.latency": latency}
    if answer.error:
        known |= {
            "integrationErrorMessage": answer.error,
            "integration.error": answer.error,
            "error.message": answer.text,
            "error.messageString": f'"{answer.text}"',
        }
    if stage.canary is not None:
        known["isCanaryRequest"] = str(stage.canary).lower()
    if rest:
        known.pop("routeKey", None)
    return _caller(exchange) | known


def _caller(exchange: Exchange) -> dict[str, str]:
    """What an authorizer told, with an HTTP API's under the same names, and the caller's identity."""
    told = exchange.let_in.authorizer or {}
    told = told.get("lambda") or told.get("jwt") or told
    claims = told.get("claims")
    shown = {f"authorizer.claims.{name}": value for name, value in (claims or {}).items()}
    shown |= {f"authorizer.{name}": value for name, value in told.items() if name != "claims"}
    shown |= {f"identity.{name}": value for name, value in exchange.let_in.identity.items()}
    texts = {name: json.dumps(value) if isinstance(value, bool) else value for name, value in shown.items()}
    return {name: str(value) for name, value in texts.items() if isinstance(value, str | int | float)}
