"""Alarms, parameters, secrets, keys and state machines that stacks make."""

from __future__ import annotations

import json
from typing import Any

import pytest
from botocore.exceptions import ClientError

from sandbox.emulator.cloudformation.resources.base import ResourceFailed


def test_an_alarm_on_a_metric(stack: Any) -> None:
    topic = stack.create("SNS::Topic", {"TopicName": "pages"})
    old = {
        "AlarmDescription": "too many",
        "Namespace": "AWS/Lambda",
        "MetricName": "Errors",
        "Dimensions": [{"Name": "FunctionName", "Value": "orders"}],
        "Statistic": "Sum",
        "Period": "60",
        "EvaluationPeriods": 3,
        "DatapointsToAlarm": "2",
        "Threshold": "1",
        "ComparisonOperator": "GreaterThanOrEqualToThreshold",
        "TreatMissingData": "notBreaching",
        "AlarmActions": [topic.physical_id],
        "OKActions": [topic.physical_id],
        "Tags": [{"Key": "team", "Value": "shop"}],
    }
    alarm = stack.create("CloudWatch::Alarm", old, "Errors")

    alarms = stack.client("cloudwatch")
    found = alarms.describe_alarms(AlarmNames=[alarm.physical_id])["MetricAlarms"][0]
    assert alarm.physical_id.startswith("shop-Errors-")
    assert alarm.attributes == {"Arn": found["AlarmArn"]}
    assert (found["Period"], found["EvaluationPeriods"], found["DatapointsToAlarm"]) == (60, 3, 2)
    assert (found["Threshold"], found["TreatMissingData"]) == (1.0, "notBreaching")
    assert found["Dimensions"] == [{"Name": "FunctionName", "Value": "orders"}]
    assert (found["AlarmActions"], found["OKActions"]) == ([topic.physical_id], [topic.physical_id])
    assert (found["AlarmDescription"], found["ActionsEnabled"]) == ("too many", True)

    new = {**old, "Threshold": 5, "ActionsEnabled": "false", "Tags": []}
    stack.update("CloudWatch::Alarm", alarm, old, new)

    found = alarms.describe_alarms(AlarmNames=[alarm.physical_id])["MetricAlarms"][0]
    assert (found["Threshold"], found["ActionsEnabled"]) == (5.0, False)
    labels = alarms.list_tags_for_resource(ResourceARN=alarm.attributes["Arn"])["Tags"]
    assert "team" not in {label["Key"] for label in labels}
    stack.delete("CloudWatch::Alarm", alarm, new)
    assert alarms.describe_alarms()["MetricAlarms"] == []


def test_an_alarm_on_an_expression(stack: Any) -> None:
    metric = {
        "Namespace": "AWS/SQS",
        "MetricName": "NumberOfMessagesSent",
        "Dimensions": [{"Name": "QueueName", "Value": "orders"}],
    }
    alarm = stack.create(
        "CloudWatch::Alarm",
        {
            "Metrics": [
                {"Id": "rate", "Expression": "sent / 60", "Label": "Rate", "ReturnData": "true"},
                {
                    "Id": "sent",
                    "MetricStat": {"Metric": metric, "Period": "60", "Stat": "Sum"},
                    "ReturnData": False,
                },
            ],
            "EvaluationPeriods": 1,
            "Threshold": 10,
            "ComparisonOperator": "GreaterThanThreshold",
        },
    )

    found = stack.client("cloudwatch").describe_alarms(AlarmNames=[alarm.physical_id])["MetricAlarms"][0]
    by_id = {entry["Id"]: entry for entry in found["Metrics"]}
    assert (by_id["rate"]["Expression"], by_id["rate"]["ReturnData"]) == ("sent / 60", True)
    assert by_id["sent"]["MetricStat"]["Metric"]["MetricName"] == "NumberOfMessagesSent"
    assert by_id["sent"]["MetricStat"]["Period"] == 60


def test_an_alarm_of_that_name_already_exists(stack: Any) -> None:
    properties = {
        "AlarmName": "errors",
        "Namespace": "shop",
        "MetricName": "errors",
        "Statistic": "Sum",
        "Period": 60,
        "EvaluationPeriods": 1,
        "Threshold": 1,
        "ComparisonOperator": "GreaterThanThreshold",
    }
    stack.create("CloudWatch::Alarm", properties)

    with pytest.raises(ResourceFailed, match="already exists"):
        stack.create("CloudWatch::Alarm", properties)


