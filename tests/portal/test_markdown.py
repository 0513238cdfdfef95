"""Briefs and contracts as HTML."""

from __future__ import annotations

from portal.markdown import render


def test_a_heading_that_repeats_the_title_is_left_out_and_others_move_down() -> None:
    html = render("# Say hello\n\nText\n\n## Deliver\n", "Say Hello")

    assert "Say hello" not in html
    assert "<h2>Deliver</h2>" in html


def test_markup_and_scripts_in_the_text_stay_text() -> None:
    html = render("<script>alert(1)</script> [x](javascript:alert(1)) <b onclick=x>b</b>")

    assert "<script" not in html
    assert "<b" not in html
    assert 'href="javascript' not in html


def test_tables_and_code_scroll_by_keyboard() -> None:
    html = render("| a | b |\n|---|---|\n| 1 | 2 |\n\n```\ncode <table>\n```\n")

    assert 'class="scroll" tabindex="0"' in html
    assert '<pre tabindex="0">' in html
    assert "code &lt;table&gt;" in html
