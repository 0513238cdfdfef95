"""Where things stand on the page."""

from __future__ import annotations

from typing import Any

import pytest

from graders.timeline.lanes import items
from graders.timeline.recording import Recording


@pytest.mark.parametrize(
    ("outcome", "tone"), [("ok", "ok"), ("superseded", "quiet"), ("held up", "warn"), ("FAILED", "bad")]
)
def test_what_crosses_regions_stands_beside_deliveries(outcome: str, tone: str) -> None:
    event: dict[str, Any] = {
        "sequence": 1,
        "at": "2026-03-01T10:00:00.000Z",
        "kind": "replication",
        "subject": "dynamodb:carts",
        "outcome": outcome,
        "region": "eu-north-1",
        "account_id": "111122223333",
        "detail": {"target": "us-east-1", "latency_ms": 1000},
    }
    [shown] = items(Recording("111122223333", "eu-north-1", 0, 1, [event]))
    assert (shown.lane, shown.name, shown.tone) == (
        "Deliveries/dynamodb:carts",
        "dynamodb:carts, eu-north-1 → us-east-1",
        tone,
    )
