"""Rules hold before anything is done, or nothing is."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

REF = {"Ref": "Kind"}
HERE = {"Fn::Equals": [{"Ref": "AWS::Region"}, "nowhere-1"]}


def template(rule: dict[str, Any]) -> dict[str, Any]:
    return {
        "Parameters": {
            "Kind": {"Type": "String", "Default": "small"},
            "Zones": {"Type": "CommaDelimitedList", "Default": "a,b"},
        },
        "Rules": {"Sized": rule},
        "Resources": {"T": {"Type": "AWS::SNS::Topic"}},
    }


def rule(asserted: Any, **more: Any) -> dict[str, Any]:
    return {"Assertions": [{"Assert": asserted, "AssertDescription": "It must be large."}], **more}


@pytest.mark.parametrize(
    "asserted",
    [
        {"Fn::Contains": [["small", "large"], REF]},
        {"Fn::Not": [{"Fn::Equals": [REF, "large"]}]},
        {"Fn::And": [{"Fn::Equals": [REF, "small"]}, {"Fn::Not": [HERE]}]},
        {"Fn::Or": [HERE, {"Fn::EachMemberIn": [{"Ref": "Zones"}, ["a", "b", "c"]]}]},
        {"Fn::Not": [{"Fn::EachMemberEquals": [{"Ref": "Zones"}, "a"]}]},
        {"Fn::EachMemberIn": [{"Fn::RefAll": "String"}, ["small"]]},
    ],
)
def test_what_holds_deploys(stacks: Any, asserted: Any) -> None:
    assert stacks.create("shop", template(rule(asserted)))["StackStatus"] == "CREATE_COMPLETE"


def test_what_does_not_hold_is_refused_with_its_description(stacks: Any) -> None:
    with pytest.raises(ClientError, match="Rule Sized: It must be large") as refused:
        stacks.create("shop", template(rule({"Fn::Equals": [REF, "large"]})))
    assert refused.value.response["Error"]["Code"] == "ValidationError"
    assert stacks.client.list_stacks()["StackSummaries"] == []


def test_a_rule_whose_condition_does_not_hold_is_not_asked(stacks: Any) -> None:
    wrong = rule({"Fn::Equals": [REF, "large"]}, RuleCondition=HERE)
    assert stacks.create("shop", template(wrong))["StackStatus"] == "CREATE_COMPLETE"


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"Assert": HERE}, "list of Assertions"),
        (rule({"Fn::Equals": ["a"]}), "arguments"),
        (rule({"Ref": "Kind"}), "boolean operations"),
        (rule({"Fn::Equals": [{"Ref": "T"}, "a"]}), "Unresolved dependencies"),
    ],
)
def test_rules_that_are_not_well_formed_are_refused(stacks: Any, wrong: dict[str, Any], message: str) -> None:
    with pytest.raises(ClientError, match=message):
        stacks.create("shop", template(wrong))
