"""What does not arrive can be read in ``coldstart sandbox events``, with the reason."""

from __future__ import annotations

import io
import json
import zipfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.cli.conftest import Shell, client

_CODE = """
import os
import boto3

def handler(event, context):
    if "BUCKET" in os.environ:
        boto3.client("s3").put_object(Bucket=os.environ["BUCKET"], Key="again", Body=b"")
"""


@dataclass
class Owner:
    """Somebody with a shell and a sandbox."""

    shell: Shell
    up: dict[str, Any]

    def client(self, service: str) -> Any:
        return client(self.up, service)

    def arn(self, service: str, resource: str) -> str:
        return f"arn:aws:{service}:{self.up['AWS_DEFAULT_REGION']}:{self.up['account_id']}:{resource}"

    def function(self, name: str, **variables: str) -> str:
        """A function whose role may do everything, and that nobody may invoke; its ARN."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as zipped:
            zipped.writestr("app.py", _CODE)
        made = self.client("lambda").create_function(
            FunctionName=name,
            Runtime="python3.12",
            Handler="app.handler",
            Role=f"arn:aws:iam::{self.up['account_id']}:role/anything",
            Code={"ZipFile": archive.getvalue()},
            Environment={"Variables": variables},
            Timeout=20,
        )
        return str(made["FunctionArn"])

    def bucket(self, name: str) -> str:
        place = {"LocationConstraint": self.up["AWS_DEFAULT_REGION"]}
        self.client("s3").create_bucket(Bucket=name, CreateBucketConfiguration=place)
        return name

    def lines(self, *subjects: str) -> list[list[str]]:
        """Once the account is settled: what the command prints of each subject."""
        self.shell.run("settle")
        printed = self.shell.run("events").splitlines()
        return [[line for line in printed if f" {subject} " in line] for subject in subjects]


@pytest.fixture(scope="module")
def owner(shell: Shell, up: dict[str, Any]) -> Owner:
    trust = {
        "Effect": "Allow",
        "Principal": {"Service": "lambda.amazonaws.com"},
        "Action": "sts:AssumeRole",
    }
    iam = client(up, "iam")
    iam.create_role(
        RoleName="anything",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    iam.attach_role_policy(RoleName="anything", PolicyArn="arn:aws:iam::aws:policy/AdministratorAccess")
    return Owner(shell, up)


def test_a_mapping_to_a_queue_that_is_not_there(owner: Owner) -> None:
    owner.function("waits")
    with pytest.raises(ClientError, match="The specified queue does not exist"):
        owner.client("lambda").create_event_source_mapping(
            FunctionName="waits", EventSourceArn=owner.arn("sqs", "missing")
        )
    [[line]] = owner.lines("lambda:CreateEventSourceMapping")
    assert "[InvalidParameterValueException]" in line
    assert "The specified queue does not exist" in line


def test_a_rule_whose_function_does_not_let_it_in(owner: Owner) -> None:
    events, arn = owner.client("events"), owner.function("closed")
    events.put_rule(Name="orders", EventPattern='{"source": ["shop"]}')
    events.put_targets(Rule="orders", Targets=[{"Id": "t", "Arn": arn}])
    for source in ("shop", "other"):
        events.put_events(Entries=[{"Source": source, "DetailType": "order", "Detail": "{}"}])
    [refused], others = owner.lines("events:orders", "events:default")
    assert (
        "[failed]  rule orders matched, target refused: no permission lambda:InvokeFunction: "
        "function policy does not allow events.amazonaws.com"
    ) in refused
    [unmatched] = [line for line in others if "source=other" in line]
    assert "[no rule matched]  none of the bus's 1 patterns matches" in unmatched


def test_a_role_that_may_no_longer_receive(owner: Owner) -> None:
    sqs, api, iam = owner.client("sqs"), owner.client("lambda"), owner.client("iam")
    url = sqs.create_queue(QueueName="orders")["QueueUrl"]
    owner.function("polls")
    api.create_event_source_mapping(FunctionName="polls", EventSourceArn=owner.arn("sqs", "orders"))
    owner.shell.run("settle")
    administrator = "arn:aws:iam::aws:policy/AdministratorAccess"
    iam.detach_role_policy(RoleName="anything", PolicyArn=administrator)
    sqs.send_message(QueueUrl=url, MessageBody="x")
    [[*_, line]] = owner.lines("sqs:orders")
    iam.attach_role_policy(RoleName="anything", PolicyArn=administrator)
    assert "[AccessDenied]" in line
    assert "is not authorized to perform: sqs:receivemessage on resource" in line.lower()


def test_filters_that_never_match(owner: Owner) -> None:
    sqs, sns, s3 = owner.client("sqs"), owner.client("sns"), owner.client("s3")
    url = sqs.create_queue(QueueName="filtered")["QueueUrl"]
    owner.function("filters")
    owner.client("lambda").create_event_source_mapping(
        FunctionName="filters",
        EventSourceArn=owner.arn("sqs", "filtered"),
        FilterCriteria={"Filters": [{"Pattern": '{"body": {"kind": ["order"]}}'}]},
    )
    sqs.send_message(QueueUrl=url, MessageBody='{"kind": "other"}')
    topic = sns.create_topic(Name="filtered")["TopicArn"]
    sns.subscribe(
        TopicArn=topic,
        Protocol="sqs",
        Endpoint=owner.arn("sqs", "filtered"),
        Attributes={"FilterPolicy": '{"kind": ["order"]}'},
    )
    sns.publish(TopicArn=topic, Message="x")
    bucket = owner.bucket("filtered-by-suffix")
    arn = owner.function("hears")
    owner.client("lambda").add_permission(
        FunctionName="hears",
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
    )
    rules = [{"Name": "suffix", "Value": ".csv"}]
    notification = {
        "LambdaFunctionArn": arn,
        "Events": ["s3:ObjectCreated:Put"],
        "Filter": {"Key": {"FilterRules": rules}},
    }
    s3.put_bucket_notification_configuration(
        Bucket=bucket, NotificationConfiguration={"LambdaFunctionConfigurations": [notification]}
    )
    s3.put_object(Bucket=bucket, Key="a.txt", Body=b"")
    s3.delete_object(Bucket=bucket, Key="a.txt")

    [*_, polled], [*_, published], [put, removed] = owner.lines(
        "sqs:filtered", "sns:filtered", "s3:filtered-by-suffix"
    )
    assert "[filtered]  no filter pattern matches; the message is deleted" in polled
    assert "[filtered]  the subscription's filter policy does not match the message's attributes" in published
    assert "[filtered]  the key does not match the filters for s3:ObjectCreated:Put: *.csv" in put
    assert "[filtered]  no notification of the bucket is for s3:ObjectRemoved:Delete" in removed


def test_a_loop_is_stopped(owner: Owner) -> None:
    bucket = owner.bucket("goes-round")
    arn = owner.function("loops", BUCKET=bucket)
    owner.client("lambda").add_permission(
        FunctionName="loops",
        StatementId="s3",
        Action="lambda:InvokeFunction",
        Principal="s3.amazonaws.com",
    )
    owner.client("s3").put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "LambdaFunctionConfigurations": [{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    owner.client("s3").put_object(Bucket=bucket, Key="first", Body=b"x")
    [lines] = owner.lines("loops")
    [stopped] = [line for line in lines if "invocation" in line and "[RecursiveInvocationException]" in line]
    assert "invoked in a recursive loop" in stopped
    [dropped] = [line for line in lines if "[dropped]" in line]
    assert "RecursiveInvocationException" in dropped
    assert len(lines) == 18


def test_it_can_be_looked_through_as_a_page(owner: Owner, tmp_path: Path) -> None:
    file = tmp_path / "timeline.html"
    owner.bucket("seen-on-the-page")

    owner.shell.run("events", "--name", "mine", "--html", str(file))

    page = file.read_text("utf-8")
    assert "CreateBucket seen-on-the-page" in page
    assert "<script src" not in page
