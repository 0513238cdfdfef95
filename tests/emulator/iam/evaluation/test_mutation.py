"""No change to the evaluator's operators goes unnoticed by the documented cases."""

from __future__ import annotations

import pytest

from tests.emulator.iam.evaluation.mutation import equivalent, mutants, survives

EVERY = 40
"""Of so many mutants the quick suite tries one; `make verify` tries all."""


def _unnoticed(step: int) -> list[str]:
    known = equivalent()
    chosen = [mutant for mutant in mutants() if mutant.key not in known][::step]
    assert chosen
    return [f"{mutant.module}.py:{mutant.line} {mutant.key}" for mutant in chosen if survives(mutant)]


def test_a_sample_of_mutants_is_noticed() -> None:
    assert _unnoticed(EVERY) == []


@pytest.mark.slow
@pytest.mark.timeout(1800)
def test_every_mutant_is_noticed() -> None:
    assert _unnoticed(1) == []


def test_mutants_listed_as_equivalent_exist_and_have_a_reason() -> None:
    keys = {mutant.key for mutant in mutants()}
    assert set(equivalent()) <= keys
    assert all(len(reason) > 20 for reason in equivalent().values())
