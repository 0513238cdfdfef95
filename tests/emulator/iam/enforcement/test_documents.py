"""Policies that AWS would not store are not stored."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.conftest import REGION
from tests.emulator.iam.enforcement.conftest import Country, allow, document

BROKEN = '{"Version": "2012-10-17", "Statement": [{"Effect": "Allow"}]}'
TRUST = document(
    {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
)


def error(call: Any, **parameters: Any) -> dict[str, Any]:
    with pytest.raises(ClientError) as caught:
        call(**parameters)
    return dict(caught.value.response["Error"])


@pytest.mark.parametrize(
    ("operation", "parameters"),
    [
        ("create_policy", {"PolicyName": "p", "PolicyDocument": BROKEN}),
        ("put_role_policy", {"RoleName": "r", "PolicyName": "p", "PolicyDocument": BROKEN}),
        ("put_user_policy", {"UserName": "u", "PolicyName": "p", "PolicyDocument": BROKEN}),
        ("create_role", {"RoleName": "other", "AssumeRolePolicyDocument": BROKEN}),
        ("update_assume_role_policy", {"RoleName": "r", "PolicyDocument": document(allow("*"))}),
    ],
)
def test_iam_refuses_malformed_documents(
    country: Country, operation: str, parameters: dict[str, Any]
) -> None:
    iam = country.root("iam")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    iam.create_user(UserName="u")

    assert error(getattr(iam, operation), **parameters)["Code"] == "MalformedPolicyDocument"


def test_inline_policies_may_leave_out_their_version(country: Country) -> None:
    """The roles that the Serverless transform writes do, and AWS takes them."""
    iam = country.root("iam")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    text = json.dumps({"Statement": [allow("sqs:ListQueues")]})

    iam.put_role_policy(RoleName="r", PolicyName="p", PolicyDocument=text)

    assert error(iam.create_policy, PolicyName="p", PolicyDocument=text)["Code"] == "MalformedPolicyDocument"


def test_inline_policies_of_a_role_are_limited_together(country: Country) -> None:
    iam = country.root("iam")
    iam.create_role(RoleName="r", AssumeRolePolicyDocument=TRUST)
    large = document(allow("sqs:SendMessage", [f"arn:aws:sqs:*:*:{n:0100}" for n in range(60)]))
    iam.put_role_policy(RoleName="r", PolicyName="a", PolicyDocument=large)

    told = error(iam.put_role_policy, RoleName="r", PolicyName="b", PolicyDocument=large)

    assert told["Code"] == "LimitExceeded"
    assert told["Message"] == "Maximum policy size of 10240 bytes exceeded for role r"
    iam.put_role_policy(RoleName="r", PolicyName="a", PolicyDocument=large)


def test_a_bucket_refuses_a_malformed_policy(country: Country) -> None:
    s3 = country.root("s3")
    s3.create_bucket(Bucket="papers", CreateBucketConfiguration={"LocationConstraint": REGION})

    assert error(s3.put_bucket_policy, Bucket="papers", Policy=BROKEN)["Code"] == "MalformedPolicy"


def test_a_queue_refuses_a_malformed_policy(country: Country) -> None:
    sqs = country.root("sqs")

    told = error(sqs.create_queue, QueueName="q", Attributes={"Policy": BROKEN})

    assert told["Message"] == "Invalid value for the parameter Policy."


def test_a_topic_refuses_a_malformed_policy(country: Country) -> None:
    sns = country.root("sns")
    arn = sns.create_topic(Name="t")["TopicArn"]

    told = error(sns.set_topic_attributes, TopicArn=arn, AttributeName="Policy", AttributeValue=BROKEN)

    assert told["Code"] == "InvalidParameter"
    assert told["Message"].startswith("Invalid parameter: Policy Error:")


def test_a_session_policy_has_to_be_one(country: Country) -> None:
    role = country.root("iam").create_role(
        RoleName="r",
        AssumeRolePolicyDocument=document(
            {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
        ),
    )["Role"]["Arn"]
    sts = country.root("sts")

    told = error(sts.assume_role, RoleArn=role, RoleSessionName="xx", Policy=BROKEN)

    assert told["Code"] == "MalformedPolicyDocument"
