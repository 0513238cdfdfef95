"""One AWS call as the gateway understood it, and the errors services answer with."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any


class PrincipalKind(StrEnum):
    ROOT = "root"
    USER = "user"
    ROLE_SESSION = "role-session"
    SERVICE = "service"
    ANONYMOUS = "anonymous"


@dataclass(frozen=True, slots=True)
class Principal:
    """Who calls. ``arn`` is what GetCallerIdentity would say.

    ``role_arn`` is set for role sessions, ``service`` (``sns.amazonaws.com``) for AWS services
    acting on their own. ``access_key_id`` is empty for services.
    """

    kind: PrincipalKind
    account_id: str
    arn: str
    access_key_id: str = ""
    role_arn: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True)
class Call:
    """One API call: named, authenticated, its parameters parsed by the service's own model.

    ``service`` is botocore's name (``lambda``, ``s3``, ``events``), ``operation`` the API's name
    (``PutObject``); ``params`` has botocore's member names. ``environment_id`` names the execution
    environment whose socket the call came in on, or is empty for calls from outside.
    """

    service: str
    operation: str
    params: dict[str, Any]
    principal: Principal
    account_id: str
    region: str
    request_id: str
    environment_id: str = ""
    headers: dict[str, str] = field(default_factory=dict)


# The call this thread answers: whatever moto does meanwhile happens because of it.
current_call: ContextVar[Call | None] = ContextVar("current_call", default=None)
_carried: ContextVar[str] = ContextVar("carried_trace", default="")
TRACE_HEADER = "x-amzn-trace-id"
_TRACE = re.compile(r"Root=(1-[0-9a-fA-F]{8}-[0-9a-fA-F]{24})(?:;|$)")


def trace_header() -> str:
    """The tracing header of whatever this thread works for; empty when it came without one."""
    call = current_call.get()
    return _carried.get() or (call.headers.get(TRACE_HEADER, "") if call is not None else "")


def whence() -> dict[str, str]:
    """What this thread works for, as the timeline notes it: the API call it answers, and the trace."""
    call, found = current_call.get(), {}
    if call is not None:
        found["during"] = call.request_id
    if trace := trace_id_in(trace_header()):
        found["trace_id"] = trace
    return found


def trace_id_in(header: str) -> str:
    """The trace that a tracing header names, or nothing."""
    found = _TRACE.search(header)
    return found[1] if found else ""


@contextmanager
def carrying(header: str) -> Iterator[None]:
    """Work for a traced request after it was answered: calls made meanwhile belong to its trace."""
    before = _carried.set(header)
    try:
        yield
    finally:
        _carried.reset(before)


class AwsError(Exception):
    """An error as AWS answers it, in whatever shape the caller's protocol wants."""

    def __init__(self, code: str, message: str, status: int = 400, **extra: Any) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status
        self.extra = extra


# A handler takes over one operation from moto: it returns the operation's output members, as
# botocore names them; blobs are bytes, timestamps aware datetimes. The gateway serialises.
Handler = Callable[[Call], dict[str, Any]]
Handlers = dict[tuple[str, str], Handler]  # (service, operation) → handler
