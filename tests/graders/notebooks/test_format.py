"""Source notebooks, what learners get of them, and what is run of what they hand in."""

from __future__ import annotations

import json
from typing import Any

import pytest

from curriculum.loader import Catalogue
from graders.notebooks.cells import source_notebooks
from graders.notebooks.format import SourceNotebook, problems, read_source, restored
from graders.notebooks.release import is_current, leaks
from sandbox.errors import BadSubmission

LAB = Catalogue().get_lab("serverless-or-containers")


def cell(source: str, grade_id: str = "", *, grade: bool = False, **more: Any) -> dict[str, Any]:
    metadata: dict[str, Any] = {}
    if grade_id:
        told = {"schema_version": 3, "grade_id": grade_id, "grade": grade, "solution": False, "locked": True}
        metadata["nbgrader"] = told | {"points": 5} if grade else told
        metadata["nbgrader"] |= more
        metadata["coldstart"] = {"title": "It adds.", "dimension": "DIAG", "visibility": "N"}
    return {"cell_type": "code", "metadata": metadata, "source": source.splitlines(keepends=True)}


def notebook(*cells: dict[str, Any]) -> bytes:
    return json.dumps({"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}).encode()


GIVEN = cell("import math", "given")
ANSWER = cell(
    "def add(a, b):\n    ### BEGIN SOLUTION\n    return a + b\n    ### END SOLUTION",
    "answer",
    solution=True,
    locked=False,
)
TEST = cell(
    "assert add(1, 1) == 2\n### BEGIN HIDDEN TESTS\nassert add(*drawn['pair']) == 9\n### END HIDDEN TESTS",
    "t1",
    grade=True,
)


@pytest.fixture
def source() -> SourceNotebook:
    return read_source("w.ipynb", notebook(GIVEN, ANSWER, TEST))


def sources_of(run: dict[str, Any]) -> list[str]:
    return [item["source"] for item in run["cells"]]


def test_a_good_notebook_has_no_problems(source: SourceNotebook) -> None:
    assert list(problems(source)) == []


@pytest.mark.parametrize(
    ("broken", "said"),
    [
        (cell("### BEGIN SOLUTION\nx = 1\n### END SOLUTION", "a"), "is not marked as one"),
        (cell("### BEGIN HIDDEN TESTS\nassert x\n### END HIDDEN TESTS", "a"), "carries no points"),
        (cell("### BEGIN SOLUTION\nx = 1", "a", solution=True, locked=False), "without its other half"),
        (cell("assert x", "a", grade=True, points=0), "is worth no points"),
        (cell("assert x", "a", grade=True, locked=False), "is not locked"),
        (cell("assert (", "a", grade=True), "is no Python, line 1"),
        (cell("x", "a", schema_version=1), "has not schema_version 3"),
        (cell("x", "given"), "has the grade_id of an earlier cell"),
    ],
)
def test_wrong_metadata_is_told_with_its_cell(broken: dict[str, Any], said: str) -> None:
    found = list(problems(read_source("w.ipynb", notebook(GIVEN, TEST, broken))))

    assert [text for text in found if text.startswith("cell 3") and said in text]


def test_learners_answers_are_kept_and_everything_else_is_ours_again(source: SourceNotebook) -> None:
    theirs = notebook(
        cell("import evil", "given"),
        cell("helper = 1"),
        cell("def add(a, b): return helper", "answer", solution=True, locked=False),
        cell("pass", "t1", grade=True),
    )

    assert sources_of(restored(source, "w.ipynb", theirs)) == [
        "import math",
        "helper = 1",
        "def add(a, b): return helper",
    ]


def test_no_test_is_run_in_the_learners_kernel(source: SourceNotebook) -> None:
    run = restored(source, "w.ipynb", notebook(GIVEN, ANSWER, TEST))

    assert not [text for text in sources_of(run) if "assert" in text or "drawn" in text]


def test_a_given_cell_that_was_taken_away_comes_back(source: SourceNotebook) -> None:
    assert sources_of(restored(source, "w.ipynb", notebook(cell("x = 1")))) == ["import math", "x = 1"]


def test_a_second_cell_with_the_same_id_is_just_a_cell(source: SourceNotebook) -> None:
    theirs = notebook(GIVEN, cell("import evil", "given"), ANSWER)

    assert sources_of(restored(source, "w.ipynb", theirs))[:2] == ["import math", "import evil"]


@pytest.mark.parametrize(
    "body",
    [b"", b"{}", b"[]", b'{"cells": 3}', b'{"cells": [1]}', b"\xff\xfe", b"[" * 100_000, b'{"cells":' * 9000],
)
def test_what_is_no_notebook_is_refused_in_words(source: SourceNotebook, body: bytes) -> None:
    with pytest.raises(BadSubmission, match="no Jupyter notebook"):
        restored(source, "w.ipynb", body)


def test_a_notebook_with_too_much_in_it_is_refused(source: SourceNotebook) -> None:
    with pytest.raises(BadSubmission, match="600 cells"):
        restored(source, "w.ipynb", notebook(*[cell("x")] * 600))
    with pytest.raises(BadSubmission, match=r"6\.0 MB"):
        restored(source, "w.ipynb", b" " * 6_000_000)


def test_strange_metadata_is_no_way_in(source: SourceNotebook) -> None:
    odd = [{"cell_type": "code", "source": "x = 1", "metadata": told} for told in (3, {"nbgrader": []}, None)]

    assert sources_of(restored(source, "w.ipynb", notebook(*odd))) == ["import math", *["x = 1"] * 3]


# --- what learners get


@pytest.mark.parametrize("runtime", LAB.starters)
def test_the_handed_out_notebook_holds_no_solution_and_no_hidden_test(runtime: str) -> None:
    for source in source_notebooks(LAB.folder):
        handed_out = LAB.starter(runtime)[source.name]

        assert is_current(source, handed_out)
        assert list(leaks(source, handed_out)) == []
        for word in (b"HIDDEN", b"SOLUTION", b"lab.GIVEN", b"drawn[", b"costing."):
            assert word in source.body
            assert word not in handed_out


def test_a_leak_is_noticed(source: SourceNotebook) -> None:
    told = notebook(
        GIVEN, cell("def add(a, b):\n    return a + b", "answer"), cell("assert lab.near(1)", "t1")
    )

    assert [text.split(":")[0] for text in leaks(source, told)] == [
        "tells a line of answer",
        "still has marks or hidden names in t1",
    ]


@pytest.mark.parametrize("runtime", LAB.starters)
def test_no_file_that_learners_get_tells_the_truth(runtime: str) -> None:
    """The grader's own formulas stay in ``checks.py``."""
    for path, body in LAB.starter(runtime).items():
        assert b"on_demand" not in body, path
