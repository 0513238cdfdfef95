"""The queue: claimed under leases, fenced by epochs, closed once."""

from __future__ import annotations

import threading
from typing import Any

import pytest

from records.errors import AlreadyOpen
from records.queue import TRIES

PASSED = {"outcome": "passed", "points": 80, "points_possible": 82}
INCONCLUSIVE = {"outcome": "inconclusive", "points": 0, "points_possible": 100}


def closings(records: Any, attempt_id: int) -> list[dict[str, Any]]:
    events = records.store.events_after([attempt_id], 0)
    return [body for _, _, body in events if body["phase"] == "closed"]


def test_attempts_are_taken_in_the_order_they_were_handed_in(records: Any) -> None:
    first, second = records.hand_in("ada"), records.hand_in("grace")

    assert records.queue.claim("w").attempt_id == first.id
    assert records.queue.claim("w").attempt_id == second.id
    assert records.queue.claim("w") is None


def test_a_higher_priority_goes_first(records: Any) -> None:
    records.hand_in("ada")
    exam = records.hand_in("grace", priority=5)

    assert records.queue.position(exam) == 0
    assert records.queue.claim("w").attempt_id == exam.id


def test_the_position_counts_the_attempts_that_come_before(records: Any) -> None:
    for login in ("ada", "grace", "edsger"):
        last = records.hand_in(login)

    assert records.queue.position(last) == 2
    records.queue.claim("w")
    assert records.queue.position(last) == 1


def test_the_wait_is_what_runs_and_what_comes_before_over_the_places_that_are_busy(records: Any) -> None:
    done = records.hand_in("ada")
    claim = records.queue.claim("one")
    records.clock.move(30)
    records.queue.close(claim, {"outcome": "passed", "points": 1, "points_possible": 1})
    assert records.store.attempt(done.id).outcome == "passed"
    for login in ("ada", "grace", "linus"):
        records.hand_in(login)
    last = records.hand_in("dennis")
    assert records.queue.wait_s(last) is None

    records.queue.claim("one")
    records.queue.claim("two")
    records.clock.move(10)

    assert records.queue.wait_s(last) == (20 + 20 + 30) / 2


def test_a_lab_that_was_never_graded_promises_no_time(records: Any) -> None:
    records.hand_in("ada")
    waiting = records.hand_in("grace")
    records.queue.claim("one")

    assert records.queue.wait_s(waiting) is None


def test_a_repetition_keeps_its_seed_and_is_not_counted(records: Any) -> None:
    user = records.learner("ada")
    submission = records.store.receive(user.id, "say-hello", "zip", b"as it came", records.clock())
    repeated = records.store.open_attempt(user.id, "say-hello", submission, records.clock(), seed=7)
    claim = records.queue.claim("one")

    records.queue.close(claim, {"outcome": "passed", "points": 1, "points_possible": 1})

    assert claim.seed == 7
    assert not records.store.attempt(repeated.id).counted


def test_one_learner_has_one_open_attempt_at_a_lab(records: Any) -> None:
    running = records.hand_in("ada")

    with pytest.raises(AlreadyOpen) as refused:
        records.hand_in("ada")

    assert refused.value.attempt_id == running.id
    assert records.hand_in("ada", lab="say-goodbye").number == 1


def test_attempts_are_numbered_per_learner_and_lab(records: Any) -> None:
    for number in (1, 2):
        assert records.hand_in("ada").number == number
        records.queue.close(records.queue.claim("w"), PASSED)
    assert records.hand_in("grace").number == 1


def test_closing_stores_the_report_and_its_points(records: Any) -> None:
    attempt = records.hand_in()
    claim = records.queue.claim("w")
    records.clock.move(3)

    assert records.queue.close(claim, PASSED)

    closed = records.store.attempt(attempt.id)
    assert (closed.state, closed.outcome, closed.points, closed.counted) == ("closed", "passed", 80, True)
    assert closed.percent == 97
    assert records.store.report(attempt.id) == PASSED
    assert records.queue.typical_s("say-hello") == 3


@pytest.mark.parametrize("report", [None, INCONCLUSIVE])
def test_our_own_failure_is_not_counted(records: Any, report: dict[str, Any] | None) -> None:
    attempt = records.hand_in()

    records.queue.close(records.queue.claim("w"), report, "The worker broke.")

    closed = records.store.attempt(attempt.id)
    assert (closed.outcome, closed.counted, closed.note) == ("inconclusive", False, "The worker broke.")


def test_a_renewed_lease_is_not_taken_over(records: Any) -> None:
    records.hand_in()
    claim = records.queue.claim("first")
    for _ in range(4):
        records.clock.move(14)
        assert records.queue.renew(claim)
        assert records.queue.claim("second") is None


def test_a_silent_workers_attempt_is_taken_over_and_the_silent_one_is_fenced_off(records: Any) -> None:
    attempt = records.hand_in()
    lost = records.queue.claim("first")
    records.clock.move(16)

    taken = records.queue.claim("second")

    assert taken is not None
    assert taken.attempt_id == attempt.id
    assert not records.queue.renew(lost)
    assert not records.queue.record(lost, {"phase": "build", "status": "done"})
    assert not records.queue.close(lost, INCONCLUSIVE)
    assert records.queue.close(taken, PASSED)
    assert records.store.attempt(attempt.id).tries == 2
    assert len(closings(records, attempt.id)) == 1


def test_an_attempt_closes_once(records: Any) -> None:
    attempt = records.hand_in()
    claim = records.queue.claim("w")

    assert records.queue.close(claim, PASSED)
    assert not records.queue.close(claim, INCONCLUSIVE)
    assert records.store.attempt(attempt.id).outcome == "passed"
    assert len(closings(records, attempt.id)) == 1


def test_a_worker_that_stops_gives_its_attempt_back_untried(records: Any) -> None:
    attempt = records.hand_in()
    claim = records.queue.claim("w")

    assert records.queue.release(claim)

    waiting = records.store.attempt(attempt.id)
    assert (waiting.state, waiting.tries) == ("queued", 0)
    assert records.queue.claim("other").epoch > claim.epoch


def test_an_attempt_that_keeps_killing_its_workers_ends_uncounted(records: Any) -> None:
    attempt = records.hand_in()
    for _ in range(TRIES):
        assert records.queue.sweep() == []
        assert records.queue.claim("w") is not None
        records.clock.move(16)

    assert records.queue.sweep() == [attempt.id]

    closed = records.store.attempt(attempt.id)
    assert (closed.outcome, closed.counted) == ("inconclusive", False)
    assert len(closings(records, attempt.id)) == 1
    assert records.queue.claim("w") is None
    assert records.hand_in().number == 2


def test_many_workers_never_share_an_attempt(records: Any) -> None:
    for number in range(12):
        records.hand_in(f"learner{number}")
    taken: list[int] = []
    together = threading.Barrier(4)

    def work(owner: str) -> None:
        together.wait()
        while (claim := records.queue.claim(owner)) is not None:
            taken.append(claim.attempt_id)
            assert records.queue.close(claim, PASSED)

    threads = [threading.Thread(target=work, args=(f"w{number}",)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(taken) == len(set(taken)) == 12


def test_events_of_an_attempt_are_those_of_its_latest_claim(records: Any) -> None:
    attempt = records.hand_in()
    records.queue.record(records.queue.claim("first"), {"phase": "build", "status": "done"})
    records.clock.move(16)
    records.queue.claim("second")

    latest = records.store.events_of(records.store.attempt(attempt.id))

    assert [body["phase"] for _, body in latest] == ["claimed"]
