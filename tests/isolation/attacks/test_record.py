"""The table in the documentation is the one that was run, and says of every cell that it was contained."""

from __future__ import annotations

from pathlib import Path

from tests.isolation.attacks import account_table, record, runners, table
from tests.isolation.attacks.record import DOES_NOT_APPLY, Results

WHY = "run `python -m tests.isolation.attacks` as root to rewrite docs/security.md"


def test_the_documented_rows_are_the_tables() -> None:
    assert [(row[1], row[2], row[3]) for row in record.recorded()] == record.rows(), WHY


def test_every_cell_that_applies_was_run_and_contained() -> None:
    written = {row[1]: dict(zip(record.COLUMNS, row[4:], strict=True)) for row in record.recorded()}
    for attack in table.ATTACKS:
        for runner in runners.ALL:
            expected = "root, user" if runner in attack.runners else DOES_NOT_APPLY
            assert written[attack.name][runner] == expected, (attack.name, runner, WHY)
    for forgery in account_table.ATTACKS:
        assert written[forgery.name][runners.FORK] == "root", (forgery.name, WHY)


def test_a_cell_that_failed_for_one_identity_is_written_as_not_contained(tmp_path: Path) -> None:
    report = tmp_path / "report.xml"
    report.write_text(
        """<testsuites><testsuite>
        <testcase><properties><property name="attack" value="links"/><property name="runner" value="Go"/>
        <property name="identity" value="root"/><property name="level" value="4"/></properties></testcase>
        <testcase><properties><property name="attack" value="links"/><property name="runner" value="Go"/>
        <property name="identity" value="user"/><property name="level" value="3"/></properties>
        <failure message="x"/></testcase><testcase name="other"/></testsuite></testsuites>"""
    )
    results = Results.read(report)
    assert results.said("links", "Go") == "root, **user: not contained**"
    assert results.said("links", "Java") == DOES_NOT_APPLY
    assert results.levels == {"root": 4, "user": 3}
    assert "| links |" in record.render(results)
