"""The attack table's results in ``docs/security.md``: rendered from a run, and read back by a test.

``python -m tests.isolation.attacks`` runs every cell and rewrites the table and the line about the machine.
"""

from __future__ import annotations

import platform
import re
import xml.etree.ElementTree as ET
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.isolation.attacks import account_table, runners, table

DOCUMENT = Path(__file__).resolve().parents[3] / "docs" / "security.md"
BEGIN, END = "<!-- attacks: begin -->", "<!-- attacks: end -->"
DOES_NOT_APPLY = "–"
COLUMNS = (*runners.ALL,)


@dataclass(frozen=True, slots=True)
class Results:
    """What a run found: for each attack and runtime the identities that contained it, or did not."""

    cells: Mapping[tuple[str, str], Mapping[str, bool]]
    levels: Mapping[str, int]

    @classmethod
    def read(cls, report: Path) -> Results:
        """From pytest's report; tests that say nothing of an attack are passed over."""
        cells: dict[tuple[str, str], dict[str, bool]] = {}
        levels: dict[str, int] = {}
        for case in ET.parse(report).iter("testcase"):
            found = {each.get("name"): each.get("value", "") for each in case.iter("property")}
            if "attack" not in found:
                continue
            cell = cells.setdefault((found["attack"], found["runner"]), {})
            failed = case.find("failure") is not None or case.find("error") is not None
            cell[found["identity"]] = not failed and cell.get(found["identity"], True)
            levels[found["identity"]] = int(found["level"])
        return cls(cells, levels)

    def said(self, attack: str, runner: str) -> str:
        """One cell's text."""
        cell = self.cells.get((attack, runner))
        if not cell:
            return DOES_NOT_APPLY
        return ", ".join(who if held else f"**{who}: not contained**" for who, held in sorted(cell.items()))


def rows() -> list[tuple[str, str, str]]:
    """Name, what is tried, what is to come of it."""
    return [
        *((each.name, each.tries, each.contained) for each in table.ATTACKS),
        *((each.name, each.tries, each.contained) for each in account_table.ATTACKS),
    ]


def render(results: Results) -> str:
    """The table and the line above it."""
    levels = ", ".join(f"{who} at level {level}" for who, level in sorted(results.levels.items()))
    lines = [
        f"Run on Linux {platform.release().partition('-')[0]}, {platform.machine()}: {levels}.",
        "",
        "| # | attack | tries | comes to | " + " | ".join(COLUMNS) + " |",
        "|---|---|---|---|" + "---|" * len(COLUMNS),
    ]
    for number, (name, tries, contained) in enumerate(rows(), 1):
        cells = " | ".join(results.said(name, column) for column in COLUMNS)
        lines.append(f"| {number} | {name} | {tries} | {contained} | {cells} |")
    return "\n".join(lines)


def rewrite(results: Results) -> None:
    """Put the table into the document."""
    text = DOCUMENT.read_text()
    before, _, rest = text.partition(BEGIN)
    _old, _, after = rest.partition(END)
    DOCUMENT.write_text(f"{before}{BEGIN}\n{render(results)}\n{END}{after}")


def recorded() -> list[list[str]]:
    """The document's rows, each a list of its cells."""
    _before, _, rest = DOCUMENT.read_text().partition(BEGIN)
    written = rest.partition(END)[0]
    return [
        [cell.strip() for cell in line.strip().strip("|").split(" | ")]
        for line in written.splitlines()
        if re.match(r"\| \d+ \|", line)
    ]
