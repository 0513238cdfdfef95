"""Stacks are created, updated, replaced and deleted, and come back when something fails."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

QUEUE = {"Type": "AWS::SQS::Queue"}


def queue(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": properties}


def topic(**properties: Any) -> dict[str, Any]:
    return {"Type": "AWS::SNS::Topic", "Properties": properties}


def of(**resources: Any) -> dict[str, Any]:
    return {"Resources": resources}


def test_a_stack_is_created_in_the_order_of_its_references(stacks: Any) -> None:
    template = {
        **of(
            Notices=topic(DisplayName={"Fn::GetAtt": ["Orders", "QueueName"]}),
            Orders=queue(VisibilityTimeout="45"),
        ),
        "Outputs": {"Where": {"Value": {"Fn::Sub": "${Orders}/${Orders.Arn}"}}},
    }

    stack = stacks.create("shop", template)

    assert stack["StackStatus"] == "CREATE_COMPLETE"
    assert stacks.queues.log + stacks.topics.log == ["create Orders", "create Notices"]
    name = next(iter(stacks.queues.items))
    assert name.startswith("shop-Orders-")
    assert stacks.queues.items[name] == {"VisibilityTimeout": 45}, (
        "text is made the number that the type wants"
    )
    assert stacks.topics.items[next(iter(stacks.topics.items))] == {"DisplayName": name}
    assert stacks.outputs("shop") == {"Where": f"{name}/arn:aws:test:eu-north-1:111122223333:{name}"}
    assert stacks.events("shop") == [
        "shop CREATE_IN_PROGRESS",
        "Orders CREATE_IN_PROGRESS",
        "Orders CREATE_IN_PROGRESS",
        "Orders CREATE_COMPLETE",
        "Notices CREATE_IN_PROGRESS",
        "Notices CREATE_IN_PROGRESS",
        "Notices CREATE_COMPLETE",
        "shop CREATE_COMPLETE",
    ]


def test_a_stack_is_in_progress_while_its_resources_are_made(stacks: Any) -> None:
    seen: list[str] = []
    stacks.queues.during = lambda: seen.append(stacks.described("shop")["StackStatus"])

    stacks.create("shop", of(Orders=QUEUE))

    assert seen == ["CREATE_IN_PROGRESS"]


def test_the_waiters_of_boto3_see_the_end(stacks: Any) -> None:
    stacks.create("shop", of(Orders=QUEUE))
    stacks.client.get_waiter("stack_create_complete").wait(StackName="shop")

    stacks.delete("shop")
    stacks.client.get_waiter("stack_delete_complete").wait(StackName="shop")


def test_a_failed_creation_is_rolled_back(stacks: Any) -> None:
    stacks.topics.fail["Notices"] = "create"

    stack = stacks.create("shop", of(Orders=QUEUE, Notices={**topic(), "DependsOn": "Orders"}))

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stacks.reasons("shop") == {"Notices": "create of Notices does not work"}
    assert stacks.events("shop")[-7:] == [
        "Notices CREATE_FAILED",
        "shop ROLLBACK_IN_PROGRESS",
        "Notices DELETE_IN_PROGRESS",
        "Notices DELETE_COMPLETE",
        "Orders DELETE_IN_PROGRESS",
        "Orders DELETE_COMPLETE",
        "shop ROLLBACK_COMPLETE",
    ]
    assert stacks.queues.items == {}
    with pytest.raises(ClientError, match="is in ROLLBACK_COMPLETE state and can not be updated"):
        stacks.update("shop", of(Orders=QUEUE))


@pytest.mark.parametrize(
    ("on_failure", "status", "left"), [("DO_NOTHING", "CREATE_FAILED", 1), ("DELETE", "DELETE_COMPLETE", 0)]
)
def test_on_failure_says_what_becomes_of_a_failed_stack(
    stacks: Any, on_failure: str, status: str, left: int
) -> None:
    stacks.topics.fail["Notices"] = "create"
    template = of(Orders=QUEUE, Notices={**topic(), "DependsOn": "Orders"})

    assert stacks.create("shop", template, OnFailure=on_failure)["StackStatus"] == status
    assert len(stacks.queues.items) == left


def test_a_stack_that_failed_without_rollback_can_be_repaired(stacks: Any) -> None:
    stacks.topics.fail["Notices"] = "create"
    stacks.create("shop", of(Orders=QUEUE, Notices=topic()), DisableRollback=True)
    stacks.topics.fail.clear()

    stack = stacks.update("shop", of(Orders=QUEUE, Notices=topic(DisplayName="again")))

    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert list(stacks.topics.items.values()) == [{"DisplayName": "again"}]


def test_an_update_touches_only_what_changed(stacks: Any) -> None:
    stacks.create("shop", of(Orders=queue(VisibilityTimeout=30), Notices=topic(), Old=queue()))
    stacks.queues.log.clear()
    stacks.topics.log.clear()

    stack = stacks.update("shop", of(Orders=queue(VisibilityTimeout=60), Notices=topic(), New=queue()))

    assert stack["StackStatus"] == "UPDATE_COMPLETE"
    assert stacks.queues.log == ["update Orders", "create New", "delete Old"]
    assert stacks.topics.log == []
    events = stacks.events("shop")
    cleaning = events.index("shop UPDATE_COMPLETE_CLEANUP_IN_PROGRESS")
    assert events.index("Old DELETE_COMPLETE") > cleaning > events.index("New CREATE_COMPLETE")


def test_an_update_without_changes_is_refused(stacks: Any) -> None:
    template = of(Orders=queue(VisibilityTimeout=30))
    stacks.create("shop", template)

    with pytest.raises(ClientError, match=r"No updates are to be performed\."):
        stacks.update("shop", template)


def test_a_replacement_is_made_before_the_old_one_goes(stacks: Any) -> None:
    stacks.create("shop", of(Orders=queue(QueueName="a"), Notices=topic(DisplayName={"Ref": "Orders"})))
    stacks.queues.log.clear()

    stacks.update("shop", of(Orders=queue(QueueName="b"), Notices=topic(DisplayName={"Ref": "Orders"})))

    assert stacks.queues.log == ["create Orders", "delete Orders"]
    assert list(stacks.queues.items) == ["b"]
    assert list(stacks.topics.items.values()) == [{"DisplayName": "b"}], "what refers to it follows"


def test_a_resource_that_keeps_its_given_name_is_not_replaced(stacks: Any) -> None:
    stacks.create("shop", of(Notes=topic(TopicName="a.fifo")))
    stacks.topics.replaces = frozenset({"DisplayName"})

    stack = stacks.update("shop", of(Notes=topic(TopicName="a.fifo", DisplayName="x")))

    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"


def test_a_failed_update_is_rolled_back(stacks: Any) -> None:
    stacks.create("shop", of(Orders=queue(VisibilityTimeout=30), Named=queue(QueueName="a"), Notices=topic()))
    stacks.topics.fail["Notices"] = "update"
    late = {**topic(DisplayName="x"), "DependsOn": ["Orders", "Named", "New"]}

    stack = stacks.update(
        "shop",
        of(Orders=queue(VisibilityTimeout=60), Named=queue(QueueName="b"), New=queue(), Notices=late),
    )

    # Undoing the update of the topic is an update, which fails as well.
    assert stack["StackStatus"] == "UPDATE_ROLLBACK_FAILED"
    stacks.topics.fail.clear()
    stacks.client.continue_update_rollback(StackName="shop")
    assert stacks.finished("shop")["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert stacks.queues.items["a"] == {"QueueName": "a"}
    assert {"VisibilityTimeout": 30} in stacks.queues.items.values()


def test_what_a_failed_update_made_is_deleted(stacks: Any) -> None:
    stacks.create("shop", of(Orders=queue(VisibilityTimeout=30), Named=queue(QueueName="a")))
    stacks.topics.fail["Notices"] = "create"
    late = {**topic(), "DependsOn": ["Orders", "Named", "New"]}

    stack = stacks.update(
        "shop",
        of(Orders=queue(VisibilityTimeout=60), Named=queue(QueueName="b"), New=queue(), Notices=late),
    )

    assert stack["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    assert sorted(map(str, stacks.queues.items.values())) == [
        "{'QueueName': 'a'}",
        "{'VisibilityTimeout': 30}",
    ]
    names = {
        r["LogicalResourceId"]
        for r in stacks.client.list_stack_resources(StackName="shop")["StackResourceSummaries"]
    }
    assert names == {"Orders", "Named"}
    stacks.topics.fail.clear()
    assert stacks.update("shop", of(Orders=queue(VisibilityTimeout=31)))["StackStatus"] == "UPDATE_COMPLETE"


def test_deletion_goes_from_dependents_to_what_they_need(stacks: Any) -> None:
    stacks.create("shop", of(Orders=QUEUE, Second={**QUEUE, "DependsOn": "Orders"}))
    stacks.queues.log.clear()

    stack = stacks.delete("shop")

    assert stack["StackStatus"] == "DELETE_COMPLETE"
    assert stacks.queues.log == ["delete Second", "delete Orders"]
    with pytest.raises(ClientError, match="Stack with id shop does not exist"):
        stacks.described("shop")
    assert stacks.described(stack["StackId"])["StackName"] == "shop"


def test_what_can_not_be_deleted_can_be_tried_again_or_retained(stacks: Any) -> None:
    stacks.create("shop", of(Orders=QUEUE, Second={**QUEUE, "DependsOn": "Orders"}, Other=QUEUE))
    stacks.queues.fail["Second"] = "delete"

    stack = stacks.delete("shop")

    assert stack["StackStatus"] == "DELETE_FAILED"
    assert stack["StackStatusReason"] == "The following resource(s) failed to delete: [Second]. "
    assert "delete Orders" not in stacks.queues.log, "it is still needed"
    assert "delete Other" in stacks.queues.log
    assert stacks.delete("shop", RetainResources=["Second"])["StackStatus"] == "DELETE_COMPLETE"
    assert len(stacks.queues.items) == 1


def test_a_deletion_policy_keeps_a_resource(stacks: Any) -> None:
    kept = {**QUEUE, "DeletionPolicy": "Retain"}
    stacks.create("shop", of(Kept=kept, Gone=QUEUE))

    stack = stacks.delete("shop")

    assert len(stacks.queues.items) == 1
    assert "Kept DELETE_SKIPPED" in stacks.events(stack["StackId"])


def test_termination_protection_holds(stacks: Any) -> None:
    stacks.create("shop", of(Orders=QUEUE), EnableTerminationProtection=True)

    with pytest.raises(ClientError, match="cannot be deleted while TerminationProtection is enabled"):
        stacks.delete("shop")
    stacks.client.update_termination_protection(StackName="shop", EnableTerminationProtection=False)
    assert stacks.delete("shop")["StackStatus"] == "DELETE_COMPLETE"


def test_an_export_that_others_use_stays(stacks: Any) -> None:
    exporting = {
        **of(Orders=queue(QueueName="a")),
        "Outputs": {"Q": {"Value": {"Ref": "Orders"}, "Export": {"Name": "q"}}},
    }
    stacks.create("shop", exporting)
    stacks.create("desk", of(Notices=topic(DisplayName={"Fn::ImportValue": "q"})))

    assert list(stacks.topics.items.values()) == [{"DisplayName": "a"}]
    assert stacks.client.list_imports(ExportName="q")["Imports"] == ["desk"]
    with pytest.raises(ClientError, match="Export q cannot be deleted as it is in use by desk"):
        stacks.delete("shop")
    renamed = {**exporting, "Resources": {"Orders": queue(QueueName="b")}}
    assert stacks.update("shop", renamed)["StackStatus"] == "UPDATE_ROLLBACK_COMPLETE"
    other = stacks.create("other", {**of(Orders=QUEUE), "Outputs": exporting["Outputs"]})
    assert other["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stacks.client.list_exports()["Exports"][0]["Value"] == "a"


def test_stack_tags_reach_resources_and_a_new_tag_updates_them(stacks: Any) -> None:
    stacks.create("shop", of(Orders=QUEUE), Tags=[{"Key": "team", "Value": "a"}])
    stacks.queues.log.clear()

    stacks.update("shop", of(Orders=QUEUE), Tags=[{"Key": "team", "Value": "b"}])

    assert stacks.queues.log == ["update Orders"]
    assert stacks.described("shop")["Tags"] == [{"Key": "team", "Value": "b"}]


def test_the_same_request_token_creates_one_stack(stacks: Any) -> None:
    first = stacks.create("shop", of(Orders=QUEUE), ClientRequestToken="once")
    second = stacks.create("shop", of(Orders=QUEUE), ClientRequestToken="once")

    assert first["StackId"] == second["StackId"]
    with pytest.raises(ClientError, match=r"Stack \[shop\] already exists"):
        stacks.create("shop", of(Orders=QUEUE))
