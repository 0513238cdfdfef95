"""A lab's source notebook: nbgrader's cells, and what a learner's notebook is worth beside it. Pure."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from graders.findings import Dimension, Visibility
from sandbox.errors import BadSubmission

LIMIT_BYTES = 5_000_000
CELLS_LIMIT = 500
_SCHEMA_VERSION = 3
_MARKS = re.compile(r"^\s*###\s*(BEGIN|END) (SOLUTION|HIDDEN TESTS|MARK SCHEME)\s*$", re.M)


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of a source notebook. ``grade_id`` is empty for cells that nbgrader knows nothing of."""

    grade_id: str
    kind: str
    source: str = field(repr=False)
    locked: bool
    solution: bool
    graded: bool
    points: float
    told: Mapping[str, Any] = field(repr=False)

    @property
    def is_test(self) -> bool:
        """Its code asks whether the cells before it are right, for points."""
        return self.graded and not self.solution and self.kind == "code"


@dataclass(frozen=True, slots=True)
class SourceNotebook:
    """A notebook as its author wrote it, with solutions and hidden tests. Never a learner's to see."""

    name: str
    body: bytes = field(repr=False)
    cells: tuple[Cell, ...] = field(repr=False)

    @property
    def digest(self) -> str:
        """What its release version is made of."""
        return f"sha256:{hashlib.sha256(self.body).hexdigest()}"

    @property
    def tests(self) -> tuple[Cell, ...]:
        """The cells that carry points."""
        return tuple(cell for cell in self.cells if cell.is_test)


def read_source(name: str, body: bytes) -> SourceNotebook:
    """A lab's notebook.

    Raises:
        ValueError: it is none that nbgrader's fourth format describes.
    """
    cells = tuple(_cell(raw) for raw in _cells(json.loads(body)))
    return SourceNotebook(name, body, cells)


def problems(notebook: SourceNotebook) -> Iterator[str]:
    """What is wrong with the metadata and the marks of a source notebook."""
    seen: set[str] = set()
    for number, cell in enumerate(notebook.cells, 1):
        where = f"cell {number}{f' ({cell.grade_id})' if cell.grade_id else ''}"
        yield from (f"{where} {what}" for what in _problems(cell))
        if cell.grade_id in seen:
            yield f"{where} has the grade_id of an earlier cell"
        seen |= {cell.grade_id} - {""}
    if not notebook.tests:
        yield "has no cell with points"


def _problems(cell: Cell) -> Iterator[str]:
    marks = [(match[2], match[1]) for match in _MARKS.finditer(cell.source)]
    for begin, end in zip(marks[::2], [*marks[1::2], ("", "")], strict=False):
        if begin[1] != "BEGIN" or end != (begin[0], "END"):
            yield f"has a ### {begin[1]} {begin[0]} without its other half"
    kinds = {kind for kind, _ in marks}
    if "SOLUTION" in kinds and not cell.solution:
        yield "holds a solution and is not marked as one, so learners would be handed it"
    if "HIDDEN TESTS" in kinds and not cell.is_test:
        yield "holds hidden tests and carries no points"
    if not cell.grade_id:
        return
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9_-]*", cell.grade_id):
        yield "has a grade_id that is no word"
    if cell.told.get("schema_version") != _SCHEMA_VERSION:
        yield f"has not schema_version {_SCHEMA_VERSION}"
    if cell.graded and cell.solution:
        yield "is graded by hand (a solution with points); give the points to a test cell"
    if cell.is_test:
        yield from _problems_of_test(cell)


def _problems_of_test(cell: Cell) -> Iterator[str]:
    if not cell.locked:
        yield "carries points and is not locked"
    if cell.points <= 0:
        yield "is worth no points"
    told = cell.told.get("coldstart")
    if not isinstance(told, Mapping) or not str(told.get("title", "")).strip():
        yield "has no metadata.coldstart.title, which learners read"
        return
    if told.get("dimension") not in set(Dimension) or told.get("visibility") not in set(Visibility):
        yield "has no metadata.coldstart.dimension and visibility that exist"
    try:
        compile(cell.source, cell.grade_id, "exec")
    except SyntaxError as error:
        yield f"is no Python, line {error.lineno}: {error.msg}"


