"""The notebook lab against its own solutions; the rest of its mutants are part of the exhaustive suite."""

from __future__ import annotations

import json
from typing import Any

import pytest

from curriculum.loader import Catalogue
from graders.backend import Backend
from graders.findings import Outcome
from graders.labs import load_checks
from graders.progress import nobody
from graders.runner import grade, run_seed
from graders.verification import cases
from sandbox.submissions import Submission

LAB = Catalogue().get_lab("serverless-or-containers")
CELLS = frozenset({"n1", "c1", "n2", "d2", "p1"})


def lost(backend: Backend, name: str, only: frozenset[str] | None) -> set[str]:
    case = next(case for case in cases(LAB) if case.name == name)
    run = run_seed(LAB, load_checks(LAB.checks_path), case.submission, 3, backend, nobody, only=only)
    assert not [item for item in run.results.values() if item.outcome is Outcome.INCONCLUSIVE]
    return {key for key, item in run.results.items() if item.outcome is not Outcome.PASSED}


@pytest.mark.parametrize(
    ("name", "only", "fails"),
    [
        ("in-javascript", None, set()),
        ("network-model", frozenset({"i1"}), {"i1"}),
        ("tampered-tests", CELLS, {"n1"}),
        ("tampered-kernel", CELLS, {"n1"}),
        ("tampered-answers", CELLS, set(CELLS)),
    ],
)
def test_a_solution_loses_what_it_should(
    backend: Backend, name: str, only: frozenset[str] | None, fails: set[str]
) -> None:
    assert lost(backend, name, only) == fails


def test_cells_are_checks_of_the_report_beside_the_others(backend: Backend) -> None:
    files = dict(LAB.reference("reference-python"))
    worksheet: dict[str, Any] = json.loads(files["worksheet.ipynb"])
    worksheet["cells"][3]["source"] = ["def monthly_cost(scenario):\n", "    return scenario['cost']\n"]
    files["worksheet.ipynb"] = json.dumps(worksheet).encode()

    report = grade(LAB, Submission(files), backend, seed=5, only=("n1", "c1", "i1")).report

    by_id = {item["id"]: item for item in report["checks"]}
    assert by_id.keys() == {"G2", "n1", "c1", "i1"}
    assert by_id["n1"]["outcome"] == "failed"
    assert (by_id["n1"]["headline"], by_id["n1"]["points_possible"]) == ("KeyError: 'cost'", 15)
    assert [item["what"][:14] for item in by_id["n1"]["did"]] == ["monthly_cost({"]
    assert "kernel" not in str(by_id["n1"]["means"])
    assert (by_id["c1"]["points"], by_id["c1"]["dimension"]) == (6, "COST")
    assert report["isolation"]["level"] >= 3


@pytest.mark.parametrize(
    ("missing", "said"),
    [("worksheet.ipynb", "There is no worksheet.ipynb."), ("model/run", "There is no model/run.")],
)
def test_a_missing_part_is_named(backend: Backend, missing: str, said: str) -> None:
    submission = Submission(LAB.reference("reference-python")).with_files({}, deleted=(missing,))

    run = run_seed(LAB, load_checks(LAB.checks_path), submission, 3, backend, nobody)

    assert run.results["G2"].finding.headline == said
    assert {item.outcome for key, item in run.results.items() if key != "G2"} == {Outcome.NOT_ASSESSED}


def test_the_handed_out_scenarios_are_those_of_the_grader() -> None:
    handed_out = LAB.starter("python")
    given = load_checks(LAB.checks_path).checks[0].question.__closure__
    assert given is not None
    (names,) = [
        cell.cell_contents
        for cell in given
        if isinstance(cell.cell_contents, dict) and "GIVEN" in cell.cell_contents
    ]

    assert {f"scenarios/{name}.json": scenario for name, scenario in names["GIVEN"].items()} == {
        path: json.loads(body) for path, body in handed_out.items() if path.startswith("scenarios/")
    }
