"""Durations at a memory size: worked out from what was used, the same on a busy machine."""

from __future__ import annotations

import re
import statistics
from typing import Any

import pytest

from sandbox.emulator.functions.timing import PROCESSOR_MB, Spent, duration_ms


@pytest.mark.parametrize(
    ("spent", "memory_mb", "expected"),
    [
        (Spent(500, 0), 128, 500),  # Waiting costs the same at any size.
        (Spent(100, 100), PROCESSOR_MB, 100),
        (Spent(100, 100), 10_240, 100),  # One thread uses no more than one processor.
        (Spent(150, 100), 885, 50 + 10 + 90 * PROCESSOR_MB / 885),
        (Spent(1, 1), 128, 1),  # Less than the share of one period.
        (Spent(100, 200), 3538, 100),  # Two threads on two processors.
        (Spent(60, 200), 3538, 100),  # They had four here.
        (Spent(300, 100, 150), PROCESSOR_MB, 150),  # What the machine kept it waiting does not count.
        (Spent(100, 100, 80), PROCESSOR_MB, 100),
    ],
)
def test_waiting_stays_and_computing_stretches(spent: Spent, memory_mb: int, expected: float) -> None:
    assert duration_ms(spent, memory_mb) == pytest.approx(expected, rel=0.01)


def test_more_memory_is_never_slower() -> None:
    durations = [duration_ms(Spent(90, 60, 10), size) for size in range(128, 10_241, 64)]

    assert durations == sorted(durations, reverse=True)


def test_a_function_that_computes_reports_what_its_memory_buys(functions: Any) -> None:
    code = """
        import time

        def handler(event, context):
            until = time.process_time() + 0.1
            while time.process_time() < until:
                pass
        """
    medians = {}
    for size in (256, 1024, 1769):
        name = f"fn{size}"
        functions.create(code, name=name, MemorySize=size, Timeout=60)
        for _ in range(4):
            functions.invoke(name=name)
        reports = [line for line in functions.logs(name) if line.startswith("REPORT")]
        found = [re.search(r"\tDuration: ([\d.]+) ms", line) for line in reports[1:]]
        medians[size] = statistics.median(float(each[1]) for each in found if each)

    assert medians[1769] == pytest.approx(100, rel=0.3)
    assert medians[256] / medians[1769] == pytest.approx(1769 / 256, rel=0.3)
    assert medians[1024] / medians[1769] == pytest.approx(1769 / 1024, rel=0.3)


def test_waiting_is_not_stretched(functions: Any) -> None:
    functions.create("import time\ndef handler(event, context):\n    time.sleep(0.3)\n", MemorySize=128)
    functions.invoke()
    functions.invoke()

    warm = functions.events("invocation")[-1]

    assert 290 < warm.detail["duration_ms"] < 450


def test_a_duration_is_never_beyond_the_time_limit(functions: Any) -> None:
    functions.create(
        """
        import time

        def handler(event, context):
            until = time.process_time() + 0.3
            while time.process_time() < until:
                pass
            return "done"
        """,
        MemorySize=128,
        Timeout=2,
    )

    assert functions.invoke()["Payload"] == "done"
    [event] = functions.events("invocation")
    assert event.detail["duration_ms"] == 2000
    assert event.detail["wall_ms"] < 2000
