"""Which faults are on: each begins and ends on the timeline, and only those there are."""

from __future__ import annotations

from typing import Any

import pytest

from sandbox.faults import BadFault, Fault


def test_a_cut_holds_in_both_directions_until_it_ends(account: Any) -> None:
    faults = account.core.faults
    ended: list[Fault] = []
    faults.listen(ended.append)

    cut = faults.begin("cut_replication", {"source": "eu-west-1", "target": "us-east-1"})

    assert faults.replication_cut("eu-west-1", "us-east-1")
    assert faults.replication_cut("us-east-1", "eu-west-1")
    assert not faults.replication_cut("eu-west-1", "eu-north-1")
    assert ended == []
    faults.end(cut)
    assert not faults.replication_cut("eu-west-1", "us-east-1")
    assert [fault.name for fault in ended] == ["cut_replication"]


def test_one_direction_can_be_cut_alone(account: Any) -> None:
    faults = account.core.faults

    faults.begin("cut_replication", {"source": "eu-west-1", "target": "us-east-1", "both": False})

    assert faults.replication_cut("eu-west-1", "us-east-1")
    assert not faults.replication_cut("us-east-1", "eu-west-1")


def test_a_dark_region_is_replicated_neither_to_nor_from(account: Any) -> None:
    faults = account.core.faults
    assert not faults.region_down("eu-west-1")

    outage = faults.begin("region-outage", {"region": "eu-west-1"})

    assert faults.region_down("eu-west-1")
    assert not faults.region_down("us-east-1")
    assert faults.replication_cut("us-east-1", "eu-west-1")
    assert faults.replication_cut("eu-west-1", "us-east-1")
    faults.end(outage)
    assert not faults.region_down("eu-west-1")
    assert not faults.replication_cut("us-east-1", "eu-west-1")


def test_a_fault_ends_by_the_accounts_clock(account: Any) -> None:
    account.core.faults.begin("region_outage", {"region": "eu-west-1"}, for_s=600)

    account.advance(599)
    assert account.core.faults.region_down("eu-west-1")
    account.advance(1)

    assert not account.core.faults.region_down("eu-west-1")
    assert [(event.subject, event.outcome, event.region) for event in account.events("fault")] == [
        ("region_outage", "began", "eu-west-1"),
        ("region_outage", "ended", "eu-west-1"),
    ]


def test_clearing_ends_all_the_latest_first(account: Any) -> None:
    faults = account.core.faults
    first = faults.begin("region_outage", {"region": "eu-west-1"}, for_s=600)
    second = faults.begin("latency", {"seconds": 1})

    assert faults.clear() == [first, second]

    assert faults.active() == []
    assert [event.detail["id"] for event in account.events("fault")] == [first, second, second, first]
    account.advance(700)
    assert len(account.events("fault")) == 4, "what was cleared does not end again"


@pytest.mark.parametrize(
    ("name", "settings", "says"),
    [
        ("region_outages", {"region": "eu-west-1"}, "Did you mean `region_outage`.* There are: errors, "),
        ("region_outage", {}, "`region` is missing. It has: region"),
        ("region_outage", {"region": "mars"}, "`region` .*'mars'"),
        ("latency", {"second": 1}, "no setting `second`. Did you mean `seconds`"),
        ("latency", {"seconds": 2, "p99": 1}, "`p99` is less than `seconds`"),
        ("errors", {"share": "much"}, "`share` .*'much'"),
        ("errors", {"operation": "s3:PutObject"}, "`operation` has no service in it"),
    ],
)
def test_a_wrong_fault_is_told_what_there_is(
    account: Any, name: str, settings: dict[str, Any], says: str
) -> None:
    with pytest.raises(BadFault, match=says):
        account.core.faults.begin(name, settings)

    assert account.events("fault") == []


def test_an_unknown_id_is_told_which_are_on(account: Any) -> None:
    with pytest.raises(BadFault, match="None is on"):
        account.core.faults.end("latency-7")
    latency = account.core.faults.begin("latency", {"seconds": 1})

    with pytest.raises(BadFault, match=f"On are: {latency}"):
        account.core.faults.end("latency-7")
