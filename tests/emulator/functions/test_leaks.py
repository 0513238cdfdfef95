"""Ten thousand invocations leave no process, no descriptor and no memory behind but their records."""

from __future__ import annotations

import gc
import os
from pathlib import Path
from typing import Any

import pytest

INVOCATIONS = 10_000
# Every so many, the function's process ends and another environment starts.
EXIT_EVERY = 100
# What one invocation leaves on purpose: its log lines and its place on the timeline.
RECORD_BYTES = 8 * 1024
_PAGE = os.sysconf("SC_PAGESIZE")


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def resident_bytes() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * _PAGE


def tasks() -> int:
    return len(os.listdir("/proc/self/task"))


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_ten_thousand_invocations_leave_nothing_behind(functions: Any) -> None:
    functions.create(
        """
        import os

        def handler(event, context):
            if event.get("exit"):
                os._exit(1)
            with open("/proc/self/statm") as file:
                return int(file.read().split()[1])
        """
    )
    at = {"account_id": functions.core.account_id, "region": functions.core.region, "source": "test"}

    def run(count: int) -> int:
        pages = 0
        for number in range(count):
            leave = number % EXIT_EVERY == EXIT_EVERY - 1
            outcome = functions.service.invoke("fn", b'{"exit": true}' if leave else b"{}", **at)
            assert outcome.status == 200
            if not leave:
                assert not outcome.function_error, outcome.payload
                pages = int(outcome.payload)
        return pages

    first_pages = run(5 * EXIT_EVERY - 1)
    functions.wait_for(lambda: functions.service._fleet.count() <= 1)
    gc.collect()
    before = (descriptors(), tasks(), resident_bytes())

    last_pages = run(INVOCATIONS - 1)
    functions.wait_for(lambda: functions.service._fleet.count() <= 1)
    gc.collect()

    assert descriptors() <= before[0] + 2
    assert tasks() <= before[1] + 2
    assert resident_bytes() - before[2] < INVOCATIONS * RECORD_BYTES
    assert last_pages < first_pages * 1.1
