"""The account's clock, as functions see it."""

from __future__ import annotations

import time

from tests.conformance.table import Case, row

DAY_S = 86_400


@row("a new environment sees the account's time")
def _cold(case: Case) -> None:
    case.account.advance(3 * DAY_S)
    told = case.fresh().ask("now")
    assert abs(told["time"] - case.account.now().timestamp()) < 2
    assert abs(told["date"] - case.account.now().timestamp()) < 2
    assert told["time"] > time.time() + 2 * DAY_S


@row("an environment that rested sees it too", quick=True)
def _warm(case: Case) -> None:
    case.fresh()
    first, before = case.ask("identity"), case.ask("now")["time"]
    case.account.advance(600)
    assert case.ask("identity") == first
    assert 600 <= case.ask("now")["time"] - before < 660
    assert abs(case.ask("now")["time"] - case.account.now().timestamp()) < 2


@row("waiting takes as long as ever when the clock was moved", quick=True)
def _waits(case: Case) -> None:
    case.fresh().ask("identity")
    case.account.advance(300)
    for name, waited_ms in case.ask("waits").items():
        assert 45 <= waited_ms < 5_000, name


@row("the time that is left is counted on the same clock")
def _deadline(case: Case) -> None:
    case.fresh(Timeout=30).ask("identity")
    case.account.advance(300)
    assert 20_000 < case.ask("context")["remaining_ms"] <= 30_000
