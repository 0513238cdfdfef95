"""moto never runs a function itself: whatever it wants invoked is queued here."""

from __future__ import annotations

from typing import Any

from sandbox.emulator.functions.contract import Functions
from sandbox.emulator.patches import replaces

_functions: Functions | None = None


def run_through(functions: Functions | None) -> None:
    """Say who runs functions in this account process; None: nobody any more."""
    global _functions
    _functions = functions


@replaces(
    "moto.awslambda.models",
    "LambdaFunction.invoke",
    source_sha256="dadc324f30aed38bf9dde5a93000c195ed3e5fb5e984f71ebd4c6629fc89aa2e",
)
def _queue(_original: Any) -> Any:
    """Every trigger inside moto ends here, in the producer's thread: only enqueue."""

    def invoke(self: Any, body: str | bytes, _request_headers: Any, _response_headers: Any) -> bytes:
        if _functions is not None:
            payload = body.encode() if isinstance(body, str) else body or b""
            _functions.invoke_async(
                self.function_arn, payload, account_id=self.account_id, region=self.region, source="moto"
            )
        return b""

    return invoke
