"""The practice account whose environment a learner's JupyterLab is given: the one place that finds it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sandbox.account import Account
from sandbox.providers.emulated import KeptSandboxes
from sandbox.supervisor.client import Wanted
from sandbox.supervisor.wire import NoSuchSandbox


def practice_accounts(home: Path, isolation: str) -> Callable[[int], Account | None]:
    """By user, the kept account ``practice-ID``; started when it does not run."""
    kept = KeptSandboxes(home, Wanted.named(isolation), say=lambda _: None)

    def account(user_id: int) -> Account | None:
        name = f"practice-{user_id}"
        try:
            return kept.get(name)
        except NoSuchSandbox:
            return kept.up(name, "us-east-1")

    return account
