"""Who hears of what happens to objects, and in which words."""

from __future__ import annotations

import json
import re
from typing import Any

import boto3
import pytest

from sandbox.emulator.gateway.requests import HttpRequest
from tests.emulator.fabric.s3.conftest import BUCKET_ARN, policy


def test_a_function_gets_the_event_that_aws_sends(bench: Any) -> None:
    arn = bench.function()
    bench.notify(
        LambdaFunctionConfigurations=[
            {"Id": "new-files", "LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}
        ]
    )

    bench.put("incoming/a.csv", b"id\n1\n")

    [invocation] = bench.functions.invocations
    assert (invocation.function, invocation.kind, invocation.source) == (arn, "async", "s3:uploads")
    [record] = invocation.event["Records"]
    assert set(record) == {
        "eventVersion",
        "eventSource",
        "awsRegion",
        "eventTime",
        "eventName",
        "userIdentity",
        "requestParameters",
        "responseElements",
        "s3",
    }
    assert record["eventVersion"] == "2.1"
    assert record["eventSource"] == "aws:s3"
    assert record["awsRegion"] == bench.account.core.region
    assert record["eventName"] == "ObjectCreated:Put"
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", record["eventTime"])
    assert record["userIdentity"] == {"principalId": f"AWS:{bench.account.core.account_id}"}
    assert record["requestParameters"] == {"sourceIPAddress": "127.0.0.1"}
    assert set(record["responseElements"]) == {"x-amz-request-id", "x-amz-id-2"}
    told = record["s3"]
    assert (told["s3SchemaVersion"], told["configurationId"]) == ("1.0", "new-files")
    assert (told["bucket"]["name"], told["bucket"]["arn"]) == ("uploads", BUCKET_ARN)
    assert told["bucket"]["ownerIdentity"]["principalId"]
    assert set(told["object"]) == {"key", "size", "eTag", "sequencer"}
    assert (told["object"]["key"], told["object"]["size"]) == ("incoming/a.csv", 5)
    assert re.fullmatch("[0-9a-f]{32}", told["object"]["eTag"])
    assert re.fullmatch("[0-9A-F]{18}", told["object"]["sequencer"])


@pytest.mark.parametrize(
    ("key", "encoded"),
    [
        ("in/two words.txt", "in/two+words.txt"),
        ("in/a+b.txt", "in/a%2Bb.txt"),
        ("in/100%.txt", "in/100%25.txt"),
        ("in/äpfel.txt", "in/%C3%A4pfel.txt"),
    ],
)
def test_keys_are_url_encoded_but_keep_their_slashes(bench: Any, key: str, encoded: str) -> None:
    arn = bench.function()
    bench.notify(LambdaFunctionConfigurations=[{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}])

    bench.put(key)

    assert [record["s3"]["object"]["key"] for record in bench.records()] == [encoded]


def test_prefix_suffix_and_event_decide_who_hears(bench: Any) -> None:
    arn = bench.function()
    rules = [{"Name": "prefix", "Value": "incoming/"}, {"Name": "suffix", "Value": ".csv"}]
    bench.notify(
        LambdaFunctionConfigurations=[
            {
                "LambdaFunctionArn": arn,
                "Events": ["s3:ObjectCreated:Put"],
                "Filter": {"Key": {"FilterRules": rules}},
            }
        ]
    )

    for key in ("incoming/a.csv", "incoming/a.tmp", "other/a.csv"):
        bench.put(key)
    bench.s3.copy_object(
        Bucket="uploads", Key="incoming/b.csv", CopySource={"Bucket": "uploads", "Key": "other/a.csv"}
    )
    bench.account.settle()

    assert [record["s3"]["object"]["key"] for record in bench.records()] == ["incoming/a.csv"]


def test_copies_and_multipart_uploads_have_events_of_their_own(bench: Any) -> None:
    arn = bench.function()
    bench.notify(LambdaFunctionConfigurations=[{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}])
    where = {"Bucket": "uploads", "Key": "large"}

    upload = bench.s3.create_multipart_upload(**where)["UploadId"]
    part = bench.s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=b"x")
    parts = {"Parts": [{"ETag": part["ETag"], "PartNumber": 1}]}
    bench.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)
    bench.account.settle()
    bench.s3.copy_object(Bucket="uploads", Key="copy", CopySource=where)
    bench.account.settle()

    assert [record["eventName"] for record in bench.records()] == [
        "ObjectCreated:CompleteMultipartUpload",
        "ObjectCreated:Copy",
    ]


