"""Custom resources: what their code is asked, what it may answer, and what becomes of the stack."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from tests.emulator.cloudformation.engine import Engine
from tests.emulator.functions.conftest import functions, spawner_socket

__all__ = ["functions", "spawner_socket"]

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
# As public templates have it: the code stands in the template and answers through cfnresponse.
MAKER = """
import cfnresponse

def handler(event, context):
    wanted = event["ResourceProperties"]
    if event["RequestType"] == "Delete":
        print("deleted", event["PhysicalResourceId"])
        return cfnresponse.send(event, context, cfnresponse.SUCCESS, {}, event["PhysicalResourceId"])
    if wanted.get("Fail") == "true":
        return cfnresponse.send(event, context, cfnresponse.FAILED, {}, reason="no more room")
    data = {"Greeting": "hello " + wanted["Name"], "Size": 3, "Place": {"Shelf": "upper"}}
    cfnresponse.send(event, context, cfnresponse.SUCCESS, data, "thing-" + wanted["Name"])
"""


def topic_arn(engine: Engine) -> str:
    return str(engine.account.client("sns").create_topic(Name="vendor")["TopicArn"])


def custom(engine: Engine, **properties: Any) -> dict[str, Any]:
    return {"Type": "Custom::Thing", "Properties": {"ServiceToken": topic_arn(engine), **properties}}


def real_stack(**properties: Any) -> dict[str, Any]:
    token = {"Fn::GetAtt": ["Maker", "Arn"]}
    logs = "arn:aws:iam::aws:policy/service-role/AWSLambdaBasicExecutionRole"
    return {
        "Resources": {
            "Role": {
                "Type": "AWS::IAM::Role",
                "Properties": {"AssumeRolePolicyDocument": TRUST, "ManagedPolicyArns": [logs]},
            },
            "Maker": {
                "Type": "AWS::Lambda::Function",
                "Properties": {
                    "FunctionName": "maker",
                    "Runtime": "python3.12",
                    "Handler": "index.handler",
                    "Role": {"Fn::GetAtt": ["Role", "Arn"]},
                    "Code": {"ZipFile": MAKER},
                    "Timeout": 10,
                },
            },
            "Thing": {"Type": "Custom::Thing", "Properties": {"ServiceToken": token, **properties}},
        },
        "Outputs": {
            "Thing": {"Value": {"Ref": "Thing"}},
            "Greeting": {"Value": {"Fn::GetAtt": ["Thing", "Greeting"]}},
            "Size": {"Value": {"Fn::Sub": "${Thing.Size} on the ${Thing.Place.Shelf} shelf"}},
        },
    }


def test_a_function_makes_changes_and_removes_a_resource(functions: Any, engine: Engine) -> None:
    engine.create(real_stack(Name="ada"), Capabilities=["CAPABILITY_IAM"])
    assert engine.status() == "CREATE_COMPLETE", engine.reasons()
    assert engine.outputs() == {"Thing": "thing-ada", "Greeting": "hello ada", "Size": "3 on the upper shelf"}

    engine.update(real_stack(Name="bob"), Capabilities=["CAPABILITY_IAM"])
    assert engine.status() == "UPDATE_COMPLETE", engine.reasons()
    assert engine.outputs()["Thing"] == "thing-bob"
    deleted = [line for line in functions.logs("maker") if line.startswith("deleted")]
    assert deleted == ["deleted thing-ada"], "it was replaced, so the old one goes"

    engine.update(real_stack(Name="bob", Fail=True), Capabilities=["CAPABILITY_IAM"])
    assert engine.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert "Message returned: no more room (RequestId: " in engine.reasons()["Thing"]

    stack_id = engine.client.describe_stacks(StackName="shop")["Stacks"][0]["StackId"]
    engine.delete()
    assert engine.status(stack_id) == "DELETE_COMPLETE", engine.reasons(stack_id)
    # Function and role are gone by now; what the last call printed is not.
    functions.wait_for(lambda: functions.logs("maker")[-1].startswith("REPORT"))
    assert "deleted thing-bob" in functions.logs("maker")


def test_a_request_has_every_property_as_text(engine: Engine) -> None:
    properties = {"Size": 5, "On": True, "Tags": [{"Key": "a", "Value": 1}]}
    texts = {"Size": "5", "On": "true", "Tags": [{"Key": "a", "Value": "1"}]}
    thing = custom(engine, **properties)
    token = thing["Properties"]["ServiceToken"]

    stack_id = engine.create({"Resources": {"Thing": thing}})
    engine.update({"Resources": {"Thing": custom(engine, Size=6)}})
    engine.delete()

    created, updated, removed = engine.vendor.asked
    assert created == {
        "RequestType": "Create",
        "ServiceToken": token,
        "ResponseURL": created["ResponseURL"],
        "StackId": stack_id,
        "RequestId": created["RequestId"],
        "LogicalResourceId": "Thing",
        "ResourceType": "Custom::Thing",
        "ResourceProperties": {"ServiceToken": token, **texts},
    }
    assert updated["RequestType"] == "Update"
    assert updated["PhysicalResourceId"] == "thing-1"
    assert updated["ResourceProperties"] == {"ServiceToken": token, "Size": "6"}
    assert updated["OldResourceProperties"] == {"ServiceToken": token, **texts}
    assert (removed["RequestType"], removed["PhysicalResourceId"]) == ("Delete", "thing-1")
    assert len({created["RequestId"], updated["RequestId"], removed["RequestId"]}) == 3


def test_a_failed_creation_is_rolled_back_with_a_deletion(engine: Engine) -> None:
    engine.vendor.answers = lambda request: (
        {"Status": "FAILED", "Reason": "no"} if request["RequestType"] == "Create" else {}
    )

    engine.create({"Resources": {"Thing": custom(engine)}})

    assert engine.status() == "ROLLBACK_COMPLETE"
    assert [request["RequestType"] for request in engine.vendor.asked] == ["Create", "Delete"]
    assert engine.vendor.asked[1]["PhysicalResourceId"] == "thing-1"
    request_id = engine.vendor.asked[0]["RequestId"]
    assert engine.reasons()["Thing"] == (
        "Received response status [FAILED] from custom resource. Message returned: no "
        f"(RequestId: {request_id})"
    )


def test_a_vendor_that_never_answers_is_waited_for_in_account_time(engine: Engine) -> None:
    engine.vendor.answers = lambda request: None if request["RequestType"] == "Create" else {}
    begun = time.monotonic()

    engine.create({"Resources": {"Thing": custom(engine)}})
    assert engine.status() == "CREATE_IN_PROGRESS", "the account is settled, and the stack still waits"
    engine.account.advance(3590)
    assert engine.status() == "CREATE_IN_PROGRESS"
    engine.account.advance(20)

    assert engine.status() == "ROLLBACK_COMPLETE"
    assert engine.reasons()["Thing"].startswith(
        "CloudFormation did not receive a response from your Custom Resource. Please check your logs "
        f"for requestId [{engine.vendor.asked[0]['RequestId']}]."
    )
    assert engine.vendor.asked[1]["PhysicalResourceId"].startswith("shop-Thing-")
    assert time.monotonic() - begun < 30


def test_a_resource_says_how_long_it_is_waited_for(engine: Engine) -> None:
    engine.vendor.answers = lambda request: None if request["RequestType"] == "Create" else {}

    engine.create({"Resources": {"Thing": custom(engine, ServiceTimeout=60)}})
    engine.account.advance(61)

    assert engine.status() == "ROLLBACK_COMPLETE"


def test_a_stack_has_no_more_time_than_its_creator_gave_it(engine: Engine) -> None:
    engine.vendor.answers = lambda request: None if request["RequestType"] == "Create" else {}

    engine.create({"Resources": {"Thing": custom(engine)}}, TimeoutInMinutes=5)
    engine.account.advance(301)

    events = engine.client.describe_stack_events(StackName="shop")["StackEvents"]
    told = [each.get("ResourceStatusReason") for each in events]
    assert "Stack creation time exceeded the specified timeout. Rollback requested by user." in told
    assert engine.status() == "ROLLBACK_COMPLETE"


def test_an_answer_counts_hours_later_and_only_once(engine: Engine) -> None:
    engine.vendor.answers = lambda request: None
    engine.create(
        {
            "Resources": {"Thing": custom(engine)},
            "Outputs": {"Code": {"Value": {"Fn::GetAtt": ["Thing", "Code"]}}},
        }
    )
    request = engine.vendor.asked[0]
    engine.account.advance(1800)
    answer = {
        **{key: request[key] for key in ("StackId", "RequestId", "LogicalResourceId")},
        "Status": "SUCCESS",
        "PhysicalResourceId": "late",
    }
    for code in ("first", "second"):
        engine.vendor.put(request["ResponseURL"], json.dumps({**answer, "Data": {"Code": code}}).encode())
    engine.settle()

    assert engine.status() == "CREATE_COMPLETE"
    assert engine.outputs() == {"Code": "first"}


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (b"nonsense", "Invalid response object: not valid JSON"),
        ({"PhysicalResourceId": ""}, "Invalid PhysicalResourceId"),
        ({"Data": "text"}, "Invalid response object: Value of property Data must be an object"),
        ({"Data": {"a": "x" * 4096}}, "Response object is too long."),
        ({"RequestId": "other"}, "Invalid response object: RequestId does not match the request's"),
    ],
)
def test_an_answer_out_of_order_fails_the_resource(engine: Engine, answer: Any, reason: str) -> None:
    engine.vendor.answers = lambda request: answer if request["RequestType"] == "Create" else {}

    engine.create({"Resources": {"Thing": custom(engine)}})

    assert engine.reasons()["Thing"] == reason
    assert engine.status() == "ROLLBACK_COMPLETE"


def test_an_attribute_that_was_not_answered_is_missed(engine: Engine) -> None:
    template = {
        "Resources": {
            "Thing": custom(engine),
            "Next": {
                "Type": "AWS::SNS::Topic",
                "Properties": {"DisplayName": {"Fn::GetAtt": ["Thing", "Nothing"]}},
            },
        }
    }

    engine.create(template)

    assert engine.reasons()["Next"] == (
        "CustomResource attribute error: Vendor response doesn't contain Nothing attribute in object thing-1"
    )


def test_what_is_not_to_be_echoed_is_masked_in_events(engine: Engine) -> None:
    engine.vendor.answers = lambda request: {"NoEcho": True, "Data": {"Password": "hush"}}
    template = {
        "Resources": {
            "Thing": custom(engine),
            "Next": {
                "Type": "AWS::SSM::Parameter",
                "Properties": {
                    "Name": "next",
                    "Type": "String",
                    "Value": {"Fn::GetAtt": ["Thing", "Password"]},
                },
            },
        }
    }

    engine.create(template)

    assert engine.status() == "CREATE_COMPLETE", engine.reasons()
    assert engine.account.client("ssm").get_parameter(Name="next")["Parameter"]["Value"] == "hush"
    assert "hush" not in json.dumps(engine.client.describe_stack_events(StackName="shop"), default=str)


def test_an_update_that_made_another_one_is_undone_by_deleting_it(engine: Engine) -> None:
    engine.vendor.answers = lambda request: (
        {"PhysicalResourceId": "thing-2"} if request["RequestType"] == "Update" else {}
    )
    engine.create({"Resources": {"Thing": custom(engine)}})
    broken = {
        "Type": "AWS::SNS::Subscription",
        "DependsOn": "Thing",
        "Properties": {"TopicArn": "arn:aws:sns:eu-north-1:111122223333:none", "Protocol": "sqs"},
    }

    engine.update({"Resources": {"Thing": custom(engine, Size=2), "Broken": broken}})

    assert engine.status() == "UPDATE_ROLLBACK_COMPLETE"
    told = [(each["RequestType"], each.get("PhysicalResourceId")) for each in engine.vendor.asked]
    assert told == [("Create", None), ("Update", "thing-1"), ("Delete", "thing-2")]
    resources = engine.client.describe_stack_resources(StackName="shop")["StackResources"]
    assert [each["PhysicalResourceId"] for each in resources] == ["thing-1"]


def test_an_update_that_failed_is_undone_with_the_old_properties(engine: Engine) -> None:
    engine.vendor.answers = lambda request: (
        {"Status": "FAILED", "Reason": "no"} if request["ResourceProperties"].get("Size") == "2" else {}
    )
    engine.create({"Resources": {"Thing": custom(engine, Size=1)}})
    engine.update({"Resources": {"Thing": custom(engine, Size=2)}})

    assert engine.status() == "UPDATE_ROLLBACK_COMPLETE"
    back = engine.vendor.asked[-1]
    assert (back["ResourceProperties"]["Size"], back["OldResourceProperties"]["Size"]) == ("1", "2")


def test_a_service_token_stays_what_it_was(engine: Engine) -> None:
    engine.create({"Resources": {"Thing": custom(engine)}})
    other = engine.account.client("sns").create_topic(Name="other")["TopicArn"]

    engine.update({"Resources": {"Thing": custom(engine) | {"Properties": {"ServiceToken": other}}}})

    assert engine.reasons()["Thing"] == "Modifying service token is not allowed."


@pytest.mark.parametrize(
    ("token", "reason"),
    [
        ("nonsense", "Invalid service token."),
        ("arn:aws:lambda:eu-north-1:111122223333:function:none", "Function not found: "),
    ],
)
def test_a_service_token_that_leads_nowhere_fails_at_once(
    functions: Any, engine: Engine, token: str, reason: str
) -> None:
    thing = {"Type": "AWS::CloudFormation::CustomResource", "Properties": {"ServiceToken": token}}

    engine.create({"Resources": {"Thing": thing}})

    assert engine.reasons()["Thing"].startswith(reason)
    assert engine.status() == "ROLLBACK_COMPLETE"


def test_nobody_answers_without_the_address_s_signature(engine: Engine) -> None:
    engine.vendor.answers = lambda request: None
    engine.create({"Resources": {"Thing": custom(engine)}})
    address = engine.vendor.asked[0]["ResponseURL"]
    bare, _, query = address.partition("?")
    key = bare.split("/", 4)[-1]
    aws = "https://cloudformation-custom-resource-response-eunorth1.s3.amazonaws.com"

    assert engine.vendor.web.put(bare, data=b"{}").status_code == 403
    assert engine.vendor.web.put(address.replace("Thing", "Other"), data=b"{}").status_code == 403
    assert engine.vendor.web.get(address).status_code == 403
    assert engine.status() == "CREATE_IN_PROGRESS"
    assert engine.vendor.web.put(f"/{key}?{query}", base_url=aws, data=b"{}").status_code == 200
    engine.settle()
    engine.account.advance(7300)
    late = engine.vendor.web.put(address, data=b"{}")
    assert (late.status_code, "Request has expired" in late.text) == (403, True)
