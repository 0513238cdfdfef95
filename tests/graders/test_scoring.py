from __future__ import annotations

import pytest

from graders.findings import (
    Dimension,
    Finding,
    Outcome,
    Visibility,
    failed,
    inconclusive,
    not_assessed,
    partial,
    passed,
)
from graders.scoring import CheckResult, Verdict, combine, score, verdict

GOOD = passed("good")
BAD = failed("bad")


def result(
    check_id: str, worth: float, finding: Finding, dimension: Dimension = Dimension.FUN
) -> CheckResult:
    return CheckResult(check_id, check_id, dimension, Visibility.V, worth, finding)


def test_points_are_all_none_or_what_a_partial_finding_says() -> None:
    results = [result("a", 10, GOOD), result("b", 10, BAD), result("c", 10, partial(4, "some"))]

    assert (score(results).points, score(results).points_possible) == (14, 30)


def test_a_partial_finding_never_earns_more_than_its_check_is_worth() -> None:
    assert score([result("a", 10, partial(25, "too much"))]).points == 10


def test_what_the_backend_cannot_assess_leaves_both_numbers() -> None:
    results = [result("a", 80, GOOD), result("b", 20, not_assessed("no IAM here"))]

    assert (score(results).points, score(results).points_possible) == (80, 80)


def test_what_a_failed_gate_blocks_stays_possible() -> None:
    results = [result("G2", 5, BAD), result("a", 95, not_assessed("gate", blocked=True))]

    assert (score(results).points, score(results).points_possible) == (0, 100)


@pytest.mark.parametrize(("points", "expected"), [(80, Verdict.PASSED), (79, Verdict.NOT_PASSED)])
def test_a_lab_takes_four_fifths_of_the_points(points: float, expected: Verdict) -> None:
    assert verdict([result("a", points, GOOD), result("b", 100 - points, BAD)]) is expected


def test_a_lab_takes_three_fifths_of_the_security_points() -> None:
    results = [
        result("a", 80, GOOD),
        result("s1", 10, GOOD, Dimension.SEC),
        result("s2", 10, BAD, Dimension.SEC),
    ]

    assert verdict(results) is Verdict.NOT_PASSED


def test_a_failed_condition_is_not_a_pass_whatever_the_points() -> None:
    assert verdict([result("a", 100, GOOD), result("G5", 0, BAD)]) is Verdict.NOT_PASSED


def test_a_failed_gate_is_not_a_pass_even_when_it_is_worth_little() -> None:
    assert verdict([result("G2", 5, BAD), result("a", 95, GOOD)]) is Verdict.NOT_PASSED


def test_one_inconclusive_check_makes_the_run_inconclusive() -> None:
    assert verdict([result("a", 99, GOOD), result("b", 1, inconclusive("ours"))]) is Verdict.INCONCLUSIVE


def test_two_seeds_report_the_lower_and_tell_what_the_other_found() -> None:
    first = [result("a", 10, GOOD), result("b", 20, BAD)]
    second = [result("a", 10, BAD), result("b", 20, GOOD)]

    combined = combine([(1, first), (2, second)])

    assert score(combined).points == 10
    assert combined[0].outcome is Outcome.PASSED
    assert combined[0].finding.saw[0].source == "seed 2"
    assert combined[0].finding.saw[0].what == "failed: bad"


def test_a_condition_is_taken_from_the_seed_that_assessed_it() -> None:
    first = [result("a", 10, BAD)]
    second = [result("a", 10, GOOD), result("G4", 0, BAD)]

    combined = combine([(1, first), (2, second)])

    assert [item.id for item in combined] == ["a", "G4"]


def test_a_condition_that_fails_on_the_other_seed_fails() -> None:
    combined = combine([(1, [result("G5", 0, GOOD)]), (2, [result("G5", 0, BAD)])])

    assert combined[0].outcome is Outcome.FAILED
