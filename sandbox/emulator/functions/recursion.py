"""Loops that a function is part of are seen by the trace header of the events that go round, and stopped.

SDKs pass the header on, and so do SQS, SNS, S3 and Lambda itself; its ``Lineage`` counts which function
was invoked how often in one chain. Source:
https://docs.aws.amazon.com/lambda/latest/dg/invocation-recursion.html and
https://docs.aws.amazon.com/xray/latest/devguide/xray-concepts.html#xray-concepts-tracingheader
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.functions import names
from sandbox.emulator.functions.names import FunctionName
from sandbox.emulator.functions.store import FunctionStore

REFUSAL = "RecursiveInvocationException"
# "Approximately 16 times", says the documentation.
_INVOCATIONS_IN_A_CHAIN = 16
_LINEAGE = "Lineage="
_CHOICES = ("Allow", "Terminate")


def continued(header: str, name: FunctionName, chain: str = "") -> str:
    """``header`` for a function invoked in ``chain``, else in the header's own, which counts this as well."""
    counts = _counts(chain or header)
    counts[_digest(name)] = counts.get(_digest(name), 0) + 1
    lineage = "|".join(f"{digest}:{count}" for digest, count in counts.items())
    parts = [part for part in header.split(";") if not part.startswith(_LINEAGE)]
    return ";".join([*parts, _LINEAGE + lineage])


def longest(headers: Iterable[str]) -> str:
    """Of the headers of events that a function gets together, the one that has gone round most."""
    return max(headers, key=lambda header: max(_counts(header).values(), default=0), default="")


@dataclass(slots=True)
class RecursionConfigs:
    """Which functions may go round."""

    _store: FunctionStore
    _allowed: set[str] = field(default_factory=set)

    def handlers(self) -> Handlers:
        """The operations; moto has none of them."""
        return {
            ("lambda", "PutFunctionRecursionConfig"): self.put,
            ("lambda", "GetFunctionRecursionConfig"): self.get,
        }

    def check(self, name: FunctionName, header: str) -> None:
        """Stop an invocation of a function that its own chain of events has invoked too often.

        Raises:
            AwsError: this one is not to be.
        """
        if _LINEAGE not in header or name.arn in self._allowed:
            return
        times = _counts(header).get(_digest(name), 0)
        if times >= _INVOCATIONS_IN_A_CHAIN:
            raise AwsError(
                REFUSAL,
                "Lambda has detected your function being invoked in a recursive loop with other AWS "
                "resources and stopped your function's invocation: "
                f"one chain of events invoked {name.name} {times} times.",
                400,
                Type="User",
            )

    def put(self, call: Call) -> dict[str, Any]:
        name, wanted = self._name(call), call.params.get("RecursiveLoop")
        if wanted not in _CHOICES:
            raise AwsError(
                "ValidationException",
                f"1 validation error detected: Value '{wanted}' at 'recursiveLoop' failed to satisfy "
                "constraint: Member must satisfy enum value set: [Terminate, Allow]",
            )
        if wanted == "Allow":
            self._allowed.add(name.arn)
        else:
            self._allowed.discard(name.arn)
        return {"RecursiveLoop": wanted}

    def get(self, call: Call) -> dict[str, Any]:
        return {"RecursiveLoop": "Allow" if self._name(call).arn in self._allowed else "Terminate"}

    def forget(self, name: FunctionName) -> None:
        """A function is deleted, or a version or alias of it."""
        if not name.qualifier:
            self._allowed.discard(name.arn)

    def _name(self, call: Call) -> FunctionName:
        name = names.of(call)
        self._store.resolve(name)
        return name


def _digest(name: FunctionName) -> str:
    return hashlib.sha256(name.arn.encode()).hexdigest()[:8]


def _counts(header: str) -> dict[str, int]:
    """How often a chain has invoked which function; what can't be read counts nothing."""
    _, _, lineage = header.partition(_LINEAGE)
    pairs = (each.rpartition(":") for each in lineage.split(";")[0].split("|"))
    return {digest: int(count) for digest, _, count in pairs if digest and count.isdigit()}
