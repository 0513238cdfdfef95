"""moto tells which operation it is about to perform; it has to be the one that was authorised.

moto reads requests more loosely than the gateway does. Should the two ever read one request as two
different operations, nothing is performed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from moto.core.utils import get_service_model

from sandbox.emulator.calls import AwsError
from sandbox.emulator.patches import replaces

# (service, operation) as the gateway named and authorised it; None outside of a call.
_performing: ContextVar[tuple[str, str] | None] = ContextVar("performing", default=None)

# What moto calls operations of services whose handlers it finds by their path.
_OTHER_NAMES = {
    ("xray", "PutTraceSegments"): "TraceSegments",
    ("xray", "PutTelemetryRecords"): "TelemetryRecords",
    ("xray", "GetTraceSummaries"): "TraceSummaries",
    ("xray", "BatchGetTraces"): "Traces",
    ("xray", "GetServiceGraph"): "ServiceGraph",
    ("xray", "GetTraceGraph"): "TraceGraph",
}


@contextmanager
def performing(service: str, operation: str) -> Iterator[None]:
    """Within it moto may perform this operation and no other."""
    token = _performing.set((service, operation))
    try:
        yield
    finally:
        _performing.reset(token)


@replaces(
    "moto.core.authorization",
    "ActionAuthenticatorMixin._authenticate_and_authorize_action",
    source_sha256="f8cfc0296ca017faca1c0cd574290bac2729e96d75265f75ebf6c2c97c10af45",
)
def _witness(_original: Callable[..., None]) -> Callable[..., None]:
    def _authenticate_and_authorize_action(self: Any, iam_request_cls: type, resource: str = "*") -> None:
        wanted = _performing.get()
        if wanted is None or not _agrees(self, wanted, iam_request_cls.__name__ == "S3IAMRequest", resource):
            raise Disagreement(wanted, self._get_action())

    return _authenticate_and_authorize_action


class Disagreement(AwsError):
    """moto would perform another operation than the one that was authorised."""

    def __init__(self, wanted: tuple[str, str] | None, performed: str) -> None:
        named = ":".join(wanted) if wanted is not None else "nothing"
        super().__init__(
            "AccessDenied",
            f"The request was authorised as {named} and would be performed as {performed}.",
            403,
        )


def _agrees(response: Any, wanted: tuple[str, str], is_s3: bool, resource: str) -> bool:
    service, operation = wanted
    if is_s3:
        return service == "s3" and _same_level(response, operation, resource)
    performed = str(response._get_action())
    return performed == operation or _OTHER_NAMES.get(wanted) == performed


def _same_level(response: Any, operation: str, resource: str) -> bool:
    """moto has names for few of S3's operations: its verb and what it works on have to be the same."""
    model = get_service_model("s3").operation_model(operation)
    on_object = "{Key" in model.http["requestUri"]
    return str(model.http["method"]) == response.method and on_object == ("/" in resource.split(":::")[-1])
