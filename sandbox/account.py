"""An AWS account as its owner holds it: the same for the emulator and for a real account."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

# What a check may need of a backend; the codes are those of the labs' check tables.
CAPABILITIES = frozenset(
    {"LX", "LE", "LA", "LC", "LV", "LP", "QE", "SE", "S3N", "SNS", "EB", "SCH", "SF", "AG", "AH", "IE"}
    | {"IS", "CM", "CA", "LG", "XR", "DD", "DE", "DG", "SR", "R53", "CF", "CD", "VC", "NS", "PS", "PR"}
)


@dataclass(frozen=True, slots=True)
class AccessKeys:
    """A set of AWS access keys. ``session_token`` is empty for long-lived keys."""

    access_key_id: str
    secret_access_key: str
    session_token: str = ""


@dataclass(frozen=True, slots=True)
class Quiet:
    """Whether an account is settled: nothing running, nothing due.

    ``running`` names what is not finished, ``next_due_s`` is how many seconds of account time lie
    before the next thing that will happen by itself (None: nothing is planned).
    """

    settled: bool
    now: dt.datetime
    running: tuple[str, ...] = ()
    next_due_s: float | None = None


class Account(Protocol):
    """One open AWS account.

    ``keys`` are the learner's; clients from :meth:`client` act as the grader, an administrator the
    learner has no keys of. ``isolation`` describes what learner code runs in: ``{"level": 4,
    "name": "cgroups", "reasons": [...]}``.
    """

    account_id: str
    fixture_account_id: str
    name: str
    region: str
    endpoint_url: str
    keys: AccessKeys
    backend: str
    capabilities: frozenset[str]
    isolation: Mapping[str, Any]
    runtimes: Mapping[str, str]

    def client(self, service: str, *, region: str = "", fixture: bool = False) -> Any:
        """A boto3 client acting as the grader, in the learner's account or in the fixture account."""

    def settle(self, timeout_s: float = 30.0) -> Quiet:
        """Wait until nothing runs and nothing is due."""

    def advance(self, seconds: float, timeout_s: float = 60.0) -> Quiet:
        """Let ``seconds`` of account time pass; on the emulator without waiting for them."""

    def now(self) -> dt.datetime:
        """The account's time."""

    def functions_now(self) -> dt.datetime:
        """The time that functions see: the account's, or the wall's where this machine can't have that."""

    def timeline(self, since: int = 0) -> list[dict[str, Any]]:
        """What happened, oldest first: each with ``sequence``, ``at``, ``kind``, ``subject``, ``outcome``."""

    def decisions(self, since: int = 0) -> list[dict[str, Any]]:
        """Every call and delivery with what was authorised for it, oldest first; see ``docs/iam.md``.

        A backend that can't observe its own decisions raises EnvironmentFault.
        """

    def begin_fault(self, name: str, settings: Mapping[str, Any], for_s: float = 0.0) -> str:
        """Switch a fault on and return its id; it ends by itself after ``for_s`` seconds of account time.

        Backends that have no such fault raise EnvironmentFault.
        """

    def end_fault(self, fault_id: str) -> None:
        """Undo one fault."""

    def clear_faults(self) -> list[str]:
        """Undo every fault; the ids of those that were on."""

    def active_faults(self) -> list[dict[str, Any]]:
        """The faults that are on, the earliest first: ``id``, ``name``, ``settings``, ``began``, ``ends``."""

    def url(self, address: str, client: str = "") -> str:
        """An AWS address (execute-api, function URL, bucket, queue) as one that answers from here.

        So is one at a name of the account's hosted zones: ``client`` keeps what that name was last told
        to be for its time to live; without a client it is looked up each time.
        """

    def close(self) -> None:
        """End the account and everything in it. Idempotent."""
