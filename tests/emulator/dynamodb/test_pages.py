"""Large tables are read page by page, each item once and in the order of the keys' values."""

from __future__ import annotations

from typing import Any

import pytest

import sandbox.emulator.dynamodb.patches  # noqa: F401 (registers them)
from sandbox.emulator import patches

# Ten a page: 1 MB is the most that a page holds.
BYTES = 100_000


@pytest.fixture
def ledger(account: Any) -> Any:
    """A client, and the table `ledger` of three accounts with lines 1 to 12 each, written in no order."""
    patches.apply_all()
    client = account.client("dynamodb")
    client.create_table(
        TableName="ledger",
        KeySchema=[
            {"AttributeName": "holder", "KeyType": "HASH"},
            {"AttributeName": "line", "KeyType": "RANGE"},
        ],
        AttributeDefinitions=[
            {"AttributeName": "holder", "AttributeType": "S"},
            {"AttributeName": "line", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    for line in (7, 12, 1, 9, 10, 2, 11, 3, 8, 4, 6, 5):
        for holder in ("b", "c", "a"):
            item = {"holder": {"S": holder}, "line": {"N": str(line)}, "text": {"S": "x" * BYTES}}
            client.put_item(TableName="ledger", Item=item)
    return client


def lines(pages: Any) -> list[list[tuple[str, int]]]:
    return [[(item["holder"]["S"], int(item["line"]["N"])) for item in page["Items"]] for page in pages]


def test_a_scan_of_many_pages_has_each_item_once_and_numbers_in_order(ledger: Any) -> None:
    pages = lines(ledger.get_paginator("scan").paginate(TableName="ledger"))

    assert len(pages) >= 4
    found = [item for page in pages for item in page]
    assert found == [(holder, line) for holder in "abc" for line in range(1, 13)]


@pytest.mark.parametrize("forward", [True, False])
def test_a_query_goes_on_where_the_last_page_ended_in_both_directions(ledger: Any, forward: bool) -> None:
    pages = lines(
        ledger.get_paginator("query").paginate(
            TableName="ledger",
            KeyConditionExpression="holder = :h",
            ExpressionAttributeValues={":h": {"S": "b"}},
            ScanIndexForward=forward,
        )
    )

    assert len(pages) >= 2
    assert [line for page in pages for _, line in page] == sorted(range(1, 13), reverse=not forward)
