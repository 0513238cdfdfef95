"""The evaluator answers as AWS's documentation says, row by row."""

from __future__ import annotations

import pytest

from tests.emulator.iam.evaluation.tables import READERS, Row, all_rows


@pytest.mark.parametrize("row", all_rows(), ids=lambda row: row.id)
def test_the_evaluator_answers_as_documented(row: Row) -> None:
    decision = row.decision()
    assert (decision.allowed, row.source) == (row.allowed, row.source)
    if row.reason:
        assert str(decision.reason) == row.reason
