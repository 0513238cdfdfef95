"""A stack whose secret is rotated by a function that really runs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from sandbox.providers.emulated import EmulatedProvider
from settings import Settings

TEMPLATE = """
Transform: AWS::Serverless-2016-10-31
Resources:
  Password:
    Type: AWS::SecretsManager::Secret
    Properties: {Name: db, SecretString: first}
  Rotate:
    Type: AWS::Serverless::Function
    Properties:
      Runtime: python3.12
      Handler: index.handler
      Policies: [AWSSecretsManagerRotationPolicy: {FunctionName: rotate}]
      FunctionName: rotate
      InlineCode: |
        import boto3
        api = boto3.client("secretsmanager")
        def handler(event, context):
            arn, token = event["SecretId"], event["ClientRequestToken"]
            versions = api.describe_secret(SecretId=arn)["VersionIdsToStages"]
            if event["Step"] == "createSecret":
                value = f"number {len(versions)}"
                api.put_secret_value(SecretId=arn, ClientRequestToken=token, SecretString=value,
                                     VersionStages=["AWSPENDING"])
            if event["Step"] == "finishSecret":
                current = next(each for each in versions if "AWSCURRENT" in versions[each])
                api.update_secret_version_stage(SecretId=arn, VersionStage="AWSCURRENT",
                                                MoveToVersionId=token, RemoveFromVersionId=current)
  Permission:
    Type: AWS::Lambda::Permission
    Properties:
      FunctionName: !Ref Rotate
      Action: lambda:InvokeFunction
      Principal: secretsmanager.amazonaws.com
  Schedule:
    Type: AWS::SecretsManager::RotationSchedule
    DependsOn: Permission
    Properties:
      SecretId: !Ref Password
      RotationLambdaARN: !GetAtt Rotate.Arn
      RotationRules: {ScheduleExpression: rate(30 days), Duration: 2h}
"""


@pytest.fixture(scope="module")
def account() -> Iterator[Any]:
    with EmulatedProvider(Settings().home, say=lambda _text: None) as provider:
        made = provider.open()
        yield made
        made.close()


def deploy(account: Any, call: str, template: str) -> Any:
    stacks = account.client("cloudformation")
    getattr(stacks, call)(
        StackName="shop",
        TemplateBody=template,
        Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"],
    )
    assert account.settle(60).settled
    events = stacks.describe_stack_events(StackName="shop")["StackEvents"]
    [stack] = stacks.describe_stacks(StackName="shop")["Stacks"]
    return stack["StackStatus"], [event.get("ResourceStatusReason") for event in events]


def test_a_stack_rotates_its_secret_month_by_month(account: Any) -> None:
    status, why = deploy(account, "create_stack", TEMPLATE)
    assert status == "CREATE_COMPLETE", why
    secrets = account.client("secretsmanager")
    assert secrets.get_secret_value(SecretId="db")["SecretString"] == "number 2", account.timeline()[-5:]
    account.advance(61 * 24 * 3600)
    assert secrets.get_secret_value(SecretId="db")["SecretString"] == "number 4"

    _, plain = TEMPLATE.split("  Permission:")
    without = TEMPLATE.replace(f"  Permission:{plain}", "")
    status, why = deploy(account, "update_stack", without)
    assert status == "UPDATE_COMPLETE", why
    assert secrets.describe_secret(SecretId="db")["RotationEnabled"] is False


def test_a_function_that_aws_would_write_is_refused_by_name(account: Any) -> None:
    template = """
Resources:
  Password: {Type: AWS::SecretsManager::Secret, Properties: {SecretString: x}}
  Schedule:
    Type: AWS::SecretsManager::RotationSchedule
    Properties:
      SecretId: !Ref Password
      HostedRotationLambda: {RotationType: MySQLSingleUser}
"""
    stacks = account.client("cloudformation")
    stacks.create_stack(StackName="hosted", TemplateBody=template, OnFailure="DO_NOTHING")
    assert account.settle(60).settled
    events = stacks.describe_stack_events(StackName="hosted")["StackEvents"]
    assert any("HostedRotationLambda" in event.get("ResourceStatusReason", "") for event in events)
