"""Every row of the matrix, against what it says of itself."""

from __future__ import annotations

from typing import Any

import pytest

from tests.triggers import payloads
from tests.triggers.rows import TABLE
from tests.triggers.table import Row, hold


@pytest.mark.parametrize("trigger", [pytest.param(row, id=row.id) for row in TABLE])
def test_arrives_or_ends_as_on_aws(trigger: Row, world: Any) -> None:
    hold(trigger, trigger.run(world))


def test_whatever_was_not_delivered_has_a_reason(triggers: Any) -> None:
    """After all rows: no event of the timeline says that something did not arrive without saying why."""
    silent = [
        event
        for event in triggers.account.timeline()
        if event["kind"] == "delivery" and event["outcome"] != "ok" and not event["detail"].get("reason")
    ]
    assert silent == []


@pytest.mark.parametrize("name", sorted(path.stem for path in payloads.FOLDER.glob("*.json")))
def test_each_payload_names_the_page_it_was_written_from(name: str) -> None:
    assert payloads.source(name).startswith("https://docs.aws.amazon.com/")
    payloads.Draft202012Validator.check_schema(payloads.schema(name))
    assert name in {row.payload for row in TABLE} | {row.kept for row in TABLE}
