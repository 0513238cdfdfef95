"""Writes the table of docs/faults.md from the model: ``python -m tests.emulator.faults.document``."""

from __future__ import annotations

import re

from cli.faults import described, settings
from sandbox.faults import Fault, kinds
from settings import REPOSITORY

PAGE = REPOSITORY / "docs" / "faults.md"
_BEGIN, _END = "<!-- faults: begin -->", "<!-- faults: end -->"
_BETWEEN = re.compile(f"{_BEGIN}.*{_END}", re.DOTALL)


def table() -> str:
    """Every fault: its name, what it does, its settings, where it is."""
    head = "| fault | does | settings | on AWS |\n|---|---|---|---|"
    return "\n".join([head, *(_row(fault) for fault in kinds().values())])


def _row(fault: type[Fault]) -> str:
    does = " ".join((fault.__doc__ or "").split()).replace("``", "`")
    told = "<br>".join(f"`{name}`: {described(field)}" for name, field in settings(fault))
    return f"| `{fault.name}` | {does} | {told} | {'yes' if fault.on_aws else ''} |"


def page(text: str) -> str:
    """The page with the table as it should be."""
    assert _BETWEEN.search(text), f"{PAGE} has no place for the table"
    return _BETWEEN.sub(lambda _: f"{_BEGIN}\n{table()}\n{_END}", text)


if __name__ == "__main__":
    PAGE.write_text(page(PAGE.read_text("utf-8")), "utf-8")
