"""When an HTTP subscriber is asked again."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.emulator.fabric.sns.endpoints import delays


@pytest.mark.parametrize(
    ("policy", "waits"),
    [
        ({"numRetries": 3, "minDelayTarget": 20, "maxDelayTarget": 20}, [20, 20, 20]),
        ({"numRetries": 0, "minDelayTarget": 1, "maxDelayTarget": 60}, []),
        ({"numRetries": 3, "minDelayTarget": 10, "maxDelayTarget": 30}, [10, 20, 30]),
        (
            {"numRetries": 3, "minDelayTarget": 1, "maxDelayTarget": 100, "backoffFunction": "exponential"},
            [1, 10, 100],
        ),
        (
            {
                "numRetries": 6,
                "numNoDelayRetries": 1,
                "numMinDelayRetries": 2,
                "numMaxDelayRetries": 2,
                "minDelayTarget": 5,
                "maxDelayTarget": 60,
            },
            [0, 5, 5, 5, 60, 60],
        ),
    ],
)
def test_the_phases_of_a_delivery_policy(policy: dict[str, Any], waits: list[float]) -> None:
    assert delays(policy) == pytest.approx(waits)
