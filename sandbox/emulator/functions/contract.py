"""How the rest of the account has a function run; the one seam between triggers and execution."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class InvokeOutcome:
    """One finished invocation.

    ``status`` is Lambda's HTTP status (200, or 4xx/5xx when the service refused: then ``error_code``
    and ``payload`` say why). ``function_error`` is empty, ``Handled`` or ``Unhandled``, as in
    X-Amz-Function-Error. ``log_tail`` is the last 4 KB of the log. Durations in milliseconds.
    """

    status: int
    payload: bytes
    function_error: str = ""
    error_code: str = ""
    executed_version: str = "$LATEST"
    request_id: str = ""
    log_tail: bytes = b""
    duration_ms: float = 0.0
    init_ms: float | None = None
    environment_id: str = ""

    @property
    def succeeded(self) -> bool:
        """The function ran and returned normally."""
        return self.status < 300 and not self.function_error


class Functions(Protocol):
    """Runs functions. ``function`` is a name, ``name:qualifier`` or any Lambda function ARN."""

    def invoke(
        self,
        function: str,
        payload: bytes,
        *,
        account_id: str,
        region: str,
        source: str,
        trace_header: str = "",
        client_context: str = "",
        linked_traces: tuple[str, ...] = (),
    ) -> InvokeOutcome:
        """Run synchronously and return what came of it. Never call it with the dispatch lock held.

        ``source`` says who caused it, for the timeline: ``api``, ``sqs:orders``, ``apigateway:abc123``.
        ``linked_traces`` are the tracing headers of messages in the event, which no caller's header is.
        A missing function or a throttle is an outcome with a 4xx ``status``, not an exception.
        """

    def invoke_async(
        self,
        function: str,
        payload: bytes,
        *,
        account_id: str,
        region: str,
        source: str,
        trace_header: str = "",
        client_context: str = "",
    ) -> str:
        """Queue an asynchronous invocation (two retries, age, DLQ, destinations) and return its request id.

        Only enqueues, so producers may call it while they hold the dispatch lock.
        """
