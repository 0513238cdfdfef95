"""Parts of templates that lie in buckets."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.emulator.cloudformation.engine import Engine

AGREED = {"Capabilities": ["CAPABILITY_AUTO_EXPAND"]}


def include(location: Any) -> dict[str, Any]:
    return {"Name": "AWS::Include", "Parameters": {"Location": location}}


@pytest.fixture
def parts(engine: Engine) -> Engine:
    """The bucket ``parts`` has a display name, and a topic."""
    s3 = engine.account.client("s3")
    s3.create_bucket(
        Bucket="parts", CreateBucketConfiguration={"LocationConstraint": engine.account.core.region}
    )
    s3.put_object(Bucket="parts", Key="a/name.yaml", Body="DisplayName: {Ref: Label}\n")
    topics = {"Resources": {"Other": {"Type": "AWS::SNS::Topic", "Properties": {"TopicName": "other"}}}}
    s3.put_object(Bucket="parts", Key="topics.json", Body=json.dumps(topics))
    return engine


def template(location: Any) -> dict[str, Any]:
    properties = {"TopicName": "news", "Fn::Transform": include(location)}
    return {
        "Parameters": {
            "Label": {"Type": "String", "Default": "hello"},
            "Where": {"Type": "String", "Default": "s3://parts/a/name.yaml"},
        },
        "Resources": {"News": {"Type": "AWS::SNS::Topic", "Properties": properties}},
    }


@pytest.mark.parametrize("location", ["s3://parts/a/name.yaml", {"Ref": "Where"}])
def test_a_part_stands_where_it_is_named(parts: Engine, location: Any) -> None:
    parts.create(template(location), **AGREED)

    assert parts.status() == "CREATE_COMPLETE", parts.reasons()
    sns = parts.account.client("sns")
    arn = sns.list_topics()["Topics"][0]["TopicArn"]
    found = sns.get_topic_attributes(TopicArn=arn)["Attributes"]
    assert (found["DisplayName"], arn.rpartition(":")[2]) == ("hello", "news")


def test_a_whole_section_may_come_from_a_bucket(parts: Engine) -> None:
    parts.create({"Transform": include("s3://parts/topics.json"), **_named()}, **AGREED)

    assert parts.status() == "CREATE_COMPLETE", parts.reasons()
    topics = parts.account.client("sns").list_topics()["Topics"]
    assert [each["TopicArn"].rpartition(":")[2] for each in topics] == ["other"]


def _named() -> dict[str, Any]:
    return {"Resources": {"Replaced": {"Type": "AWS::SNS::Topic"}}}


@pytest.mark.parametrize(
    ("location", "more", "message"),
    [
        ("s3://parts/none", AGREED, "S3 error: "),
        ("s3://parts/a/name.yaml", {}, "Requires capabilities : \\[CAPABILITY_AUTO_EXPAND\\]"),
        (7, AGREED, "The location parameter is missing or not text"),
    ],
)
def test_a_part_that_can_t_be_had_is_refused(
    parts: Engine, location: Any, more: dict[str, Any], message: str
) -> None:
    with pytest.raises(ClientError, match=message):
        parts.create(template(location), **more)
