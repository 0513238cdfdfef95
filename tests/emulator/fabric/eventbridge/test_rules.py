"""Rules: checked when made, fired by the clock, fed by services, archived and replayed."""

from __future__ import annotations

import datetime as dt
import itertools
import json
from typing import Any

import pytest

from tests.emulator.fabric.eventbridge.conftest import Bus


def test_a_rule_wants_a_pattern_that_can_be_read(bus: Bus) -> None:
    with pytest.raises(bus.client.exceptions.InvalidEventPatternException, match="Unrecognized match type"):
        bus.rule(pattern={"source": [{"starts-with": "a"}]})
    with pytest.raises(bus.client.exceptions.ClientError, match="ScheduleExpression is not valid"):
        bus.rule(ScheduleExpression="rate(5 minute)")


def test_an_event_can_be_tried_on_a_pattern(bus: Bus) -> None:
    event = {
        "id": "1",
        "account": "1",
        "source": "a",
        "time": "t",
        "region": "r",
        "resources": [],
        "detail-type": "d",
        "detail": {"n": 1},
    }
    ask = bus.client.test_event_pattern
    assert ask(EventPattern='{"detail": {"n": [1]}}', Event=json.dumps(event))["Result"] is True
    assert ask(EventPattern='{"detail": {"n": [2]}}', Event=json.dumps(event))["Result"] is False
    del event["id"]
    with pytest.raises(bus.client.exceptions.ClientError, match="id field is mandatory"):
        ask(EventPattern='{"detail": {"n": [1]}}', Event=json.dumps(event))


def test_a_schedule_fires_on_the_accounts_clock(account: Any, bus: Bus) -> None:
    rule_arn = bus.rule("hourly", ScheduleExpression="rate(1 hour)")
    bus.target(bus.open_function(), "hourly")
    account.advance(6 * 3600 + 60)
    assert len(bus.functions.events) == 6
    event = bus.functions.events[0]
    assert event["source"] == "aws.events"
    assert event["detail-type"] == "Scheduled Event"
    assert event["resources"] == [rule_arn]
    assert event["detail"] == {}
    times = [dt.datetime.fromisoformat(event["time"]) for event in bus.functions.events]
    assert {(later - earlier).total_seconds() for earlier, later in itertools.pairwise(times)} == {3600.0}


def test_a_schedule_ends_with_its_rule(account: Any, bus: Bus) -> None:
    bus.rule("tick", ScheduleExpression="rate(1 minute)")
    bus.target(bus.open_function(), "tick")
    account.advance(61)
    bus.client.disable_rule(Name="tick")
    account.advance(600)
    assert len(bus.functions.events) == 1
    bus.client.enable_rule(Name="tick")
    account.advance(61)
    assert len(bus.functions.events) == 2
    bus.rule("tick", ScheduleExpression="rate(1 hour)")
    account.advance(600)
    assert len(bus.functions.events) == 2
    bus.client.remove_targets(Rule="tick", Ids=["t"])
    bus.client.delete_rule(Name="tick")
    account.advance(7200)
    assert len(bus.functions.events) == 2
    assert account.core.work.settle().next_due is None


def test_a_schedule_does_not_hear_events(bus: Bus) -> None:
    bus.rule("tick", ScheduleExpression="rate(1 day)")
    bus.target(bus.open_function(), "tick")
    bus.put()
    assert not bus.functions.events


def test_services_put_events_that_learners_may_not(account: Any, bus: Bus) -> None:
    bus.rule(pattern={"source": ["aws.s3"], "detail": {"bucket": {"name": ["b"]}}})
    bus.target(bus.open_function())
    event = {"source": "aws.s3", "detail-type": "Object Created", "detail": {"bucket": {"name": "b"}}}
    event_id = bus.service.inject(event)
    account.settle()
    (given,) = bus.functions.events
    assert given["id"] == event_id
    assert given["account"] == account.core.account_id
    with pytest.raises(ValueError, match=r"aws\."):
        bus.service.inject({**event, "source": "shop"})
    with pytest.raises(ValueError, match="detail-type"):
        bus.service.inject({"source": "aws.s3"})


def test_producers_may_hold_the_dispatch_lock(account: Any, bus: Bus) -> None:
    bus.rule(pattern={"source": ["aws.s3"]})
    bus.target(bus.open_function())
    with account.core.dispatch_lock:
        bus.service.put(
            account.core.account_id, account.core.region, {"source": "aws.s3", "detail-type": "x"}
        )
    account.settle()
    assert len(bus.functions.events) == 1


def test_a_rule_has_five_targets_at_most(bus: Bus) -> None:
    bus.rule()
    targets = [{"Id": str(number), "Arn": "arn:aws:sqs:eu-north-1:1:q"} for number in range(6)]
    with pytest.raises(bus.client.exceptions.LimitExceededException):
        bus.client.put_targets(Rule="orders", Targets=targets)


def test_an_archive_is_replayed_to_the_rules(account: Any, bus: Bus) -> None:
    bus_arn = f"arn:aws:events:{account.core.region}:{account.core.account_id}:event-bus/default"
    archive = bus.client.create_archive(
        ArchiveName="kept", EventSourceArn=bus_arn, EventPattern='{"source": ["shop"]}'
    )
    bus.put({"n": 1})
    bus.put({"n": 2}, source="other")
    assert bus.client.describe_archive(ArchiveName="kept")["EventCount"] == 1
    bus.rule()
    bus.target(bus.open_function())
    now = account.core.clock.now()
    bus.client.start_replay(
        ReplayName="again",
        EventSourceArn=archive["ArchiveArn"],
        EventStartTime=now - dt.timedelta(hours=1),
        EventEndTime=now + dt.timedelta(hours=1),
        Destination={"Arn": bus_arn},
    )
    account.settle()
    (event,) = bus.functions.events
    assert event["replay-name"] == "again"
    assert bus.client.describe_replay(ReplayName="again")["State"] == "COMPLETED"
    assert bus.client.describe_archive(ArchiveName="kept")["EventCount"] == 1
