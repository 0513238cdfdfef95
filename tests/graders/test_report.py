from __future__ import annotations

import io
from html.parser import HTMLParser
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from rich.console import Console

from curriculum.loader import Lab
from graders.report import html, junit, terminal
from graders.runner import grade
from sandbox.submissions import Submission


@pytest.fixture
def report(lab: Lab, backend: Any) -> dict[str, Any]:
    return grade(lab, Submission(lab.variant(lab.mutants[0])), backend, seed=5).report


def test_junit_has_a_case_for_each_check(report: dict[str, Any]) -> None:
    suite = ET.fromstring(junit.render(report))

    assert len(suite.findall("testcase")) == len(report["checks"])
    assert (suite.get("failures"), suite.get("errors")) == ("1", "0")
    failure = suite.find("testcase/failure")
    assert failure is not None
    assert "What we did:" in str(failure.text)


class Outside(HTMLParser):
    """Collects every address and script of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in ("script", "link", "img", "iframe"):
            self.found.append(tag)
        self.found += [str(value) for name, value in attrs if name in ("src", "onclick")]


def test_the_page_stands_alone_and_tells_the_evidence(report: dict[str, Any]) -> None:
    page = html.render(report)
    outside = Outside()
    outside.feed(page)

    assert outside.found == []
    assert "Not passed" in page
    assert report["checks"][1]["did"][0]["what"] in page


def test_what_a_learner_wrote_is_text_and_never_markup(report: dict[str, Any]) -> None:
    report["checks"][1]["headline"] = "<script>alert(1)</script>"
    report["checks"][1]["saw"][0]["what"] = '"><img src=x onerror=alert(1)>'

    outside = Outside()
    outside.feed(html.render(report))

    assert outside.found == []


def test_the_terminal_shows_verdict_and_evidence(report: dict[str, Any]) -> None:
    console = Console(file=io.StringIO(), width=100)
    terminal.render(report, console)
    text = console.file.getvalue()  # type: ignore[attr-defined]

    assert "Not passed  10/100 points" in text
    assert "What we saw" in text
    assert "[" not in text.replace("[0", "")
