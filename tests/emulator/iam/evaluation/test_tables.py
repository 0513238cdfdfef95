"""The evaluator answers as AWS's documentation says, row by row."""

from __future__ import annotations

import json

import pytest

from tests.emulator.iam.evaluation.tables import FOLDER, OperatorRow, Row, documented, matrix, operators, rows


@pytest.mark.parametrize("row", documented(), ids=lambda row: row.id)
def test_the_evaluator_answers_as_documented(row: Row) -> None:
    decision = row.decision()
    assert decision.allowed == row.allowed, row.source
    if row.reason:
        assert str(decision.reason) == row.reason, row.source


def test_there_are_at_least_400_documented_questions_each_with_its_source() -> None:
    questions = {row.id.removesuffix("-allow").removesuffix("-deny") for row in documented()}
    assert len(questions) >= 400
    assert all(row.source.startswith("https://docs.aws.amazon.com/") for row in documented())


@pytest.mark.parametrize("row", operators(), ids=lambda row: row.id)
def test_there_are_the_documented_operators_and_no_others(row: OperatorRow) -> None:
    assert row.holds(), row.source


@pytest.mark.parametrize("row", rows("unknown"), ids=lambda row: row.id)
def test_where_aws_is_unknown_the_answer_stays_what_the_list_says(row: Row) -> None:
    assert row.holds()


def test_the_matrix_of_named_principals_follows_the_documented_rules() -> None:
    wrong = [
        f"{row.id}: {decision.reason}, but {row.reason or row.allowed} ({row.source})"
        for row, _ in matrix()
        if (decision := row.decision()).allowed != row.allowed or row.reason not in ("", str(decision.reason))
    ]
    assert wrong == []


def test_every_rule_of_the_matrix_decides_something() -> None:
    rules = json.loads((FOLDER / "matrix.json").read_text("utf-8"))["rules"]
    assert {number for _, number in matrix()} == set(range(len(rules)))
    assert len(matrix()) > 1500


def test_what_is_unknown_has_a_source_and_says_what_happens_here() -> None:
    unknown = json.loads((FOLDER / "unknown.json").read_text("utf-8"))
    assert all(item["source"].startswith("https://docs.aws.amazon.com/") and item["here"] for item in unknown)
