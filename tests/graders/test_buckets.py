"""What a bucket's view makes of notifications, rules, permissions and policies."""

from __future__ import annotations

import json
from typing import Any

import pytest

from graders.buckets import Bucket, Subscription

ACCOUNT = "123456789012"
FUNCTION = f"arn:aws:lambda:eu-west-1:{ACCOUNT}:function:intake"
QUEUE = f"arn:aws:sqs:eu-west-1:{ACCOUNT}:uploads"
RULE = f"arn:aws:events:eu-west-1:{ACCOUNT}:rule/uploaded"


class Refusal(Exception):
    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.response = {"Error": {"Code": code}}


class Service:
    """Answers each operation with what it was given, or raises it."""

    def __init__(self, **answers: Any) -> None:
        self.answers = answers
        self.asked: list[tuple[str, dict[str, Any]]] = []

    def __getattr__(self, operation: str) -> Any:
        def call(**arguments: Any) -> Any:
            self.asked.append((operation, arguments))
            answer = self.answers.get(operation, {})
            if isinstance(answer, Exception):
                raise answer
            return answer

        return call

    def get_paginator(self, operation: str) -> Any:
        answer = self.answers[operation]
        return type("Pages", (), {"paginate": lambda self, **_: [answer]})()


class Account:
    account_id = ACCOUNT
    region = "eu-west-1"

    def __init__(self, **services: Service) -> None:
        self.services = services

    def client(self, service: str) -> Service:
        return self.services[service]


def bucket(**services: Service) -> Bucket:
    account: Any = Account(**services)
    return Bucket(account, "invoices", lambda *_, **__: pytest.fail("nothing is invoked here"))


def test_filters_are_read_from_the_notification() -> None:
    rules = [{"Name": "Prefix", "Value": "incoming/"}, {"Name": "suffix", "Value": ".csv"}]
    s3 = Service(
        get_bucket_notification_configuration={
            "LambdaFunctionConfigurations": [
                {"LambdaFunctionArn": FUNCTION, "Filter": {"Key": {"FilterRules": rules}}}
            ],
            "QueueConfigurations": [{"QueueArn": QUEUE}],
        }
    )

    assert bucket(s3=s3).subscriptions() == (
        Subscription(FUNCTION, "incoming/", ".csv"),
        Subscription(QUEUE),
    )


@pytest.mark.parametrize(
    ("patterns", "lets_through"),
    [
        ([{"wildcard": "incoming/*.csv"}], ("incoming/", ".csv")),
        ([{"prefix": "incoming/"}], ("incoming/", "")),
        # Two patterns are alternatives: keys that match either one are let through.
        ([{"prefix": "incoming/"}, {"suffix": ".csv"}], ("", "")),
        (["incoming/a.csv"], ("", "")),
    ],
)
def test_filters_are_read_from_a_rule(patterns: list[Any], lets_through: tuple[str, str]) -> None:
    pattern = {
        "source": ["aws.s3"],
        "detail": {"bucket": {"name": ["invoices"]}, "object": {"key": patterns}},
    }
    events = Service(
        list_rules={
            "Rules": [
                {"Name": "uploaded", "Arn": RULE, "EventPattern": json.dumps(pattern)},
                {"Name": "hourly", "Arn": f"{RULE}-x", "ScheduleExpression": "rate(1 hour)"},
            ]
        },
        list_targets_by_rule={"Targets": [{"Id": "1", "Arn": FUNCTION}]},
    )
    s3 = Service(get_bucket_notification_configuration={"EventBridgeConfiguration": {}})

    assert bucket(s3=s3, events=events).subscriptions() == (
        Subscription(FUNCTION, *lets_through, rule_arn=RULE),
    )