def test_an_upload_by_a_form_is_a_post(bench: Any) -> None:
    arn = bench.function()
    bench.notify(
        LambdaFunctionConfigurations=[{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:Post"]}],
        EventBridgeConfiguration={},
    )
    keys = bench.account.keys
    signer = boto3.client(
        "s3",
        region_name=bench.account.core.region,
        aws_access_key_id=keys.access_key_id,
        aws_secret_access_key=keys.secret_access_key,
    )
    fields = signer.generate_presigned_post("uploads", "by-form")["fields"]
    parts = [
        f'--x\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'
        for name, value in {**fields, "file": "1234"}.items()
    ]
    kind = {"host": "uploads.s3.amazonaws.com", "content-type": "multipart/form-data; boundary=x"}
    body = "".join([*parts, "--x--\r\n"]).encode()
    answer = bench.account.gateway.answer(HttpRequest("POST", "/", "", kind, body))
    bench.account.settle()

    assert answer.status == 204
    [record] = bench.records()
    assert (record["eventName"], record["s3"]["object"]["size"]) == ("ObjectCreated:Post", 4)
    assert [event["detail"]["reason"] for event in bench.bus.events] == ["POST Object"]


def test_deletions_say_what_was_deleted(bench: Any) -> None:
    arn = bench.function()
    bench.notify(LambdaFunctionConfigurations=[{"LambdaFunctionArn": arn, "Events": ["s3:ObjectRemoved:*"]}])
    bench.put("plain")
    bench.s3.delete_object(Bucket="uploads", Key="plain")
    bench.s3.delete_object(Bucket="uploads", Key="never-was")
    bench.account.settle()
    [plain] = bench.records()
    assert plain["eventName"] == "ObjectRemoved:Delete"
    assert set(plain["s3"]["object"]) == {"key", "sequencer"}

    bench.s3.put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})
    version = bench.s3.put_object(Bucket="uploads", Key="kept", Body=b"x")["VersionId"]
    bench.s3.delete_object(Bucket="uploads", Key="kept")
    bench.account.settle()
    bench.s3.delete_object(Bucket="uploads", Key="kept", VersionId=version)
    bench.account.settle()

    _, marked, deleted = bench.records()
    assert marked["eventName"] == "ObjectRemoved:DeleteMarkerCreated"
    assert marked["s3"]["object"]["versionId"] not in ("", version)
    assert deleted["eventName"] == "ObjectRemoved:Delete"
    assert deleted["s3"]["object"]["versionId"] == version


def test_versions_are_named_and_sequencers_grow(bench: Any) -> None:
    arn = bench.function()
    bench.notify(LambdaFunctionConfigurations=[{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}])
    bench.s3.put_bucket_versioning(Bucket="uploads", VersioningConfiguration={"Status": "Enabled"})

    versions = []
    for body in (b"1", b"2", b"3"):
        versions.append(bench.s3.put_object(Bucket="uploads", Key="a", Body=body)["VersionId"])
        bench.account.settle()

    objects = [record["s3"]["object"] for record in bench.records()]
    assert [each["versionId"] for each in objects] == versions
    sequencers = [each["sequencer"] for each in objects]
    assert sequencers == sorted(set(sequencers))


