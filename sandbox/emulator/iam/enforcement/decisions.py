"""Every authorisation that was decided, as plain data: for the trail, for graders, for people."""

from __future__ import annotations

import datetime as dt
import itertools
import threading
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.iam.evaluation import Decision, Request


@dataclass(frozen=True, slots=True)
class Verdict:
    """One (action, resource, context) and how it was decided. ``via``: the service asking for the caller."""

    request: Request
    decision: Decision
    via: str = ""

    def as_json(self) -> dict[str, Any]:
        """As plain JSON types."""
        return {
            "action": self.request.action,
            "resource": self.request.resource,
            "resource_account": self.request.resource_account,
            "context": {key: _plain(value) for key, value in self.request.context.items()},
            "via": self.via,
            "decision": "Allow" if self.decision.allowed else "Deny",
            "reason": str(self.decision.reason),
            "policy_type": str(self.decision.reason.policy_type or ""),
            "explicit": self.decision.reason.explicit,
            "statements": [ref.as_json() for ref in self.decision.statements],
        }


def _plain(value: Any) -> Any:
    return [str(item) for item in value] if isinstance(value, list | tuple) else str(value)


@dataclass(frozen=True, slots=True)
class Record:
    """One call, or one delivery by a service, with everything that was decided for it.

    ``outcome`` is ``ok`` or the error's code; ``status`` the HTTP status, 0 while the call still runs
    and for deliveries. ``source`` is ``api``, ``delivery`` (a service reaching a resource), or ``platform``
    (a service acting with a role of the account, such as a poller).
    """

    sequence: int
    at: dt.datetime
    source: str
    principal: str
    principal_type: str
    account_id: str
    region: str
    service: str
    operation: str
    verdicts: tuple[Verdict, ...]
    role_arn: str = ""
    session: str = ""
    access_key_id: str = ""
    request_id: str = ""
    environment_id: str = ""
    user_agent: str = ""
    source_ip: str = ""
    parameters: dict[str, Any] = field(default_factory=dict)
    outcome: str = ""
    status: int = 0
    message: str = ""

    @property
    def allowed(self) -> bool:
        """Whether everything was allowed."""
        return all(verdict.decision.allowed for verdict in self.verdicts)

    def as_json(self) -> dict[str, Any]:
        """As plain JSON types, ``at`` in RFC 3339 with milliseconds."""
        return {
            "sequence": self.sequence,
            "at": self.at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "source": self.source,
            "principal": self.principal,
            "principal_type": self.principal_type,
            "role_arn": self.role_arn,
            "session": self.session,
            "access_key_id": self.access_key_id,
            "account_id": self.account_id,
            "region": self.region,
            "service": self.service,
            "operation": self.operation,
            "request_id": self.request_id,
            "environment_id": self.environment_id,
            "decision": "Allow" if self.allowed else "Deny",
            "authorisations": [verdict.as_json() for verdict in self.verdicts],
            "outcome": self.outcome,
            "status": self.status,
            "message": self.message,
        }


class DecisionLog:
    """Append-only, in memory, safe across threads; the oldest go first when it is full."""

    def __init__(self, *, limit: int = 100_000) -> None:
        self._limit = limit
        self._sequence = itertools.count(1)
        self._records: list[Record] = []
        self._lock = threading.Lock()

    def next_sequence(self) -> int:
        """A number for a new record."""
        return next(self._sequence)

    def add(self, record: Record) -> None:
        """Keep a record."""
        with self._lock:
            self._records.append(record)
            if len(self._records) > self._limit:
                del self._records[: self._limit // 10]

    def since(self, sequence: int = 0) -> list[Record]:
        """Records after ``sequence``, oldest first."""
        with self._lock:
            found = [record for record in self._records if record.sequence > sequence]
        return sorted(found, key=lambda record: record.sequence)
