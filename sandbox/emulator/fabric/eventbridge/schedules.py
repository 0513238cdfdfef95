"""When a schedule falls due: ``rate(…)`` and ``cron(…)``, in UTC.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-scheduled-rule-pattern.html
"""

from __future__ import annotations

import calendar
import datetime as dt
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

_RATE = re.compile(r"rate\((\d+) (minute|minutes|hour|hours|day|days)\)")
_CRON = re.compile(r"cron\(([^()]+)\)")
_SECONDS = {"minute": 60, "hour": 3600, "day": 86_400}
_MONTHS = {name: number for number, name in enumerate(calendar.month_abbr) if name}
_MONTHS = {name.upper(): number for name, number in _MONTHS.items()}
_DAYS = {"SUN": 1, "MON": 2, "TUE": 3, "WED": 4, "THU": 5, "FRI": 6, "SAT": 7}
_FIRST_YEAR, _LAST_YEAR = 1970, 2199


class InvalidSchedule(ValueError):
    """The expression is not one that EventBridge takes."""


@dataclass(frozen=True, slots=True)
class Rate:
    """Every ``seconds``."""

    seconds: int

    def after(self, moment: dt.datetime) -> dt.datetime | None:
        """When it falls due next."""
        return moment + dt.timedelta(seconds=self.seconds)


@dataclass(frozen=True, slots=True)
class Cron:
    """At the minutes of the hours of the days that fit."""

    minutes: tuple[int, ...]
    hours: tuple[int, ...]
    is_day: Callable[[dt.date], bool]
    years: frozenset[int]

    def after(self, moment: dt.datetime) -> dt.datetime | None:
        """When it falls due next, or None if never again."""
        start = moment.replace(second=0, microsecond=0) + dt.timedelta(minutes=1)
        day = start.date()
        last = max(self.years)
        while day.year <= last:
            if day.year in self.years and self.is_day(day):
                found = self._first(day, start)
                if found is not None:
                    return found
            day += dt.timedelta(days=1)
        return None

    def _first(self, day: dt.date, start: dt.datetime) -> dt.datetime | None:
        for hour in self.hours:
            for minute in self.minutes:
                moment = dt.datetime(day.year, day.month, day.day, hour, minute, tzinfo=dt.UTC)
                if moment >= start:
                    return moment
        return None


def read_schedule(text: str) -> Rate | Cron:
    """The schedule in an expression.

    Raises:
        InvalidSchedule: it is not one.
    """
    rate = _RATE.fullmatch(text)
    if rate:
        count, unit = int(rate[1]), rate[2]
        # AWS insists on the grammar: 1 minute, 2 minutes.
        if count < 1 or (count == 1) == unit.endswith("s"):
            raise InvalidSchedule(text)
        return Rate(count * _SECONDS[unit.removesuffix("s")])
    cron = _CRON.fullmatch(text)
    if not cron:
        raise InvalidSchedule(text)
    fields = cron[1].split()
    if len(fields) != 6:
        raise InvalidSchedule(text)
    minute, hour, day, month, weekday, year = (field.upper() for field in fields)
    if (day == "?") == (weekday == "?"):
        raise InvalidSchedule(text)
    months = frozenset(_numbers(month, 1, 12, _MONTHS))
    fits = _weekday_test(weekday) if day == "?" else _day_test(day)
    return Cron(
        tuple(_numbers(minute, 0, 59)),
        tuple(_numbers(hour, 0, 23)),
        lambda date: date.month in months and fits(date),
        frozenset(_numbers(year, _FIRST_YEAR, _LAST_YEAR)),
    )


def _numbers(field: str, low: int, high: int, names: dict[str, int] | None = None) -> Sequence[int]:
    """The sorted values of a list of numbers, names, ranges and steps."""
    found: set[int] = set()
    for part in field.split(","):
        span, slash, step_text = part.partition("/")
        first, dash, last = span.partition("-")
        if span == "*":
            start, stop = low, high
        else:
            start = _number(first, low, high, names)
            stop = _number(last, low, high, names) if dash else (high if slash else start)
        step = _number(step_text, 1, high, None) if slash else 1
        values = range(start, stop + 1, step)
        if start > stop:
            # A range may wrap: FRI-MON, 22-2.
            values = range(start, stop + (high - low + 1) + 1, step)
        found |= {low + (value - low) % (high - low + 1) for value in values}
    return sorted(found)


def _number(text: str, low: int, high: int, names: dict[str, int] | None) -> int:
    if names and text in names:
        return names[text]
    if not text.isdigit() or not low <= int(text) <= high:
        raise InvalidSchedule(text)
    return int(text)


def _day_test(field: str) -> Callable[[dt.date], bool]:
    if field == "L":
        return lambda date: date.day == calendar.monthrange(date.year, date.month)[1]
    if field == "LW":
        return lambda date: date.day == _nearest_weekday(date, 31)
    nearest = re.fullmatch(r"(\d+)W", field)
    if nearest:
        wanted = _number(nearest[1], 1, 31, None)
        return lambda date: date.day == _nearest_weekday(date, wanted)
    days = frozenset(_numbers(field, 1, 31))
    return lambda date: date.day in days


def _nearest_weekday(date: dt.date, wanted: int) -> int:
    """The day of ``date``'s month that is the weekday nearest to ``wanted``, never leaving the month."""
    last = calendar.monthrange(date.year, date.month)[1]
    day = min(wanted, last)
    weekday = dt.date(date.year, date.month, day).weekday()
    if weekday == 5:
        return day - 1 if day > 1 else day + 2
    if weekday == 6:
        return day + 1 if day < last else day - 2
    return day


def _weekday_test(field: str) -> Callable[[dt.date], bool]:
    nth = re.fullmatch(r"(\w+)#([1-5])", field)
    if nth:
        wanted, count = _number(nth[1], 1, 7, _DAYS), int(nth[2])
        return lambda date: _weekday(date) == wanted and (date.day - 1) // 7 + 1 == count
    last = re.fullmatch(r"(\w+)L", field)
    if last or field == "L":
        wanted = _number(last[1], 1, 7, _DAYS) if last else 7
        if not last:
            return lambda date: _weekday(date) == wanted
        return lambda date: (
            _weekday(date) == wanted and date.day + 7 > calendar.monthrange(date.year, date.month)[1]
        )
    days = frozenset(_numbers(field, 1, 7, _DAYS))
    return lambda date: _weekday(date) in days


def _weekday(date: dt.date) -> int:
    """1 is Sunday, as in cron."""
    return date.isoweekday() % 7 + 1
