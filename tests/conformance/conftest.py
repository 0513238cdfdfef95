"""The account that all rows share, and the matrix at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.providers.emulated import EmulatedProvider
from settings import Settings
from tests.conformance.rows import TABLE
from tests.conformance.runtimes import RUNTIMES
from tests.conformance.table import Functions

_MARKS = {"passed": "ok", "failed": "FAILED", "skipped": "–"}
_outcomes: dict[tuple[str, str], str] = {}
_reasons: dict[tuple[str, str], str] = {}


@pytest.fixture(scope="session")
def functions() -> Iterator[Functions]:
    """One emulated account with all fixture functions."""
    with EmulatedProvider(Settings().home, say=lambda _text: None) as provider:
        account = provider.open()
        yield Functions(account)
        account.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Remember how each cell of the matrix came out."""
    report = yield
    cell = getattr(item, "callspec", None)
    if cell is not None and {"row", "runtime"} <= cell.params.keys():
        key = (cell.params["row"].title, cell.params["runtime"].name)
        if report.when == "call" or report.outcome != "passed":
            _outcomes[key] = report.outcome
        if report.outcome == "skipped" and isinstance(report.longrepr, tuple):
            _reasons[key] = str(report.longrepr[2]).removeprefix("Skipped: ")
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the matrix of rows × runtimes, and why cells are empty."""
    if not _outcomes:
        return
    names = [runtime.name for runtime in RUNTIMES]
    width = max(len(row.title) for row in TABLE)
    terminalreporter.section("conformance")
    terminalreporter.write_line(f"{'':<{width}}  " + "  ".join(f"{name:<7}" for name in names))
    for row in TABLE:
        cells = [_MARKS.get(_outcomes.get((row.title, name), ""), "") for name in names]
        if any(cells):
            terminalreporter.write_line(f"{row.title:<{width}}  " + "  ".join(f"{c:<7}" for c in cells))
    for (title, name), reason in sorted(_reasons.items()):
        terminalreporter.write_line(f"– {name}, {title}: {reason}")
