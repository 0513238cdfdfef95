"""From the queue to the report: what a learner sees of a grading, and that it is honest."""

from __future__ import annotations

import shutil
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from records.queue import Queue

HELLO = "/labs/say-hello/submissions"
HARDCODED = b'def handler(event, context):\n    return {"text": f"Hello, {event[\'name\']}!"}\n'


@pytest.fixture
def queue(portal: Any) -> Queue:
    return Queue(portal.database, lambda: datetime.now(UTC))


def report_with(*checks: dict[str, Any], outcome: str = "not_passed") -> dict[str, Any]:
    """A whole report around these checks."""
    blank: dict[str, Any] = {
        **{key: [] for key in ("did", "saw", "ruled_out", "means", "look", "docs")},
        "dimension": "FUN",
        "visibility": "N",
        "points": 0,
        "points_possible": 10,
        "worth": 10,
    }
    filled = [{**blank, **check} for check in checks]
    return {
        "schema": "coldstart.report/1",
        "lab": "say-hello",
        "lab_code": "X01",
        "lab_title": "Say hello",
        "lab_version": "0.1",
        "seed": 1811,
        "seeds": [1811],
        "backend": "emulated",
        "isolation": {"level": 4, "name": "cgroup"},
        "runtimes": ["python3.12"],
        "outcome": outcome,
        "duration_s": 1.5,
        "phases": [],
        "cost": {},
        "points": sum(item["points"] for item in filled),
        "points_possible": sum(item["points_possible"] for item in filled),
        "checks": filled,
        "iam": {"roles": []},
        "submission_digest": "sha256:aa",
        "grader_digest": "sha256:bb",
    }


def graded(learner: Any, work: Any, archive: bytes, report: dict[str, Any] | None = None) -> str:
    """Hand in, grade, and return the page of the report."""
    address = learner.upload(HELLO, archive).request.path
    work(report)
    return str(learner.get(address).text)


def test_the_reference_passes_with_all_points(learner: Any, zipped: Any, reference: Any, work: Any) -> None:
    page = graded(learner, work, zipped(reference))

    assert "<h2>Passed</h2>" in page
    assert 'aria-label="100 of 100 points"' in page
    assert "What did not pass" not in page


def test_a_known_mistake_is_named_beside_its_evidence(
    learner: Any, zipped: Any, reference: Any, work: Any
) -> None:
    page = graded(learner, work, zipped({**reference, "src/app.py": HARDCODED}))

    assert "<h2>Not passed</h2>" in page
    for text in (
        "What we did",
        "What we saw",
        "What was expected",
        "What this usually means",
        "The greeting of the brief is written into the code instead of being configured.",
        "very likely",
        "Where to look",
    ):
        assert text in page


def test_what_a_function_returns_is_shown_as_text_and_never_as_markup(
    learner: Any, zipped: Any, reference: Any, work: Any
) -> None:
    evil = b'def handler(event, context):\n    return {"text": "<img src=x onerror=alert(1)> `<b>`"}\n'

    page = graded(learner, work, zipped({**reference, "src/app.py": evil}))

    assert "&lt;img src=x" in page
    assert "<img src=x" not in page
    assert "<b>" not in page


def test_a_check_that_was_not_assessed_says_why_and_its_points_are_left_out(
    learner: Any, zipped: Any, reference: Any, work: Any
) -> None:
    report = report_with(
        {"id": "f1", "title": "It greets.", "outcome": "passed", "headline": "It did.", "points": 10},
        {
            "id": "s1",
            "title": "It may do nothing else.",
            "outcome": "not_assessed",
            "dimension": "SEC",
            "headline": "This backend does not enforce policies yet.",
            "points_possible": 0,
        },
        outcome="passed",
    )

    page = graded(learner, work, zipped(reference), report)

    assert "What was not assessed" in page
    assert "This backend does not enforce policies yet." in page
    assert "10 left out" in page
    assert 'aria-label="10 of 10 points"' in page


def test_an_inconclusive_check_is_ours_and_can_be_graded_again_as_it_is(
    learner: Any, zipped: Any, reference: Any, work: Any
) -> None:
    check = {"id": "f1", "title": "It greets.", "outcome": "inconclusive", "headline": "Our stub was gone."}

    page = graded(learner, work, zipped(reference), report_with(check, outcome="inconclusive"))

    assert "What we could not judge" in page
    assert "What did not pass" not in page
    assert "not counted" in page
    again = learner.post("/attempts/1/again")
    assert again.request.path == "/attempts/2"
    assert learner.get("/attempts/2/submission").data == learner.get("/attempts/1/submission").data


