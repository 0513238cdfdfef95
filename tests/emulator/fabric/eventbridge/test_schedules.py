"""When schedules fall due."""

from __future__ import annotations

import datetime as dt

import pytest

from sandbox.emulator.fabric.eventbridge.schedules import InvalidSchedule, read_schedule

NOON = dt.datetime(2026, 11, 24, 12, 0, tzinfo=dt.UTC)  # a Tuesday


def next_at(expression: str, after: dt.datetime = NOON) -> str:
    found = read_schedule(expression).after(after)
    return found.strftime("%Y-%m-%d %H:%M") if found else "never"


@pytest.mark.parametrize(
    ("expression", "due"),
    [
        ("rate(1 minute)", "2026-11-24 12:01"),
        ("rate(5 minutes)", "2026-11-24 12:05"),
        ("rate(6 hours)", "2026-11-24 18:00"),
        ("rate(1 day)", "2026-11-25 12:00"),
        ("cron(0 12 * * ? *)", "2026-11-25 12:00"),
        ("cron(0/15 * * * ? *)", "2026-11-24 12:15"),
        ("cron(0 8 1 * ? *)", "2026-12-01 08:00"),
        ("cron(0 18 ? * MON-FRI *)", "2026-11-24 18:00"),
        ("cron(0 10 ? * SUN *)", "2026-11-29 10:00"),
        ("cron(0 10 ? * 1 *)", "2026-11-29 10:00"),
        ("cron(0 9 ? * 6#1 *)", "2026-12-04 09:00"),
        ("cron(0 9 ? * 6L *)", "2026-11-27 09:00"),
        ("cron(0 0 L * ? *)", "2026-11-30 00:00"),
        ("cron(0 0 15W 8 ? 2027)", "2027-08-16 00:00"),
        ("cron(0 0 1 JAN ? 2030)", "2030-01-01 00:00"),
        ("cron(30 8,20 ? FEB-MAR TUE,THU 2027)", "2027-02-02 08:30"),
        ("cron(0 0 1 1 ? 2020)", "never"),
        ("cron(0 0 30 2 ? 2027)", "never"),
    ],
)
def test_the_next_time(expression: str, due: str) -> None:
    assert next_at(expression) == due


@pytest.mark.parametrize(
    "expression",
    [
        *("rate(1 minutes)", "rate(5 minute)", "rate(0 minutes)", "rate(5 seconds)", "rate(5)", "5 minutes"),
        *("cron(0 12 * * * *)", "cron(0 12 ? * ? *)", "cron(0 12 * * ?)", "cron(60 12 * * ? *)"),
        *("cron(0 24 * * ? *)", "cron(0 12 32 * ? *)", "cron(0 12 ? * XXX *)", "cron(0 12 * * ? 1900)"),
    ],
)
def test_what_is_no_schedule(expression: str) -> None:
    with pytest.raises(InvalidSchedule):
        read_schedule(expression)