def test_a_dashboard(stack: Any) -> None:
    body = {"widgets": []}
    old = {"DashboardName": "shop", "DashboardBody": json.dumps(body)}
    board = stack.create("CloudWatch::Dashboard", old)
    new = {**old, "DashboardBody": json.dumps({"widgets": [], "start": "-PT1H"})}
    stack.update("CloudWatch::Dashboard", board, old, new)

    boards = stack.client("cloudwatch")
    found = json.loads(boards.get_dashboard(DashboardName="shop")["DashboardBody"])
    assert (board.physical_id, found["start"]) == ("shop", "-PT1H")
    stack.delete("CloudWatch::Dashboard", board, new)
    assert boards.list_dashboards()["DashboardEntries"] == []


def test_a_parameter(stack: Any) -> None:
    old = {
        "Name": "/shop/limit",
        "Type": "String",
        "Value": "10",
        "Description": "most",
        "AllowedPattern": "[0-9]+",
        "Tier": "Advanced",
        "Tags": {"team": "shop"},
    }
    parameter = stack.create("SSM::Parameter", old)

    parameters = stack.client("ssm")
    found = parameters.get_parameter(Name="/shop/limit")["Parameter"]
    described = parameters.describe_parameters()["Parameters"][0]
    assert parameter.physical_id == "/shop/limit"
    assert parameter.attributes == {"Arn": found["ARN"], "Type": "String", "Value": "10"}
    assert (described["Description"], described["AllowedPattern"]) == ("most", "[0-9]+")
    assert described["Tier"] == "Advanced"

    after = stack.update(
        "SSM::Parameter", parameter, old, {"Name": "/shop/limit", "Type": "String", "Value": "20"}
    )

    assert parameters.get_parameter(Name="/shop/limit")["Parameter"]["Value"] == "20"
    assert after.attributes["Value"] == "20"
    labels = parameters.list_tags_for_resource(ResourceType="Parameter", ResourceId="/shop/limit")["TagList"]
    assert "team" not in {label["Key"] for label in labels}
    with pytest.raises(ClientError, match="already exists"):
        stack.create("SSM::Parameter", old)
    stack.delete("SSM::Parameter", parameter, old)


def test_a_secret_of_the_template(stack: Any) -> None:
    old = {"Name": "shop/key", "SecretString": "open sesame", "Tags": [{"Key": "team", "Value": "shop"}]}
    secret = stack.create("SecretsManager::Secret", old)

    secrets = stack.client("secretsmanager")
    described = secrets.describe_secret(SecretId="shop/key")
    assert secret.physical_id == described["ARN"]
    assert secret.attributes == {"Id": described["ARN"]}

    new = {"Name": "shop/key", "SecretString": "close sesame", "Description": "opens"}
    stack.update("SecretsManager::Secret", secret, old, new)

    described = secrets.describe_secret(SecretId="shop/key")
    assert secrets.get_secret_value(SecretId="shop/key")["SecretString"] == "close sesame"
    assert described["Description"] == "opens"
    assert "team" not in {label["Key"] for label in described["Tags"]}
    stack.delete("SecretsManager::Secret", secret, new)
    stack.create("SecretsManager::Secret", new)


def test_a_secret_made_up_as_the_template_asks(stack: Any) -> None:
    secret = stack.create(
        "SecretsManager::Secret",
        {
            "GenerateSecretString": {
                "SecretStringTemplate": '{"user": "ada"}',
                "GenerateStringKey": "password",
                "PasswordLength": "24",
                "ExcludePunctuation": "true",
            }
        },
    )

    found = stack.client("secretsmanager").get_secret_value(SecretId=secret.physical_id)["SecretString"]
    content = json.loads(found)
    assert content["user"] == "ada"
    assert len(content["password"]) == 24
    assert content["password"].isalnum()


