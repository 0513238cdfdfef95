"""Templates are read, checked and refused in CloudFormation's words."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

QUEUE = {"Type": "AWS::SQS::Queue"}
UNRESOLVED = "Template format error: Unresolved resource dependencies [P] in the {} block of the template"


def refused(stacks: Any, template: Any, **more: Any) -> str:
    """What CreateStack says of a template."""
    with pytest.raises(ClientError) as caught:
        stacks.create("shop", template, **more)
    return str(caught.value.response["Error"]["Message"])


def value_of(stacks: Any, value: Any, **sections: Any) -> Any:
    """What an expression is worth to a resource."""
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": value}}
    stacks.create("values", {**sections, "Resources": {"Subject": topic, "Named": named("orders")}})
    (found,) = stacks.topics.items.values()
    return found["DisplayName"]


def named(name: str) -> dict[str, Any]:
    return {"Type": "AWS::SQS::Queue", "Properties": {"QueueName": name}}


@pytest.mark.parametrize(
    ("template", "message"),
    [
        ("{", "Template format error: JSON not well-formed."),
        ("Resources:\n  A: [", "Template format error: YAML not well-formed. (line 3, column 1)"),
        ("- a", "Template format error: unsupported structure."),
        ({}, "Template format error: At least one Resources member must be defined."),
        ({"Resource": {}, "Resources": {"Q": QUEUE}}, "Invalid template property or properties [Resource]"),
        ({"Resources": {"Q": {**QUEUE, "Propertys": {}}}}, "Invalid template resource property 'Propertys'"),
        (
            {"Resources": {"Q": {"Type": "AWS::SQS::Kyu"}}},
            "Template format error: Unrecognized resource types: [AWS::SQS::Kyu]",
        ),
        (
            {"Resources": {"Q": {"Type": "AWS::Serverless::Function"}}},
            "Template format error: Unrecognized resource types: [AWS::Serverless::Function]",
        ),
        (
            {"Resources": {"Q": {**QUEUE, "DependsOn": "P"}}},
            UNRESOLVED.format("Resources"),
        ),
        (
            {"Resources": {"Q": QUEUE}, "Outputs": {"O": {"Value": {"Ref": "P"}}}},
            UNRESOLVED.format("Outputs"),
        ),
        (
            {"Resources": {"Q": QUEUE}, "Outputs": {"O": {"Value": {"Fn::Sub": "${P.Arn}"}}}},
            UNRESOLVED.format("Outputs"),
        ),
        (
            {"Resources": {"Q": QUEUE}, "Outputs": {"O": {"Value": {"Fn::GetAtt": "P.Arn"}}}},
            "Template error: instance of Fn::GetAtt references undefined resource P",
        ),
        (
            {"Resources": {"Q": QUEUE}, "Outputs": {"O": {"Value": {"Fn::GetAtt": ["Q", "Nope"]}}}},
            "Template error: resource Q does not support attribute type Nope in Fn::GetAtt",
        ),
        (
            {"Resources": {"Q": {**QUEUE, "DependsOn": "P"}, "P": {**QUEUE, "DependsOn": "Q"}}},
            "Circular dependency between resources: [P, Q]",
        ),
        (
            {"Resources": {"Q": {**QUEUE, "Condition": "C"}}},
            "Template format error: Unresolved condition dependency C in the Resources block of the template",
        ),
        (
            {"Resources": {"Q": {**QUEUE, "Properties": {"QueueName": None}}}},
            "Template format error: [/Resources/Q/Properties/QueueName] 'null' values are not allowed "
            "in templates",
        ),
        (
            {"Resources": {"Q-1": QUEUE}},
            "Template format error: Resource name Q-1 is non alphanumeric.",
        ),
    ],
)
def test_a_template_that_is_not_in_order_is_refused(stacks: Any, template: Any, message: str) -> None:
    assert refused(stacks, template).startswith(message)


@pytest.mark.parametrize(
    ("properties", "message"),
    [
        ({"QueueNmae": "a"}, "#: extraneous key [QueueNmae] is not permitted"),
        ({"VisibilityTimeout": "soon"}, "#/VisibilityTimeout: expected type: Integer, found: String"),
        (
            {"VisibilityTimeout": -1},
            "#/VisibilityTimeout: failed validation constraint for keyword [minimum]",
        ),
        ({"Tags": [{"Key": "a"}]}, "#/Tags/0: required key [Value] not found"),
    ],
)
def test_properties_that_break_the_schema_fail_their_resource(
    stacks: Any, properties: dict[str, Any], message: str
) -> None:
    stack = stacks.create("shop", {"Resources": {"Q": {**QUEUE, "Properties": properties}}})

    assert stack["StackStatus"] == "ROLLBACK_COMPLETE"
    assert stacks.reasons("shop")["Q"] == (
        f"Properties validation failed for resource Q with message:\n{message}"
    )


@pytest.mark.parametrize(
    ("resource", "told"),
    [
        ({"Type": "AWS::EC2::VPC"}, "the resource type AWS::EC2::VPC (R)"),
        (
            {**QUEUE, "Properties": {"DelaySeconds": 1}},
            "the property DelaySeconds of AWS::SQS::Queue (R)",
        ),
    ],
)
def test_what_exists_on_aws_alone_is_told_apart(stacks: Any, resource: Any, told: str) -> None:
    with pytest.raises(ClientError) as caught:
        stacks.create("shop", {"Resources": {"R": resource}})

    assert caught.value.response["Error"]["Code"] == "NotEmulated"
    assert caught.value.response["Error"]["Message"].startswith(f"NotEmulated: {told}")


def test_yaml_short_forms_mean_what_the_long_forms_mean(stacks: Any) -> None:
    template = """
