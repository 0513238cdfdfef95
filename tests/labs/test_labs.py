"""The labs against their own solutions, on the real emulator."""

from __future__ import annotations

import subprocess
import sys

import pytest

from curriculum.loader import Catalogue, Lab
from graders.authoring import lint
from graders.backend import Backend
from graders.checks import LabChecks
from graders.findings import Outcome
from graders.labs import load_checks
from graders.progress import nobody
from graders.runner import run_seed
from graders.scoring import CheckResult
from graders.verification import cases, verify
from sandbox.submissions import Submission

LABS = {lab.slug: lab for lab in Catalogue().labs}


@pytest.fixture(params=sorted(LABS))
def lab(request: pytest.FixtureRequest) -> Lab:
    return LABS[request.param]


def lost(backend: Backend, lab: Lab, name: str, *, only: frozenset[str] | None = None) -> list[str]:
    """The checks that one solution of a lab, by name, does not pass though they could be assessed."""
    case = next(case for case in cases(lab) if case.name == name)
    results = run_seed(lab, checks_of(lab), case.submission, 1, backend, nobody, only=only).results
    assert "G2" in results
    return [key for key, item in results.items() if item.outcome is not Outcome.PASSED and not unable(item)]


def checks_of(lab: Lab) -> LabChecks:
    return load_checks(lab.checks_path)


def unable(item: CheckResult) -> bool:
    return item.outcome is Outcome.NOT_ASSESSED and not item.finding.blocked


def test_a_lab_has_nothing_to_complain_about(lab: Lab) -> None:
    assert lint(lab) == ()


def test_parameters_are_a_pure_function_of_the_seed(lab: Lab) -> None:
    checks = checks_of(lab)

    drawn = [checks.parameters(lab.manifest.version, seed) for seed in range(30)]

    assert drawn == [checks.parameters(lab.manifest.version, seed) for seed in range(30)]
    assert len({repr(item) for item in drawn}) == 30


def test_the_reference_passes_its_own_unit_tests() -> None:
    folder = LABS["shipping-quote"].folder / "solutions/reference-python"
    run = subprocess.run(
        [
            sys.executable,
            "-m",
            "pytest",
            "-q",
            "-p",
            "no:cacheprovider",
            "--rootdir",
            folder,
            folder / "tests",
        ],
        capture_output=True,
        text=True,
        cwd=folder,
        timeout=60,
    )
    assert run.returncode == 0, run.stdout


def test_every_lab_of_a_track_exists() -> None:
    placed = [(item.slug, item.after) for track in Catalogue().tracks for item in track.labs]

    assert {slug for slug, _ in placed} <= LABS.keys()
    assert {before for _, after in placed for before in after} <= LABS.keys()


def test_the_quote_reference_passes_and_each_slip_costs_its_check(backend: Backend) -> None:
    names = ("reference-python", "float-money", "raise-on-bad-input", "fixed-names")

    found = verify(LABS["shipping-quote"], backend, only=names)

    assert found.ok
    assert {item.case.name: item.failed for item in found.of("mutant")} == {
        "float-money": ["f5"],
        "raise-on-bad-input": ["f2"],
        "fixed-names": ["i2"],
    }


# Without f4, whose long file takes as long as the other checks together.
QUICK = frozenset({"f1", "f2", "f3", "f5", "f6", "r1", "s2", "i1"})


@pytest.mark.parametrize(
    ("name", "fails"),
    [
        ("reference-python", []),
        ("no-url-decode", ["f2"]),
        ("uuid-keys", ["f6"]),
        ("same-prefix-output", ["r1"]),
    ],
)
def test_the_intake_reference_passes_and_each_slip_costs_its_check(
    backend: Backend, name: str, fails: list[str]
) -> None:
    assert lost(backend, LABS["invoice-intake"], name, only=QUICK) == fails


@pytest.mark.parametrize(
    ("name", "fails"),
    [
        ("reference-nodejs", []),
        ("parallel-publish", ["f3"]),
        ("errors-alarm", ["o1"]),
        ("retry-forever", ["r3", "r1"]),
    ],
)
def test_the_notifier_reference_passes_and_each_slip_costs_its_check(
    backend: Backend, name: str, fails: list[str]
) -> None:
    only = frozenset({"f1", *fails}) if fails else None
    assert lost(backend, LABS["order-status-notifier"], name, only=only) == fails


@pytest.mark.parametrize(
    ("name", "asked", "fails"),
    [
        # Without r4, whose burst takes as long as the other checks together.
        ("reference-nodejs", {"f1", "f2", "f3", "f4", "r1", "r2", "r3", "s1", "s2", "o1", "i1"}, []),
        ("wrong-identifier", {"f2"}, ["f2"]),
        ("record-after-send", {"r3"}, ["r3"]),
    ],
)
def test_the_dispatch_reference_passes_and_each_slip_costs_its_check(
    backend: Backend, name: str, asked: set[str], fails: list[str]
) -> None:
    assert lost(backend, LABS["campaign-dispatch"], name, only=frozenset(asked)) == fails


@pytest.mark.parametrize(
    ("name", "asked", "fails"),
    [
        ("reference-nodejs", {"f1", "f2", "f3", "f4", "f5", "f6", "r1", "r2", "r3", "s1", "i1", "o1"}, []),
        ("no-lock", {"r3"}, ["r3"]),
        ("day-is-24-hours", {"f3"}, ["f3"]),
        ("dead-letters-of-the-schedule-alone", {"r2"}, ["r2"]),
        ("schedule-for-any-function", {"s1"}, ["s1"]),
        ("counts-attempts", {"o1"}, ["o1"]),
    ],
)
def test_the_reconciliation_reference_passes_and_each_slip_costs_its_check(
    backend: Backend, name: str, asked: set[str], fails: list[str]
) -> None:
    assert lost(backend, LABS["nightly-reconciliation"], name, only=frozenset(asked)) == fails


def test_an_empty_submission_earns_nothing(backend: Backend, lab: Lab) -> None:
    run = run_seed(lab, checks_of(lab), Submission({"README.md": b"soon"}), 1, backend, nobody)

    assert sum(item.points for item in run.results.values()) == 0


@pytest.mark.slow
@pytest.mark.timeout(3600)
def test_every_solution_of_a_lab_comes_out_as_recorded(backend: Backend, lab: Lab) -> None:
    found = verify(lab, backend, runs=2)

    assert found.ok
    assert not [item.case.name for item in found.of("mutant") if item.surprises]
    assert found.kill_rate == 1.0
