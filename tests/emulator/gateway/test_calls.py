"""Calls are recorded, answered in their protocol, and told apart from what is not emulated."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from sandbox.emulator.calls import AwsError, Call
from sandbox.emulator.gateway.requests import HttpRequest
from tests.emulator.gateway.conftest import Connect


def test_each_call_leaves_one_event_that_says_who_did_what(connect: Connect, account: Any) -> None:
    connect("dynamodb").list_tables(Limit=7)
    with pytest.raises(ClientError):
        connect("sqs").get_queue_url(QueueName="none")
    made, refused = account.events("api")
    assert (made.subject, made.outcome, made.detail["status"]) == ("dynamodb:ListTables", "ok", 200)
    assert made.detail["principal"] == "arn:aws:iam::111122223333:root"
    assert made.detail["parameters"] == {"Limit": 7}
    assert refused.subject == "sqs:GetQueueUrl"
    assert refused.outcome == "QueueDoesNotExist"


def test_secrets_do_not_reach_the_record(connect: Connect, account: Any) -> None:
    connect("secretsmanager").create_secret(Name="payroll", SecretString="hunter2")
    [event] = account.events("api")
    assert "hunter2" not in str(event.as_json())
    assert event.detail["parameters"]["Name"] == "payroll"


def test_metrics_arrive_by_the_protocol_that_new_clients_speak(connect: Connect) -> None:
    cloudwatch = connect("cloudwatch")
    assert cloudwatch.meta.service_model.protocol == "smithy-rpc-v2-cbor"
    at = datetime.now(UTC).replace(microsecond=0)
    cloudwatch.put_metric_data(
        Namespace="Shop", MetricData=[{"MetricName": "Orders", "Value": 2.5, "Timestamp": at}]
    )
    [metric] = cloudwatch.list_metrics(Namespace="Shop")["Metrics"]
    assert metric["MetricName"] == "Orders"
    with pytest.raises(ClientError) as error:
        cloudwatch.get_metric_data(
            MetricDataQueries=[{"Id": "UPPER"}, {"Id": "UPPER"}], StartTime=at, EndTime=at
        )
    assert error.value.response["Error"]["Code"]


def test_a_service_that_is_not_emulated_is_our_gap_and_says_so(connect: Connect, account: Any) -> None:
    with pytest.raises(ClientError, match="our gap"):
        connect("ec2").describe_vpcs()
    assert [event.outcome for event in account.events("gap")] == ["NotEmulated"]


def test_a_handler_takes_an_operation_over_and_can_ask_moto(connect: Connect, account: Any) -> None:
    def create_queue(call: Call) -> dict[str, Any]:
        if call.params["QueueName"] == "forbidden":
            raise AwsError("QueueNameTaken", "That name is taken.", 409)
        return account.core.moto(call) | {"QueueUrl": "http://ours"}

    account.add({("sqs", "CreateQueue"): create_queue})
    sqs = connect("sqs")
    assert sqs.create_queue(QueueName="orders")["QueueUrl"] == "http://ours"
    assert sqs.list_queues()["QueueUrls"][0].endswith("/orders")
    with pytest.raises(ClientError, match="That name is taken"):
        sqs.create_queue(QueueName="forbidden")


def test_a_handler_that_breaks_is_our_failure(connect: Connect, account: Any) -> None:
    def broken(_call: Call) -> dict[str, Any]:
        raise KeyError("oops")

    account.add({("sns", "ListTopics"): broken})
    with pytest.raises(ClientError) as error:
        connect("sns").list_topics()
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 500
    assert [event.subject for event in account.events("gap")] == ["sns:ListTopics"]


def test_an_object_keeps_its_name_its_bytes_and_its_metadata(connect: Connect) -> None:
    s3 = connect("s3")
    s3.create_bucket(Bucket="shop-data", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})
    body = bytes(range(256)) * 4096
    metadata = {"origin": "till", "my_key": "a_b c", "a-b_c": ""}
    s3.put_object(Bucket="shop-data", Key="a b/ö+%.bin", Body=body, Metadata=metadata)
    found = s3.get_object(Bucket="shop-data", Key="a b/ö+%.bin")
    assert (found["Body"].read(), found["Metadata"]) == (body, metadata)
    assert [item["Key"] for item in s3.list_objects_v2(Bucket="shop-data")["Contents"]] == ["a b/ö+%.bin"]
    with pytest.raises(ClientError) as error:
        s3.head_object(Bucket="shop-data", Key="none")
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] == 404


def test_an_empty_object_is_put_though_its_client_waits_to_be_told_to_go_on(connect: Connect) -> None:
    s3 = connect("s3", config=Config(read_timeout=10, retries={"total_max_attempts": 1}))
    s3.create_bucket(Bucket="intake", CreateBucketConfiguration={"LocationConstraint": "eu-north-1"})

    s3.put_object(Bucket="intake", Key="folder/", Body=b"")

    assert s3.head_object(Bucket="intake", Key="folder/")["ContentLength"] == 0


@pytest.mark.parametrize("host", ["shop-data.s3.eu-north-1.amazonaws.com:80", "shop-data.s3.amazonaws.com"])
def test_a_bucket_is_found_in_the_host_s_name(host: str) -> None:
    request = HttpRequest("GET", "/a%20b", "", {"host": host}, b"")
    assert request.path_style().path == "/shop-data/a%20b"