@pytest.mark.parametrize(
    ("condition", "only_this_bucket"),
    [
        (
            {
                "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::invoices"},
                "StringEquals": {"AWS:SourceAccount": ACCOUNT},
            },
            True,
        ),
        ({"StringEquals": {"AWS:SourceAccount": ACCOUNT}}, False),
        ({"ArnLike": {"AWS:SourceArn": "arn:aws:s3:::invoices"}}, False),
        (
            {
                "ArnLike": {"AWS:SourceArn": "arn:aws:s3:::*"},
                "StringEquals": {"AWS:SourceAccount": ACCOUNT},
            },
            False,
        ),
        ({}, False),
    ],
)
def test_a_permission_has_to_name_bucket_and_account(
    condition: dict[str, Any], only_this_bucket: bool
) -> None:
    statement = {"Effect": "Allow", "Principal": {"Service": "s3.amazonaws.com"}, "Condition": condition}
    functions = Service(get_policy={"Policy": json.dumps({"Statement": [statement]})})

    account = bucket(**{"lambda": functions})

    assert account.admits_only_this_bucket(Subscription(FUNCTION)) is only_this_bucket


def test_a_function_that_nobody_may_invoke_admits_nobody() -> None:
    functions = Service(get_policy=Refusal("ResourceNotFoundException"))

    assert not bucket(**{"lambda": functions}).admits_only_this_bucket(Subscription(FUNCTION))


def deny_without_tls(**changed: Any) -> str:
    statement = {
        "Effect": "Deny",
        "Principal": "*",
        "Action": "s3:*",
        "Resource": ["arn:aws:s3:::invoices", "arn:aws:s3:::invoices/*"],
        "Condition": {"Bool": {"aws:SecureTransport": "false"}},
    }
    return json.dumps({"Statement": [{**statement, **changed}]})


def closed(policy: Any) -> Service:
    names = ("BlockPublicAcls", "BlockPublicPolicy", "IgnorePublicAcls", "RestrictPublicBuckets")
    return Service(
        get_public_access_block={"PublicAccessBlockConfiguration": dict.fromkeys(names, True)},
        get_bucket_encryption={"ServerSideEncryptionConfiguration": {"Rules": [{}]}},
        get_bucket_policy=policy if isinstance(policy, Exception) else {"Policy": policy},
    )


def test_a_closed_bucket_has_no_openings() -> None:
    assert bucket(s3=closed(deny_without_tls())).openings() == ()


@pytest.mark.parametrize(
    "policy",
    [
        Refusal("NoSuchBucketPolicy"),
        deny_without_tls(Effect="Allow"),
        deny_without_tls(Action="s3:GetObject"),
        deny_without_tls(Resource="arn:aws:s3:::invoices/*"),
        deny_without_tls(Condition={"Bool": {"aws:SecureTransport": "true"}}),
        deny_without_tls(Principal={"AWS": f"arn:aws:iam::{ACCOUNT}:root"}),
        deny_without_tls(
            Condition={"Bool": {"aws:SecureTransport": "false"}, "StringEquals": {"aws:PrincipalTag/a": "b"}}
        ),
    ],
)
def test_a_policy_that_lets_plain_requests_through_is_an_opening(policy: Any) -> None:
    assert bucket(s3=closed(policy)).openings() == ("requests without TLS are not denied",)


def test_every_missing_protection_is_told() -> None:
    s3 = Service(
        get_public_access_block=Refusal("NoSuchPublicAccessBlockConfiguration"),
        get_bucket_encryption=Refusal("ServerSideEncryptionConfigurationNotFoundError"),
        get_bucket_policy=Refusal("NoSuchBucketPolicy"),
    )

    assert len(bucket(s3=s3).openings()) == 3


def test_an_error_of_the_backend_is_no_opening() -> None:
    with pytest.raises(Refusal, match="SlowDown"):
        bucket(s3=Service(get_public_access_block=Refusal("SlowDown"))).openings()


def test_the_notification_comes_back_when_the_block_breaks() -> None:
    before = {"LambdaFunctionConfigurations": [{"LambdaFunctionArn": FUNCTION}]}
    s3 = Service(get_bucket_notification_configuration={**before, "ResponseMetadata": {}})
    view = bucket(s3=s3)
    view.account.settle = lambda timeout_s: None  # type: ignore[method-assign, assignment, misc]

    with pytest.raises(ZeroDivisionError), view.unplugged():
        raise ZeroDivisionError

    put = [arguments for operation, arguments in s3.asked if operation.startswith("put_")]
    assert [arguments["NotificationConfiguration"] for arguments in put] == [{}, before]
