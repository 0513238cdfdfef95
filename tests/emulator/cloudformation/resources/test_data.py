"""Tables, streams and log groups that stacks make."""

from __future__ import annotations

from typing import Any

HASH = [{"AttributeName": "pk", "KeyType": "HASH"}]
PK = {"AttributeName": "pk", "AttributeType": "S"}
SK = {"AttributeName": "sk", "AttributeType": "S"}


def index(name: str, attribute: str) -> dict[str, Any]:
    key = [{"AttributeName": attribute, "KeyType": "HASH"}]
    return {"IndexName": name, "KeySchema": key, "Projection": {"ProjectionType": "ALL"}}


def test_a_table_has_its_template_settings(stack: Any) -> None:
    table = stack.create(
        "DynamoDB::Table",
        {
            "AttributeDefinitions": [PK, SK],
            "KeySchema": [*HASH, {"AttributeName": "sk", "KeyType": "RANGE"}],
            "BillingMode": "PAY_PER_REQUEST",
            "GlobalSecondaryIndexes": [index("by-sk", "sk")],
            "StreamSpecification": {"StreamViewType": "NEW_AND_OLD_IMAGES"},
            "SSESpecification": {"SSEEnabled": "true"},
            "TimeToLiveSpecification": {"AttributeName": "expires", "Enabled": "true"},
            "PointInTimeRecoverySpecification": {"PointInTimeRecoveryEnabled": True},
            "DeletionProtectionEnabled": "true",
            "Tags": [{"Key": "team", "Value": "shop"}],
        },
        "OrderTable",
    )

    tables, name = stack.client("dynamodb"), table.physical_id
    found = tables.describe_table(TableName=name)["Table"]
    assert name.startswith("shop-OrderTable-")
    assert table.attributes == {"Arn": found["TableArn"], "StreamArn": found["LatestStreamArn"]}
    assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [entry["IndexName"] for entry in found["GlobalSecondaryIndexes"]] == ["by-sk"]
    assert found["StreamSpecification"]["StreamViewType"] == "NEW_AND_OLD_IMAGES"
    assert found["SSEDescription"]["Status"] == "ENABLED"
    assert found["DeletionProtectionEnabled"] is True
    expiry = tables.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "expires")
    backups = tables.describe_continuous_backups(TableName=name)["ContinuousBackupsDescription"]
    recovery = backups["PointInTimeRecoveryDescription"]
    assert recovery["PointInTimeRecoveryStatus"] == "ENABLED"
    labels = tables.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"]
    assert labels == [{"Key": "team", "Value": "shop"}]


def test_a_provisioned_table_with_a_local_index(stack: Any) -> None:
    local = {**index("by-other", "pk"), "KeySchema": [*HASH, {"AttributeName": "sk", "KeyType": "RANGE"}]}
    table = stack.create(
        "DynamoDB::Table",
        {
            "TableName": "orders",
            "AttributeDefinitions": [PK, SK, {"AttributeName": "range", "AttributeType": "N"}],
            "KeySchema": [*HASH, {"AttributeName": "range", "KeyType": "RANGE"}],
            "ProvisionedThroughput": {"ReadCapacityUnits": "5", "WriteCapacityUnits": 2},
            "LocalSecondaryIndexes": [local],
        },
    )

    found = stack.client("dynamodb").describe_table(TableName="orders")["Table"]
    assert table.physical_id == "orders"
    assert "StreamArn" not in table.attributes
    assert found["ProvisionedThroughput"]["ReadCapacityUnits"] == 5
    assert [entry["IndexName"] for entry in found["LocalSecondaryIndexes"]] == ["by-other"]


def test_a_table_changes_in_place(stack: Any) -> None:
    old = {
        "AttributeDefinitions": [PK, SK],
        "KeySchema": HASH,
        "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
        "GlobalSecondaryIndexes": [
            {
                **index("by-sk", "sk"),
                "ProvisionedThroughput": {"ReadCapacityUnits": 1, "WriteCapacityUnits": 1},
            }
        ],
        "TimeToLiveSpecification": {"AttributeName": "old", "Enabled": True},
        "DeletionProtectionEnabled": True,
        "Tags": [{"Key": "team", "Value": "shop"}],
    }
    new = {
        "AttributeDefinitions": [PK, {"AttributeName": "email", "AttributeType": "S"}],
        "KeySchema": HASH,
        "BillingMode": "PAY_PER_REQUEST",
        "GlobalSecondaryIndexes": [index("by-email", "email")],
        "StreamSpecification": {"StreamViewType": "KEYS_ONLY"},
        "TimeToLiveSpecification": {"AttributeName": "new", "Enabled": True},
    }
    table = stack.create("DynamoDB::Table", old)
    tables, name = stack.client("dynamodb"), table.physical_id
    tables.put_item(TableName=name, Item={"pk": {"S": "1"}, "email": {"S": "ada"}})

    after = stack.update("DynamoDB::Table", table, old, new)

    found = tables.describe_table(TableName=name)["Table"]
    assert after.attributes["StreamArn"] == found["LatestStreamArn"]
    assert found["BillingModeSummary"]["BillingMode"] == "PAY_PER_REQUEST"
    assert [entry["IndexName"] for entry in found["GlobalSecondaryIndexes"]] == ["by-email"]
    assert found["DeletionProtectionEnabled"] is False
    expiry = tables.describe_time_to_live(TableName=name)["TimeToLiveDescription"]
    assert (expiry["TimeToLiveStatus"], expiry["AttributeName"]) == ("ENABLED", "new")
    items = tables.query(
        TableName=name,
        IndexName="by-email",
        KeyConditionExpression="email = :e",
        ExpressionAttributeValues={":e": {"S": "ada"}},
    )["Items"]
    assert [item["pk"] for item in items] == [{"S": "1"}]
    assert tables.list_tags_of_resource(ResourceArn=found["TableArn"])["Tags"] == []

    stack.delete("DynamoDB::Table", table, new)
    assert tables.list_tables()["TableNames"] == []


