"""Test cells against a notebook's answers: decided outside of its kernel."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import pytest

from graders.findings import Finding, Outcome
from graders.notebooks.asking import ask
from graders.notebooks.format import Cell
from graders.sandbox import Sandbox, Stack
from graders.template import Template
from sandbox.errors import EnvironmentFault
from sandbox.programs.notebooks import NotebookFailed, Problem


class Answers:
    """A session whose kernel is a dictionary."""

    def __init__(self, **names: Any) -> None:
        self.names = names
        self.problems: tuple[Problem, ...] = ()

    def describe(self, name: str) -> tuple[bool, bool]:
        return name in self.names, callable(self.names.get(name))

    def value(self, name: str) -> Any:
        return self.names[name]

    def call(self, name: str, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Any:
        return self.names[name](*args, **kwargs)


@pytest.fixture
def put(account: Any) -> Callable[..., Finding]:
    def put(source: str, session: Answers, **given: Any) -> Finding:
        cell = Cell("t1", "code", source, True, False, True, 10, {})
        sandbox = Sandbox(account, Stack("", {}, {}, (), Template({}, {})), {}, 1)
        return ask(cell, session, sandbox, given, 10)  # type: ignore[arg-type]

    return put


def raising(error: Exception) -> Callable[..., Any]:
    def call(*_args: Any) -> Any:
        raise error

    return call


def test_right_answers_pass_and_are_counted(put: Callable[..., Finding]) -> None:
    found = put("for n in range(3):\n    assert double(n) == 2 * n", Answers(double=lambda n: 2 * n))

    assert (found.outcome, found.headline) == (
        Outcome.PASSED,
        "3 questions to the notebook answered as expected.",
    )


def test_a_wrong_answer_fails_with_what_was_asked_and_what_came(put: Callable[..., Finding]) -> None:
    found = put(
        "got = double(4)\nassert got == 8, f'twice 4 is 8, not {got}'", Answers(double=lambda n: n + 2)
    )

    assert (found.outcome, found.headline) == (Outcome.FAILED, "twice 4 is 8, not 6")
    assert [(item.source, item.what) for item in found.saw] == [("double", "6")]


def test_a_bare_assert_says_which_it_was(put: Callable[..., Finding]) -> None:
    found = put("x = 1\nassert double(4) == 8", Answers(double=lambda n: 0))

    assert found.headline == "This does not hold: assert double(4) == 8"


@pytest.mark.parametrize(
    ("names", "headline"),
    [
        ({}, "The notebook does not define `double`."),
        ({"double": raising(NotebookFailed("NotImplementedError: "))}, "This cell is not written yet."),
        ({"double": raising(NotebookFailed("ValueError: no"))}, "ValueError: no"),
        ({"double": lambda n: "8"}, '`double(4)` gave "8", which can\'t be judged: TypeError'),
        ({"double": lambda n: None}, "`double(4)` gave null, which can't be judged: TypeError"),
        ({"double": 8}, "`double` gave 8, which can't be judged: TypeError"),
    ],
)
def test_every_other_wrong_answer_is_the_learners(
    put: Callable[..., Finding], names: dict[str, Any], headline: str
) -> None:
    found = put("assert abs(double(4) - 8) < 1", Answers(**names))

    assert found.outcome is Outcome.FAILED
    assert found.headline.startswith(headline)


def test_what_broke_here_is_ours(put: Callable[..., Finding]) -> None:
    with pytest.raises(EnvironmentFault):
        put("double(4)", Answers(double=raising(EnvironmentFault("no time"))))
    with pytest.raises(AttributeError):
        put("lab.missing(double)", Answers(double=lambda n: n), lab=object())


def test_given_names_can_not_be_replaced_by_the_notebook(put: Callable[..., Finding]) -> None:
    session = Answers(truth=lambda n: "mine", drawn="mine", abs=lambda n: 0, double=lambda n: n)

    found = put("assert abs(double(4) - truth(4)) == 0", session, truth=lambda n: 2 * n)

    assert found.outcome is Outcome.FAILED


def test_names_inside_of_functions_and_comprehensions_are_asked_for_too(put: Callable[..., Finding]) -> None:
    source = "def twice(n):\n    return double(double(n))\nassert [twice(n) for n in NUMBERS] == [4]"

    assert put(source, Answers(double=lambda n: 2 * n, NUMBERS=[1])).outcome is Outcome.PASSED


@pytest.mark.parametrize(
    ("value", "outcome", "points"),
    [(4, Outcome.PARTIAL, 4.0), (0, Outcome.FAILED, None), (10, Outcome.PASSED, None)],
)
def test_a_number_as_the_last_line_is_partial_credit(
    put: Callable[..., Finding], value: int, outcome: Outcome, points: float | None
) -> None:
    found = put("share()", Answers(share=lambda: value))

    assert (found.outcome, found.points) == (outcome, points)


def test_a_truth_as_the_last_line_is_no_number(put: Callable[..., Finding]) -> None:
    assert put("share()", Answers(share=lambda: True)).outcome is Outcome.PASSED


def test_cells_that_raised_are_evidence(put: Callable[..., Finding]) -> None:
    session = Answers()
    session.problems = (Problem("cell-3", "SyntaxError: invalid syntax"),)

    found = put("double(1)", session)

    assert [(item.source, item.what) for item in found.saw] == [("cell-3", "SyntaxError: invalid syntax")]
    assert found.look == ("cell-3, the first that raised",)
