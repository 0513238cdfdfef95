"""Metrics that were put are read with the statistics and the math that CloudWatch has."""

from __future__ import annotations

import datetime as dt
from typing import Any

import pytest
from botocore.exceptions import ClientError


@pytest.mark.parametrize(
    ("statistic", "value"),
    [
        ("Sum", 5050),
        ("Average", 50.5),
        ("SampleCount", 100),
        ("Minimum", 1),
        ("Maximum", 100),
        ("p50", 50),
        ("p99", 99),
        ("p99.9", 100),
        ("tm90", 45.5),
        ("TM(10%:90%)", 50),
        ("PR(:10)", 10),
        ("TC(91:)", 10),
        ("TS(99:100)", 199),
        ("IQM", 50),
    ],
)
def test_statistics(watch: Any, statistic: str, value: float) -> None:
    watch.put("Latency", *range(1, 101))
    found = watch.read(("m", "Shop", "Latency", statistic, {}))["m"]
    assert found == [pytest.approx(value, rel=0.02)]


def test_values_with_counts_and_sets(watch: Any) -> None:
    watch.client.put_metric_data(
        Namespace="Shop",
        MetricData=[
            {"MetricName": "Size", "Values": [1, 10], "Counts": [9, 1], "Unit": "Bytes"},
            {
                "MetricName": "Set",
                "StatisticValues": {"SampleCount": 4, "Sum": 20, "Minimum": 1, "Maximum": 9},
            },
        ],
    )
    assert watch.read(("m", "Shop", "Size", "Sum", {}))["m"] == [19]
    assert watch.read(("m", "Shop", "Size", "p50", {}))["m"] == [1]
    assert watch.read(("m", "Shop", "Set", "Average", {}))["m"] == [5]
    assert watch.read(("m", "Shop", "Set", "Maximum", {}))["m"] == [9]
    found = watch.client.get_metric_statistics(
        Namespace="Shop",
        MetricName="Size",
        StartTime=watch.account.core.clock.now() - dt.timedelta(hours=1),
        EndTime=watch.account.core.clock.now() + dt.timedelta(minutes=1),
        Period=60,
        Statistics=["Sum", "SampleCount"],
        ExtendedStatistics=["p90"],
    )
    [point] = found["Datapoints"]
    assert (point["Sum"], point["SampleCount"], point["Unit"]) == (19, 10, "Bytes")
    assert point["ExtendedStatistics"] == {"p90": 1}


def test_dimensions_make_metrics_of_their_own(watch: Any) -> None:
    watch.put("Orders", 1, Region="north")
    watch.put("Orders", 2, Region="south")
    assert watch.total("Shop", "Orders", Region="north") == 1
    assert watch.total("Shop", "Orders") == 0
    listed = watch.client.list_metrics(Namespace="Shop", Dimensions=[{"Name": "Region"}])["Metrics"]
    assert [each["Dimensions"][0]["Value"] for each in listed] == ["north", "south"]


@pytest.mark.parametrize(
    ("expression", "values"),
    [
        ("100 * e / r", [50, 25]),
        ("SUM(METRICS())", [6, 20]),
        ("MAX([e, r])", [4, 16]),
        ("RATE(r)", [0.2]),
        ("DIFF(e)", [2]),
        ("RUNNING_SUM(e)", [2, 6]),
        ("e > 3", [0, 1]),
        ("IF(e > 3, r, 0)", [0, 16]),
        ("r ^ 0.5", [2, 4]),
        ("-e + 1", [-1, -3]),
        ("CEIL(e / 3)", [1, 2]),
        ("e / PERIOD(e) * 60", [2, 4]),
        ("AVG(r) - r", [6, -6]),
        ("SORT(METRICS(), MAX, DESC, 1)", [4, 16]),
        ("SORT([e, r], AVG, ASC, 1)", [2, 4]),
    ],
)
def test_metric_math(watch: Any, expression: str, values: list[float]) -> None:
    watch.put("Errors", 2)
    watch.put("Requests", 4)
    watch.account.advance(60)
    watch.put("Errors", 4)
    watch.put("Requests", 16)
    found = watch.read(
        ("e", "Shop", "Errors", "Sum", {}), ("r", "Shop", "Requests", "Sum", {}), ("x", expression)
    )
    assert found["x"] == pytest.approx(values)


