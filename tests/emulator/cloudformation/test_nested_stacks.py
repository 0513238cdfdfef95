"""Stacks within stacks: made, changed, undone and removed together."""

from __future__ import annotations

import json
from typing import Any

import pytest

from sandbox.emulator.fabric.sqs.service import SqsService
from tests.emulator.cloudformation.engine import Engine

BROKEN = {
    "Type": "AWS::SNS::Subscription",
    "Properties": {"TopicArn": "arn:aws:sns:eu-north-1:111122223333:none", "Protocol": "sqs"},
}


def stored(engine: Engine, key: str, template: Any) -> str:
    """A template in a bucket, by its URL."""
    s3 = engine.account.client("s3")
    region = engine.account.core.region
    if not s3.list_buckets()["Buckets"]:
        s3.create_bucket(Bucket="templates", CreateBucketConfiguration={"LocationConstraint": region})
    s3.put_object(Bucket="templates", Key=key, Body=json.dumps(template))
    return f"https://templates.s3.{region}.amazonaws.com/{key}"


def child(**resources: Any) -> dict[str, Any]:
    return {
        "Parameters": {"Label": {"Type": "String"}},
        "Resources": {
            "Topic": {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "Label"}}},
            **resources,
        },
        "Outputs": {
            "Arn": {"Value": {"Ref": "Topic"}},
            "Name": {"Value": {"Fn::GetAtt": ["Topic", "TopicName"]}},
        },
    }


def parent(address: str, label: str = "first", **resources: Any) -> dict[str, Any]:
    return {
        "Resources": {
            "Inner": {
                "Type": "AWS::CloudFormation::Stack",
                "Properties": {"TemplateURL": address, "Parameters": {"Label": label}},
            },
            "Beside": {
                "Type": "AWS::SNS::Topic",
                "Properties": {"DisplayName": {"Fn::GetAtt": ["Inner", "Outputs.Name"]}},
            },
            **resources,
        },
        "Outputs": {
            "Inner": {"Value": {"Ref": "Inner"}},
            "Arn": {"Value": {"Fn::GetAtt": "Inner.Outputs.Arn"}},
        },
    }


def topic(engine: Engine, arn: str) -> dict[str, str]:
    found: dict[str, str] = engine.account.client("sns").get_topic_attributes(TopicArn=arn)["Attributes"]
    return found


def topics(engine: Engine) -> list[str]:
    return [each["TopicArn"] for each in engine.account.client("sns").list_topics()["Topics"]]


def test_a_nested_stack_is_made_with_its_parent_and_gone_with_it(engine: Engine) -> None:
    stack_id = engine.create(parent(stored(engine, "child", child())), Tags=[{"Key": "team", "Value": "x"}])

    assert engine.status() == "CREATE_COMPLETE", engine.reasons()
    outputs = engine.outputs()
    inner = engine.client.describe_stacks(StackName=outputs["Inner"])["Stacks"][0]
    assert inner["StackName"].startswith("shop-Inner-")
    assert (inner["ParentId"], inner["RootId"]) == (stack_id, stack_id)
    assert inner["Tags"] == [{"Key": "team", "Value": "x"}]
    assert inner["Parameters"] == [{"ParameterKey": "Label", "ParameterValue": "first"}]
    assert topic(engine, outputs["Arn"])["DisplayName"] == "first"
    assert engine.events(outputs["Inner"])[-1] == f"{inner['StackName']} CREATE_COMPLETE"

    engine.delete()

    assert engine.status(stack_id) == engine.status(outputs["Inner"]) == "DELETE_COMPLETE"
    assert topics(engine) == []


def test_stacks_nest_within_nested_stacks(engine: Engine) -> None:
    middle = parent(stored(engine, "child", child()))
    stack_id = engine.create(
        parent(
            stored(
                engine,
                "middle",
                {
                    **middle,
                    "Parameters": child()["Parameters"],
                    "Outputs": child()["Outputs"]
                    | {"Arn": {"Value": {"Fn::GetAtt": "Inner.Outputs.Arn"}}, "Name": {"Value": "deep"}},
                },
            )
        )
    )

    assert engine.status() == "CREATE_COMPLETE", engine.reasons()
    stacks = engine.client.describe_stacks()["Stacks"]
    assert len(stacks) == 3
    assert {each.get("RootId") for each in stacks} == {None, stack_id}


def test_a_changed_template_behind_the_same_url_is_noticed(engine: Engine) -> None:
    address = stored(engine, "child", child())
    engine.create(parent(address))
    queue = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "added"}}
    stored(engine, "child", child(Queue=queue))

    engine.update(parent(address))

    assert engine.status() == "UPDATE_COMPLETE", engine.reasons()
    inner = engine.outputs()["Inner"]
    assert engine.status(inner) == "UPDATE_COMPLETE"
    listed = engine.client.list_stack_resources(StackName=inner)["StackResourceSummaries"]
    assert {each["LogicalResourceId"] for each in listed} == {"Topic", "Queue"}


def test_an_update_without_changes_leaves_the_nested_stack_alone(engine: Engine) -> None:
    address = stored(engine, "child", child())
    engine.create(parent(address))
    before = engine.events(engine.outputs()["Inner"])

    engine.update(parent(address))

    assert engine.status() == "UPDATE_COMPLETE"
    assert engine.events(engine.outputs()["Inner"]) == before


