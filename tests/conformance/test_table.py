"""Every row of the table against every runtime that it concerns."""

from __future__ import annotations

import shutil

import pytest

from tests.conformance.rows import TABLE
from tests.conformance.runtimes import RUNTIMES, Runtime
from tests.conformance.table import Case, Functions, Row


@pytest.mark.parametrize(
    "row", [pytest.param(row, id=row.id, marks=[] if row.quick else [pytest.mark.slow]) for row in TABLE]
)
@pytest.mark.parametrize("runtime", RUNTIMES, ids=[runtime.name for runtime in RUNTIMES])
def test_behaves_as_on_lambda(runtime: Runtime, row: Row, functions: Functions) -> None:
    reason = row.not_for.get(runtime.name) or runtime.not_for.get(row.title)
    if reason:
        pytest.skip(reason)
    if runtime.identifier not in functions.account.runtimes:
        pytest.skip(f"{runtime.identifier} does not run on this machine")
    if runtime.built_by and not shutil.which(runtime.built_by):
        pytest.skip(f"{runtime.built_by} is not installed, which builds the fixture")
    row.run(Case(runtime, functions, row.title))


def test_the_table_is_whole() -> None:
    """At least forty rows, and no reason that speaks of a row or runtime that is not there."""
    titles = {row.title for row in TABLE}
    names = {runtime.name for runtime in RUNTIMES}
    assert len(titles) >= 40
    assert all(row.not_for.keys() <= names for row in TABLE)
    assert all(runtime.not_for.keys() <= titles for runtime in RUNTIMES)
