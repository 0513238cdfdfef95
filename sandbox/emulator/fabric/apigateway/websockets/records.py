"""What happened at WebSocket APIs: on the account's timeline, whence its metrics come, and in access logs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.apigateway import answers
from sandbox.emulator.fabric.apigateway.access_logs import AccessLogs
from sandbox.emulator.fabric.apigateway.answers import Answer
from sandbox.emulator.fabric.apigateway.model import Stage
from sandbox.emulator.fabric.apigateway.websockets.connections import Connection
from sandbox.emulator.fabric.apigateway.websockets.integrations import Result


class Records:
    """Tells of connections, messages and calls about connections."""

    def __init__(self, core: AccountCore, logs: AccessLogs) -> None:
        self._core = core
        self._logs = logs

    def note(
        self,
        connection: Connection,
        stage: Stage,
        event: Mapping[str, Any],
        result: Result,
        *,
        asked: bool = True,
    ) -> None:
        """One event of a connection; not ``asked``: it did not get as far as the integration."""
        context = event["requestContext"]
        began_ms = int(context["requestTimeEpoch"])
        took_ms = max(round(self._core.clock.time() * 1000) - began_ms, 0)
        failed = result.error or ("" if result.status < 400 else str(result.status))
        self._core.timeline.add(
            "delivery",
            f"apigateway:{stage.api_id}",
            account_id=stage.account_id,
            region=stage.region,
            outcome=failed or "ok",
            event_type=context["eventType"],
            stage=stage.name,
            route=context["routeKey"],
            connection=connection.id,
            status=result.status,
            asked=asked,
            integration_ms=took_ms,
            function=result.function,
            **({"code": context["disconnectStatusCode"]} if "disconnectStatusCode" in context else {}),
            **({"reason": failed} if failed else {}),
        )
        if stage.log_destination:
            self._logs.put(stage, began_ms, _variables(stage, context, result, took_ms))

    def note_managed(
        self,
        stage: Stage,
        operation: str,
        connection_id: str,
        principal: str,
        answer: Answer,
        size_bytes: int,
    ) -> None:
        """A call about a connection."""
        self._core.timeline.add(
            "api",
            f"execute-api:{operation}",
            account_id=stage.account_id,
            region=stage.region,
            outcome="ok" if answer.status < 400 else dict(answer.headers).get("x-amzn-errortype", ""),
            status=answer.status,
            api=stage.api_id,
            stage=stage.name,
            connection=connection_id,
            principal=principal,
            size_bytes=size_bytes,
            **({"reason": answer.error} if answer.error else {}),
        )

    def gap(self, stage: Stage, result: Result) -> Answer:
        """What is not emulated."""
        text = (
            f"The emulated account does not do this yet: {result.error}. This is our gap, not your mistake."
        )
        self._core.timeline.add(
            "gap",
            f"apigateway:{stage.api_id}",
            account_id=stage.account_id,
            region=stage.region,
            outcome="NotEmulated",
            message=text,
        )
        return answers.message(501, text, error=f"not emulated: {result.error}", kind="NotEmulated")


def _variables(stage: Stage, context: Mapping[str, Any], result: Result, took_ms: int) -> dict[str, str]:
    """What an access log's format may name after ``$context.``.

    Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-mapping-template-reference.html
    """
    shown = {name: value for name, value in context.items() if not isinstance(value, dict)}
    for name in ("identity", "authorizer"):
        shown |= {f"{name}.{key}": value for key, value in (context.get(name) or {}).items()}
    status = str(result.status)
    shown |= {
        "accountId": stage.account_id,
        "deploymentId": stage.deployment_id,
        "status": status,
        "integrationStatus": status,
        "integration.status": status,
        "integrationLatency": took_ms,
        "integration.latency": took_ms,
    }
    if result.error:
        shown |= {"integrationErrorMessage": result.error, "error.message": result.error}
    return {name: str(value) for name, value in shown.items()}