def test_a_nested_failure_fails_the_parent_and_everything_goes(engine: Engine) -> None:
    engine.create(parent(stored(engine, "child", child(Broken=BROKEN))))

    assert engine.status() == "ROLLBACK_COMPLETE"
    inner = next(
        each["StackId"]
        for each in engine.client.list_stacks()["StackSummaries"]
        if each["StackName"].startswith("shop-Inner-")
    )
    assert engine.reasons()["Inner"] == (
        f"Embedded stack {inner} was not successfully created: "
        "The following resource(s) failed to create: [Broken]."
    )
    assert engine.status(inner) == "DELETE_COMPLETE"
    assert topics(engine) == []


def test_a_failed_nested_update_goes_back_on_both_levels(engine: Engine) -> None:
    address = stored(engine, "child", child())
    engine.create(parent(address))
    inner, arn = engine.outputs()["Inner"], engine.outputs()["Arn"]
    stored(engine, "child", child(Broken=BROKEN))

    engine.update(parent(address, "second"))

    assert engine.status() == engine.status(inner) == "UPDATE_ROLLBACK_COMPLETE"
    assert engine.reasons()["Inner"] == (
        f"Embedded stack {inner} was not successfully updated. Currently in UPDATE_ROLLBACK_IN_PROGRESS "
        "with reason: The following resource(s) failed to create: [Broken]."
    )
    assert topic(engine, arn)["DisplayName"] == "first"


def test_a_parent_that_fails_after_it_takes_the_nested_stack_back(engine: Engine) -> None:
    engine.account.add(SqsService(engine.account.core).handlers())
    precious = {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": "precious"}}
    address = stored(engine, "child", child(Queue=precious))
    engine.create(parent(address))
    inner, arn = engine.outputs()["Inner"], engine.outputs()["Arn"]
    sqs = engine.account.client("sqs")
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="precious")["QueueUrl"], MessageBody="kept")
    # The nested stack alone would have updated well, without its queue.
    stored(engine, "child", child())

    engine.update(parent(address, "second", Broken={**BROKEN, "DependsOn": "Inner"}))

    assert engine.status() == engine.status(inner) == "UPDATE_ROLLBACK_COMPLETE"
    assert topic(engine, arn)["DisplayName"] == "first"
    url = sqs.get_queue_url(QueueName="precious")["QueueUrl"]
    found = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["ApproximateNumberOfMessages"])
    assert found["Attributes"] == {"ApproximateNumberOfMessages": "1"}, "nothing goes before all went well"

    engine.update(parent(address, "third"))

    assert engine.status() == engine.status(inner) == "UPDATE_COMPLETE", engine.reasons(inner)
    assert sqs.list_queues().get("QueueUrls", []) == []


@pytest.mark.parametrize(
    ("url", "reason"),
    [
        ("https://templates.s3.eu-north-1.amazonaws.com/none", "S3 error: "),
        ("nonsense", "TemplateURL must be a supported URL."),
    ],
)
def test_a_template_that_is_not_there_fails_the_resource(engine: Engine, url: str, reason: str) -> None:
    stored(engine, "child", child())
    engine.create(parent(url))

    assert engine.reasons()["Inner"].startswith(reason)
    assert engine.status() == "ROLLBACK_COMPLETE"


def test_an_output_that_the_nested_stack_lacks_is_missed(engine: Engine) -> None:
    template = parent(stored(engine, "child", child()))
    template["Outputs"]["Other"] = {"Value": {"Fn::GetAtt": "Inner.Outputs.Other"}}
    engine.create(template)

    events = engine.client.describe_stack_events(StackName="shop")["StackEvents"]
    told = " ".join(each.get("ResourceStatusReason", "") for each in events)
    assert "Output 'Other' not found in stack" in told
    assert engine.status() == "ROLLBACK_COMPLETE"


def test_a_serverless_application_is_a_nested_stack(engine: Engine) -> None:
    template = {
        "Transform": "AWS::Serverless-2016-10-31",
        "Resources": {
            "Inner": {
                "Type": "AWS::Serverless::Application",
                "Properties": {
                    "Location": stored(engine, "child", child()),
                    "Parameters": {"Label": "sam"},
                },
            }
        },
        "Outputs": {"Arn": {"Value": {"Fn::GetAtt": "Inner.Outputs.Arn"}}},
    }

    engine.create(template, Capabilities=["CAPABILITY_AUTO_EXPAND"])

    assert engine.status() == "CREATE_COMPLETE", engine.reasons()
    assert topic(engine, engine.outputs()["Arn"])["DisplayName"] == "sam"


def test_a_failing_parent_that_may_not_roll_back_keeps_the_nested_stack(engine: Engine) -> None:
    address = stored(engine, "child", child(Broken=BROKEN))
    engine.create(parent(address), DisableRollback=True)
    assert engine.status() == "CREATE_FAILED"
    stored(engine, "child", child())

    engine.update(parent(address))

    assert engine.status() == "UPDATE_COMPLETE", engine.reasons()
    assert len(topics(engine)) == 2, "what was left of the first attempt is gone"


def test_a_change_set_tells_that_a_nested_stack_may_change(engine: Engine) -> None:
    address = stored(engine, "child", child())
    engine.create(parent(address))

    engine.client.create_change_set(
        StackName="shop", ChangeSetName="next", TemplateBody=json.dumps(parent(address))
    )

    changes = engine.client.describe_change_set(StackName="shop", ChangeSetName="next")["Changes"]
    inner = next(c["ResourceChange"] for c in changes if c["ResourceChange"]["LogicalResourceId"] == "Inner")
    assert (inner["Action"], inner["Replacement"]) == ("Modify", "False")
    assert inner["Details"][-1]["ChangeSource"] == "Automatic"
