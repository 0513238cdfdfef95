"""The less common properties: each that a provider claims is there to be read afterwards."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.cloudformation.resources.base import ResourceFailed

TRUST = {
    "Version": "2012-10-17",
    "Statement": [
        {"Effect": "Allow", "Principal": {"Service": "lambda.amazonaws.com"}, "Action": "sts:AssumeRole"}
    ],
}
KEY = "arn:aws:kms:eu-north-1:111122223333:key/11111111-2222-3333-4444-555555555555"


def queue_attributes(stack: Any, url: str) -> dict[str, str]:
    answer = stack.client("sqs").get_queue_attributes(QueueUrl=url, AttributeNames=["All"])
    found: dict[str, str] = answer["Attributes"]
    return found


def test_a_queue_s_encryption_and_its_users(stack: Any) -> None:
    old = {
        "KmsMasterKeyId": KEY,
        "KmsDataKeyReusePeriodSeconds": "600",
        "RedriveAllowPolicy": {"redrivePermission": "denyAll"},
    }
    queue = stack.create("SQS::Queue", old)
    found = queue_attributes(stack, queue.physical_id)
    assert (found["KmsMasterKeyId"], found["KmsDataKeyReusePeriodSeconds"]) == (KEY, "600")
    assert json.loads(found["RedriveAllowPolicy"]) == {"redrivePermission": "denyAll"}

    stack.update("SQS::Queue", queue, old, {"SqsManagedSseEnabled": "true"})

    found = queue_attributes(stack, queue.physical_id)
    assert found["SqsManagedSseEnabled"] == "true"
    assert not found.get("KmsMasterKeyId")
    assert not found.get("RedriveAllowPolicy")


def test_a_fifo_queue_s_throughput(stack: Any) -> None:
    old = {
        "FifoQueue": True,
        "DeduplicationScope": "messageGroup",
        "FifoThroughputLimit": "perMessageGroupId",
    }
    queue = stack.create("SQS::Queue", old)
    found = queue_attributes(stack, queue.physical_id)
    assert (found["DeduplicationScope"], found["FifoThroughputLimit"]) == (
        "messageGroup",
        "perMessageGroupId",
    )

    stack.update("SQS::Queue", queue, old, {"FifoQueue": True})

    found = queue_attributes(stack, queue.physical_id)
    assert (found["DeduplicationScope"], found["FifoThroughputLimit"]) == ("queue", "perQueue")


def test_a_topic_s_encryption(stack: Any) -> None:
    topic = stack.create("SNS::Topic", {"KmsMasterKeyId": KEY})

    found = stack.client("sns").get_topic_attributes(TopicArn=topic.physical_id)["Attributes"]
    assert found["KmsMasterKeyId"] == KEY


def test_a_subscription_s_filter_can_go(stack: Any) -> None:
    topic = stack.create("SNS::Topic", {})
    target = stack.create("SQS::Queue", {})
    basis = {"TopicArn": topic.physical_id, "Protocol": "sqs", "Endpoint": target.attributes["Arn"]}
    old = {
        **basis,
        "FilterPolicy": {"kind": ["order"]},
        "FilterPolicyScope": "MessageBody",
        "RedrivePolicy": {"deadLetterTargetArn": target.attributes["Arn"]},
    }
    made = stack.create("SNS::Subscription", old)

    stack.update("SNS::Subscription", made, old, basis)

    found = stack.client("sns").get_subscription_attributes(SubscriptionArn=made.physical_id)["Attributes"]
    assert not json.loads(found.get("FilterPolicy") or "{}")
    assert not json.loads(found.get("RedrivePolicy") or "{}")
    assert found.get("FilterPolicyScope", "MessageAttributes") == "MessageAttributes"


def test_a_table_s_encryption_backups_and_stream_change(stack: Any) -> None:
    basis = {
        "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}],
        "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}],
        "BillingMode": "PAY_PER_REQUEST",
    }
    key = stack.create("KMS::Key", {}).attributes["Arn"]
    old = {
        **basis,
        "SSESpecification": {"SSEEnabled": True, "SSEType": "KMS", "KMSMasterKeyId": key},
        "StreamSpecification": {"StreamViewType": "KEYS_ONLY"},
        "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": "true"},
    }
    table = stack.create("DynamoDB::Table", old)
    tables = stack.client("dynamodb")
    found = tables.describe_table(TableName=table.physical_id)["Table"]
    assert found["SSEDescription"]["KMSMasterKeyArn"] == key

    new = {**basis, "SSESpecification": old["SSESpecification"]}
    after = stack.update("DynamoDB::Table", table, old, new)

    found = tables.describe_table(TableName=table.physical_id)["Table"]
    assert not found.get("StreamSpecification", {}).get("StreamEnabled")
    assert "StreamArn" in table.attributes
    assert "StreamArn" not in after.attributes
    backups = tables.describe_continuous_backups(TableName=table.physical_id)
    recovery = backups["ContinuousBackupsDescription"]["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "DISABLED"
    with pytest.raises(ResourceFailed, match="NotEmulated: another stream of a table"):
        stack.update("DynamoDB::Table", table, new, old)


def test_an_alarm_s_percentile(stack: Any) -> None:
    alarm = stack.create(
        "CloudWatch::Alarm",
        {
            "Namespace": "AWS/Lambda",
            "MetricName": "Duration",
            "ExtendedStatistic": "p99",
            "EvaluateLowSampleCountPercentile": "ignore",
            "Unit": "Milliseconds",
            "Period": 60,
            "EvaluationPeriods": 1,
            "Threshold": "100.5",
            "ComparisonOperator": "GreaterThanThreshold",
            "InsufficientDataActions": ["arn:aws:sns:eu-north-1:111122223333:pages"],
        },
    )

    found = stack.client("cloudwatch").describe_alarms(AlarmNames=[alarm.physical_id])["MetricAlarms"][0]
    assert (found["ExtendedStatistic"], found["EvaluateLowSampleCountPercentile"]) == ("p99", "ignore")
    assert (found["Unit"], found["Threshold"]) == ("Milliseconds", 100.5)
    assert found["InsufficientDataActions"] == ["arn:aws:sns:eu-north-1:111122223333:pages"]


def test_a_parameter_s_data_type(stack: Any) -> None:
    made = stack.create("SSM::Parameter", {"Type": "StringList", "Value": "a,b", "DataType": "text"})

    found = stack.client("ssm").get_parameter(Name=made.physical_id)["Parameter"]
    assert (found["Type"], found["Value"], found["DataType"]) == ("StringList", "a,b", "text")


def test_a_secret_s_replicas_and_key(stack: Any) -> None:
    old = {"SecretString": "x", "KmsKeyId": KEY, "ReplicaRegions": [{"Region": "eu-west-1"}]}
    made = stack.create("SecretsManager::Secret", old)
    secrets = stack.client("secretsmanager")
    found = secrets.describe_secret(SecretId=made.physical_id)
    assert found["KmsKeyId"] == KEY
    assert [entry["Region"] for entry in found["ReplicationStatus"]] == ["eu-west-1"]

    stack.update("SecretsManager::Secret", made, old, {"SecretString": "x", "KmsKeyId": KEY})

    assert not secrets.describe_secret(SecretId=made.physical_id).get("ReplicationStatus")


def test_a_key_s_kind(stack: Any) -> None:
    made = stack.create("KMS::Key", {"KeySpec": "RSA_2048", "KeyUsage": "SIGN_VERIFY", "MultiRegion": "true"})

    found = stack.client("kms").describe_key(KeyId=made.physical_id)["KeyMetadata"]
    assert (found["KeySpec"], found["KeyUsage"], found["MultiRegion"]) == ("RSA_2048", "SIGN_VERIFY", True)


def test_a_bus_s_description_and_policy(stack: Any) -> None:
    statement = {
        "Sid": "other",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::444455556666:root"},
        "Action": "events:PutEvents",
        "Resource": "arn:aws:events:eu-north-1:111122223333:event-bus/shop",
    }
    policy = {"Version": "2012-10-17", "Statement": [statement]}
    made = stack.create("Events::EventBus", {"Name": "shop", "Description": "orders", "Policy": policy})

    found = stack.client("events").describe_event_bus(Name="shop")
    assert made.attributes["Name"] == "shop"
    assert found["Description"] == "orders"
    assert json.loads(found["Policy"])["Statement"][0]["Sid"] == "other"


def test_a_metric_filter_s_dimensions_and_unit(stack: Any) -> None:
    stack.create("Logs::LogGroup", {"LogGroupName": "orders"})
    transformation = {
        "MetricName": "latency",
        "MetricNamespace": "shop",
        "MetricValue": "$.ms",
        "Unit": "Milliseconds",
        "Dimensions": [{"Key": "route", "Value": "$.route"}],
    }
    stack.create(
        "Logs::MetricFilter",
        {
            "LogGroupName": "orders",
            "FilterName": "latency",
            "FilterPattern": '{ $.ms = "*" }',
            "MetricTransformations": [transformation],
        },
    )

    found = stack.client("logs").describe_metric_filters(logGroupName="orders")["metricFilters"][0]
    made = found["metricTransformations"][0]
    assert (made["unit"], made["dimensions"]) == ("Milliseconds", {"route": "$.route"})


def test_where_a_log_group_s_events_go(stack: Any) -> None:
    stack.create("Logs::LogGroup", {"LogGroupName": "orders"})
    stream = stack.create("Kinesis::Stream", {})
    role = stack.role(service="logs.amazonaws.com")
    old = {
        "LogGroupName": "orders",
        "FilterPattern": "ERROR",
        "DestinationArn": stream.attributes["Arn"],
        "RoleArn": role,
    }
    made = stack.create("Logs::SubscriptionFilter", old, "Forward")
    stack.update("Logs::SubscriptionFilter", made, old, {**old, "FilterPattern": "FATAL"})

    logs = stack.client("logs")
    found = logs.describe_subscription_filters(logGroupName="orders")["subscriptionFilters"]
    assert [(entry["filterName"], entry["filterPattern"]) for entry in found] == [(made.physical_id, "FATAL")]
    assert (found[0]["destinationArn"], found[0]["roleArn"]) == (stream.attributes["Arn"], role)
    stack.delete("Logs::SubscriptionFilter", made, old)


def test_the_rest_of_a_rest_api(stack: Any) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Principal": "*", "Action": "execute-api:Invoke", "Resource": "*"}],
    }
    old = {
        "Name": "shop",
        "ApiKeySourceType": "AUTHORIZER",
        "MinimumCompressionSize": "100",
        "DisableExecuteApiEndpoint": "true",
        "Policy": policy,
        "Version": "7",
    }
    api = stack.create("ApiGateway::RestApi", old)
    apis = stack.client("apigateway")
    found = apis.get_rest_api(restApiId=api.physical_id)
    assert (found["apiKeySource"], found["minimumCompressionSize"]) == ("AUTHORIZER", 100)
    assert found["disableExecuteApiEndpoint"] is True
    assert json.loads(found["policy"]) == policy

    stack.update("ApiGateway::RestApi", api, old, {"Name": "shop"})

    found = apis.get_rest_api(restApiId=api.physical_id)
    assert found.get("apiKeySource", "HEADER") == "HEADER"
    assert not found.get("minimumCompressionSize")
    assert not found.get("disableExecuteApiEndpoint")
    assert not found.get("policy")


def test_an_import_parameter_places_the_endpoint(stack: Any) -> None:
    body = {"openapi": "3.0.1", "info": {"title": "shop", "version": "1"}, "paths": {}}
    parameters = {"endpointConfigurationTypes": "REGIONAL"}
    api = stack.create("ApiGateway::RestApi", {"Body": body, "Parameters": parameters})

    found = stack.client("apigateway").get_rest_api(restApiId=api.physical_id)
    assert found["endpointConfiguration"]["types"] == ["REGIONAL"]


def test_a_layer_says_what_it_is_for(stack: Any) -> None:
    stack.create("S3::Bucket", {"BucketName": "layers"})
    archive = b"PK\x05\x06" + bytes(18)
    stack.client("s3").put_object(Bucket="layers", Key="layer.zip", Body=archive)
    layer = stack.create(
        "Lambda::LayerVersion",
        {
            "LayerName": "shared",
            "Description": "helpers",
            "LicenseInfo": "MIT",
            "CompatibleRuntimes": ["python3.12"],
            "CompatibleArchitectures": ["x86_64"],
            "Content": {"S3Bucket": "layers", "S3Key": "layer.zip"},
        },
    )

    found = stack.client("lambda").get_layer_version(LayerName="shared", VersionNumber=1)
    assert found["LayerVersionArn"] == layer.physical_id
    assert (found["Description"], found["LicenseInfo"]) == ("helpers", "MIT")
    assert (found["CompatibleRuntimes"], found["CompatibleArchitectures"]) == (["python3.12"], ["x86_64"])

    permission = {
        "LayerVersionArn": layer.physical_id,
        "Action": "lambda:GetLayerVersion",
        "Principal": "444455556666",
    }
    made = stack.create("Lambda::LayerVersionPermission", permission)
    policy = stack.client("lambda").get_layer_version_policy(LayerName="shared", VersionNumber=1)["Policy"]
    assert json.loads(policy)["Statement"][0]["Action"] == "lambda:GetLayerVersion"
    stack.delete("Lambda::LayerVersionPermission", made, permission)


def test_a_managed_policy_s_path_and_description(stack: Any) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}],
    }
    made = stack.create(
        "IAM::ManagedPolicy",
        {
            "ManagedPolicyName": "read",
            "Path": "/team/",
            "Description": "reads",
            "PolicyDocument": document,
        },
    )

    found = stack.client("iam").get_policy(PolicyArn=made.physical_id)["Policy"]
    assert made.physical_id == "arn:aws:iam::111122223333:policy/team/read"
    assert found["Description"] == "reads"


def test_a_bucket_with_locked_objects_and_an_acl(stack: Any) -> None:
    bucket = stack.create(
        "S3::Bucket",
        {
            "ObjectLockEnabled": "true",
            "ObjectLockConfiguration": {
                "ObjectLockEnabled": "Enabled",
                "Rule": {"DefaultRetention": {"Mode": "GOVERNANCE", "Days": "1"}},
            },
            "OwnershipControls": {"Rules": [{"ObjectOwnership": "BucketOwnerPreferred"}]},
            "AccessControl": "LogDeliveryWrite",
        },
    )

    s3 = stack.client("s3")
    lock = s3.get_object_lock_configuration(Bucket=bucket.physical_id)["ObjectLockConfiguration"]
    retention = lock["Rule"]["DefaultRetention"]
    assert (retention["Mode"], retention["Days"]) == ("GOVERNANCE", 1)
    grants = s3.get_bucket_acl(Bucket=bucket.physical_id)["Grants"]
    assert any("LogDelivery" in grant["Grantee"].get("URI", "") for grant in grants)


@pytest.mark.parametrize(
    ("kind", "properties", "message"),
    [
        ("SQS::Queue", {"RedrivePolicy": {"maxReceiveCount": 3}}, "deadLetterTargetArn"),
        ("Logs::LogGroup", {"RetentionInDays": "soon"}, "soon"),
        ("Lambda::LayerVersion", {"Content": {"S3Bucket": "nowhere", "S3Key": "none"}}, "NoSuchBucket"),
        (
            "IAM::Role",
            {"AssumeRolePolicyDocument": TRUST, "ManagedPolicyArns": ["arn:aws:iam::aws:policy/No"]},
            "does not exist or is not attachable",
        ),
        (
            "Events::Rule",
            {"ScheduleExpression": "rate(1 hour)", "Targets": [{"Id": "1", "Arn": "nobody"}]},
            "nobody",
        ),
    ],
)
def test_what_can_not_be_made_leaves_nothing(
    stack: Any, kind: str, properties: dict[str, Any], message: str
) -> None:
    with pytest.raises((ClientError, ResourceFailed), match=message):
        stack.create(kind, properties)

    assert stack.client("sqs").list_queues().get("QueueUrls", []) == []
    assert stack.client("sns").list_topics()["Topics"] == []
    assert stack.client("logs").describe_log_groups()["logGroups"] == []
    assert stack.client("iam").list_roles()["Roles"] == []
    assert stack.client("events").list_rules()["Rules"] == []
