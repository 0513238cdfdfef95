"""What one API call has to be allowed for."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from sandbox.emulator.iam.evaluation.model import ContextValue


@dataclass(frozen=True, slots=True)
class Authorisation:
    """One (action, resource) with the condition keys that belong to it alone.

    ``resource`` is an ARN or ``*``. ``account_id`` is the account that owns the resource.
    ``via`` names the service that asks for the caller (``sqs.eu-north-1.amazonaws.com`` for the key
    of an encrypted queue); empty when the caller asks for itself.
    """

    action: str
    resource: str
    account_id: str
    context: Mapping[str, ContextValue] = field(default_factory=dict)
    via: str = ""


class Unmapped(Exception):
    """No reviewed mapping says what this operation must be allowed for; ``reason`` says why."""

    def __init__(self, service: str, operation: str, reason: str) -> None:
        super().__init__(f"{service}:{operation}: {reason}")
        self.service = service
        self.operation = operation
        self.reason = reason


class Facts(Protocol):
    """What of an account's state a request's resource depends on. None: there is no such thing."""

    def find_arn(self, kind: str, name: str, *, account_id: str, region: str) -> str | None:
        """The ARN of a ``role``, ``user``, ``group``, ``secret``, ``key``, ``mapping`` … by its name."""

    def partition_key(self, table_arn: str) -> str | None:
        """The name of a table's (or index's) partition key."""


class NoFacts:
    """An account of which nothing is known: names stay what the request says."""

    def find_arn(self, kind: str, name: str, *, account_id: str, region: str) -> str | None:
        return None

    def partition_key(self, table_arn: str) -> str | None:
        return None


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as the mapping reads it: ``params`` have botocore's names."""

    service: str
    operation: str
    params: Mapping[str, Any]
    account_id: str
    region: str
    facts: Facts = field(default_factory=NoFacts)

    def text(self, *names: str) -> str:
        """The first of these parameters that is a non-empty string."""
        for name in names:
            value = self.params.get(name)
            if isinstance(value, str) and value:
                return value
        return ""

    def texts(self, *names: str) -> list[str]:
        """All strings under these parameters, lists flattened, in order and once."""
        found: dict[str, None] = {}
        for name in names:
            value = self.params.get(name)
            for item in value if isinstance(value, list | tuple) else (value,):
                if isinstance(item, str) and item:
                    found[item] = None
        return list(found)

    def arn(self, service: str, resource: str) -> str:
        """An ARN in the caller's account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account_id}:{resource}"

    def find(self, kind: str, name: str) -> str | None:
        """The ARN of something of the caller's account and region."""
        return self.facts.find_arn(kind, name, account_id=self.account_id, region=self.region)
