"""BatchWriteItem writes what DynamoDB would write, and hands back what a fault says."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

import sandbox.emulator.dynamodb.patches  # noqa: F401 (registers them)
from sandbox.emulator import patches
from sandbox.emulator.dynamodb.batches import BatchWrites
from sandbox.emulator.faults import Faults


@pytest.fixture
def faults(account: Any) -> Faults:
    patches.apply_all()
    made = Faults()
    account.gateway.wire_handlers["dynamodb", "BatchWriteItem"] = BatchWrites(account.core, made).answer
    return made


@pytest.fixture
def table(account: Any, faults: Faults) -> Any:
    """A client of an account with the table `ledger`."""
    client = account.client("dynamodb")
    client.create_table(
        TableName="ledger",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}],
        AttributeDefinitions=[{"AttributeName": "id", "AttributeType": "S"}],
        BillingMode="PAY_PER_REQUEST",
    )
    return client


def puts(*numbers: int, **more: Any) -> list[dict[str, Any]]:
    return [{"PutRequest": {"Item": {"id": {"S": f"row-{n}"}, "n": {"N": str(n)}, **more}}} for n in numbers]


def count(client: Any) -> int:
    return int(client.scan(TableName="ledger", Select="COUNT")["Count"])


def test_items_are_put_and_deleted(table: Any) -> None:
    values = {
        "raw": {"B": b"\x00\xff"},
        "tags": {"SS": ["a", "b"]},
        "deep": {"M": {"l": {"L": [{"BOOL": True}]}}},
    }
    assert table.batch_write_item(RequestItems={"ledger": puts(1, 2, **values)})["UnprocessedItems"] == {}
    found = table.get_item(TableName="ledger", Key={"id": {"S": "row-1"}})["Item"]
    assert found == {"id": {"S": "row-1"}, "n": {"N": "1"}, **values}
    [page] = [table.scan(TableName="ledger", ConsistentRead=True)]
    assert sorted(item["n"]["N"] for item in page["Items"]) == ["1", "2"]
    table.batch_write_item(RequestItems={"ledger": [{"DeleteRequest": {"Key": {"id": {"S": "row-1"}}}}]})
    assert count(table) == 1


@pytest.mark.parametrize(
    ("requests", "message"),
    [
        (puts(*range(26)), "Too many items requested"),
        (puts(1, 1), "contains duplicates"),
        ([*puts(1), {"DeleteRequest": {"Key": {"id": {"S": "row-1"}}}}], "contains duplicates"),
        ([{"PutRequest": {"Item": {"id": {"S": ""}}}}], "empty string"),
        ([{"PutRequest": {"Item": {"n": {"N": "1"}}}}], "Missing the key id"),
        (puts(1, text={"S": "x" * 410_000}), "Item size"),
    ],
)
def test_what_dynamodb_refuses_is_refused(table: Any, requests: Any, message: str) -> None:
    with pytest.raises(ClientError, match=message) as error:
        table.batch_write_item(RequestItems={"ledger": requests})
    assert error.value.response["Error"]["Code"] == "ValidationException"


def test_a_missing_table_is_told(table: Any) -> None:
    with pytest.raises(ClientError) as error:
        table.batch_write_item(RequestItems={"none": puts(1)})
    assert error.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_the_fault_hands_back_its_share_and_nothing_is_lost_by_trying_again(
    table: Any, faults: Faults
) -> None:
    faults.begin("dynamodb.unprocessed", {"share": 0.2})
    left = table.batch_write_item(RequestItems={"ledger": puts(*range(25))})["UnprocessedItems"]
    assert (len(left["ledger"]), count(table)) == (5, 20)
    while left:
        left = table.batch_write_item(RequestItems=left)["UnprocessedItems"]
    assert count(table) == 25
    faults.clear()
    assert table.batch_write_item(RequestItems={"ledger": puts(*range(30, 55))})["UnprocessedItems"] == {}