def restored(source: SourceNotebook, path: str, theirs: bytes) -> dict[str, Any]:
    """The learner's notebook as it is run: their answers, and everything else as we handed it out.

    By ``grade_id``: a solution cell keeps what the learner wrote (the first of several that claim the
    id), a locked one is ours again, a test cell is left out, as it is never run in their kernel. Cells
    of their own stay where they are. Locked cells they took away come back at the top.

    Raises:
        BadSubmission: this is no notebook.
    """
    ours = {cell.grade_id: cell for cell in source.cells if cell.grade_id}
    ran: list[str] = []
    seen: set[str] = set()
    for raw in _submitted_cells(path, theirs):
        told = raw.get("metadata", {})
        told = told.get("nbgrader", {}) if isinstance(told, Mapping) else {}
        grade_id = str(told.get("grade_id", "")) if isinstance(told, Mapping) else ""
        cell = ours.get(grade_id)
        first = cell is not None and grade_id not in seen
        seen.add(grade_id)
        if cell is not None and first and not cell.solution:
            if not cell.is_test and cell.kind == "code":
                ran.append(cell.source)
        elif raw.get("cell_type") == "code":
            ran.append(_text(raw.get("source")))
    gone = [
        cell.source
        for cell in source.cells
        if cell.grade_id not in seen
        and cell.locked
        and cell.grade_id
        and not cell.is_test
        and cell.kind == "code"
    ]
    cells: list[dict[str, Any]] = [
        {
            "cell_type": "code",
            "id": f"cell-{number}",
            "source": text,
            "metadata": {},
            "outputs": [],
            "execution_count": None,
        }
        for number, text in enumerate([*gone, *ran], 1)
    ]
    return {"cells": cells, "metadata": {}, "nbformat": 4, "nbformat_minor": 5}


def _submitted_cells(path: str, body: bytes) -> list[Mapping[str, Any]]:
    advice = "Hand in the notebook that the lab began with, saved by JupyterLab."
    if len(body) > LIMIT_BYTES:
        raise BadSubmission(
            f"The notebook has {len(body) / 1e6:.1f} MB.",
            where=path,
            what_to_do="Clear its outputs (Edit, Clear Outputs of All Cells) and save it.",
        )
    try:
        cells = _cells(json.loads(body))
    except (ValueError, RecursionError) as error:
        raise BadSubmission(
            f"This is no Jupyter notebook ({str(error)[:200]}).", where=path, what_to_do=advice
        ) from None
    if len(cells) > CELLS_LIMIT:
        raise BadSubmission(
            f"The notebook has {len(cells)} cells; {CELLS_LIMIT} are run.",
            where=path,
            what_to_do="Take out those that are not needed.",
        )
    return cells


def _cells(document: Any) -> list[Mapping[str, Any]]:
    cells = document.get("cells") if isinstance(document, Mapping) else None
    if not isinstance(cells, list) or not all(isinstance(cell, Mapping) for cell in cells):
        raise ValueError("there is no list of cells, as nbformat 4 has")
    return cells


def _cell(raw: Mapping[str, Any]) -> Cell:
    metadata = raw.get("metadata") or {}
    told = {**metadata.get("nbgrader", {}), "coldstart": metadata.get("coldstart")}
    return Cell(
        grade_id=str(told.get("grade_id", "")),
        kind=str(raw.get("cell_type", "")),
        source=_text(raw.get("source")),
        locked=told.get("locked") is True,
        solution=told.get("solution") is True,
        graded=told.get("grade") is True,
        points=float(told.get("points") or 0),
        told=told,
    )


def _text(source: Any) -> str:
    """A cell's source, which the format keeps as text or as a list of lines."""
    return "".join(map(str, source)) if isinstance(source, list) else str(source or "")
