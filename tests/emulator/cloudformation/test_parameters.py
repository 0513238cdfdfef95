"""Parameters are checked in CloudFormation's words and kept from one update to the next."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def template(**parameters: Any) -> dict[str, Any]:
    topic = {"Type": "AWS::SNS::Topic", "Properties": {"DisplayName": {"Ref": "P"}}}
    return {"Parameters": parameters, "Resources": {"T": topic}}


def values(**given: str) -> list[dict[str, str]]:
    return [{"ParameterKey": name, "ParameterValue": value} for name, value in given.items()]


@pytest.mark.parametrize(
    ("rules", "given", "message"),
    [
        ({"Type": "String"}, {}, "Parameters: [P] must have values"),
        ({"Type": "String"}, {"P": "a", "X": "b"}, "Parameters: [X] do not exist in the template"),
        (
            {"Type": "String", "AllowedValues": ["a"]},
            {"P": "b"},
            "Parameter 'P' must be one of AllowedValues",
        ),
        (
            {"Type": "String", "AllowedPattern": "[a-z]+"},
            {"P": "B"},
            "Parameter 'P' must match pattern [a-z]+",
        ),
        ({"Type": "String", "MinLength": 2}, {"P": "b"}, "Parameter 'P' must contain at least 2 characters"),
        (
            {"Type": "String", "MaxLength": "2"},
            {"P": "bbb"},
            "Parameter 'P' must contain at most 2 characters",
        ),
        ({"Type": "Number"}, {"P": "b"}, "Parameter 'P' must be a number"),
        ({"Type": "Number", "MinValue": 2}, {"P": "1"}, "Parameter 'P' must be a number not less than 2"),
        ({"Type": "Number", "MaxValue": 2}, {"P": "3"}, "Parameter 'P' must be a number not greater than 2"),
        (
            {"Type": "String", "AllowedPattern": "a", "ConstraintDescription": "only a."},
            {"P": "b"},
            "Parameter P failed to satisfy constraint: only a.",
        ),
        ({"Type": "Text"}, {"P": "b"}, "Template format error: Unrecognized parameter type: Text"),
    ],
)
def test_a_value_that_breaks_its_rules_is_refused(
    stacks: Any, rules: dict[str, Any], given: dict[str, str], message: str
) -> None:
    with pytest.raises(ClientError) as caught:
        stacks.create("shop", template(P=rules), Parameters=values(**given))

    assert caught.value.response["Error"]["Message"] == message


def test_lists_are_lists(stacks: Any) -> None:
    listed = template(P={"Type": "CommaDelimitedList", "Default": "a, b"})
    listed["Resources"]["T"]["Properties"]["DisplayName"] = {"Fn::Select": [1, {"Ref": "P"}]}

    stacks.create("shop", listed)

    assert [item["DisplayName"] for item in stacks.topics.items.values()] == ["b"]


def test_a_secret_parameter_is_not_shown(stacks: Any) -> None:
    stack = stacks.create("shop", template(P={"Type": "String", "NoEcho": True}), Parameters=values(P="x"))

    assert stack["Parameters"] == [{"ParameterKey": "P", "ParameterValue": "****"}]


def test_a_previous_value_can_be_kept(stacks: Any) -> None:
    stacks.create("shop", template(P={"Type": "String"}), Parameters=values(P="x"))

    stacks.client.update_stack(
        StackName="shop",
        UsePreviousTemplate=True,
        Parameters=[{"ParameterKey": "P", "UsePreviousValue": True}],
        Tags=[{"Key": "a", "Value": "b"}],
    )

    assert stacks.finished("shop")["Parameters"] == [{"ParameterKey": "P", "ParameterValue": "x"}]


def test_a_parameter_can_be_one_of_parameter_store(stacks: Any) -> None:
    stored = template(P={"Type": "AWS::SSM::Parameter::Value<String>", "Default": "/shop/name"})
    with pytest.raises(ClientError, match=r"Unable to fetch parameters \[/shop/name\] from parameter store"):
        stacks.create("shop", stored)
    stacks.account.client("ssm").put_parameter(Name="/shop/name", Value="orders", Type="String")

    stack = stacks.create("shop", stored)

    assert [item["DisplayName"] for item in stacks.topics.items.values()] == ["orders"]
    assert stack["Parameters"] == [
        {"ParameterKey": "P", "ParameterValue": "/shop/name", "ResolvedValue": "orders"}
    ]
