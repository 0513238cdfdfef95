"""The documentation's table is the matrix's."""

from __future__ import annotations

from tests.triggers import document


def test_the_table_in_the_documentation_is_the_matrix_s() -> None:
    text = document.PAGE.read_text("utf-8")
    assert text == document.page(text), "Write it anew: python -m tests.triggers.document"
