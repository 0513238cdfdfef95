"""How a resource policy names its caller, which decides what else has to allow.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from sandbox.emulator.iam.evaluation.model import Caller, CallerKind

_ACCOUNT = re.compile(r"(\d{12})|arn:[^:]+:iam::(\d{12}):root")


class Named(IntEnum):
    """How a statement names the caller, from not at all to outright."""

    NOT = 0
    ACCOUNT = 1
    """Only its account: what the account itself allows."""
    ROLE = 2
    """The role of a session, or the user behind a federated one: boundary and session policy still limit."""
    OUTRIGHT = 3
    """The user, the session, the service, or everyone."""


@dataclass(frozen=True, slots=True)
class Principals:
    """The ``Principal`` or ``NotPrincipal`` of a statement. Account ids and root ARNs are in ``accounts``."""

    everyone: bool
    accounts: frozenset[str] = frozenset()
    aws: frozenset[str] = frozenset()
    services: frozenset[str] = frozenset()
    federated: frozenset[str] = frozenset()
    canonical: frozenset[str] = frozenset()

    def naming(self, caller: Caller) -> Named:
        """How these principals name the caller."""
        if self.everyone or self.names_itself(caller):
            return Named.OUTRIGHT
        behind = {caller.role_arn, caller.user_arn, _id_of_role(caller)} - {""}
        if behind & self.aws:
            return Named.ROLE
        return Named.ACCOUNT if caller.account in self.accounts else Named.NOT

    def names_itself(self, caller: Caller) -> bool:
        """Whether the caller's own identity is listed, not its role's or account's."""
        if caller.kind is CallerKind.SERVICE:
            return caller.service in self.services
        if caller.identity_provider and caller.identity_provider in self.federated:
            return True
        if caller.canonical_id and caller.canonical_id in self.canonical:
            return True
        if caller.kind is CallerKind.ROOT:
            return caller.account in self.accounts
        return bool(({caller.arn, caller.unique_id} - {""}) & self.aws)

    def excepts(self, caller: Caller) -> bool:
        """As ``NotPrincipal``: whether the caller is an exception. Its own identity has to be listed.

        Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_notprincipal.html
        """
        return self.everyone or self.names_itself(caller)


def _id_of_role(caller: Caller) -> str:
    return caller.unique_id.partition(":")[0] if caller.kind is CallerKind.ROLE_SESSION else ""


def read_principals(value: str | Mapping[str, list[str]]) -> Principals:
    """From ``"*"`` or lists by kind (``AWS``, ``Service``, ``Federated``, ``CanonicalUser``)."""
    if isinstance(value, str):
        return Principals(everyone=value == "*")
    entries = value.get("AWS", [])
    accounts = {match[1] or match[2] for entry in entries if (match := _ACCOUNT.fullmatch(entry))}
    return Principals(
        everyone="*" in entries,
        accounts=frozenset(accounts),
        aws=frozenset(entry for entry in entries if not _ACCOUNT.fullmatch(entry)),
        services=frozenset(value.get("Service", [])),
        federated=frozenset(value.get("Federated", [])),
        canonical=frozenset(value.get("CanonicalUser", [])),
    )
