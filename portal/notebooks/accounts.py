"""The practice account whose environment a learner's JupyterLab is given: the one of the pages."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timedelta

from portal.sandboxes.accounts import PracticeAccounts, place_of
from records.database import Database
from records.errors import NoRoom
from records.practice import Practice
from sandbox.account import Account
from sandbox.errors import AccountUnavailable
from settings import Settings


def practice_accounts(
    settings: Settings, database: Database, now: Callable[[], datetime]
) -> Callable[[int], Account | None]:
    """By user, the learner's practice account; started when it does not run."""
    accounts = PracticeAccounts(
        Practice(database, place_of(settings.home)),
        settings.home,
        settings.isolation,
        now,
        settings.practice_limit,
        timedelta(seconds=settings.practice_idle_s),
    )

    def account(user_id: int) -> Account | None:
        try:
            return accounts.open(user_id)
        except NoRoom as full:
            raise AccountUnavailable(str(full)) from full

    return account
