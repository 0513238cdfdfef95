"""The documentation's table is the model's."""

from __future__ import annotations

from tests.emulator.faults import document


def test_the_table_in_the_documentation_is_the_model_s() -> None:
    text = document.PAGE.read_text("utf-8")
    assert text == document.page(text), "Write it anew: python -m tests.emulator.faults.document"