AWSTemplateFormatVersion: 2010-09-09
Conditions:
  Always: !Equals [1, "1"]
  Never: !Not [!Condition Always]
Resources:
  Orders:
    Type: AWS::SQS::Queue
    Properties:
      QueueName: !If [Always, !Join ["-", [a, !Select [1, !Split ["|", "x|b"]]]], !Ref AWS::NoValue]
      VisibilityTimeout: !If [Never, 3, !Ref AWS::NoValue]
  Other:
    Type: AWS::SQS::Queue
    Condition: Never
  Notices:
    Type: AWS::SNS::Topic
    Properties:
      DisplayName: !Sub
        - ${Own} ${Orders} ${!Literal} ${Orders.Arn} ${AWS::Region}
        - Own: !GetAtt Orders.QueueName
"""
    stacks.create("shop", template)

    assert stacks.queues.items == {"a-b": {"QueueName": "a-b"}}
    (topic,) = stacks.topics.items.values()
    arn = "arn:aws:test:eu-north-1:111122223333:a-b"
    assert topic == {"DisplayName": f"a-b a-b ${{Literal}} {arn} eu-north-1"}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ({"Fn::Base64": "abc"}, "YWJj"),
        ({"Fn::Join": [",", {"Fn::GetAZs": ""}]}, "eu-north-1a,eu-north-1b,eu-north-1c"),
        ({"Fn::Select": ["0", {"Fn::GetAZs": {"Ref": "AWS::Region"}}]}, "eu-north-1a"),
        ({"Fn::Join": [" ", {"Fn::Cidr": ["10.0.0.0/24", 2, 6]}]}, "10.0.0.0/26 10.0.0.64/26"),
        ({"Fn::FindInMap": ["Sizes", {"Ref": "AWS::Region"}, "Small"]}, "s"),
        (
            {"Fn::Sub": "${AWS::Partition} ${AWS::URLSuffix} ${AWS::AccountId}"},
            "aws amazonaws.com 111122223333",
        ),
        ({"Fn::Sub": ["${A}", {"A": {"Fn::Sub": "${AWS::StackName}"}}]}, "values"),
        ({"Fn::Join": ["", ["a", True, 1.5, {"Ref": "Named"}]]}, "atrue1.5orders"),
    ],
)
def test_intrinsics(stacks: Any, value: Any, expected: str) -> None:
    assert value_of(stacks, value, Mappings={"Sizes": {"eu-north-1": {"Small": "s"}}}) == expected


def test_language_extensions_add_functions_and_loops(stacks: Any) -> None:
    template = {
        "Transform": "AWS::LanguageExtensions",
        "Parameters": {"Names": {"Type": "CommaDelimitedList", "Default": "a,b"}},
        "Mappings": {"M": {"k": {"x": "1"}}},
        "Resources": {
            "Fn::ForEach::Queues": [
                "Name",
                {"Ref": "Names"},
                {
                    "Queue${Name}": {
                        "Type": "AWS::SQS::Queue",
                        "Properties": {"QueueName": {"Fn::Sub": "q-${Name}"}},
                    }
                },
            ],
            "T": {
                "Type": "AWS::SNS::Topic",
                "Properties": {
                    "TopicName": {"Fn::FindInMap": ["M", "no", "x", {"DefaultValue": "fallback"}]},
                    "DisplayName": {
                        "Fn::ToJsonString": {"n": {"Fn::Length": {"Ref": "Names"}}, "q": {"Ref": "Queuea"}}
                    },
                },
            },
        },
    }
    stacks.create("shop", template, Capabilities=["CAPABILITY_AUTO_EXPAND"])

    assert sorted(stacks.queues.items) == ["q-a", "q-b"]
    assert json.loads(stacks.topics.items["fallback"]["DisplayName"]) == {"n": 2, "q": "q-a"}


def test_language_extensions_compute_the_names_that_references_have(stacks: Any) -> None:
    template = {
        "Transform": "AWS::LanguageExtensions",
        "Parameters": {
            "Kept": {"Type": "String", "Default": "yes"},
            "Which": {"Type": "String", "Default": "A"},
        },
        "Conditions": {"Keep": {"Fn::Equals": [{"Ref": "Kept"}, "yes"]}},
        "Resources": {
            "Fn::ForEach::Queues": [
                "Name",
                {"Fn::Split": [",", "A,B"]},
                {
                    "${Name}Queue": {
                        "Type": "AWS::SQS::Queue",
                        "DeletionPolicy": {"Fn::If": ["Keep", "Retain", "Delete"]},
                        "Properties": {"QueueName": {"Ref": "Name"}},
                    }
                },
            ],
        },
        "Outputs": {
            "Fn::ForEach::Outputs": [
                "Name",
                ["A", "B"],
                {
                    "${Name}Url": {"Value": {"Ref": {"Fn::Sub": "${Name}Queue"}}},
                    "${Name}Arn": {"Value": {"Fn::GetAtt": [{"Fn::Sub": "${Name}Queue"}, "Arn"]}},
                },
            ],
            "Chosen": {
                "Value": {"Fn::GetAtt": [{"Fn::Join": ["", [{"Ref": "Which"}, "Queue"]]}, "QueueName"]}
            },
        },
    }
    stacks.create("shop", template, Capabilities=["CAPABILITY_AUTO_EXPAND"])

    outputs = stacks.outputs("shop")
    assert outputs["Chosen"] == "A"
    assert outputs["BUrl"] == "B"
    assert outputs["BArn"]
    stacks.delete("shop")
    assert sorted(stacks.queues.items) == ["A", "B"], "the policy was computed as well"


def test_a_summary_tells_of_what_stands_in_loops(stacks: Any) -> None:
    loop = ["Name", ["A", "B"], {"${Name}Role": {"Type": "AWS::IAM::Role", "Properties": {}}}]
    template = {"Transform": "AWS::LanguageExtensions", "Resources": {"Fn::ForEach::Roles": loop}}

    summary = stacks.client.get_template_summary(TemplateBody=json.dumps(template))

    assert summary["ResourceTypes"] == ["AWS::IAM::Role"]
    assert summary["Capabilities"] == ["CAPABILITY_IAM"]


def test_only_language_extensions_compute_a_deletion_policy(stacks: Any) -> None:
    queue = {"Type": "AWS::SQS::Queue", "DeletionPolicy": {"Ref": "AWS::Region"}}

    assert refused(stacks, {"Resources": {"Q": queue}}) == (
        "Template format error: Every DeletionPolicy member must be a string."
    )


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (
            {"Fn::Select": [3, ["a"]]},
            "Template error: Fn::Select  cannot select nonexistent value at index 3",
        ),
        ({"Fn::FindInMap": ["Sizes", "x", "y"]}, "Template error: Unable to get mapping for Sizes::x::y"),
        ({"Fn::ImportValue": "nope"}, "No export named nope found."),
        ({"Fn::Sub": "${not ok}"}, "Template error: variable names in Fn::Sub syntax must contain only"),
        ({"Fn::Length": []}, "Template format error: Fn::Length is not supported without"),
    ],
)
def test_intrinsics_that_have_no_value_are_refused(stacks: Any, value: Any, message: str) -> None:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": value}}
    template = {"Mappings": {"Sizes": {"a": {"b": "c"}}}, "Resources": {"T": topic}}

    assert refused(stacks, template).startswith(message)


def test_dynamic_references_are_read_when_the_resource_is_made(stacks: Any) -> None:
    ssm, secrets = stacks.account.client("ssm"), stacks.account.client("secretsmanager")
    ssm.put_parameter(Name="/shop/name", Value="old", Type="String")
    ssm.put_parameter(Name="/shop/name", Value="new", Type="String", Overwrite=True)
    secrets.create_secret(Name="shop", SecretString=json.dumps({"key": "s3cret"}))
    text = (
        "{{resolve:ssm:/shop/name:1}} {{resolve:ssm:/shop/name}} "
        "{{resolve:secretsmanager:shop:SecretString:key}}"
    )

    assert value_of(stacks, text) == "old new s3cret"
    events = stacks.client.describe_stack_events(StackName="values")["StackEvents"]
    assert not any("s3cret" in str(event) for event in events)


def test_a_template_is_read_from_s3_in_every_form_of_url(stacks: Any) -> None:
    storage = stacks.account.client("s3")
    storage.create_bucket(Bucket="templates", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
    storage.put_object(Bucket="templates", Key="a/t.yaml", Body=b"Resources: {Q: {Type: 'AWS::SQS::Queue'}}")

    for index, address in enumerate(
        [
            "https://templates.s3.amazonaws.com/a/t.yaml",
            "https://templates.s3.eu-north-1.amazonaws.com/a/t.yaml",
            "https://s3.amazonaws.com/templates/a/t.yaml",
            "https://s3.eu-north-1.amazonaws.com/templates/a/t.yaml",
            "http://127.0.0.1:4566/templates/a/t.yaml",
        ]
    ):
        stacks.client.create_stack(StackName=f"shop{index}", TemplateURL=address)
    stacks.account.settle()

    assert len(stacks.queues.items) == 5
    with pytest.raises(ClientError, match="S3 error: The specified key does not exist"):
        stacks.client.validate_template(TemplateURL="https://templates.s3.amazonaws.com/nope")


def test_a_summary_tells_what_a_template_wants(stacks: Any) -> None:
    template = {
        "Description": "d",
        "Parameters": {"P": {"Type": "String", "AllowedValues": ["a", "b"], "Default": "a", "NoEcho": True}},
        "Resources": {"R": {"Type": "AWS::IAM::Role", "Properties": {"RoleName": "r"}}},
    }
    summary = stacks.client.get_template_summary(TemplateBody=json.dumps(template))

    assert summary["Parameters"] == [
        {
            "ParameterKey": "P",
            "DefaultValue": "a",
            "ParameterType": "String",
            "NoEcho": True,
            "ParameterConstraints": {"AllowedValues": ["a", "b"]},
        }
    ]
    assert summary["Capabilities"] == ["CAPABILITY_NAMED_IAM"]
    assert summary["ResourceTypes"] == ["AWS::IAM::Role"]
    assert stacks.client.validate_template(TemplateBody=json.dumps(template))["Description"] == "d"


@pytest.mark.parametrize(
    ("properties", "given", "wanted"),
    [
        ({}, [], "CAPABILITY_IAM"),
        ({"RoleName": "r"}, ["CAPABILITY_IAM"], "CAPABILITY_NAMED_IAM"),
    ],
)
def test_iam_resources_are_to_be_acknowledged(
    stacks: Any, properties: dict[str, Any], given: list[str], wanted: str
) -> None:
    role = {"Type": "AWS::IAM::Role", "Properties": {"AssumeRolePolicyDocument": {}, **properties}}
    with pytest.raises(ClientError) as caught:
        stacks.create("shop", {"Resources": {"R": role}}, Capabilities=given)

    assert caught.value.response["Error"]["Code"] == "InsufficientCapabilitiesException"
    assert caught.value.response["Error"]["Message"] == f"Requires capabilities : [{wanted}]"
