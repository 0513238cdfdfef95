"""Schedules of rules and of Scheduler: each has one piece of future work, for when it falls due next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from sandbox.emulator.core import AccountCore
from sandbox.emulator.work import WorkItem

Fire = Callable[[dt.datetime], None]


class Schedule(Protocol):
    """Knows when it falls due."""

    def after(self, moment: dt.datetime) -> dt.datetime | None:
        """The next time behind ``moment``, or None if never again."""


@dataclass(slots=True)
class _Entry:
    schedule: Schedule
    fire: Fire
    item: WorkItem | None = None


class Timetable:
    """Schedules by ARN, of their rule or their own. Call with the dispatch lock held."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self._entries: dict[str, _Entry] = {}

    def set(self, arn: str, schedule: Schedule, fire: Fire, since: dt.datetime | None = None) -> None:
        """Have ``fire`` called whenever the schedule falls due behind ``since``, by default from now on."""
        self.cancel(arn)
        entry = _Entry(schedule, fire)
        self._entries[arn] = entry
        self._plan(arn, entry, since or self._core.clock.now())

    def cancel(self, arn: str) -> None:
        """Forget a rule's schedule."""
        entry = self._entries.pop(arn, None)
        if entry is not None and entry.item is not None:
            self._core.work.cancel(entry.item)

    def _plan(self, arn: str, entry: _Entry, last: dt.datetime) -> None:
        due = entry.schedule.after(last)
        if due is None:
            return
        delay_s = max(0.0, due.timestamp() - self._core.clock.time())
        entry.item = self._core.work.submit(
            lambda: self._due(arn, entry, due), label=f"schedule of {arn}", delay_s=delay_s
        )

    def _due(self, arn: str, entry: _Entry, due: dt.datetime) -> None:
        with self._core.dispatch_lock:
            # A rule that was changed or switched off while this waited for the lock has a new entry, or none.
            if self._entries.get(arn) is not entry:
                return
            entry.fire(due)
            self._plan(arn, entry, due)