def test_a_key_and_an_alias_of_it(stack: Any) -> None:
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Sid": "Owner",
                "Effect": "Allow",
                "Principal": {"AWS": "arn:aws:iam::111122223333:root"},
                "Action": "kms:*",
                "Resource": "*",
            }
        ],
    }
    old = {
        "Description": "orders",
        "EnableKeyRotation": "true",
        "KeyPolicy": policy,
        "PendingWindowInDays": "7",
        "Tags": [{"Key": "team", "Value": "shop"}],
    }
    key = stack.create("KMS::Key", old)
    alias = stack.create("KMS::Alias", {"AliasName": "alias/orders", "TargetKeyId": key.physical_id})

    keys = stack.client("kms")
    described = keys.describe_key(KeyId="alias/orders")["KeyMetadata"]
    assert alias.physical_id == "alias/orders"
    assert key.attributes == {"Arn": described["Arn"], "KeyId": described["KeyId"]}
    assert (described["Description"], described["Enabled"]) == ("orders", True)
    assert keys.get_key_rotation_status(KeyId=key.physical_id)["KeyRotationEnabled"] is True
    found = json.loads(keys.get_key_policy(KeyId=key.physical_id, PolicyName="default")["Policy"])
    assert found["Statement"][0]["Sid"] == "Owner"

    new = {"Enabled": "false", "KeyPolicy": policy, "PendingWindowInDays": 7}
    stack.update("KMS::Key", key, old, new)

    described = keys.describe_key(KeyId=key.physical_id)["KeyMetadata"]
    assert (described["Description"], described["Enabled"]) == ("", False)
    assert keys.get_key_rotation_status(KeyId=key.physical_id)["KeyRotationEnabled"] is False
    assert not keys.list_resource_tags(KeyId=key.physical_id).get("Tags")
    stack.delete("KMS::Alias", alias, {"AliasName": "alias/orders", "TargetKeyId": key.physical_id})
    stack.delete("KMS::Key", key, new)
    assert keys.describe_key(KeyId=key.physical_id)["KeyMetadata"]["KeyState"] == "PendingDeletion"


def test_a_state_machine_with_its_placeholders_filled(stack: Any) -> None:
    role = stack.role(service="states.amazonaws.com")
    group = stack.create("Logs::LogGroup", {"LogGroupName": "machines"})
    definition = {
        "StartAt": "Call",
        "States": {"Call": {"Type": "Task", "Resource": "${Function}", "End": True}},
    }
    old = {
        "RoleArn": role,
        "Definition": definition,
        "DefinitionSubstitutions": {"Function": "arn:aws:lambda:eu-north-1:111122223333:function:orders"},
        "StateMachineType": "EXPRESS",
        "LoggingConfiguration": {
            "Level": "ALL",
            "IncludeExecutionData": "true",
            "Destinations": [{"CloudWatchLogsLogGroup": {"LogGroupArn": group.attributes["Arn"]}}],
        },
        "TracingConfiguration": {"Enabled": "true"},
        "Tags": [{"Key": "team", "Value": "shop"}],
    }
    machine = stack.create("StepFunctions::StateMachine", old, "Orders")

    machines = stack.client("stepfunctions")
    found = machines.describe_state_machine(stateMachineArn=machine.physical_id)
    assert machine.attributes["Arn"] == machine.physical_id
    assert machine.attributes["Name"].startswith("shop-Orders-")
    assert found["type"] == "EXPRESS"
    resource = json.loads(found["definition"])["States"]["Call"]["Resource"]
    assert resource == "arn:aws:lambda:eu-north-1:111122223333:function:orders"
    assert found["loggingConfiguration"]["level"] == "ALL"
    assert found["loggingConfiguration"]["includeExecutionData"] is True
    assert found["tracingConfiguration"] == {"enabled": True}

    new = {
        "RoleArn": role,
        "DefinitionString": json.dumps({"StartAt": "End", "States": {"End": {"Type": "Succeed"}}}),
        "StateMachineType": "EXPRESS",
    }
    stack.update("StepFunctions::StateMachine", machine, old, new)

    found = machines.describe_state_machine(stateMachineArn=machine.physical_id)
    assert json.loads(found["definition"])["StartAt"] == "End"
    assert found["tracingConfiguration"] == {"enabled": False}
    labels = machines.list_tags_for_resource(resourceArn=machine.physical_id)["tags"]
    assert "team" not in {label["key"] for label in labels}
    stack.delete("StepFunctions::StateMachine", machine, new)


def test_a_state_machine_of_a_file_in_yaml(stack: Any) -> None:
    stack.create("S3::Bucket", {"BucketName": "files"})
    source = "Comment: to ${Who}\nStartAt: Greet\nStates:\n  Greet:\n    Type: Pass\n    End: true\n"
    files = {"m.yaml": source, "bad.yaml": "a: ["}
    for key, body in files.items():
        stack.client("s3").put_object(Bucket="files", Key=key, Body=body.encode())
    role = stack.role(service="states.amazonaws.com")

    def made(key: str) -> Any:
        where = {"Bucket": "files", "Key": key}
        given = {"RoleArn": role, "DefinitionS3Location": where, "DefinitionSubstitutions": {"Who": "Ann"}}
        return stack.create("StepFunctions::StateMachine", given)

    machine = made("m.yaml")
    told = stack.client("stepfunctions").describe_state_machine(stateMachineArn=machine.physical_id)
    assert json.loads(told["definition"])["Comment"] == "to Ann"
    with pytest.raises(ResourceFailed, match="neither JSON nor YAML"):
        made("bad.yaml")
