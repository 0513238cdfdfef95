"""When a schedule of EventBridge Scheduler falls due: ``at(…)``, ``rate(…)`` and ``cron(…)`` in a time zone.

Source: https://docs.aws.amazon.com/scheduler/latest/UserGuide/schedule-types.html
"""

from __future__ import annotations

import datetime as dt
import math
import re
from dataclasses import dataclass
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sandbox.emulator.fabric.eventbridge.schedules import Cron, InvalidSchedule, Rate, read_schedule

_AT = re.compile(r"at\((\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)\)")


@dataclass(frozen=True, slots=True)
class Once:
    """At one moment."""

    moment: dt.datetime

    def after(self, moment: dt.datetime) -> dt.datetime | None:
        """The moment, unless it is over."""
        return self.moment if self.moment > moment else None


@dataclass(frozen=True, slots=True)
class Regularly:
    """Every ``every`` from ``first`` on, until ``end``."""

    every: dt.timedelta
    first: dt.datetime
    end: dt.datetime | None

    def after(self, moment: dt.datetime) -> dt.datetime | None:
        """The first of its moments behind ``moment``."""
        passed = math.floor((moment - self.first) / self.every) + 1
        due = self.first + max(passed, 0) * self.every
        return due if self.end is None or due <= self.end else None


@dataclass(frozen=True, slots=True)
class OnTheWall:
    """By the clock on the wall of a time zone, between ``start`` and ``end``.

    A time that the switch to daylight saving leaves out is left out; one that comes twice counts once.
    """

    cron: Cron
    zone: ZoneInfo
    start: dt.datetime | None
    end: dt.datetime | None

    def after(self, moment: dt.datetime) -> dt.datetime | None:
        """The next of its moments, in UTC."""
        if self.start is not None and moment < self.start:
            moment = self.start - dt.timedelta(microseconds=1)
        wall = moment.astimezone(self.zone).replace(tzinfo=dt.UTC)
        while (found := self.cron.after(wall)) is not None:
            due = found.replace(tzinfo=self.zone).astimezone(dt.UTC)
            exists = due.astimezone(self.zone).replace(tzinfo=dt.UTC) == found
            if exists and due > moment:
                return due if self.end is None or due <= self.end else None
            wall = found
        return None


Timing = Once | Regularly | OnTheWall


def read_timing(
    expression: str,
    zone_name: str,
    start: dt.datetime | None,
    end: dt.datetime | None,
    now: dt.datetime,
) -> Timing:
    """The timing that an expression, its time zone and its dates describe; ``now`` is account time.

    Raises:
        InvalidSchedule: there is no such expression, or no such time zone.
    """
    try:
        zone = ZoneInfo(zone_name or "UTC")
    except (ZoneInfoNotFoundError, ValueError):
        raise InvalidSchedule(zone_name) from None
    once = _AT.fullmatch(expression)
    if once:
        try:
            return Once(dt.datetime.fromisoformat(once[1]).replace(tzinfo=zone).astimezone(dt.UTC))
        except ValueError:
            raise InvalidSchedule(expression) from None
    schedule = read_schedule(expression)
    if isinstance(schedule, Rate):
        # Without a start it begins at once.
        return Regularly(dt.timedelta(seconds=schedule.seconds), start or now, end)
    return OnTheWall(schedule, zone, start, end)
