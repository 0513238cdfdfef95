"""Events as lanes."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from portal.filters import ago, duration, points, seconds, ticks
from portal.submissions.progress import run_of
from records.store import Attempt

NOON = datetime(2031, 3, 30, 12, tzinfo=UTC)
RUNNING = Attempt(1, 1, "x", 1, 1, "running", 1, 1, NOON, NOON, None, None, None, None, True, None, None)


def run(*bodies: dict[str, Any]) -> Any:
    return run_of(RUNNING, [(NOON, body) for body in bodies])


def test_each_seed_is_a_lane_with_its_phases() -> None:
    found = run(
        {"phase": "claimed", "status": "done"},
        {"phase": "account", "status": "started", "seed": 3},
        {"phase": "account", "status": "done", "seed": 3, "elapsed_s": 0.1},
        {"phase": "account", "status": "started", "seed": 5},
        {"phase": "build", "status": "started", "seed": 3},
    )

    assert [lane.seed for lane in found.lanes] == [3, 5]
    assert [step.status for step in found.lanes[0].steps] == ["done", "started", "waiting", "waiting"]
    assert found.sentence == "Run 1: building; Run 2: opening an account."


def test_checks_are_counted_and_an_answer_that_changes_replaces_the_earlier_one() -> None:
    asked = {"phase": "checks", "status": "done", "seed": 3, "check_id": "f1", "title": "T", "total": 9}

    lane = run({**asked, "outcome": "inconclusive"}, {**asked, "outcome": "passed"}).lanes[0]

    assert [check["outcome"] for check in lane.checks] == ["passed"]
    assert lane.total == 9


def test_a_second_round_begins_its_phases_again_and_says_why() -> None:
    lane = run(
        {"phase": "account", "status": "started", "seed": 3},
        {"phase": "account", "status": "done", "seed": 3},
        {"phase": "deploy", "status": "failed", "seed": 3},
        {"phase": "account", "status": "started", "seed": 3, "message": "1 checks; running them again"},
        {"phase": "account", "status": "started", "seed": 3},
    ).lanes[0]

    assert [step.status for step in lane.steps] == ["started", "waiting", "waiting", "waiting"]
    assert lane.note == "1 checks; running them again"


def test_conditions_appear_once_they_begin() -> None:
    lane = run({"phase": "redeploy", "status": "started"}).lanes[0]

    assert lane.seed == 0
    assert lane.steps[-1].words == "Deploy once more, unchanged"


def test_a_waiting_attempt_says_so() -> None:
    assert run_of(replace(RUNNING, state="queued"), []).sentence == "Waiting for a worker."


def test_values_in_words() -> None:
    assert [duration(minutes) for minutes in (0, 45, 60, 75)] == ["0 min", "45 min", "1 h", "1 h 15 min"]
    assert [seconds(value) for value in (0.2, 5, 120)] == ["1 second", "5 seconds", "2 minutes"]
    assert [points(value) for value in (10.0, 2.5)] == ["10", "2.5"]
    assert ago(NOON, NOON.replace(hour=13)) == "1 hour ago"
    assert ticks("a `b<c` d") == "a <code>b&lt;c</code> d"
