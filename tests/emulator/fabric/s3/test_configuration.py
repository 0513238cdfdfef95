"""What notification configurations S3 takes."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError


def entry(arn: str, *events: str, member: str = "LambdaFunctionArn", **filters: str) -> dict[str, Any]:
    rules = [{"Name": name, "Value": value} for name, value in filters.items()]
    found: dict[str, Any] = {member: arn, "Events": list(events or ["s3:ObjectCreated:*"])}
    return {**found, "Filter": {"Key": {"FilterRules": rules}}} if rules else found


def test_a_configuration_is_answered_as_it_was_given(bench: Any) -> None:
    function, (_, queue) = bench.function(), bench.queue()

    bench.notify(
        LambdaFunctionConfigurations=[entry(function, prefix="in/", suffix=".csv")],
        QueueConfigurations=[entry(queue, "s3:ObjectRemoved:*", member="QueueArn")],
        EventBridgeConfiguration={},
    )

    found = bench.s3.get_bucket_notification_configuration(Bucket="uploads")
    [configured] = found["LambdaFunctionConfigurations"]
    assert configured["LambdaFunctionArn"] == function
    assert configured["Id"]
    assert configured["Filter"]["Key"]["FilterRules"] == [
        {"Name": "prefix", "Value": "in/"},
        {"Name": "suffix", "Value": ".csv"},
    ]
    assert found["QueueConfigurations"][0]["Events"] == ["s3:ObjectRemoved:*"]
    assert found["EventBridgeConfiguration"] == {}
    bench.notify()
    cleared = bench.s3.get_bucket_notification_configuration(Bucket="uploads")
    assert "LambdaFunctionConfigurations" not in cleared


def test_destinations_that_s3_cannot_reach_are_refused(bench: Any) -> None:
    closed = bench.function("closed", allowed=False)
    _, closed_queue = bench.queue("closed", allowed=False)

    for configuration in (
        {"LambdaFunctionConfigurations": [entry(closed)]},
        {"LambdaFunctionConfigurations": [entry(closed + "-not")]},
        {"QueueConfigurations": [entry(closed_queue, member="QueueArn")]},
        {"QueueConfigurations": [entry(closed_queue + "-not", member="QueueArn")]},
    ):
        with pytest.raises(ClientError, match="Unable to validate the following destination configurations"):
            bench.notify(**configuration)
    bench.s3.put_bucket_notification_configuration(
        Bucket="uploads",
        NotificationConfiguration={"LambdaFunctionConfigurations": [entry(closed)]},
        SkipDestinationValidation=True,
    )


def test_rules_that_could_both_apply_are_refused(bench: Any) -> None:
    one, other = bench.function("one"), bench.function("other")

    with pytest.raises(ClientError, match="Configuration is ambiguously defined"):
        bench.notify(
            LambdaFunctionConfigurations=[
                entry(one, prefix="in/"),
                entry(other, prefix="in/a/", suffix=".csv"),
            ]
        )
    with pytest.raises(ClientError, match="Configurations overlap"):
        bench.notify(LambdaFunctionConfigurations=[entry(one), entry(other, "s3:ObjectCreated:Put")])
    bench.notify(
        LambdaFunctionConfigurations=[
            entry(one, prefix="in/", suffix=".csv"),
            entry(other, prefix="in/", suffix=".json"),
        ]
    )


@pytest.mark.parametrize(
    ("given", "reason"),
    [
        (entry("nonsense"), "The ARN is not well formed"),
        (entry("arn:aws:sqs:eu-north-1:111122223333:q"), "The ARN is not well formed"),
        (
            entry("arn:aws:lambda:us-east-1:111122223333:function:far"),
            "region is not valid for the bucket location constraint",
        ),
        (entry("arn:aws:lambda:eu-north-1:111122223333:function:f", "s3:Nothing"), "is not supported"),
        (
            entry("arn:aws:lambda:eu-north-1:111122223333:function:f", infix="x"),
            "must be either prefix or suffix",
        ),
    ],
)
def test_configurations_s3_refuses(bench: Any, given: dict[str, Any], reason: str) -> None:
    with pytest.raises(ClientError, match=reason):
        bench.notify(LambdaFunctionConfigurations=[given])


def test_a_missing_bucket_is_named_as_s3_names_it(bench: Any) -> None:
    with pytest.raises(ClientError, match="NoSuchBucket"):
        bench.s3.put_bucket_notification_configuration(Bucket="nowhere", NotificationConfiguration={})
