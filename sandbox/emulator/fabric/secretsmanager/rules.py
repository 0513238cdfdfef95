"""When a secret is rotated: after so many days, or by an expression, within a window.

Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_schedule.html
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sandbox.emulator.calls import AwsError
from sandbox.emulator.fabric.eventbridge.schedules import Cron, InvalidSchedule, Rate, read_schedule

_DAY, _HOUR = dt.timedelta(days=1), dt.timedelta(hours=1)
_SHORTEST = 4 * _HOUR
_LONGEST_DAYS = 1000
_DURATION = re.compile(r"(\d{1,2})h")


@dataclass(frozen=True, slots=True)
class Window:
    """A rotation happens after ``opens`` and before ``closes``; here, as soon as it opens."""

    opens: dt.datetime
    closes: dt.datetime


@dataclass(frozen=True, slots=True)
class Rules:
    """A secret's rotation rules; ``given`` is how the API tells them."""

    given: Mapping[str, Any]
    every: dt.timedelta | None
    cron: Cron | None
    lasting: dt.timedelta | None

    def after(self, last: dt.datetime) -> Window | None:
        """The next window behind the last rotation; None if there is never another."""
        if self.cron is not None:
            found = self.cron.after(last)
            return None if found is None else Window(found, self._end(found, by_day=True))
        assert self.every is not None
        by_day = self.every >= _DAY and not self.every % _DAY
        due = last + self.every
        opens = due.replace(hour=0, minute=0, second=0, microsecond=0) if by_day else _hour(due)
        return Window(opens, self._end(opens, by_day=by_day))

    def _end(self, opens: dt.datetime, *, by_day: bool) -> dt.datetime:
        if self.lasting is not None:
            return opens + self.lasting
        midnight = opens.replace(hour=0, minute=0, second=0, microsecond=0) + _DAY
        return midnight - dt.timedelta(seconds=1) if by_day else opens + _HOUR


def read_rules(given: Mapping[str, Any]) -> Rules | None:
    """The rules that a request gives; None if it gives none.

    Raises:
        AwsError: there are no such rules.
    """
    days, expression = given.get("AutomaticallyAfterDays"), given.get("ScheduleExpression")
    if days is not None and expression:
        raise _invalid("You can't specify both AutomaticallyAfterDays and ScheduleExpression.")
    lasting = _lasting(given.get("Duration"))
    if days is not None:
        if not 1 <= int(days) <= _LONGEST_DAYS:
            raise _invalid("AutomaticallyAfterDays must be a number of days from 1 to 1000.")
        return Rules(dict(given), int(days) * _DAY, None, lasting)
    if not expression:
        if lasting is not None:
            raise _invalid("A Duration needs AutomaticallyAfterDays or a ScheduleExpression.")
        return None
    try:
        schedule = read_schedule(expression)
    except InvalidSchedule:
        raise _invalid(f"Invalid ScheduleExpression: {expression}") from None
    if isinstance(schedule, Rate):
        every = dt.timedelta(seconds=schedule.seconds)
        if every < _SHORTEST or "minute" in expression:
            raise _invalid("A secret can't be rotated more often than every four hours.")
        return Rules(dict(given), every, None, lasting)
    if schedule.minutes != (0,):
        raise _invalid("A rotation window opens on the hour: the minutes of cron() must be 0.")
    hours = schedule.hours
    gaps = [later - earlier for earlier, later in zip(hours, (*hours[1:], hours[0] + 24), strict=True)]
    if min(gaps) < _SHORTEST // _HOUR:
        raise _invalid("A secret can't be rotated more often than every four hours.")
    return Rules(dict(given), None, schedule, lasting)


def _lasting(duration: str | None) -> dt.timedelta | None:
    if not duration:
        return None
    match = _DURATION.fullmatch(duration)
    if match is None or not 1 <= int(match[1]) <= 24:
        raise _invalid("Duration must be a number of hours from 1h to 24h.")
    return int(match[1]) * _HOUR


def _hour(moment: dt.datetime) -> dt.datetime:
    return moment.replace(minute=0, second=0, microsecond=0)


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidParameterException", message)