def test_a_function_whose_policy_no_longer_allows_s3_hears_nothing(bench: Any) -> None:
    arn = bench.function()
    bench.notify(LambdaFunctionConfigurations=[{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}])
    bench.account.client("lambda").remove_permission(FunctionName="intake", StatementId="s3")

    bench.put("a")

    assert not bench.functions.invocations
    [event] = bench.account.events("delivery")
    assert event.outcome == "refused"
    assert "does not allow s3.amazonaws.com" in event.detail["reason"]


def test_a_queue_gets_a_test_event_and_then_the_changes(bench: Any) -> None:
    url, arn = bench.queue()
    bench.notify(QueueConfigurations=[{"QueueArn": arn, "Events": ["s3:ObjectCreated:*"]}])

    [trial] = bench.bodies(url)
    assert set(trial) == {"Service", "Event", "Time", "Bucket", "RequestId", "HostId"}
    assert (trial["Service"], trial["Event"], trial["Bucket"]) == ("Amazon S3", "s3:TestEvent", "uploads")
    bench.put("a")

    [message] = bench.bodies(url)
    assert message["Records"][0]["s3"]["object"]["key"] == "a"


def test_a_topic_passes_changes_on(bench: Any) -> None:
    url, queue_arn = bench.queue(allowed=False)
    topic = bench.sns.create_topic(Name="changes")["TopicArn"]
    bench.sns.set_topic_attributes(
        TopicArn=topic, AttributeName="Policy", AttributeValue=policy("sns:Publish", topic)
    )
    statement = {
        "Effect": "Allow",
        "Principal": {"Service": "sns.amazonaws.com"},
        "Action": "sqs:SendMessage",
        "Resource": queue_arn,
    }
    bench.sqs.set_queue_attributes(
        QueueUrl=url, Attributes={"Policy": json.dumps({"Version": "2012-10-17", "Statement": [statement]})}
    )
    bench.sns.subscribe(TopicArn=topic, Protocol="sqs", Endpoint=queue_arn)
    bench.notify(TopicConfigurations=[{"TopicArn": topic, "Events": ["s3:ObjectCreated:*"]}])
    bench.bodies(url)

    bench.put("a")

    [envelope] = bench.bodies(url)
    assert envelope["Subject"] == "Amazon S3 Notification"
    assert json.loads(envelope["Message"])["Records"][0]["s3"]["object"]["key"] == "a"


def test_the_event_bus_hears_of_everything_once_it_is_on(bench: Any) -> None:
    bench.put("before")
    bench.notify(EventBridgeConfiguration={})

    bench.put("in/two words.txt", b"123")
    bench.s3.delete_object(Bucket="uploads", Key="before")
    bench.account.settle()

    created, deleted = bench.bus.events
    assert created["detail-type"] == "Object Created"
    assert created["source"] == "aws.s3"
    assert created["resources"] == [BUCKET_ARN]
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", created["time"])
    detail = created["detail"]
    assert detail["bucket"] == {"name": "uploads"}
    assert (detail["object"]["key"], detail["object"]["size"]) == ("in/two words.txt", 3)
    assert set(detail["object"]) == {"key", "size", "etag", "sequencer"}
    assert (detail["reason"], detail["requester"]) == ("PutObject", bench.account.core.account_id)
    assert deleted["detail-type"] == "Object Deleted"
    assert deleted["detail"]["deletion-type"] == "Permanently Deleted"


def test_the_producer_does_not_wait_for_its_consumers(bench: Any) -> None:
    arn = bench.function()
    bench.notify(LambdaFunctionConfigurations=[{"LambdaFunctionArn": arn, "Events": ["s3:ObjectCreated:*"]}])

    with bench.account.core.dispatch_lock:  # whoever delivers has to wait for it, the producer holds it
        bench.s3.put_object(Bucket="uploads", Key="a", Body=b"x")
        assert not bench.functions.invocations
    bench.account.settle()

    assert len(bench.functions.invocations) == 1
