"""Change sets say what would change, and then do it."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError


def queue(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def topic(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SNS::Topic", "Properties": properties}


def propose(stacks: Any, template: Any, kind: str = "UPDATE", name: str = "c1", **more: Any) -> Any:
    stacks.client.create_change_set(
        StackName="shop",
        ChangeSetName=name,
        ChangeSetType=kind,
        TemplateBody=json.dumps(template),
        **more,
    )
    return stacks.client.describe_change_set(StackName="shop", ChangeSetName=name)


def test_a_change_set_creates_a_stack(stacks: Any) -> None:
    found = propose(stacks, {"Resources": {"Orders": queue()}}, "CREATE")
    stacks.client.get_waiter("change_set_create_complete").wait(StackName="shop", ChangeSetName="c1")

    assert stacks.described("shop")["StackStatus"] == "REVIEW_IN_PROGRESS"
    assert found["Status"] == "CREATE_COMPLETE"
    assert found["Changes"] == [
        {
            "Type": "Resource",
            "ResourceChange": {
                "Action": "Add",
                "LogicalResourceId": "Orders",
                "ResourceType": "AWS::SQS::Queue",
                "Scope": [],
                "Details": [],
            },
        }
    ]
    stacks.client.execute_change_set(StackName="shop", ChangeSetName="c1")
    assert stacks.finished("shop")["StackStatus"] == "CREATE_COMPLETE"
    assert stacks.described("shop")["ChangeSetId"] == found["ChangeSetId"]


def test_changes_tell_what_is_replaced_and_why(stacks: Any) -> None:
    def shop(name: str, seconds: str) -> dict[str, Any]:
        return {
            "Parameters": {"Seconds": {"Type": "Number", "Default": seconds}},
            "Resources": {
                "Orders": queue(QueueName=name),
                "Notices": topic(DisplayName={"Ref": "Orders"}),
                "Slow": queue(VisibilityTimeout={"Ref": "Seconds"}),
                name.upper(): queue(),
            },
        }

    stacks.create("shop", shop("a", "1"))
    changes = {
        change["ResourceChange"]["LogicalResourceId"]: change["ResourceChange"]
        for change in propose(stacks, shop("b", "2"))["Changes"]
    }

    assert {name: (c["Action"], c.get("Replacement")) for name, c in changes.items()} == {
        "Orders": ("Modify", "True"),
        "Notices": ("Modify", "False"),
        "Slow": ("Modify", "False"),
        "B": ("Add", None),
        "A": ("Remove", None),
    }
    assert changes["Orders"]["Details"] == [
        {
            "Target": {"Attribute": "Properties", "Name": "QueueName", "RequiresRecreation": "Always"},
            "Evaluation": "Static",
            "ChangeSource": "DirectModification",
        }
    ]
    assert changes["Notices"]["Details"][0] | {"Target": None} == {
        "Target": None,
        "Evaluation": "Dynamic",
        "ChangeSource": "ResourceReference",
        "CausingEntity": "Orders",
    }
    assert changes["Slow"]["Details"][0]["CausingEntity"] == "Seconds"
    stacks.client.execute_change_set(StackName="shop", ChangeSetName="c1")
    assert stacks.finished("shop")["StackStatus"] == "UPDATE_COMPLETE"


def test_a_change_set_without_changes_fails_and_says_so(stacks: Any) -> None:
    template = {"Resources": {"Orders": queue()}}
    stacks.create("shop", template)

    found = propose(stacks, template)

    assert found["Status"] == "FAILED"
    assert found["StatusReason"].startswith("The submitted information didn't contain changes.")
    with pytest.raises(ClientError, match="cannot be executed in its current status"):
        stacks.client.execute_change_set(StackName="shop", ChangeSetName="c1")


def test_new_outputs_alone_are_a_change(stacks: Any) -> None:
    template: dict[str, Any] = {"Resources": {"Orders": queue(QueueName="a")}}
    stacks.create("shop", template)

    found = propose(stacks, {**template, "Outputs": {"Q": {"Value": {"Ref": "Orders"}}}})
    stacks.client.execute_change_set(ChangeSetName=found["ChangeSetId"])
    stacks.finished("shop")

    assert found["Status"] == "CREATE_COMPLETE"
    assert found["Changes"] == []
    assert stacks.outputs("shop") == {"Q": "a"}


def test_a_name_is_free_again_once_its_change_set_was_executed(stacks: Any) -> None:
    """`aws cloudformation deploy` names change sets by the second, and two deployments may fit in one."""
    propose(stacks, {"Resources": {"Orders": queue()}}, "CREATE")
    with pytest.raises(ClientError, match="already exists"):
        propose(stacks, {"Resources": {"Orders": queue()}}, "CREATE")
    stacks.client.execute_change_set(StackName="shop", ChangeSetName="c1")
    stacks.finished("shop")

    again = propose(stacks, {"Resources": {"Orders": queue(), "Notices": topic()}})

    assert again["Status"] == "CREATE_COMPLETE"
    stacks.client.execute_change_set(StackName="shop", ChangeSetName="c1")
    assert stacks.finished("shop")["StackStatus"] == "UPDATE_COMPLETE"


def test_a_change_set_can_be_dropped(stacks: Any) -> None:
    found = propose(stacks, {"Resources": {"Orders": queue()}}, "CREATE")
    stacks.client.delete_change_set(ChangeSetName=found["ChangeSetId"])

    assert stacks.client.list_change_sets(StackName="shop")["Summaries"] == []
    with pytest.raises(ClientError, match=r"ChangeSet \[c1\] does not exist"):
        stacks.client.describe_change_set(StackName="shop", ChangeSetName="c1")
    assert stacks.delete("shop")["StackStatus"] == "DELETE_COMPLETE"


def test_the_kind_of_a_change_set_has_to_fit(stacks: Any) -> None:
    with pytest.raises(ClientError, match=r"Stack \[shop\] does not exist"):
        propose(stacks, {"Resources": {"Orders": queue()}})
    stacks.create("shop", {"Resources": {"Orders": queue()}})
    with pytest.raises(ClientError, match="already exists and cannot be created again with the changeSet"):
        propose(stacks, {"Resources": {"Orders": queue()}}, "CREATE")


def test_the_serverless_transform_runs_inside_the_service(stacks: Any) -> None:
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Globals": {"Function": {"Timeout": 3}},
        "Resources": {
            "F": {
                "Type": "AWS::Serverless::Function",
                "Properties": {"Runtime": "python3.12", "Handler": "a.b", "InlineCode": "x"},
            },
            "Orders": queue(),
        },
    }
    found = propose(stacks, template, "CREATE")
    assert found["Status"] == "FAILED"
    assert found["StatusReason"] == "Requires capabilities : [CAPABILITY_IAM]"

    broken = {**template, "Resources": {"F": {"Type": "AWS::Serverless::Function", "Properties": {}}}}
    found = propose(stacks, broken, "CREATE", "c2")
    assert found["Status"] == "FAILED"
    assert found["StatusReason"].startswith(
        "Transform AWS::Serverless-2016-10-31 failed with: Invalid Serverless Application Specification "
        "document. Number of errors found: 1. Resource with id [F] is invalid."
    )
    with pytest.raises(ClientError, match=r"Requires capabilities : \[CAPABILITY_AUTO_EXPAND\]"):
        stacks.create("other", template)
