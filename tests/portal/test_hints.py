"""Hints open one after the other, by work that is new."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from portal.hints.ladder import following
from records.hints import Hints

START = datetime(2026, 5, 4, 9, 0, tzinfo=UTC)


def after(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def test_the_first_hint_opens_at_once_and_after_the_fourth_there_is_none() -> None:
    first = following({}, [], START)

    assert first is not None
    assert (first.step, first.is_open) == (1, True)
    assert following(dict.fromkeys((1, 2, 3, 4), START), [], START) is None


@pytest.mark.parametrize(
    ("open_steps", "digests", "minutes", "missing"),
    [
        (1, [], 60, 1),
        (1, ["a"], 1, 0),
        (2, [], 9, 2),
        (2, ["a"], 9, 1),
        (2, ["a", "a"], 9, 1),
        (2, ["a", "b"], 1, 0),
        (2, [], 10, 0),
        (3, ["a"], 600, 1),
        (3, ["a", "b"], 1, 0),
    ],
)
def test_work_that_is_new_opens_the_next_step(
    open_steps: int, digests: list[str], minutes: float, missing: int
) -> None:
    opened = dict.fromkeys(range(1, open_steps + 1), START)
    work = [(after(0.1 + number / 100), digest) for number, digest in enumerate(digests)]

    found = following(opened, work, after(minutes))

    assert found is not None
    assert (found.step, found.missing) == (open_steps + 1, missing)


def test_handing_in_the_same_again_opens_nothing() -> None:
    work = [(after(-5), "a"), (after(1), "a"), (after(2), "a")]

    found = following({1: START}, work, after(3))

    assert found is not None
    assert not found.is_open


CHECK = {
    "id": "f1", "title": "It greets", "dimension": "F", "outcome": "failed", "points": 0, "worth": 60,
    "points_possible": 60, "visibility": "V", "headline": "It did not.", "did": [], "saw": [],
    "ruled_out": [], "means": [], "look": ["Handler in `template.yaml`"], "docs": [],
}  # fmt: skip


def report_of(digest: str) -> dict[str, Any]:
    return {
        "schema": "coldstart.report/1", "lab": "say-hello", "lab_code": "X01", "lab_title": "Say hello",
        "lab_version": "1.0", "seed": 11, "seeds": [11, 12], "backend": "emulated", "isolation": None,
        "runtimes": ["python3.12"], "outcome": "not_passed", "points": 40, "points_possible": 100,
        "duration_s": 1.5, "phases": [], "checks": [CHECK], "iam": {"roles": []}, "cost": {},
        "submission_digest": digest, "grader_digest": "sha256:0",
    }  # fmt: skip


@pytest.fixture
def hand_in(learner: Any, zipped: Any, reference: dict[str, bytes], work: Any) -> Callable[[str], str]:
    """Hands in, has it graded as failed, and gives the address of the attempt."""

    def run(digest: str) -> str:
        learner.upload("/labs/say-hello/submissions", zipped(reference))
        work(report_of(digest))
        newest = learner.get("/attempts").text
        number = max(int(part.split('"')[0]) for part in newest.split('href="/attempts/')[1:])
        return f"/attempts/{number}"

    return run


def test_a_learner_climbs_from_where_to_look_to_the_repair(learner: Any, hand_in: Any) -> None:
    first = hand_in("sha256:a")
    page = learner.get(first).text
    assert "Hint 1: Where to look" in page

    page = learner.post(f"{first}/hints/f1").text
    assert "Handler in <code>template.yaml</code>" in page
    assert "opens after 1 more grading of changed files" in page
    assert "Hint 2:" not in learner.post(f"{first}/hints/f1").text

    again = hand_in("sha256:a")
    assert "Hint 2:" not in learner.get(again).text
    changed = hand_in("sha256:b")
    assert "Hint 2: What it is" in learner.get(changed).text

    page = learner.post(f"{changed}/hints/f1").text
    assert "opens after 2 more gradings of changed files, or by itself in 10 minutes" in page
    for digest in ("sha256:c", "sha256:d"):
        latest = hand_in(digest)
    learner.post(f"{latest}/hints/f1")
    for digest in ("sha256:e", "sha256:f"):
        latest = hand_in(digest)
    page = learner.post(f"{latest}/hints/f1").text

    assert "The repair for this lab" in page
    assert "+++ b/" in page
    assert "opens after" not in page


def test_others_open_no_hints_and_a_shared_report_has_none(
    learner: Any, hand_in: Any, signed_in: Any, people: Any
) -> None:
    address = hand_in("sha256:a")
    grace = signed_in(people.add("grace", "Grace", None, datetime.now(UTC)))

    assert grace.post(f"{address}/hints/f1").status_code == 404
    learner.post(f"{address}/share")
    link = learner.get(address).text.split('id="share-link"')[1].split('value="')[1].split('"')[0]
    assert "Hint 1" not in grace.get(link[link.index("/shared") :] if "/shared" in link else link).text


def test_a_check_that_lost_nothing_has_no_hints(learner: Any, hand_in: Any) -> None:
    assert learner.post(f"{hand_in('sha256:a')}/hints/f9").status_code == 404


def test_a_repetition_runs_on_the_same_seed_and_does_not_count(
    learner: Any, hand_in: Any, portal: Any, ada: Any, work: Any
) -> None:
    address = hand_in("sha256:a")
    learner.post(f"{address}/again", {"seed": "same"})

    repeated = portal.store.open_of(ada.id, "say-hello")
    assert repeated.seed == 11
    work(report_of("sha256:a"))
    closed = portal.store.attempt(repeated.id)
    assert (closed.outcome, closed.counted) == ("not_passed", False)
    assert "a repetition on an earlier seed, not counted" in learner.get(f"/attempts/{repeated.id}").text


def test_opening_twice_keeps_the_first_moment(portal: Any, ada: Any) -> None:
    hints = Hints(portal.database)
    hints.open(ada.id, "say-hello", "f1", 1, START)
    hints.open(ada.id, "say-hello", "f1", 1, after(5))

    assert hints.opened(ada.id, "say-hello") == {"f1": {1: START}}
