"""Wait conditions: stacks that go on when somebody tells them to."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.emulator.cloudformation.engine import Engine


def waiting(**more: Any) -> dict[str, Any]:
    condition = {"Handle": {"Ref": "Handle"}, "Timeout": "600", **more}
    return {
        "Resources": {
            "Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"},
            "Ready": {"Type": "AWS::CloudFormation::WaitCondition", "Properties": condition},
        },
        "Outputs": {"Said": {"Value": {"Fn::GetAtt": ["Ready", "Data"]}}},
    }


def signal(engine: Engine, name: str, **more: Any) -> None:
    resources = engine.client.describe_stack_resources(StackName="shop")["StackResources"]
    address = next(r["PhysicalResourceId"] for r in resources if r["LogicalResourceId"] == "Handle")
    told = {"Status": "SUCCESS", "UniqueId": name, "Reason": "done", "Data": f"{name} is up", **more}
    engine.vendor.put(address, json.dumps(told).encode())
    engine.settle()


def test_a_condition_holds_once_it_was_signalled_often_enough(engine: Engine) -> None:
    engine.create(waiting(Count=2))
    assert engine.status() == "CREATE_IN_PROGRESS"

    signal(engine, "one")
    signal(engine, "one", Data="once more")
    assert engine.status() == "CREATE_IN_PROGRESS", "the same signal again counts once"
    signal(engine, "two")

    assert engine.status() == "CREATE_COMPLETE"
    assert json.loads(engine.outputs()["Said"]) == {"one": "one is up", "two": "two is up"}
    assert engine.outputs()["Said"] == '{"one":"one is up","two":"two is up"}'


def test_a_failure_signal_fails_the_stack(engine: Engine) -> None:
    engine.create(waiting(Count=5))
    signal(engine, "three", Status="FAILURE", Reason="no disk")

    assert engine.status() == "ROLLBACK_COMPLETE"
    assert engine.reasons()["Ready"] == (
        "WaitCondition received failed message: 'no disk' for uniqueId: three"
    )


def test_a_condition_times_out_in_account_time(engine: Engine) -> None:
    engine.create(waiting(Count=2))
    signal(engine, "one")
    engine.account.advance(601)

    assert engine.status() == "ROLLBACK_COMPLETE"
    assert engine.reasons()["Ready"] == ("WaitCondition timed out. Received 1 conditions when expecting 2")


def test_what_is_no_signal_is_not_counted(engine: Engine) -> None:
    engine.create(waiting())
    resources = engine.client.describe_stack_resources(StackName="shop")["StackResources"]
    address = next(r["PhysicalResourceId"] for r in resources if r["LogicalResourceId"] == "Handle")
    for letter in (b"", b"[]", b'{"Status": "MAYBE", "UniqueId": "a"}', b'{"Status": "SUCCESS"}'):
        engine.vendor.put(address, letter)
    engine.settle()

    assert engine.status() == "CREATE_IN_PROGRESS"
    signal(engine, "a")
    assert engine.status() == "CREATE_COMPLETE"


def test_a_condition_can_t_be_changed(engine: Engine) -> None:
    engine.create(waiting())
    signal(engine, "a")
    engine.update(waiting(Count=2))

    assert engine.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert engine.reasons()["Ready"] == (
        "Update to resource type AWS::CloudFormation::WaitCondition is not supported."
    )


@pytest.mark.parametrize(
    ("properties", "reason"),
    [
        ({"Handle": "https://example.com/x"}, "WaitCondition handle is not valid."),
        ({"Timeout": 43_201}, "Timeout must be between 1 and 43200 seconds."),
    ],
)
def test_a_condition_out_of_order_is_refused(engine: Engine, properties: dict[str, Any], reason: str) -> None:
    engine.create(waiting(**properties))

    assert engine.reasons()["Ready"] == reason


def test_what_takes_a_moment_is_over_when_the_call_returns(engine: Engine) -> None:
    """Clients look at once and sleep for up to half a minute when they see it in progress."""
    topic = {"Resources": {"Topic": {"Type": "AWS::SNS::Topic"}}}

    stack_id = engine.create(topic, settled=False)
    assert engine.status() == "CREATE_COMPLETE"
    engine.client.delete_stack(StackName="shop")
    assert engine.status(stack_id) == "DELETE_COMPLETE"


def test_what_waits_for_somebody_else_is_in_progress_at_once(engine: Engine) -> None:
    started = time.monotonic()

    engine.create(waiting(), settled=False)

    assert engine.status() == "CREATE_IN_PROGRESS"
    assert time.monotonic() - started < 4, "the call is not held until its patience ends"
