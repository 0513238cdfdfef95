"""The catalogue and a lab's page."""

from __future__ import annotations

from pathlib import Path
from typing import Any


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
