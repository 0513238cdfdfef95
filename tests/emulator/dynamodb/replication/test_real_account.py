"""One template in two regions: what is written in one fires the function on the other's stream."""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.providers.emulated import EmulatedProvider
from settings import Settings

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Parameters: {Stream: {Type: String, Default: ""}}
Conditions:
  Primary: !Equals [!Ref Stream, ""]
Resources:
  Tickets:
    Type: AWS::DynamoDB::GlobalTable
    Condition: Primary
    Properties:
      TableName: tickets
      BillingMode: PAY_PER_REQUEST
      AttributeDefinitions: [{AttributeName: id, AttributeType: S}]
      KeySchema: [{AttributeName: id, KeyType: HASH}]
      StreamSpecification: {StreamViewType: NEW_AND_OLD_IMAGES}
      Replicas: [{Region: eu-west-1}, {Region: us-east-1}]
  Mails:
    Type: AWS::SQS::Queue
    Properties: {QueueName: mails}
  Mailer:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Policies: [SQSSendMessagePolicy: {QueueName: !GetAtt Mails.QueueName}]
      Environment: {Variables: {QUEUE: !Ref Mails}}
      InlineCode: |
        import boto3, json, os
        queue = boto3.client("sqs")
        def handler(event, context):
            for record in event["Records"]:
                told = {"region": record["awsRegion"], "event": record["eventName"],
                        "new": record["dynamodb"].get("NewImage"), "by": record.get("userIdentity")}
                queue.send_message(QueueUrl=os.environ["QUEUE"], MessageBody=json.dumps(told))
      Events:
        Sold:
          Type: DynamoDB
          Properties:
            Stream: !If [Primary, !GetAtt Tickets.StreamArn, !Ref Stream]
            StartingPosition: TRIM_HORIZON
"""
FIRST, SECOND = "eu-west-1", "us-east-1"


@pytest.fixture(scope="module")
def account() -> Iterator[Any]:
    with EmulatedProvider(Settings().home, say=lambda _text: None) as provider:
        made = provider.open(region=FIRST)
        for region in (FIRST, SECOND):
            deploy(made, region)
        yield made
        made.close()


def deploy(account: Any, region: str) -> None:
    stacks = account.client("cloudformation", region=region)
    stream = []
    if region != FIRST:
        table = account.client("dynamodb", region=region).describe_table(TableName="tickets")["Table"]
        stream = [{"ParameterKey": "Stream", "ParameterValue": table["LatestStreamArn"]}]
    stacks.create_stack(
        StackName="shop",
        TemplateBody=TEMPLATE,
        Parameters=stream,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    assert account.settle(60).settled
    events = stacks.describe_stack_events(StackName="shop")["StackEvents"]
    [stack] = stacks.describe_stacks(StackName="shop")["Stacks"]
    assert stack["StackStatus"] == "CREATE_COMPLETE", [each.get("ResourceStatusReason") for each in events]


def mails(account: Any, region: str) -> list[tuple[str, str, str | None, Any]]:
    """What a region's function was told so far; the messages are taken away."""
    queues = account.client("sqs", region=region)
    url = queues.get_queue_url(QueueName="mails")["QueueUrl"]
    found = []
    while messages := queues.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
        for message in messages:
            queues.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
            told = json.loads(message["Body"])
            found.append(
                (told["region"], told["event"], (told["new"] or {}).get("v", {}).get("S"), told["by"])
            )
    return found


def test_functions_on_both_streams_hear_of_a_write(account: Any) -> None:
    tables = {region: account.client("dynamodb", region=region) for region in (FIRST, SECOND)}
    tables[FIRST].put_item(TableName="tickets", Item={"id": {"S": "1"}, "v": {"S": "sold"}})
    assert account.settle(60).settled
    assert mails(account, FIRST) == [(FIRST, "INSERT", "sold", None)]
    assert mails(account, SECOND) == [(SECOND, "INSERT", "sold", None)]

    tables[SECOND].update_item(
        TableName="tickets",
        Key={"id": {"S": "1"}},
        UpdateExpression="SET v = :v",
        ExpressionAttributeValues={":v": {"S": "mailed"}},
    )
    assert account.settle(60).settled
    tables[FIRST].delete_item(TableName="tickets", Key={"id": {"S": "1"}})
    assert account.settle(60).settled
    for region in (FIRST, SECOND):
        assert mails(account, region) == [(region, "MODIFY", "mailed", None), (region, "REMOVE", None, None)]

    now = account.now()
    found = account.client("cloudwatch", region=FIRST).get_metric_statistics(
        Namespace="AWS/DynamoDB",
        MetricName="ReplicationLatency",
        Dimensions=[
            {"Name": "TableName", "Value": "tickets"},
            {"Name": "ReceivingRegion", "Value": SECOND},
        ],
        StartTime=now - dt.timedelta(minutes=10),
        EndTime=now + dt.timedelta(minutes=1),
        Period=600,
        Statistics=["SampleCount", "Minimum"],
    )["Datapoints"]
    assert sum(point["SampleCount"] for point in found) == 2
    assert min(point["Minimum"] for point in found) >= 1000


def test_both_regions_sell_during_a_cut_and_agree_afterwards(account: Any) -> None:
    tables = {region: account.client("dynamodb", region=region) for region in (FIRST, SECOND)}
    cut = account.begin_fault("cut_replication", {"source": FIRST, "target": SECOND})
    for seller in (FIRST, SECOND):
        tables[seller].put_item(TableName="tickets", Item={"id": {"S": "seat"}, "v": {"S": seller}})
        tables[seller].put_item(TableName="tickets", Item={"id": {"S": seller}, "v": {"S": "own"}})
        assert account.advance(5).settled
    for region in (FIRST, SECOND):
        assert mails(account, region) == [
            (region, "INSERT", region, None),
            (region, "INSERT", "own", None),
        ]

    account.end_fault(cut)
    assert account.settle(60).settled
    for region in (FIRST, SECOND):
        found = tables[region].scan(TableName="tickets", ConsistentRead=True)["Items"]
        held = {item["id"]["S"]: item["v"]["S"] for item in found}
        assert held == {"seat": SECOND, FIRST: "own", SECOND: "own"}
    assert mails(account, FIRST) == [(FIRST, "MODIFY", SECOND, None), (FIRST, "INSERT", "own", None)]
    assert mails(account, SECOND) == [(SECOND, "INSERT", "own", None)]