def test_gaps_can_be_filled(watch: Any) -> None:
    watch.put("Errors", 2)
    watch.account.advance(180)
    watch.put("Errors", 8)
    sources = (("e", "Shop", "Errors", "Sum", {}),)
    assert watch.read(*sources, ("x", "FILL(e, 0)"), back_s=180)["x"][:4] == [2, 0, 0, 8]
    assert watch.read(*sources, ("x", "FILL(e, REPEAT)"), back_s=180)["x"][:4] == [2, 2, 2, 8]
    assert watch.read(*sources, ("x", "FILL(e, LINEAR)"), back_s=180)["x"] == [2, 4, 6, 8]


def test_what_cloudwatch_refuses(watch: Any) -> None:
    with pytest.raises(ClientError, match="The value AWS/ for parameter Namespace is invalid"):
        watch.put("Errors", 1, namespace="AWS/Lambda")
    with pytest.raises(ClientError, match="for parameter Stat is not supported"):
        watch.read(("m", "Shop", "Errors", "p101", {}))
    with pytest.raises(ClientError, match="not unique"):
        watch.read(("m", "Shop", "A", "Sum", {}), ("m", "Shop", "B", "Sum", {}))
    with pytest.raises(ClientError, match="two weeks in the past"):
        watch.client.put_metric_data(
            Namespace="Shop",
            MetricData=[
                {
                    "MetricName": "Old",
                    "Value": 1,
                    "Timestamp": watch.account.core.clock.now() - dt.timedelta(days=15),
                }
            ],
        )


def test_services_report_of_themselves(watch: Any) -> None:
    url = watch.account.client("sqs").create_queue(QueueName="jobs")["QueueUrl"]
    sqs = watch.account.client("sqs")
    for number in range(3):
        sqs.send_message(QueueUrl=url, MessageBody=str(number))
    [message] = sqs.receive_message(QueueUrl=url)["Messages"]
    watch.account.advance(120)
    sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    names = {"QueueName": "jobs"}
    assert watch.total("AWS/SQS", "NumberOfMessagesSent", **names) == 3
    assert watch.total("AWS/SQS", "NumberOfMessagesReceived", **names) == 1
    assert watch.total("AWS/SQS", "NumberOfMessagesDeleted", **names) == 1
    found = watch.read(
        ("v", "AWS/SQS", "ApproximateNumberOfMessagesVisible", "Maximum", names),
        ("a", "AWS/SQS", "ApproximateAgeOfOldestMessage", "Maximum", names),
    )
    assert max(found["v"]) >= 2
    assert 118 < max(found["a"]) < 125

    watch.account.core.timeline.add(
        "invocation",
        "worker",
        account_id=watch.account.core.account_id,
        region=watch.account.core.region,
        outcome="KeyError",
        duration_ms=12.5,
        version="$LATEST",
    )
    assert watch.total("AWS/Lambda", "Errors", FunctionName="worker") == 1
    assert watch.total("AWS/Lambda", "Duration", FunctionName="worker") == 12.5
    assert watch.total("AWS/Lambda", "Invocations") == 1


def told(watch: Any, kind: str, subject: str, outcome: str, **detail: Any) -> None:
    """Something happened in the account."""
    core = watch.account.core
    core.timeline.add(
        kind, subject, account_id=core.account_id, region=core.region, outcome=outcome, **detail
    )


