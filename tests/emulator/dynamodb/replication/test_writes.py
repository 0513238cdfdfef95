"""What is written in one region arrives in the others, and the last writer wins."""

from __future__ import annotations

import itertools
import random
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.dynamodb.replication.conftest import ELSEWHERE, HERE, THERE, World


def test_a_write_arrives_a_second_later_in_both_directions(carts: World) -> None:
    carts.put("a", "here")
    carts.put("b", "there", THERE)
    assert carts.everywhere("a") == ("here", None)

    carts.account.advance(0.8)
    assert carts.get("a", THERE) is None
    carts.account.advance(0.4)
    assert carts.everywhere("a") == ("here", "here")
    assert carts.everywhere("b") == ("there", "there")


def test_settling_waits_until_writes_have_arrived(carts: World) -> None:
    carts.put("a", "1")
    carts.account.settle()
    assert carts.get("a", THERE) == "1"


def test_every_kind_of_write_is_carried(carts: World) -> None:
    client = carts.client()
    client.update_item(
        TableName="carts",
        Key={"id": {"S": "updated"}},
        UpdateExpression="SET v = :v ADD n :one",
        ExpressionAttributeValues={":v": {"S": "1"}, ":one": {"N": "1"}},
    )
    client.batch_write_item(
        RequestItems={"carts": [{"PutRequest": {"Item": {"id": {"S": "batched"}, "v": {"S": "2"}}}}]}
    )
    client.transact_write_items(
        TransactItems=[
            {"Put": {"TableName": "carts", "Item": {"id": {"S": f"t{n}"}, "v": {"S": "3"}}}} for n in "12"
        ]
    )
    client.execute_statement(Statement="INSERT INTO carts VALUE {'id': 'sql', 'v': '4'}")
    carts.account.advance(2)
    found = {item["id"]["S"]: item["v"]["S"] for item in carts.client(THERE).scan(TableName="carts")["Items"]}
    assert found == {"updated": "1", "batched": "2", "t1": "3", "t2": "3", "sql": "4"}


def test_a_transaction_that_fails_is_not_carried(carts: World) -> None:
    carts.put("taken", "1")
    carts.account.advance(2)
    with pytest.raises(ClientError, match="TransactionCanceled"):
        carts.client().transact_write_items(
            TransactItems=[
                {"Put": {"TableName": "carts", "Item": {"id": {"S": "new"}, "v": {"S": "2"}}}},
                {
                    "Put": {
                        "TableName": "carts",
                        "Item": {"id": {"S": "taken"}, "v": {"S": "2"}},
                        "ConditionExpression": "attribute_not_exists(id)",
                    }
                },
            ]
        )
    carts.put("after", "3")
    carts.account.advance(2)
    assert [carts.everywhere(key) for key in ("new", "taken", "after")] == [
        (None, None),
        ("1", "1"),
        ("3", "3"),
    ]


def test_a_condition_is_judged_by_the_region_it_is_asked_in(carts: World) -> None:
    carts.cut()
    for region in (HERE, THERE):
        carts.client(region).put_item(
            TableName="carts",
            Item={"id": {"S": "seat-1"}, "v": {"S": region}},
            ConditionExpression="attribute_not_exists(id)",
        )
        carts.account.advance(1)
    carts.heal()
    carts.account.advance(2)
    assert carts.everywhere("seat-1") == (THERE, THERE)


def test_what_was_written_during_a_cut_is_merged_when_it_heals(carts: World) -> None:
    carts.put("both", "before")
    carts.account.advance(2)
    carts.cut()
    carts.put("only-here", "1")
    carts.put("only-there", "2", THERE)
    carts.put("both", "older", THERE)
    carts.account.advance(5)
    carts.put("both", "newer")
    carts.account.advance(300)
    assert carts.everywhere("both") == ("newer", "older")
    assert carts.everywhere("only-here") == ("1", None)

    carts.heal()
    carts.account.advance(2)
    assert carts.everywhere("both") == ("newer", "newer")
    assert carts.everywhere("only-here") == ("1", "1")
    assert carts.everywhere("only-there") == ("2", "2")


@pytest.mark.parametrize("deleted_last", [True, False])
def test_a_deletion_counts_like_a_write(carts: World, deleted_last: bool) -> None:
    """An older write that arrives after a deletion does not bring the item back."""
    carts.put("a", "1")
    carts.account.advance(2)
    carts.cut()
    steps: list[Any] = [lambda: carts.put("a", "2", THERE), lambda: carts.delete("a", HERE)]
    for step in steps if deleted_last else steps[::-1]:
        step()
        carts.account.advance(1)
    carts.heal()
    carts.account.advance(2)
    assert carts.everywhere("a") == ((None, None) if deleted_last else ("2", "2"))


