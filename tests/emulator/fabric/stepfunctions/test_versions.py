"""Versions keep what a machine was; aliases share executions out among them."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest
from botocore.exceptions import ClientError


def told(answer: str) -> str:
    return json.dumps({"StartAt": "Say", "States": {"Say": {"Type": "Pass", "Result": answer, "End": True}}})


@pytest.fixture
def versions(machines: Any) -> tuple[Any, str, list[str]]:
    """A machine with two versions that say which they are, and now says something else."""
    arn = machines.make({"Say": {"Type": "Pass", "Result": "one", "End": True}})
    published = [machines.client.publish_state_machine_version(stateMachineArn=arn)["stateMachineVersionArn"]]
    made = machines.client.update_state_machine(stateMachineArn=arn, definition=told("two"), publish=True)
    published.append(made["stateMachineVersionArn"])
    machines.client.update_state_machine(stateMachineArn=arn, definition=told("now"))
    return machines, arn, published


def said(machines: Any, arn: str) -> Any:
    return machines.client.describe_execution(executionArn=machines.start(arn))


def test_a_version_stays_what_it_was(versions: Any) -> None:
    machines, arn, published = versions
    assert published == [f"{arn}:1", f"{arn}:2"]
    assert [json.loads(said(machines, each)["output"]) for each in (*published, arn)] == ["one", "two", "now"]
    assert said(machines, published[0])["stateMachineVersionArn"] == published[0]
    listed = machines.client.list_state_machine_versions(stateMachineArn=arn)["stateMachineVersions"]
    assert [each["stateMachineVersionArn"] for each in listed] == published[::-1]
    revision = machines.client.describe_state_machine(stateMachineArn=arn)["revisionId"]
    again = [
        machines.client.publish_state_machine_version(stateMachineArn=arn, revisionId=revision)
        for _ in range(2)
    ]
    assert {each["stateMachineVersionArn"] for each in again} == {f"{arn}:3"}
    with pytest.raises(ClientError, match="outdated revision"):
        machines.client.publish_state_machine_version(stateMachineArn=arn, revisionId="old")


def test_an_alias_shares_executions_out(versions: Any) -> None:
    machines, _, published = versions
    client = machines.client
    routes = [
        {"stateMachineVersionArn": each, "weight": weight}
        for each, weight in zip(published, (80, 20), strict=True)
    ]
    alias = client.create_state_machine_alias(name="live", routingConfiguration=routes)[
        "stateMachineAliasArn"
    ]
    executions = [said(machines, alias) for _ in range(60)]
    seen = Counter(json.loads(each["output"]) for each in executions)
    assert set(seen) == {"one", "two"}
    assert 3 <= seen["two"] <= 25
    assert {each["stateMachineAliasArn"] for each in executions} == {alias}
    with pytest.raises(ClientError, match="must not be referenced by an alias"):
        client.delete_state_machine_version(stateMachineVersionArn=published[0])
    client.update_state_machine_alias(
        stateMachineAliasArn=alias,
        routingConfiguration=[{"stateMachineVersionArn": published[1], "weight": 100}],
    )
    client.delete_state_machine_version(stateMachineVersionArn=published[0])
    assert json.loads(said(machines, alias)["output"]) == "two"
    with pytest.raises(ClientError, match="StateMachineDoesNotExist"):
        machines.start(published[0])


@pytest.mark.parametrize(
    ("weights", "name", "message"),
    [
        ((50, 40), "live", "must equal 100"),
        ((100,), "7", "Invalid Name"),
    ],
)
def test_what_can_be_no_alias(versions: Any, weights: tuple[int, ...], name: str, message: str) -> None:
    machines, _, published = versions
    routes = [
        {"stateMachineVersionArn": each, "weight": weight}
        for each, weight in zip(published, weights, strict=False)
    ]
    with pytest.raises(ClientError, match=message):
        machines.client.create_state_machine_alias(name=name, routingConfiguration=routes)