def test_a_stream_reports_what_came_in_and_how_old_it_was(watch: Any) -> None:
    """Source: https://docs.aws.amazon.com/streams/latest/dev/monitoring-with-cloudwatch.html"""
    kinesis = watch.account.client("kinesis")
    kinesis.create_stream(StreamName="orders", ShardCount=1)
    kinesis.put_record(StreamName="orders", Data=b"12345", PartitionKey="key")
    records = [{"Data": b"1", "PartitionKey": "k"} for _ in range(50)]
    kinesis.put_records(StreamName="orders", Records=records)
    arn = "arn:aws:lambda:eu-north-1:111122223333:function:reads"
    told(watch, "delivery", "kinesis:orders", "ok", target=arn, age_ms=1500)

    assert watch.total("AWS/Kinesis", "IncomingRecords", StreamName="orders") == 51
    assert watch.total("AWS/Kinesis", "IncomingBytes", StreamName="orders") == 8 + 50 * 2
    assert watch.total("AWS/Kinesis", "GetRecords.IteratorAgeMilliseconds", StreamName="orders") == 1500
    assert watch.total("AWS/Lambda", "IteratorAge", FunctionName="reads") == 1500


def test_functions_report_how_many_of_them_ran_at_once(watch: Any) -> None:
    ran = {"duration_ms": 5.0, "version": "$LATEST"}
    told(watch, "invocation", "works", "ok", **ran, concurrency=2, account_concurrency=5)
    told(watch, "invocation", "works", "ok", **ran, concurrency=1, account_concurrency=3)

    found = watch.read(
        ("own", "AWS/Lambda", "ConcurrentExecutions", "Maximum", {"FunctionName": "works"}),
        ("all", "AWS/Lambda", "ConcurrentExecutions", "Maximum", {}),
    )
    assert found == {"own": [2], "all": [5]}


def test_a_topic_counts_every_message_of_a_batch(watch: Any) -> None:
    sns = watch.account.client("sns")
    topic = sns.create_topic(Name="news")["TopicArn"]
    sns.publish(TopicArn=topic, Message="one")
    entries = [{"Id": str(number), "Message": "more"} for number in range(4)]
    sns.publish_batch(TopicArn=topic, PublishBatchRequestEntries=entries)

    assert watch.total("AWS/SNS", "NumberOfMessagesPublished", TopicName="news") == 5


def test_what_a_function_could_not_send_on_is_counted_by_its_kind(watch: Any) -> None:
    """Source: https://docs.aws.amazon.com/lambda/latest/dg/monitoring-metrics-types.html"""
    arn = "arn:aws:sqs:eu-north-1:111122223333:gone"
    failed = {"target": arn, "condition": "RetriesExhausted"}
    told(watch, "delivery", "worker", "AccessDenied", **failed)
    told(watch, "delivery", "worker", "AccessDenied", **failed, dead_letter=True)
    told(watch, "delivery", "worker", "ok", **failed, dead_letter=True)

    assert watch.total("AWS/Lambda", "DestinationDeliveryFailures", FunctionName="worker") == 1
    assert watch.total("AWS/Lambda", "DeadLetterErrors", FunctionName="worker") == 1


def test_an_api_reports_how_long_its_integration_took(watch: Any) -> None:
    """Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-metrics-and-dimensions.html"""
    request = {"status": 200, "stage": "prod", "latency_ms": 30}
    told(watch, "delivery", "apigateway:a1", "ok", **request, api_name="Shop", integration_ms=20)
    told(watch, "delivery", "apigateway:a1", "ok", **request, api_name="Shop")

    assert watch.total("AWS/ApiGateway", "Latency", ApiName="Shop") == 60
    assert watch.total("AWS/ApiGateway", "IntegrationLatency", ApiName="Shop", Stage="prod") == 20