def test_a_dark_region_hears_of_everything_once_it_is_back(carts: World) -> None:
    carts.client().update_time_to_live(
        TableName="carts", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    carts.put("kept", "1")
    carts.put("old", "2", THERE, until={"N": str(int(carts.account.core.clock.time()) + 60)})
    carts.put("lost-for-a-while", "3", THERE)
    outage = carts.account.faults.begin("region_outage", {"region": THERE})
    carts.put("kept", "4")
    carts.account.advance(200)
    assert [carts.get(key) for key in ("kept", "old", "lost-for-a-while")] == ["4", None, None]

    carts.account.faults.end(outage)
    carts.account.advance(2)
    assert carts.everywhere("kept") == ("4", "4")
    assert carts.everywhere("lost-for-a-while") == ("3", "3")
    assert carts.get("old", THERE) == "2"
    carts.account.advance(100)
    assert carts.everywhere("old") == (None, None)


def test_one_direction_can_be_cut_alone(carts: World) -> None:
    carts.cut(both=False)
    carts.put("a", "1")
    carts.put("b", "2", THERE)
    carts.account.advance(5)
    assert carts.everywhere("a") == ("1", None)
    assert carts.everywhere("b") == ("2", "2")


def test_the_delay_can_be_set_for_one_direction(carts: World) -> None:
    carts.account.faults.begin("replication.delay", {"seconds": 30, "source": HERE, "target": THERE})
    carts.put("a", "1")
    carts.put("b", "2", THERE)
    carts.account.settle()
    carts.account.advance(10)
    assert carts.everywhere("a") == ("1", None)
    assert carts.everywhere("b") == ("2", "2")
    carts.account.advance(21)
    assert carts.everywhere("a") == ("1", "1")


def test_a_replicas_stream_tells_of_what_arrived_and_it_goes_no_further(carts: World) -> None:
    carts.add(ELSEWHERE)
    carts.put("a", "1")
    carts.account.advance(2)
    carts.put("a", "2", THERE)
    carts.account.advance(10)
    for region in (HERE, THERE, ELSEWHERE):
        told = [
            (r["eventName"], r["awsRegion"], r["dynamodb"]["NewImage"]["v"]["S"])
            for r in carts.records(region)
        ]
        assert told == [("INSERT", region, "1"), ("MODIFY", region, "2")]
        assert not any("userIdentity" in record for record in carts.records(region))
        item = carts.client(region).get_item(TableName="carts", Key={"id": {"S": "a"}})["Item"]
        assert set(item) == {"id", "v"}


def test_expired_items_go_everywhere_and_only_one_region_says_that_they_expired(carts: World) -> None:
    carts.client().update_time_to_live(
        TableName="carts", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    told = carts.client(THERE).describe_time_to_live(TableName="carts")["TimeToLiveDescription"]
    assert told == {"AttributeName": "until", "TimeToLiveStatus": "ENABLED"}
    carts.put("a", "1", THERE, until={"N": str(int(carts.account.core.clock.time()) + 100)})
    carts.account.advance(90)
    assert carts.everywhere("a") == ("1", "1")
    carts.account.advance(120)
    assert carts.everywhere("a") == (None, None)
    removed = [
        [
            r.get("userIdentity", {}).get("PrincipalId")
            for r in carts.records(region)
            if r["eventName"] == "REMOVE"
        ]
        for region in (HERE, THERE)
    ]
    assert removed == [["dynamodb.amazonaws.com"], [None]]


def test_items_expire_in_a_region_that_is_cut_off(carts: World) -> None:
    carts.client().update_time_to_live(
        TableName="carts", TimeToLiveSpecification={"Enabled": True, "AttributeName": "until"}
    )
    carts.put("a", "1", until={"N": str(int(carts.account.core.clock.time()) + 60)})
    carts.account.advance(5)
    carts.cut()
    carts.account.advance(300)
    assert carts.everywhere("a") == (None, None)


def test_the_lag_is_told_per_receiving_region_and_grows_while_nothing_gets_through(carts: World) -> None:
    carts.put("a", "1")
    carts.account.advance(2)
    carts.cut()
    carts.put("b", "2")
    carts.account.advance(200)
    told = [
        (
            event.subject,
            event.region,
            event.outcome,
            event.detail["target"],
            round(event.detail["latency_ms"], -4),
        )
        for event in carts.account.events("replication")
    ]
    assert told == [
        ("dynamodb:carts", HERE, "ok", THERE, 0),
        *[("dynamodb:carts", HERE, "held up", THERE, ms) for ms in (60_000, 120_000, 180_000)],
    ]


def test_whatever_is_cut_in_the_end_all_regions_hold_what_was_written_last(carts: World) -> None:
    carts.add(ELSEWHERE)
    regions = (HERE, THERE, ELSEWHERE)
    chance = random.Random(7)
    last: dict[str, str] = {}
    for number in range(150):
        key, region = f"item-{chance.randrange(12)}", chance.choice(regions)
        if chance.random() < 0.3 and carts.get(key, region) is not None:
            carts.delete(key, region)
            last.pop(key, None)
        else:
            carts.put(key, str(number), region)
            last[key] = str(number)
        if chance.random() < 0.2:
            carts.heal()
            for source, target in itertools.permutations(regions, 2):
                if chance.random() < 0.4:
                    carts.cut(source, target, both=False)
        carts.account.advance(chance.choice((0.0, 0.3, 1.5)))
    carts.heal()
    carts.account.advance(5)
    for region in regions:
        found = carts.client(region).scan(TableName="carts")["Items"]
        assert {item["id"]["S"]: item["v"]["S"] for item in found} == last
