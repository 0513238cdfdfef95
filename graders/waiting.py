"""The words *eventually*, *never* and *exactly*, defined on an account's settled state.

With a virtual clock (capability VC) nothing sleeps: what is due within the budget is brought about by
moving the clock to it. On a real account the same words poll with growing pauses.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from sandbox.account import Account

T = TypeVar("T")

_FIRST_PAUSE_S = 0.05
_LONGEST_PAUSE_S = 2.0
_OVER = object()


@dataclass(frozen=True, slots=True)
class Count:
    """How often something was there. True when it reached ``expected`` and stayed there."""

    expected: int
    seen: int
    steady: bool

    def __bool__(self) -> bool:
        return self.steady and self.seen == self.expected


class Waiting:
    """Waits on one account. ``sleep`` is only ever called with wall-clock seconds between two polls."""

    def __init__(self, account: Account, *, sleep: Callable[[float], None] = time.sleep) -> None:
        self._account = account
        self._sleep = sleep
        self._virtual = "VC" in account.capabilities

    def eventually(self, predicate: Callable[[], T], budget_s: float) -> T:
        """The first truthy value of ``predicate`` within ``budget_s`` of account time, else its last."""
        moments = self._moments(budget_s)
        if self._virtual:
            next(moments)  # What is under way settles in moments; asking before is asking in vain.
        value = predicate()
        while not value and next(moments, _OVER) is not _OVER:
            value = predicate()
        return value

    def while_functions_wait(self, predicate: Callable[[], T], budget_s: float) -> T:
        """The first truthy value within ``budget_s`` seconds that really pass, else its last.

        A function may measure age by a clock that no date moves: what it remembers for a while is surely
        forgotten by waiting, and not always by moving the account's clock.
        """
        value = predicate()
        for _ in self._polled_moments(budget_s):
            if value:
                break
            value = predicate()
        return value

    def never(self, predicate: Callable[[], object], window_s: float) -> bool:
        """Whether ``predicate`` stays false over the whole window."""
        if predicate():
            return False
        return all(not predicate() for _ in self._moments(window_s, whole=True))

    def exactly(self, n: int, count: Callable[[], int], settle_s: float, budget_s: float) -> Count:
        """Whether ``count`` reaches ``n`` within the budget and stays there for the settle time."""
        self.eventually(lambda: count() >= n, budget_s)
        seen = count()
        steady = True
        for _ in self._moments(settle_s, whole=True):
            latest = count()
            steady = steady and latest == seen
            seen = latest
            if seen > n:
                break
        return Count(n, seen, steady)

    def _moments(self, budget_s: float, *, whole: bool = False) -> Iterator[None]:
        """Moments at which something may have changed, until the budget is used up.

        With ``whole`` the account's clock has moved by the whole budget at the last moment; without
        it waiting ends as soon as nothing more can happen by itself within the budget.
        """
        return self._virtual_moments(budget_s, whole) if self._virtual else self._polled_moments(budget_s)

    def _virtual_moments(self, budget_s: float, whole: bool) -> Iterator[None]:
        started = self._account.now()
        patience = time.monotonic() + max(budget_s, 10.0)
        slice_s = 0.1
        while True:
            quiet = self._account.settle(timeout_s=slice_s)
            yield
            spent_s = (quiet.now - started).total_seconds()
            if not quiet.settled:
                # Something still runs. Its end is worth waiting for in wall time, within reason: a
                # function that triggers itself for ever never settles.
                if spent_s >= budget_s or time.monotonic() >= patience:
                    return
                slice_s = min(slice_s * 1.5, _LONGEST_PAUSE_S)
                continue
            left_s = budget_s - spent_s
            if left_s <= 0:
                return
            if quiet.next_due_s is not None and quiet.next_due_s <= left_s:
                self._account.advance(max(quiet.next_due_s, 0.0) + 0.001, timeout_s=2.0)
                continue
            if whole:
                self._account.advance(left_s, timeout_s=2.0)
                yield
            return

    def _polled_moments(self, budget_s: float) -> Iterator[None]:
        deadline = time.monotonic() + budget_s
        pause_s = _FIRST_PAUSE_S
        while (left_s := deadline - time.monotonic()) > 0:
            self._sleep(min(pause_s, left_s))
            yield
            pause_s = min(pause_s * 1.6, _LONGEST_PAUSE_S)
