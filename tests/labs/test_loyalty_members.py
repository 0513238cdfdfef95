"""Lab A03 against some of its own solutions, on the real emulator. ``make verify`` runs all of them."""

from __future__ import annotations

import pytest

from curriculum.loader import Catalogue
from graders.backend import Backend
from graders.findings import Outcome
from graders.labs import load_checks
from graders.progress import nobody
from graders.runner import run_seed
from graders.verification import cases

LAB = Catalogue().get_lab("loyalty-members")
# Without f3, f5 and p1, which start many environments, fill the table and read often.
QUICK = frozenset({"f1", "f2", "f4", "f6", "s1", "s2", "o1", "r1", "r2", "i1"})


def lost(backend: Backend, name: str, only: frozenset[str]) -> list[str]:
    """The checks that one solution does not pass."""
    case = next(case for case in cases(LAB) if case.name == name)
    found = run_seed(LAB, load_checks(LAB.checks_path), case.submission, 1, backend, nobody, only=only)
    return [key for key, item in found.results.items() if item.outcome is not Outcome.PASSED]


@pytest.mark.parametrize(
    ("name", "only", "fails"),
    [
        ("reference-python", QUICK, []),
        ("reference-nodejs", QUICK | {"f3", "f5", "p1"}, []),
        ("compare-then-update", frozenset({"f1", "f4"}), ["f4"]),
        ("check-then-put", frozenset({"f1", "f3"}), ["f3"]),
        ("one-open-route", frozenset({"f1", "s1"}), ["s1"]),
        ("reflect-any-origin", frozenset({"f1", "f6", "r2"}), ["f6"]),
        ("client-per-request", frozenset({"f1", "p1"}), ["p1"]),
    ],
)
def test_the_reference_passes_and_each_slip_costs_its_check(
    backend: Backend, name: str, only: frozenset[str], fails: list[str]
) -> None:
    assert lost(backend, name, only) == fails
