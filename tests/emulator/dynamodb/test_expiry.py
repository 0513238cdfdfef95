"""Items go when their time to live is over."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.dynamodb.expiry import Expiry


@pytest.fixture
def table(account: Any) -> Any:
    account.add(Expiry(account.core).handlers())
    made = account.client("dynamodb")
    made.create_table(
        TableName="sessions",
        KeySchema=[{"AttributeName": "id", "KeyType": "HASH"}, {"AttributeName": "at", "KeyType": "RANGE"}],
        AttributeDefinitions=[
            {"AttributeName": "id", "AttributeType": "S"},
            {"AttributeName": "at", "AttributeType": "N"},
        ],
        BillingMode="PAY_PER_REQUEST",
        StreamSpecification={"StreamEnabled": True, "StreamViewType": "OLD_IMAGE"},
    )
    return made


def enable(table: Any, *, enabled: bool = True) -> None:
    table.update_time_to_live(
        TableName="sessions", TimeToLiveSpecification={"Enabled": enabled, "AttributeName": "expires"}
    )


def put(table: Any, name: str, **expires: Any) -> None:
    table.put_item(TableName="sessions", Item={"id": {"S": name}, "at": {"N": "1"}, **expires})


def ids(table: Any) -> set[str]:
    return {item["id"]["S"] for item in table.scan(TableName="sessions")["Items"]}


def test_an_item_goes_once_its_time_is_over(account: Any, table: Any) -> None:
    now = int(account.core.clock.time())
    enable(table)
    put(table, "soon", expires={"N": str(now + 3600)})
    put(table, "later", expires={"N": str(now + 7200)})
    put(table, "never")
    put(table, "text", expires={"S": str(now)})
    put(table, "ages-ago", expires={"N": "86400"})

    account.advance(3500)
    assert ids(table) == {"soon", "later", "never", "text", "ages-ago"}
    account.advance(300)
    assert ids(table) == {"later", "never", "text", "ages-ago"}
    account.advance(3600)
    assert ids(table) == {"never", "text", "ages-ago"}


def test_the_stream_says_who_deleted_it(account: Any, table: Any) -> None:
    enable(table)
    put(table, "old", expires={"N": str(int(account.core.clock.time()))})
    put(table, "deleted")
    table.delete_item(TableName="sessions", Key={"id": {"S": "deleted"}, "at": {"N": "1"}})
    account.advance(120)

    streams = account.client("dynamodbstreams")
    [stream] = streams.list_streams(TableName="sessions")["Streams"]
    [shard] = streams.describe_stream(StreamArn=stream["StreamArn"])["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(
        StreamArn=stream["StreamArn"], ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON"
    )["ShardIterator"]
    removed = [
        r for r in streams.get_records(ShardIterator=iterator)["Records"] if r["eventName"] == "REMOVE"
    ]
    assert [record.get("userIdentity") for record in removed] == [
        None,
        {"PrincipalId": "dynamodb.amazonaws.com", "Type": "Service"},
    ]


def test_a_table_can_stop_forgetting(account: Any, table: Any) -> None:
    enable(table)
    put(table, "kept", expires={"N": str(int(account.core.clock.time()) + 60)})
    enable(table, enabled=False)
    account.advance(600)
    assert ids(table) == {"kept"}
    with pytest.raises(ClientError, match="already disabled"):
        enable(table, enabled=False)
    enable(table)
    account.advance(120)
    assert ids(table) == set()
