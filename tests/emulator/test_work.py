"""What happens by itself happens in order, on the account's clock, and nothing of ours breaks in silence."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest

from sandbox.emulator.clock import VirtualClock
from sandbox.emulator.work import WorkQueue


@pytest.fixture
def clock() -> Iterator[VirtualClock]:
    made = VirtualClock()
    made.start()
    yield made
    made.stop()


@pytest.fixture
def told() -> list[tuple[str, str]]:
    return []


@pytest.fixture
def work(clock: VirtualClock, told: list[tuple[str, str]]) -> Iterator[WorkQueue]:
    made = WorkQueue(clock, on_fault=lambda label, what: told.append((label, what)))
    made.start()
    yield made
    made.stop()


def test_a_day_of_retries_is_done_in_order_and_each_at_its_time(clock: VirtualClock, work: WorkQueue) -> None:
    began = clock.time()
    done: list[tuple[str, int]] = []
    for name, delay_s in (("late", 86_000.0), ("early", 60.0), ("middle", 3_600.0)):
        work.submit(
            lambda name=name: done.append((name, round(clock.time() - began))),  # type: ignore[misc]
            label=name,
            delay_s=delay_s,
        )

    found = work.advance(86_400)

    assert found.settled
    assert done == [("early", 60), ("middle", 3_600), ("late", 86_000)]
    assert clock.time() - began >= 86_400


def test_work_that_makes_work_is_waited_for(work: WorkQueue) -> None:
    done: list[int] = []

    def again(left: int) -> None:
        done.append(left)
        if left:
            work.submit(lambda: again(left - 1), label="again")

    work.submit(lambda: again(5), label="again")

    assert work.settle(10).settled
    assert done == [5, 4, 3, 2, 1, 0]


def test_the_clock_does_not_jump_over_what_is_running(clock: VirtualClock, work: WorkQueue) -> None:
    release = threading.Event()
    work.submit(lambda: release.wait(10) and None, label="slow function")
    before = clock.time()

    held = work.advance(3_600, timeout_s=0.2)

    assert (held.settled, held.running) == (False, ("slow function",))
    assert clock.time() - before < 60
    release.set()
    assert work.advance(3_600).settled


def test_settled_says_when_the_next_thing_is_due(clock: VirtualClock, work: WorkQueue) -> None:
    item = work.submit(lambda: None, label="tomorrow", delay_s=86_400)
    found = work.settle(5)
    assert found.settled
    assert found.next_due is not None
    assert 86_000 < found.next_due - found.now <= 86_400
    work.cancel(item)
    assert work.settle(5).next_due is None


def test_what_only_observes_is_done_on_the_way_and_nobody_waits_for_it(work: WorkQueue) -> None:
    seen: list[str] = []
    work.submit(lambda: seen.append("looked"), label="look", delay_s=60, observes=True)
    assert work.settle(5).next_due is None
    assert work.advance(120).settled
    assert seen == ["looked"]


def test_what_breaks_is_told_and_the_rest_goes_on(work: WorkQueue, told: list[tuple[str, str]]) -> None:
    done = threading.Event()

    def broken() -> None:
        raise KeyError("oops")

    work.submit(broken, label="delivery")
    work.submit(done.set, label="next")

    assert work.settle(10).settled
    assert done.is_set()
    assert told == [("delivery", "KeyError: 'oops'")]
    assert work.faults == ["delivery: KeyError: 'oops'"]


def test_settling_waits_for_what_is_awaited_and_for_nothing_else_that_is_to_come(work: WorkQueue) -> None:
    done: list[str] = []
    work.submit(lambda: done.append("later"), label="later", delay_s=60)
    work.submit(lambda: done.append("soon"), label="soon", delay_s=0.2, awaited=True)
    called_off = work.submit(lambda: done.append("never"), label="never", delay_s=30, awaited=True)
    work.cancel(called_off)

    assert work.settle(10).settled
    assert done == ["soon"]
    work.submit(lambda: None, label="far", delay_s=30, awaited=True)
    assert not work.settle(0.05).settled
    assert work.advance(31).settled


def test_the_clock_never_goes_back(clock: VirtualClock) -> None:
    with pytest.raises(ValueError, match="forward"):
        clock.shift(-1)


def test_who_waits_is_asked_again_when_work_begins_and_when_it_ends(work: WorkQueue) -> None:
    may_end = threading.Event()
    work.submit(lambda: may_end.wait(10) and None, label="a run")

    assert work.wait_until(lambda: work.settle(0).running == ("a run",), 10)
    may_end.set()

    assert work.wait_until(lambda: not work.settle(0).running, 10)
    assert not work.wait_until(lambda: False, 0)


def test_the_whole_process_has_the_accounts_time() -> None:
    clock = VirtualClock()
    clock.start()
    try:
        clock.shift(3600)
        before, told, after = clock.time(), time.time(), clock.time()
        assert before - 0.01 <= told <= after + 0.01
    finally:
        clock.stop()