def test_a_grading_that_broke_has_a_page_without_a_report(
    learner: Any, zipped: Any, reference: Any, queue: Queue
) -> None:
    learner.upload(HELLO, zipped(reference))
    claim = queue.claim("w")
    assert claim is not None
    queue.close(claim, None, "The grading could not run (OSError). This attempt is not counted.")

    page = learner.get("/attempts/1").text

    assert "<h2>Inconclusive</h2>" in page
    assert "The grading could not run (OSError)." in page
    assert "Grade it again" in page
    assert learner.get("/attempts/1/report.json").status_code == 404


def test_a_running_attempt_shows_its_phases_and_works_without_scripts(
    learner: Any, zipped: Any, reference: Any, queue: Queue
) -> None:
    learner.upload(HELLO, zipped(reference))
    claim = queue.claim("w")
    assert claim is not None
    for body in (
        {"phase": "account", "status": "started", "seed": 7},
        {"phase": "account", "status": "done", "seed": 7, "elapsed_s": 0.04},
        {"phase": "build", "status": "started", "seed": 7},
    ):
        queue.record(claim, body)

    page = learner.get("/attempts/1").text

    assert '<noscript><meta http-equiv="refresh"' in page
    assert "Open a fresh AWS account" in page
    assert "0.04 s" in page
    assert "Run 1: building." in page
    assert "Run 1: building." in learner.get("/attempts/1/progress").text


def test_a_second_workers_run_begins_anew_and_says_so(
    learner: Any, zipped: Any, reference: Any, queue: Queue, portal: Any
) -> None:
    learner.upload(HELLO, zipped(reference))
    gone = Queue(portal.database, lambda: datetime(2020, 1, 1, tzinfo=UTC)).claim("gone")
    assert gone is not None
    assert queue.claim("next") is not None

    page = learner.get("/attempts/1").text

    assert "Another one has begun again; nothing is lost." in page


def test_the_report_outlives_its_lab(
    learner: Any, zipped: Any, reference: Any, work: Any, labs_folder: Path
) -> None:
    graded(learner, work, zipped(reference))
    shutil.rmtree(labs_folder / "say-hello")

    page = learner.get("/attempts/1")

    assert page.status_code == 200
    assert "<h2>Passed</h2>" in page.text
    assert learner.get("/attempts").status_code == 200


def test_the_history_lists_every_attempt_newest_first(
    learner: Any, zipped: Any, reference: Any, work: Any
) -> None:
    graded(learner, work, zipped(reference))
    learner.upload(HELLO, zipped(reference))

    page = learner.get("/attempts").text

    assert page.index("/attempts/2") < page.index("/attempts/1")
    assert "100 of 100" in page
    assert "waiting" in page


def test_an_attempts_files_come_back_into_the_editor(
    learner: Any, zipped: Any, reference: Any, work: Any
) -> None:
    graded(learner, work, zipped({**reference, "notes.md": b"mine"}))

    page = learner.post("/labs/say-hello/workspace/restore/1")

    assert page.request.path == "/labs/say-hello/workspace"
    assert '"notes.md": "mine"' in page.text
    assert learner.post("/labs/say-goodbye/workspace/restore/1").status_code == 404


def test_the_report_as_json_is_the_promised_document(
    learner: Any, zipped: Any, reference: Any, work: Any
) -> None:
    graded(learner, work, zipped(reference))

    assert learner.get("/attempts/1/report.json").json["schema"] == "coldstart.report/1"


def test_a_report_says_that_its_lab_has_another_version_now(
    learner: Any, labs_folder: Any, zipped: Any, reference: Any, work: Any
) -> None:
    learner.upload("/labs/say-hello/submissions", zipped(reference))
    work()
    assert "The lab is at version" not in learner.get("/attempts/1").text

    manifest = labs_folder / "say-hello" / "lab.toml"
    manifest.write_text(manifest.read_text().replace('version = "0.1"', 'version = "0.2"'))

    page = learner.get("/attempts/1").text
    assert "version 0.1" in page
    assert "The lab is at version 0.2 now" in page
