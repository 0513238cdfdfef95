"""Rules with a schedule: each has one piece of future work, for when it falls due next."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from dataclasses import dataclass

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.eventbridge.schedules import Cron, Rate
from sandbox.emulator.work import WorkItem

Fire = Callable[[dt.datetime], None]


@dataclass(slots=True)
class _Entry:
    schedule: Rate | Cron
    fire: Fire
    item: WorkItem | None = None


class Timetable:
    """Schedules by the ARN of their rule. Call with the dispatch lock held."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self._entries: dict[str, _Entry] = {}

    def set(self, rule_arn: str, schedule: Rate | Cron, fire: Fire) -> None:
        """Have ``fire`` called whenever the schedule falls due, from now on."""
        self.cancel(rule_arn)
        entry = _Entry(schedule, fire)
        self._entries[rule_arn] = entry
        self._plan(rule_arn, entry, self._core.clock.now())

    def cancel(self, rule_arn: str) -> None:
        """Forget a rule's schedule."""
        entry = self._entries.pop(rule_arn, None)
        if entry is not None and entry.item is not None:
            self._core.work.cancel(entry.item)

    def _plan(self, rule_arn: str, entry: _Entry, last: dt.datetime) -> None:
        due = entry.schedule.after(last)
        if due is None:
            return
        delay_s = max(0.0, due.timestamp() - self._core.clock.time())
        entry.item = self._core.work.submit(
            lambda: self._due(rule_arn, entry, due), label=f"schedule of {rule_arn}", delay_s=delay_s
        )

    def _due(self, rule_arn: str, entry: _Entry, due: dt.datetime) -> None:
        with self._core.dispatch_lock:
            # A rule that was changed or switched off while this waited for the lock has a new entry, or none.
            if self._entries.get(rule_arn) is not entry:
                return
            entry.fire(due)
            self._plan(rule_arn, entry, due)
