from __future__ import annotations

from graders.misconceptions import Misconception, nearest

NO_DECODE = Misconception("no-url-decode", "The key is used as is.", frozenset({"f2"}))
IN_CODE = Misconception("filter-in-code", "The whole bucket is subscribed.", frozenset({"f3", "r1"}))
SAME_PREFIX = Misconception("same-prefix", "Results land under incoming.", frozenset({"r1"}))
KNOWN = (NO_DECODE, IN_CODE, SAME_PREFIX)
ALL = frozenset({"f1", "f2", "f3", "r1"})


def named(check_id: str, lost: set[str], judged: frozenset[str] = ALL) -> list[tuple[str, str]]:
    return [(item.pattern, item.likelihood) for item in nearest(check_id, frozenset(lost), judged, KNOWN)]


def test_the_mutant_that_fails_alike_is_named_first() -> None:
    assert named("r1", {"f3", "r1"}) == [(IN_CODE.what, "very likely"), (SAME_PREFIX.what, "likely")]


def test_a_mutant_that_fails_more_than_was_seen_is_less_likely() -> None:
    assert named("r1", {"r1"}) == [(SAME_PREFIX.what, "very likely"), (IN_CODE.what, "likely")]


def test_checks_that_were_not_judged_do_not_count_against_a_mutant() -> None:
    assert (IN_CODE.what, "very likely") in named("r1", {"r1"}, frozenset({"f1", "f2", "r1"}))


def test_a_check_that_no_mutant_fails_names_nothing() -> None:
    assert named("f1", {"f1"}) == []
