"""Lab A06 against some of its own solutions, on the real emulator. ``make verify`` runs all of them."""

from __future__ import annotations

import pytest

from curriculum.loader import Catalogue
from graders.backend import Backend
from graders.findings import Outcome
from graders.labs import load_checks
from graders.progress import nobody
from graders.runner import run_seed
from graders.verification import cases

LAB = Catalogue().get_lab("payment-webhook")
# Without r1 and s4, which start functions anew and really wait for a secret to grow old.
QUICK = frozenset({"f1", "f2", "f3", "o1", "s1", "s3", "s5", "i1"})


def lost(backend: Backend, name: str, only: frozenset[str]) -> list[str]:
    """The checks that one solution does not pass."""
    case = next(case for case in cases(LAB) if case.name == name)
    found = run_seed(LAB, load_checks(LAB.checks_path), case.submission, 1, backend, nobody, only=only)
    return [key for key, item in found.results.items() if item.outcome is not Outcome.PASSED]


@pytest.mark.parametrize(
    ("name", "only", "fails"),
    [
        ("reference-python", QUICK, []),
        ("reference-nodejs", frozenset({"f2", "s4"}), []),
        ("secret-in-env", frozenset({"s3", "s4"}), ["s4", "s3"]),
        ("no-replay-store", frozenset({"f2", "o1"}), ["f2"]),
        ("fail-open", frozenset({"r1", "f3"}), ["r1"]),
    ],
)
def test_the_reference_passes_and_each_slip_costs_its_check(
    backend: Backend, name: str, only: frozenset[str], fails: list[str]
) -> None:
    assert lost(backend, name, only) == fails
