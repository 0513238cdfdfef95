"""The catalogue and a lab's page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from curriculum.loader import Catalogue
from portal.catalogue.services import competencies, levels, search, shelves


def test_the_catalogue_lists_every_lab_with_what_the_learner_did(
    learner: Any, zipped: Any, reference: Any, work: Any
) -> None:
    assert learner.get("/").text.count("not started") == 2

    learner.upload("/labs/say-hello/submissions", zipped(reference))
    waiting = learner.get("/").text
    work()
    graded = learner.get("/").text

    assert "waiting to be graded" in waiting
    assert "best 100 of 100" in graded
    assert "1 of 2" in graded


def test_a_catalogue_without_labs_says_so(learner: Any, labs_folder: Path) -> None:
    for lab in labs_folder.iterdir():
        lab.rename(labs_folder.parent / lab.name)

    assert "No labs are installed." in learner.get("/").text


def test_a_labs_page_shows_brief_contract_checks_and_points(learner: Any) -> None:
    page = learner.get("/labs/x01").text

    for text in (
        "A greeter says the configured greeting",
        "<code>FunctionArn</code>",
        "The function greets its caller by name.",
        "90 points",
        "Everything else waits for it.",
        "Submit for grading",
    ):
        assert text in page
    assert page.count("<h1") == 1


def test_a_hidden_checks_title_is_not_shown_before_grading(learner: Any, labs_folder: Path) -> None:
    checks = labs_folder / "say-hello" / "checks.py"
    checks.write_text(
        checks.read_text().replace("visibility=N", "visibility=H").replace("FUN, N,", "FUN, H,")
    )

    page = learner.get("/labs/say-hello").text

    assert "The function greets its caller by name." not in page
    assert "1 more check that is named in your report" in page


def test_a_check_that_can_not_be_assessed_yet_says_why(learner: Any, labs_folder: Path) -> None:
    manifest = labs_folder / "say-hello" / "lab.toml"
    manifest.write_text(manifest.read_text() + '\n[assessed_later]\nf1 = "needs more of the emulator"\n')

    assert "Not assessed yet: needs more of the emulator" in learner.get("/labs/say-hello").text


def test_an_unknown_lab_is_a_page_that_suggests_the_nearest(learner: Any) -> None:
    answer = learner.get("/labs/say-helo")

    assert answer.status_code == 404
    assert "Did you mean" in answer.text
    assert "say-hello" in answer.text


def test_one_wrong_manifest_is_ours_and_shows_no_traceback(learner: Any, labs_folder: Path) -> None:
    (labs_folder / "say-hello" / "lab.toml").write_text("[lab]\ncode = 7\n")

    answer = learner.get("/labs/say-hello")

    assert answer.status_code == 500
    assert "The fault is ours." in answer.text
    assert "Traceback" not in answer.text


@pytest.mark.parametrize(
    ("words", "found"),
    [
        ("queue", {"campaign-dispatch"}),
        ("QUEUE sqs", {"campaign-dispatch"}),
        ("a01", {"shipping-quote"}),
        ("zebra", set()),
    ],
)
def test_labs_are_found_by_the_words_of_title_services_and_brief(words: str, found: set[str]) -> None:
    catalogue = Catalogue()

    shown = search(catalogue, shelves(catalogue, []), words)

    slugs = {item.lab.slug for shelf in shown for item in shelf.labs}
    assert found <= slugs
    assert len(slugs) < len(catalogue.labs)
    assert bool(slugs) is bool(found)


def test_a_search_says_how_many_it_found_and_leads_back(learner: Any) -> None:
    page = learner.get("/?q=hello").text
    assert "1 lab for “hello”" in page
    assert "Say goodbye" not in page
    assert "Nothing fits" in learner.get("/?q=%3Cscript%3E").text
    assert "&lt;script&gt;" in learner.get("/?q=%3Cscript%3E").text
    assert "2 labs" in learner.get("/?competency=C1").text


def test_levels_competencies_and_what_comes_before_are_told() -> None:
    catalogue = Catalogue()
    found = shelves(catalogue, [])

    assert [step.code for step in levels(found)] == ["associate", "practitioner", "senior", "architect"]
    assert sum(step.labs for step in levels(found)) == len(catalogue.labs)
    assert all(step.labs and not step.passed for step in competencies(catalogue, found))
    intake = next(item for shelf in found for item in shelf.labs if item.lab.slug == "invoice-intake")
    assert [(lab.slug, passed) for lab, passed in intake.after] == [("shipping-quote", False)]
