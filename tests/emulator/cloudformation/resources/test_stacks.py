"""A stack as SAM makes it, from nothing to nothing, through CloudFormation's own API."""

from __future__ import annotations

import io
import zipfile
from typing import Any

import pytest

from sandbox.emulator.cloudformation.service import CloudFormation

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Globals:
  Function:
    Runtime: python3.12
    Handler: app.handler
    CodeUri: s3://code/app.zip
    Timeout: 10
    Tracing: Active
    LoggingConfig: {LogFormat: JSON}
    Environment: {Variables: {TABLE: !Ref Orders, QUEUE: !Ref Jobs}}
    Tags: {team: shop}
Resources:
  Orders:
    Type: AWS::Serverless::SimpleTable
    Properties: {PrimaryKey: {Name: id, Type: String}}
  Failed:
    Type: AWS::SQS::Queue
  Jobs:
    Type: AWS::SQS::Queue
    Properties:
      VisibilityTimeout: 60
      RedrivePolicy: {deadLetterTargetArn: !GetAtt Failed.Arn, maxReceiveCount: 3}
  News:
    Type: AWS::SNS::Topic
  Uploads:
    Type: AWS::S3::Bucket
  Bus:
    Type: AWS::Events::EventBus
    Properties: {Name: shop}
  Shared:
    Type: AWS::Serverless::LayerVersion
    Properties: {ContentUri: s3://code/app.zip, CompatibleRuntimes: [python3.12]}
  Web:
    Type: AWS::Serverless::Function
    Properties:
      Layers: [!Ref Shared]
      Policies:
        - DynamoDBCrudPolicy: {TableName: !Ref Orders}
        - SQSSendMessagePolicy: {QueueName: !GetAtt Jobs.QueueName}
      AutoPublishAlias: live
      FunctionUrlConfig: {AuthType: NONE}
      Events:
        Rest: {Type: Api, Properties: {Path: "/orders/{id}", Method: get}}
        Http: {Type: HttpApi, Properties: {Path: /orders, Method: post}}
  Worker:
    Type: AWS::Serverless::Function
    Properties:
      DeadLetterQueue: {Type: SQS, TargetArn: !GetAtt Failed.Arn}
      EventInvokeConfig:
        MaximumRetryAttempts: 1
        DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt Failed.Arn}}
      Events:
        Queue:
          Type: SQS
          Properties:
            Queue: !GetAtt Jobs.Arn
            FunctionResponseTypes: [ReportBatchItemFailures]
            FilterCriteria: {Filters: [{Pattern: '{"body": {"kind": ["order"]}}'}]}
        Topic: {Type: SNS, Properties: {Topic: !Ref News, FilterPolicy: {kind: [order]}}}
        Bucket: {Type: S3, Properties: {Bucket: !Ref Uploads, Events: "s3:ObjectCreated:*"}}
        Rule:
          Type: EventBridgeRule
          Properties: {EventBusName: !Ref Bus, Pattern: {source: [shop]}}
        Hourly: {Type: Schedule, Properties: {Schedule: rate(1 hour)}}
  WorkerLogs:
    Type: AWS::Logs::LogGroup
    Properties: {LogGroupName: !Sub "/aws/lambda/${Worker}", RetentionInDays: 7}
  Errors:
    Type: AWS::CloudWatch::Alarm
    Properties:
      Namespace: AWS/Lambda
      MetricName: Errors
      Dimensions: [{Name: FunctionName, Value: !Ref Worker}]
      Statistic: Sum
      Period: 60
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanOrEqualToThreshold
      AlarmActions: [!Ref News]
Outputs:
  Rest: {Value: !Sub "https://${ServerlessRestApi}.execute-api.${AWS::Region}.amazonaws.com/Prod"}
  Http: {Value: !GetAtt ServerlessHttpApi.ApiEndpoint}
  Url: {Value: !GetAtt WebUrl.FunctionUrl}
  Alias: {Value: !Ref Web.Alias}
  Version: {Value: !Ref Web.Version}
  Stream: {Value: !GetAtt Bus.Arn}