def test_a_stream(stack: Any) -> None:
    old = {"ShardCount": "1", "RetentionPeriodHours": 48}
    stream = stack.create("Kinesis::Stream", old, "Clicks")

    streams = stack.client("kinesis")
    found = streams.describe_stream_summary(StreamName=stream.physical_id)["StreamDescriptionSummary"]
    assert stream.physical_id.startswith("shop-Clicks-")
    assert stream.attributes == {"Arn": found["StreamARN"]}
    assert (found["OpenShardCount"], found["RetentionPeriodHours"]) == (1, 48)

    new = {"ShardCount": 2, "StreamEncryption": {"EncryptionType": "KMS", "KeyId": "alias/aws/kinesis"}}
    stack.update("Kinesis::Stream", stream, old, new)

    found = streams.describe_stream_summary(StreamName=stream.physical_id)["StreamDescriptionSummary"]
    assert (found["OpenShardCount"], found["RetentionPeriodHours"]) == (2, 24)
    assert found["EncryptionType"] == "KMS"
    stack.delete("Kinesis::Stream", stream, new)
    assert streams.list_streams()["StreamNames"] == []


def test_a_stream_on_demand(stack: Any) -> None:
    stream = stack.create("Kinesis::Stream", {"StreamModeDetails": {"StreamMode": "ON_DEMAND"}})

    found = stack.client("kinesis").describe_stream_summary(StreamName=stream.physical_id)
    assert found["StreamDescriptionSummary"]["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}


def test_a_log_group_keeps_its_events_as_long_as_the_template_says(stack: Any) -> None:
    key = stack.client("kms").create_key()["KeyMetadata"]["Arn"]
    old = {"LogGroupName": "/aws/lambda/orders", "RetentionInDays": "7", "KmsKeyId": key}
    group = stack.create("Logs::LogGroup", old)

    logs = stack.client("logs")
    found = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/orders")["logGroups"][0]
    assert group.physical_id == "/aws/lambda/orders"
    assert group.attributes["Arn"] == found["arn"]
    assert (found["retentionInDays"], found["kmsKeyId"]) == (7, key)
    labels = logs.list_tags_for_resource(resourceArn=found["arn"].removesuffix(":*"))["tags"]
    assert labels["aws:cloudformation:stack-name"] == "shop"

    stack.update("Logs::LogGroup", group, old, {"LogGroupName": "/aws/lambda/orders", "KmsKeyId": key})

    found = logs.describe_log_groups(logGroupNamePrefix="/aws/lambda/orders")["logGroups"][0]
    assert "retentionInDays" not in found
    stack.delete("Logs::LogGroup", group, old)


def test_a_metric_filter(stack: Any) -> None:
    stack.create("Logs::LogGroup", {"LogGroupName": "orders"})
    transformation = {
        "MetricName": "errors",
        "MetricNamespace": "shop",
        "MetricValue": "1",
        "DefaultValue": "0",
    }
    old = {
        "LogGroupName": "orders",
        "FilterPattern": "ERROR",
        "MetricTransformations": [transformation],
    }

    made = stack.create("Logs::MetricFilter", old, "Errors")
    stack.update("Logs::MetricFilter", made, old, {**old, "FilterPattern": "FATAL"})

    logs = stack.client("logs")
    found = logs.describe_metric_filters(logGroupName="orders")["metricFilters"]
    assert made.physical_id.startswith("shop-Errors-")
    assert [(entry["filterName"], entry["filterPattern"]) for entry in found] == [(made.physical_id, "FATAL")]
    assert found[0]["metricTransformations"][0]["metricName"] == "errors"
    assert found[0]["metricTransformations"][0]["defaultValue"] == 0
    stack.delete("Logs::MetricFilter", made, old)
    assert logs.describe_metric_filters(logGroupName="orders")["metricFilters"] == []
