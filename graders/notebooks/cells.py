"""The graded cells of a lab's notebooks as checks of the lab."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from graders.checks import Check, LabChecks
from graders.errors import LabBroken
from graders.findings import Dimension, Finding, Visibility
from graders.notebooks.asking import ask
from graders.notebooks.format import Cell, SourceNotebook, problems, read_source
from graders.sandbox import Sandbox

FOLDER = "notebooks"


def source_notebooks(folder: Path) -> tuple[SourceNotebook, ...]:
    """The notebooks of a lab's folder, by name.

    Raises:
        LabBroken: one of them is none.
    """
    found = []
    for path in sorted((folder / FOLDER).glob("*.ipynb")):
        try:
            found.append(read_source(path.name, path.read_bytes()))
        except (OSError, ValueError) as error:
            raise LabBroken(f"{path} is not a notebook: {error}") from error
    return tuple(found)


def with_cells(checks: LabChecks, folder: Path, given: Mapping[str, Any]) -> LabChecks:
    """The checks of a lab with those of its notebooks before them. ``given`` is what ``checks.py`` defines.

    Raises:
        LabBroken: a notebook's metadata is wrong, or a cell has the id of another check.
    """
    found = [
        _check(notebook, cell, given) for notebook in source_notebooks(folder) for cell in _graded(notebook)
    ]
    if not (found or checks.checks):
        raise LabBroken(f"{folder}/checks.py declares no check.")
    ids = [item.id for item in (*found, *checks.checks)]
    for check_id in ids:
        if ids.count(check_id) > 1:
            raise LabBroken(f"{folder}: a cell and another check have the id `{check_id}`.")
    return replace(checks, checks=(*found, *checks.checks))


def _graded(notebook: SourceNotebook) -> Iterator[Cell]:
    wrong = list(problems(notebook))
    if wrong:
        raise LabBroken(f"{FOLDER}/{notebook.name}: {'; '.join(wrong)}.")
    yield from notebook.tests


def _check(notebook: SourceNotebook, cell: Cell, given: Mapping[str, Any]) -> Check:
    told = cell.told["coldstart"]

    def question(sandbox: Sandbox) -> Finding:
        session = sandbox.notebook(notebook)
        names = {"lab": _Names(given), "drawn": sandbox.parameters}
        return ask(cell, session, sandbox, names, cell.points)

    return Check(
        id=cell.grade_id,
        title=str(told["title"]),
        points=cell.points,
        dimension=Dimension(told["dimension"]),
        visibility=Visibility(told["visibility"]),
        needs=frozenset(told.get("needs", ())),
        after=(),
        question=question,
        description=str(told.get("description", "")),
    )


class _Names:
    """What ``checks.py`` defines, as ``lab.name`` in hidden tests."""

    def __init__(self, given: Mapping[str, Any]) -> None:
        self.__dict__.update(given)