"""


@pytest.fixture
def formation(stack: Any) -> Any:
    """CloudFormation in front of the account, and code in a bucket for functions."""
    stack.account.add(CloudFormation(stack.account.core).handlers())
    s3 = stack.client("s3")
    s3.create_bucket(Bucket="code", CreateBucketConfiguration={"LocationConstraint": stack.region})
    for key in ("app.zip", "next.zip"):
        made = io.BytesIO()
        with zipfile.ZipFile(made, "w") as packed:
            packed.writestr("app.py", f"# {key}\ndef handler(event, context):\n    return {{}}\n")
        s3.put_object(Bucket="code", Key=key, Body=made.getvalue())
    return stack.client("cloudformation")


def finished(stack: Any, formation: Any, name: str) -> tuple[str, list[str]]:
    """The stack's status once everything is done, and why resources failed."""
    assert stack.account.core.work.settle(60).settled
    status = formation.describe_stacks(StackName=name)["Stacks"][0]["StackStatus"]
    events = formation.describe_stack_events(StackName=name)["StackEvents"]
    failed = [event for event in events if event["ResourceStatus"].endswith("FAILED")]
    return status, [f"{event['LogicalResourceId']}: {event.get('ResourceStatusReason')}" for event in failed]


def test_a_sam_stack_is_made_changed_and_removed(stack: Any, formation: Any) -> None:
    capabilities = ["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"]
    arn = formation.create_stack(StackName="shop", TemplateBody=TEMPLATE, Capabilities=capabilities)[
        "StackId"
    ]

    assert finished(stack, formation, arn) == ("CREATE_COMPLETE", [])

    described = formation.describe_stacks(StackName="shop")["Stacks"][0]["Outputs"]
    outputs = {output["OutputKey"]: output["OutputValue"] for output in described}
    resources = {
        entry["LogicalResourceId"]: entry["PhysicalResourceId"]
        for entry in formation.describe_stack_resources(StackName="shop")["StackResources"]
    }
    functions = stack.client("lambda")
    config = functions.get_function_configuration(FunctionName=resources["Worker"])
    assert config["Environment"]["Variables"] == {"TABLE": resources["Orders"], "QUEUE": resources["Jobs"]}
    assert config["TracingConfig"] == {"Mode": "Active"}
    assert outputs["Alias"].endswith(f"{resources['Web']}:live")
    assert outputs["Version"].endswith(f"{resources['Web']}:1")
    assert outputs["Http"].startswith("https://")
    assert ".lambda-url." in outputs["Url"]
    notified = stack.client("s3").get_bucket_notification_configuration(Bucket=resources["Uploads"])
    assert notified["LambdaFunctionConfigurations"][0]["LambdaFunctionArn"] == config["FunctionArn"]
    mapped = functions.list_event_source_mappings(FunctionName=resources["Worker"])["EventSourceMappings"]
    assert [entry["State"] for entry in mapped] == ["Enabled"]

    changes = {
        "Timeout: 10": "Timeout: 20",
        "RetentionInDays: 7": "RetentionInDays: 14",
        "/orders/{id}": "/baskets/{id}",
        "CodeUri: s3://code/app.zip": "CodeUri: s3://code/next.zip",
    }
    longer = TEMPLATE
    for old, new in changes.items():
        longer = longer.replace(old, new)
    formation.update_stack(StackName="shop", TemplateBody=longer, Capabilities=capabilities)

    assert finished(stack, formation, arn) == ("UPDATE_COMPLETE", [])
    assert functions.get_function_configuration(FunctionName=resources["Worker"])["Timeout"] == 20
    items = stack.client("apigateway").get_resources(restApiId=resources["ServerlessRestApi"])["items"]
    assert {item["path"] for item in items} == {"/", "/baskets", "/baskets/{id}"}
    alias = functions.get_alias(FunctionName=resources["Web"], Name="live")
    assert alias["FunctionVersion"] == "2"

    formation.delete_stack(StackName="shop")

    assert finished(stack, formation, arn) == ("DELETE_COMPLETE", [])
    assert functions.list_functions()["Functions"] == []
    assert stack.client("iam").list_roles()["Roles"] == []
    assert [bucket["Name"] for bucket in stack.client("s3").list_buckets()["Buckets"]] == ["code"]
    assert stack.client("sqs").list_queues().get("QueueUrls", []) == []
    assert stack.client("apigateway").get_rest_apis()["items"] == []
    assert stack.client("apigatewayv2").get_apis()["Items"] == []
    assert stack.client("logs").describe_log_groups()["logGroups"] == []
    assert stack.client("events").list_rules(EventBusName="default")["Rules"] == []
