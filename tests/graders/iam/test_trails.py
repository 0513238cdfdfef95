from __future__ import annotations

from typing import Any

import pytest
from rights_world import ACCOUNT, BUCKET, allow, around, role

from graders.iam.evidence import Use
from graders.iam.findings import Findings
from graders.iam.trails import Trail

ROLE = f"arn:aws:iam::{ACCOUNT}:role/worker-role-1"


def event(source: str, name: str, *, role_arn: str = ROLE, error: str = "", arn: str = "") -> dict[str, Any]:
    """An event as CloudTrail writes it, with the members that are read."""
    found: dict[str, Any] = {
        "eventSource": f"{source}.amazonaws.com",
        "eventName": name,
        "eventTime": "2030-01-01T00:00:00Z",
        "userIdentity": {"type": "AssumedRole", "sessionContext": {"sessionIssuer": {"arn": role_arn}}},
    }
    if error:
        found["errorCode"] = error
    if arn:
        found["resources"] = [{"ARN": arn}]
    return found


@pytest.mark.parametrize(
    ("action", "logged", "expected"),
    [
        ("dynamodb:DescribeTable", (), True),
        ("s3:ListBucket", (), True),
        ("s3:GetObject", (), False),
        ("s3:GetObject", ("AWS::S3::Object",), True),
        ("lambda:InvokeFunction", (), False),
        ("dynamodb:PutItem", ("AWS::S3::Object",), False),
        ("dynamodb:PutItem", ("AWS::DynamoDB::Table",), True),
        ("sns:Publish", (), False),
        ("iam:PassRole", ("AWS::S3::Object", "AWS::Lambda::Function"), False),
    ],
)
def test_a_trail_tells_of_some_actions_only(action: str, logged: tuple[str, ...], expected: bool) -> None:
    assert Trail(frozenset(logged)).observable(action) is expected


def test_the_three_answers() -> None:
    seen = Trail().evidence(ROLE, [event("s3", "ListObjectsV2", arn=BUCKET)])

    assert seen.use_of("s3:ListBucket") is Use.USED
    assert seen.use_of("s3:GetBucketPolicy") is Use.UNUSED
    assert seen.use_of("s3:GetObject") is Use.NOT_OBSERVABLE


@pytest.mark.parametrize(
    ("source", "name", "action"),
    [
        ("s3", "ListBuckets", "s3:ListAllMyBuckets"),
        ("s3", "HeadBucket", "s3:ListBucket"),
        ("lambda", "Invoke", "lambda:InvokeFunction"),
        ("lambda", "CreateFunction20150331", "lambda:CreateFunction"),
        ("monitoring", "PutMetricAlarm", "cloudwatch:PutMetricAlarm"),
        ("sqs", "SendMessageBatch", "sqs:SendMessage"),
    ],
)
def test_an_events_name_becomes_the_action(source: str, name: str, action: str) -> None:
    (seen,) = Trail().evidence(ROLE, [event(source, name)]).used

    assert seen.action == action


def test_refused_calls_and_those_of_others_are_no_use() -> None:
    seen = Trail().evidence(
        ROLE,
        [
            event("sqs", "CreateQueue", error="AccessDenied"),
            event("sqs", "DeleteQueue", role_arn=f"{ROLE}-2"),
            event("sqs", "GetQueueUrl", error="AWS.SimpleQueueService.NonExistentQueue"),
        ],
    )

    assert [item.action for item in seen.denied] == ["sqs:CreateQueue"]
    assert [item.action for item in seen.used] == ["sqs:GetQueueUrl"]


def test_an_operation_we_do_not_know_makes_nothing_of_its_service_unused() -> None:
    seen = Trail().evidence(ROLE, [event("dynamodb", "SomethingNew")])

    assert seen.use_of("dynamodb:DescribeTable") is Use.NOT_OBSERVABLE
    assert seen.use_of("sqs:CreateQueue") is Use.UNUSED


def test_what_could_not_be_seen_is_no_finding() -> None:
    asking = role(allow(["s3:GetObject", "s3:DeleteObject", "s3:ListBucket", "s3:GetBucketPolicy"], "*"))
    seen = Trail().evidence(ROLE, [event("s3", "ListObjectsV2", arn=BUCKET)])

    unused = [written for _, written, _ in Findings(asking, seen, around()).unused]

    assert unused == ["s3:GetBucketPolicy"]
