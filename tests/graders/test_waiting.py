from __future__ import annotations

from typing import Any

from graders.waiting import Waiting


def test_eventually_moves_the_clock_to_what_is_due_instead_of_sleeping(account: Any) -> None:
    seen: list[int] = []
    account.later(60, lambda: seen.append(1))
    account.later(180, lambda: seen.append(2))

    assert Waiting(account).eventually(lambda: len(seen) == 2, budget_s=200)
    assert 180 <= account.elapsed_s < 181


def test_eventually_gives_up_at_once_when_nothing_more_can_happen(account: Any) -> None:
    assert Waiting(account).eventually(list, budget_s=10) == []
    assert account.elapsed_s == 0


def test_eventually_leaves_what_is_due_after_the_budget_undone(account: Any) -> None:
    account.later(60, lambda: account.happened("delivery", "late"))

    assert not Waiting(account).eventually(lambda: account.events, budget_s=10)
    assert account.elapsed_s == 0


def test_never_watches_the_whole_window(account: Any) -> None:
    account.later(29, lambda: account.happened("delivery", "late"))

    assert not Waiting(account).never(lambda: account.events, window_s=30)


def test_never_holds_when_nothing_happens_in_the_window(account: Any) -> None:
    account.later(31, lambda: account.happened("delivery", "late"))

    assert Waiting(account).never(lambda: account.events, window_s=30)
    assert account.elapsed_s >= 30


def test_exactly_needs_the_count_to_stay(account: Any) -> None:
    for second in (1, 2, 6):
        account.later(second, lambda: account.happened("delivery", "one"))

    found = Waiting(account).exactly(2, lambda: len(account.events), settle_s=8, budget_s=10)

    assert not found
    assert found.seen == 3


def test_exactly_is_true_for_a_count_that_stays(account: Any) -> None:
    account.later(1, lambda: account.happened("delivery", "one"))

    assert Waiting(account).exactly(1, lambda: len(account.events), settle_s=8, budget_s=10)


def test_a_real_account_is_polled_with_growing_pauses(account: Any) -> None:
    account.capabilities = frozenset({"LX"})
    pauses: list[float] = []

    def sleep(seconds: float) -> None:
        pauses.append(seconds)

    assert Waiting(account, sleep=sleep).eventually(lambda: len(pauses) >= 6, budget_s=60)
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]


def test_functions_grow_older_only_while_somebody_really_waits(account: Any) -> None:
    pauses: list[float] = []
    account.later(1, lambda: account.happened("delivery", "one"))

    waited = Waiting(account, sleep=pauses.append).while_functions_wait(lambda: len(pauses) >= 3, budget_s=60)

    assert waited
    assert account.elapsed_s == 0
