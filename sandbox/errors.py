"""What can go wrong in a sandbox, as one family.

SandboxError
├── EnvironmentFault        our machinery broke: never the learner's fault
│   ├── AccountUnavailable      no account could be started, or it died
│   └── IsolationUnavailable    the wanted isolation level is not to be had here
├── BadSubmission           the submitted files can't be used; says which file and why
└── DeploymentFailed        CloudFormation refused or rolled back; carries the stack's events
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


class SandboxError(Exception):
    """Base of every error a sandbox raises on purpose."""


class EnvironmentFault(SandboxError):
    """Our own machinery broke. A grade never counts this against the learner."""


class AccountUnavailable(EnvironmentFault):
    """No account could be started, or the one in use died."""


class IsolationUnavailable(EnvironmentFault):
    """This machine can't give the isolation level that was asked for."""


class BadSubmission(SandboxError):
    """The submitted files can't be used.

    Attributes:
        where: file (and line, where known) the problem is in.
        what_to_do: one sentence for the learner.
    """

    def __init__(self, message: str, *, where: str = "", what_to_do: str = "") -> None:
        super().__init__(message)
        self.where = where
        self.what_to_do = what_to_do

    def __str__(self) -> str:
        parts = [f"{self.where}: " if self.where else "", str(self.args[0])]
        if self.what_to_do:
            parts.append(f" {self.what_to_do}")
        return "".join(parts)


class DeploymentFailed(SandboxError):
    """CloudFormation refused the template or rolled the stack back.

    Attributes:
        events: the stack's events, oldest first, as DescribeStackEvents gives them.
        reason: the first cause, in CloudFormation's words.
    """

    def __init__(self, reason: str, *, events: Sequence[dict[str, Any]] = ()) -> None:
        super().__init__(reason)
        self.reason = reason
        self.events = tuple(events)
