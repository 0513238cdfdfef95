"""Writes the table of docs/emulator.md from the rows of the matrix: ``python -m tests.triggers.document``."""

from __future__ import annotations

import re
from collections.abc import Sequence

from settings import REPOSITORY
from tests.triggers import payloads
from tests.triggers.rows import TABLE
from tests.triggers.table import Row

PAGE = REPOSITORY / "docs" / "emulator.md"
_BEGIN, _END = "<!-- triggers: begin -->", "<!-- triggers: end -->"
_BETWEEN = re.compile(f"{_BEGIN}.*{_END}", re.DOTALL)
_HEAD = ("from", "to", "gets", "what fails is tried at", "and ends in")


def table(rows: Sequence[Row] = TABLE) -> str:
    """The rows as a table in Markdown, by source."""
    order = list(dict.fromkeys(row.source for row in rows))
    cells = [_HEAD, ("---",) * len(_HEAD)]
    cells += [_cells(row) for row in sorted(rows, key=lambda row: order.index(row.source))]
    return "\n".join(f"| {' | '.join(each)} |" for each in cells)


def _cells(row: Row) -> tuple[str, ...]:
    payload = f"[{row.payload}]({payloads.source(row.payload)})" if row.payload != "any" else "any JSON"
    tries = ", ".join(f"{moment:g}" for moment in row.tries_s)
    ends = ", ".join(row.endings) + (f" ({row.note})" if row.note else "")
    return row.source, row.target, payload, f"{tries} s" if len(row.tries_s) > 1 else "once", ends


def page(text: str) -> str:
    """The page with the table as it should be."""
    assert _BETWEEN.search(text), f"{PAGE} has no place for the table"
    return _BETWEEN.sub(lambda _: f"{_BEGIN}\n{table()}\n{_END}", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
