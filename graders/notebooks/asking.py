"""A test cell put to a notebook: its code runs here, the notebook's names are answered from over there.

nbgrader runs tests in the learner's kernel, where the learner's code can read them, patch what they
use, and say that they passed. Here the kernel gets questions (a function's arguments, a variable's
name) and gives plain values back; it never sees a test, and what is right is decided outside.
"""

from __future__ import annotations

import ast
import builtins
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import CodeType
from typing import Any

from graders.findings import Finding, Saw, failed, partial, passed
from graders.notebooks.format import Cell
from graders.sandbox import Sandbox
from sandbox.programs.notebooks import NotebookFailed, NotebookSession

_SHOWN = 160
_ASKED_SHOWN = 6


@dataclass(slots=True)
class _Asked:
    """What was asked and came back, as evidence."""

    sandbox: Sandbox
    times: int = 0
    last: str = ""

    def note(self, question: str, answer: str, *, shown: bool = True) -> None:
        self.times += 1
        self.last = f"`{question}` gave {answer}"
        if shown and self.times <= _ASKED_SHOWN:
            self.sandbox.did("notebook", question)
            self.sandbox.saw(question.partition("(")[0], answer)


@dataclass(frozen=True, slots=True)
class _Remote:
    """A function of the notebook. Calling it asks the kernel."""

    session: NotebookSession
    name: str
    asked: _Asked = field(repr=False)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        given = [_short(item) for item in args] + [f"{key}={_short(item)}" for key, item in kwargs.items()]
        question = f"{self.name}({', '.join(given)})"
        try:
            value = self.session.call(self.name, args, kwargs)
        except NotebookFailed as error:
            self.asked.note(question, str(error))
            raise
        self.asked.note(question, _short(value))
        return value


def ask(
    cell: Cell, session: NotebookSession, sandbox: Sandbox, given: Mapping[str, Any], points: float
) -> Finding:
    """What a test cell finds. ``given`` are the names its hidden part may use beside the notebook's.

    As nbgrader scores: all points unless it raises; a number as its last line, between 0 and
    ``points``, earns so many.

    Raises:
        Exception: the cell itself is broken, before any answer of the learner's mattered.
    """
    tree = ast.parse(cell.source, cell.grade_id)
    asked = _Asked(sandbox)
    scope: dict[str, Any] = {"__name__": "__main__", **given}
    try:
        for name in sorted(_wanted(compile(tree, cell.grade_id, "exec")) - scope.keys()):
            known, can_be_called = session.describe(name)
            if known:
                scope[name] = (
                    _Remote(session, name, asked) if can_be_called else _variable(session, name, asked)
                )
        earned = _execute(tree, cell.grade_id, scope)
    except NotebookFailed as error:
        return failed(_unfinished(str(error)), saw=_evidence(sandbox, session), look=_look(session))
    except AssertionError as error:
        headline = str(error) or f"This does not hold: {_line(cell, error)}"
        return failed(headline[:400], saw=_evidence(sandbox, session), look=_look(session))
    except NameError as error:
        missing = str(error.name)
        if missing in given or missing in scope:
            raise
        return failed(
            f"The notebook does not define `{missing}`.", saw=_evidence(sandbox, session), look=_look(session)
        )
    except Exception as error:
        if not asked.times:
            raise  # The test's own defect.
        headline = f"{asked.last}, which can't be judged: {type(error).__name__}: {error}"
        return failed(headline[:400], saw=_evidence(sandbox, session), look=_look(session))
    told = f"{asked.times} question{'' if asked.times == 1 else 's'} to the notebook answered as expected."
    if isinstance(earned, (int, float)) and not isinstance(earned, bool) and 0 <= earned < points:
        return (
            partial(float(earned), f"Partly right: {earned:g} of {points:g} points.")
            if earned
            else failed("No part of it is right.", saw=_evidence(sandbox, session), look=_look(session))
        )
    return passed(told)


def _execute(tree: ast.Module, name: str, scope: dict[str, Any]) -> Any:
    """Run the cell; the value of its last line, if that is an expression."""
    last = tree.body[-1] if tree.body else None
    if not isinstance(last, ast.Expr):
        exec(compile(tree, name, "exec"), scope)
        return None
    exec(compile(ast.Module(tree.body[:-1], []), name, "exec"), scope)
    return eval(compile(ast.Expression(last.value), name, "eval"), scope)


def _wanted(code: CodeType) -> set[str]:
    """The names that code looks for and neither makes itself nor finds among the builtins."""
    return {name for name in _names(code) if not hasattr(builtins, name)}


def _names(code: CodeType) -> Iterator[str]:
    import dis

    stored = {item.argval for item in dis.get_instructions(code) if item.opname == "STORE_NAME"}
    for item in dis.get_instructions(code):
        if item.opname in ("LOAD_NAME", "LOAD_GLOBAL") and item.argval not in stored:
            yield item.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from (name for name in _names(constant) if name not in stored)


def _variable(session: NotebookSession, name: str, asked: _Asked) -> Any:
    value = session.value(name)
    # A variable is what a question is about, more often than an answer.
    asked.note(name, _short(value), shown=False)
    return value


def _evidence(sandbox: Sandbox, session: NotebookSession) -> list[Saw]:
    raised = [Saw(problem.cell or "the notebook", problem.error) for problem in session.problems[:3]]
    return [*raised, *sandbox.saw_log]


def _look(session: NotebookSession) -> list[str]:
    return (
        [f"{session.problems[0].cell or 'The notebook'}, the first that raised"] if session.problems else []
    )


def _unfinished(error: str) -> str:
    return "This cell is not written yet." if error.startswith("NotImplementedError") else error


def _line(cell: Cell, error: BaseException) -> str:
    trace = error.__traceback__
    number = 0
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == cell.grade_id:
            number = trace.tb_lineno
        trace = trace.tb_next
    lines = cell.source.splitlines()
    return lines[number - 1].strip() if 0 < number <= len(lines) else cell.grade_id


def _short(value: Any) -> str:
    text = json.dumps(value, default=repr)
    return text if len(text) <= _SHOWN else f"{text[: _SHOWN - 1]}…"


Question = Callable[[Sandbox], Finding]