def test_a_throttled_table_says_for_what(watch: Any) -> None:
    """Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/metrics-dimensions.html"""
    for operation in ("Query", "PutItem", "PutItem"):
        told(
            watch,
            "api",
            f"dynamodb:{operation}",
            "ProvisionedThroughputExceededException",
            parameters={"TableName": "orders"},
        )

    assert watch.total("AWS/DynamoDB", "ReadThrottleEvents", TableName="orders") == 1
    assert watch.total("AWS/DynamoDB", "WriteThrottleEvents", TableName="orders") == 2
    assert watch.total("AWS/DynamoDB", "ThrottledRequests", TableName="orders", Operation="PutItem") == 2


def test_tables_tell_what_requests_consume_of_them_and_their_indexes(watch: Any) -> None:
    tables = watch.account.client("dynamodb")
    text = [{"AttributeName": name, "AttributeType": "S"} for name in ("pk", "sort", "kind")]
    tables.create_table(
        TableName="orders",
        AttributeDefinitions=text,
        KeySchema=[
            {"AttributeName": "pk", "KeyType": "HASH"},
            {"AttributeName": "sort", "KeyType": "RANGE"},
        ],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "kinds",
                "KeySchema": [{"AttributeName": "kind", "KeyType": "HASH"}],
                "Projection": {"ProjectionType": "KEYS_ONLY"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )

    def consumed(kind: str, **more: str) -> float:
        return float(watch.total("AWS/DynamoDB", f"Consumed{kind}CapacityUnits", TableName="orders", **more))

    key = {"pk": {"S": "a"}, "sort": {"S": "1"}}
    large = {"text": {"S": "x" * 2500}}
    new = {**key, **large, "kind": {"S": "new"}}
    told = tables.put_item(TableName="orders", Item=new, ReturnConsumedCapacity="INDEXES")
    assert told["ConsumedCapacity"] == {
        "TableName": "orders",
        "CapacityUnits": 4,
        "Table": {"CapacityUnits": 3},
        "GlobalSecondaryIndexes": {"kinds": {"CapacityUnits": 1}},
    }
    assert (consumed("Write"), consumed("Write", GlobalSecondaryIndexName="kinds")) == (3, 1)
    # What is taken away is weighed, too.
    tables.put_item(TableName="orders", Item=key)
    assert (consumed("Write"), consumed("Write", GlobalSecondaryIndexName="kinds")) == (6, 2)
    given: dict[str, Any] = {"TableName": "orders", "Key": key, "UpdateExpression": "SET n = :n"}
    tables.update_item(**given, ExpressionAttributeValues={":n": {"N": "1"}})
    with pytest.raises(ClientError, match="ConditionalCheckFailed"):
        tables.put_item(TableName="orders", Item=key, ConditionExpression="attribute_not_exists(pk)")
    assert consumed("Write") == 8
    put = {"TableName": "orders", "Item": {**key, "sort": {"S": "2"}}}
    told = tables.transact_write_items(TransactItems=[{"Put": put}], ReturnConsumedCapacity="TOTAL")
    total = {"TableName": "orders", "CapacityUnits": 2, "WriteCapacityUnits": 2}
    assert told["ConsumedCapacity"] == [total]
    assert consumed("Write") == 10
    for number in range(3, 8):
        tables.put_item(TableName="orders", Item={**key, "sort": {"S": str(number)}, **large})
    tables.get_item(TableName="orders", Key=key)
    tables.get_item(TableName="orders", Key=key, ConsistentRead=True)
    assert consumed("Read") == 1.5
    # Filters hide what a query came by, and do not make it cheaper: 12.5 KB are four units of 4 KB.
    query: dict[str, Any] = {
        "TableName": "orders",
        "KeyConditionExpression": "pk = :a",
        "FilterExpression": "attribute_exists(nothing)",
        "ExpressionAttributeValues": {":a": {"S": "a"}},
    }
    found = tables.query(**query, ReturnConsumedCapacity="TOTAL")
    assert (found["Count"], found["ConsumedCapacity"]["CapacityUnits"]) == (0, 2)
    assert consumed("Read") == 3.5
    tables.scan(TableName="orders", ConsistentRead=True)
    assert consumed("Read") == 7.5
