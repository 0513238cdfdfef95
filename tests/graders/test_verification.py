from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from curriculum.errors import ManifestInvalid
from curriculum.loader import Lab
from graders.authoring import lint
from graders.skeleton import skeleton
from graders.verification import verify

CHECKS = skeleton("say-hello", "X01")["checks.py"]
ChangedLab = Callable[[Mapping[str, str]], Lab]


def told(lab: Lab) -> str:
    return "\n".join(map(str, lint(lab)))


def test_a_new_lab_lints_and_verifies(lab: Lab, backend: Any) -> None:
    found = verify(lab, backend, runs=2)

    assert lint(lab) == ()
    assert found.ok
    assert found.as_json()["mutants"][0] == {
        "name": "hardcoded-greeting",
        "must_fail": ["f1"],
        "failed": ["f1"],
        "assessed": True,
        "killed": True,
        "by_behaviour": True,
        "surprises": [],
        "flips": 0,
    }
    assert found.as_json()["starter_points"] == 10


def test_a_surviving_mutant_is_not_ok(changed_lab: ChangedLab, backend: Any) -> None:
    lab = changed_lab({"mutants/harmless/mutant.toml": 'what = "Nothing is wrong."\nmust_fail = ["f1"]\n'})

    found = verify(lab, backend)

    assert not found.ok
    assert found.kill_rate == 0.5


def test_a_mutant_without_its_capability_is_not_counted(lab: Lab, backend: Any) -> None:
    backend.capabilities = frozenset({"CF", "VC"})

    found = verify(lab, backend)

    assert [item.assessed for item in found.of("mutant")] == [False]
    assert found.of("reference")[0].not_assessed == ["f1"]
    assert found.of("reference")[0].full


def test_a_check_that_answers_by_chance_is_a_flip(changed_lab: ChangedLab, backend: Any) -> None:
    checks = '''
from graders.api import FUN, N, check, failed, passed

@check(id="f1", points=90, dimension=FUN, visibility=N)
def sometimes(sandbox):
    """It depends."""
    return passed("even") if sandbox.seed % 2 else failed("odd")
'''
    found = verify(changed_lab({"checks.py": checks}), backend, runs=2)

    assert found.of("reference")[0].flips == 1
    assert not found.ok


def test_an_overlay_that_does_not_fit_is_an_error(changed_lab: ChangedLab, backend: Any) -> None:
    mutant = """
        what = "x"
        must_fail = ["f1"]
        delete = ["no.py"]
        [[replace]]
        path = "src/app.py"
        old = "zzz"
        new = ""
    """
    lab = changed_lab({"mutants/odd/mutant.toml": mutant})

    with pytest.raises(ManifestInvalid) as caught:
        verify(lab, backend)

    assert len(caught.value.problems) == 2


@pytest.mark.parametrize(
    ("changed", "problem"),
    [
        ({"checks.py": "import boto3\n"}, "boto3"),
        ({"checks.py": "raise ValueError('x')\n"}, "ValueError: x"),
        ({"brief.md": "word " * 130 + "Greeting FunctionArn"}, "keep it under 120"),
        (
            {"mutants/hardcoded-greeting/mutant.toml": 'what = "x"\nmust_fail = ["f7"]\n'},
            "f7, which does not exist",
        ),
        ({"mutants/hardcoded-greeting/mutant.toml": 'what = "x"\nmust_fial = ["f1"]\n'}, "mean `must_fail`"),
        ({"contract.md": "# Contract\n"}, "does not mention FunctionArn"),
        ({"checks.py": CHECKS + '\nCODE = "UNKNOWN_ZONE"\n'}, "does not mention UNKNOWN_ZONE"),
    ],
)
def test_lint_says_what_is_wrong(changed_lab: ChangedLab, changed: dict[str, str], problem: str) -> None:
    assert problem in told(changed_lab(changed))


def test_lint_finds_points_parameters_outputs_and_imports_that_disagree(changed_lab: ChangedLab) -> None:
    checks = '''
import socket
from graders.runner import grade
from graders.api import FUN, N, check, passed, stack_parameters

@stack_parameters
def pass_on(parameters):
    return {"Other": "x"}

@check(id="f1", points=50, dimension=FUN, visibility=N)
def one(sandbox):
    """One."""
    return passed(sandbox.output("Unheard"))

@check(id="f2", points=1, dimension=FUN, visibility=N)
def two(sandbox):
    """Two."""
    return passed("")
'''
    text = told(changed_lab({"checks.py": checks}))

    for expected in (
        "imports socket",
        "graders.runner",
        "add up to 61",
        "Unheard",
        "Other",
        "Greeting",
        "none must fail f2",
    ):
        assert expected in text
