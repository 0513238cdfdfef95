"""Time that is skipped is worked through."""

from __future__ import annotations

from typing import Any

from tests.triggers.hour import SECONDS, Hour


def test_an_hour_of_schedules_retries_waits_and_alarms(world: Any) -> None:
    hour = Hour(world)
    world.advance(SECONDS)
    hour.check()
