"""Who a poller works for: a function, or a pipe."""

from __future__ import annotations

import json
import random
import uuid
from typing import Any, Protocol

from sandbox.emulator.calls import AwsError, Principal
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.mappings.model import Mapping
from sandbox.emulator.functions.contract import Functions, InvokeOutcome
from sandbox.emulator.functions.credentials import role_principal
from sandbox.emulator.functions.names import LATEST
from sandbox.emulator.functions.store import FunctionStore


class Consumer(Protocol):
    """Takes batches, in a role of its own."""

    @property
    def name(self) -> str:
        """What the timeline calls it."""

    @property
    def arn(self) -> str:
        """What it is."""

    def principal(self) -> Principal | None:
        """Whom it polls as; None once it is gone."""

    def invoke(self, payload: bytes, source: str, linked_traces: tuple[str, ...] = ()) -> InvokeOutcome:
        """Hand a batch over and see what comes of it. Never with a lock held."""

    def context(self, condition: str, invoked: int, outcome: InvokeOutcome | None) -> dict[str, Any]:
        """What an on-failure destination is told beside the batch."""


def refused_as(outcome: InvokeOutcome) -> str:
    """Why a batch did not reach who was to take it."""
    try:
        told = json.loads(outcome.payload)
    except ValueError:
        told = {}
    message = told.get("Message") or told.get("errorMessage") if isinstance(told, dict) else ""
    return f"target refused: {outcome.error_code or outcome.status}{f': {message}' if message else ''}"


def batch_failed_as(outcome: InvokeOutcome, failed: int, of: int) -> str:
    """Why a batch, or a part of it, has to be tried again."""
    if outcome.status >= 300:
        return refused_as(outcome)
    if outcome.function_error:
        return "the function failed"
    return f"the function reported {failed} of {of} as failed"


class FunctionConsumer:
    """The function of an event source mapping, whichever it is at the time."""

    def __init__(self, core: AccountCore, functions: Functions, mapping: Mapping) -> None:
        self._functions = functions
        self._mapping = mapping
        self._store = FunctionStore(core.dispatch_lock, random.Random())

    @property
    def name(self) -> str:
        """The function's name."""
        return str(self._mapping.function.name)

    @property
    def arn(self) -> str:
        """The function's ARN, with its qualifier."""
        return str(self._mapping.function.qualified_arn)

    def principal(self) -> Principal | None:
        """A session of the execution role."""
        try:
            return role_principal(self._store.resolve(self._mapping.function).version)
        except AwsError:
            return None

    def invoke(self, payload: bytes, source: str, linked_traces: tuple[str, ...] = ()) -> InvokeOutcome:
        """Run the function."""
        return self._functions.invoke(
            self.arn,
            payload,
            account_id=self._mapping.account_id,
            region=self._mapping.region,
            source=source,
            linked_traces=linked_traces,
        )

    def context(self, condition: str, invoked: int, outcome: InvokeOutcome | None) -> dict[str, Any]:
        """As Lambda tells of a discarded batch."""
        told: dict[str, Any] = {
            "requestContext": {
                "requestId": outcome.request_id if outcome else str(uuid.uuid4()),
                "functionArn": self.arn,
                "condition": condition,
                "approximateInvokeCount": invoked,
            }
        }
        if outcome is not None:
            response: dict[str, Any] = {
                "statusCode": outcome.status,
                "executedVersion": outcome.executed_version or LATEST,
            }
            if outcome.function_error:
                response["functionError"] = outcome.function_error
            told["responseContext"] = response
        return told
