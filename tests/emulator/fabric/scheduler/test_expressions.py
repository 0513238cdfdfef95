"""When schedules fall due, by the clock on the wall of a time zone."""

from __future__ import annotations

import datetime as dt

import pytest

from sandbox.emulator.fabric.eventbridge.schedules import InvalidSchedule
from sandbox.emulator.fabric.scheduler.expressions import read_timing

NOW = dt.datetime(2026, 3, 28, 12, 0, tzinfo=dt.UTC)  # the day before Tallinn's clocks go forward


def times(
    expression: str,
    zone: str = "UTC",
    count: int = 3,
    start: dt.datetime | None = None,
    end: dt.datetime | None = None,
    since: dt.datetime = NOW,
) -> list[str]:
    timing = read_timing(expression, zone, start, end, NOW)
    found: list[str] = []
    moment = since - dt.timedelta(microseconds=1)
    while len(found) < count and (due := timing.after(moment)) is not None:
        found.append(due.strftime("%m-%d %H:%M"))
        moment = due
    return found


@pytest.mark.parametrize(
    ("expression", "zone", "due"),
    [
        ("rate(6 hours)", "UTC", ["03-28 12:00", "03-28 18:00", "03-29 00:00"]),
        ("at(2026-03-28T15:00:00)", "Europe/Tallinn", ["03-28 13:00"]),
        ("at(2026-03-28T11:00:00)", "UTC", []),
        # 08:00 in Tallinn is 06:00 UTC in winter and 05:00 in summer.
        ("cron(0 8 * * ? *)", "Europe/Tallinn", ["03-29 05:00", "03-30 05:00", "03-31 05:00"]),
        # 03:30 does not exist on the 29th.
        ("cron(30 3 * * ? *)", "Europe/Tallinn", ["03-30 00:30", "03-31 00:30", "04-01 00:30"]),
        ("cron(0 9 ? * MON-FRI *)", "America/New_York", ["03-30 13:00", "03-31 13:00", "04-01 13:00"]),
    ],
)
def test_the_next_times(expression: str, zone: str, due: list[str]) -> None:
    assert times(expression, zone) == due


def test_a_time_that_comes_twice_counts_once() -> None:
    autumn = dt.datetime(2026, 10, 24, 12, 0, tzinfo=dt.UTC)
    due = times("cron(30 3 * * ? *)", "Europe/Tallinn", since=autumn)
    assert due == ["10-25 00:30", "10-26 01:30", "10-27 01:30"]


def test_start_and_end_bound_what_recurs() -> None:
    start, end = NOW + dt.timedelta(days=1), NOW + dt.timedelta(days=2)
    assert times("rate(12 hours)", start=start, end=end) == ["03-29 12:00", "03-30 00:00", "03-30 12:00"]
    assert times("rate(12 hours)", start=start, end=end, count=9) == [
        "03-29 12:00",
        "03-30 00:00",
        "03-30 12:00",
    ]
    assert times("cron(0 * * * ? *)", start=start, end=start) == ["03-29 12:00"]


@pytest.mark.parametrize(
    ("expression", "zone"),
    [
        ("at(2026-02-30T10:00:00)", "UTC"),
        ("at(tomorrow)", "UTC"),
        ("rate(1 hour)", "Mars/Olympus"),
        ("hourly", "UTC"),
    ],
)
def test_what_is_no_schedule(expression: str, zone: str) -> None:
    with pytest.raises(InvalidSchedule):
        read_timing(expression, zone, None, None, NOW)
