"""The account that all rows share, and the matrix at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.providers.emulated import EmulatedProvider
from settings import Settings
from tests.triggers.rows import TABLE
from tests.triggers.world import World

_outcomes: dict[str, tuple[str, float]] = {}


@pytest.fixture(scope="session")
def triggers() -> Iterator[World]:
    """One emulated account with the functions that all rows invoke."""
    with EmulatedProvider(Settings().home, say=lambda _text: None) as provider:
        account = provider.open()
        yield World(account)
        account.close()


@pytest.fixture
def world(triggers: World) -> Iterator[World]:
    """The shared account; what a row made is gone afterwards."""
    triggers.begin()
    yield triggers
    triggers.end()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Any:
    """Remember how each row came out."""
    report = yield
    cell = getattr(item, "callspec", None)
    if (
        cell is not None
        and "trigger" in cell.params
        and (report.when == "call" or report.outcome != "passed")
    ):
        _outcomes[cell.params["trigger"].id] = report.outcome, report.duration
    return report


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """Print the matrix."""
    if not _outcomes:
        return
    terminalreporter.section("triggers")
    wide, wider = (max(len(getattr(row, name)) for row in TABLE) for name in ("source", "target"))
    for row in TABLE:
        if row.id in _outcomes:
            outcome, duration_s = _outcomes[row.id]
            mark = "ok" if outcome == "passed" else outcome.upper()
            terminalreporter.write_line(
                f"{row.source:<{wide}}  → {row.target:<{wider}}  {mark:<6} {duration_s:5.2f} s"
            )
