"""Roles that a request hands to a service: each needs ``iam:PassRole``.

Source: https://docs.aws.amazon.com/IAM/latest/UserGuide/id_roles_use_passrole.html
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from sandbox.emulator.iam.mapping.model import Asked, Authorisation

# (service, operation) → where the role's ARN stands (``[]``: in each item), and who gets it.
PASSED: Mapping[tuple[str, str], tuple[tuple[str, str], ...]] = {
    ("apigateway", "PutIntegration"): (("credentials", "apigateway.amazonaws.com"),),
    ("apigateway", "CreateAuthorizer"): (("authorizerCredentials", "apigateway.amazonaws.com"),),
    ("apigateway", "UpdateAccount"): (("patchOperations[].value", "apigateway.amazonaws.com"),),
    ("apigateway", "UpdateIntegration"): (("patchOperations[].value", "apigateway.amazonaws.com"),),
    ("apigatewayv2", "CreateIntegration"): (("CredentialsArn", "apigateway.amazonaws.com"),),
    ("apigatewayv2", "UpdateIntegration"): (("CredentialsArn", "apigateway.amazonaws.com"),),
    ("apigatewayv2", "CreateAuthorizer"): (("AuthorizerCredentialsArn", "apigateway.amazonaws.com"),),
    ("apigatewayv2", "UpdateAuthorizer"): (("AuthorizerCredentialsArn", "apigateway.amazonaws.com"),),
    ("cloudformation", "CreateStack"): (("RoleARN", "cloudformation.amazonaws.com"),),
    ("cloudformation", "UpdateStack"): (("RoleARN", "cloudformation.amazonaws.com"),),
    ("cloudformation", "DeleteStack"): (("RoleARN", "cloudformation.amazonaws.com"),),
    ("cloudformation", "CreateChangeSet"): (("RoleARN", "cloudformation.amazonaws.com"),),
    ("cloudformation", "ContinueUpdateRollback"): (("RoleARN", "cloudformation.amazonaws.com"),),
    ("cloudtrail", "CreateTrail"): (("CloudWatchLogsRoleArn", "cloudtrail.amazonaws.com"),),
    ("cloudtrail", "UpdateTrail"): (("CloudWatchLogsRoleArn", "cloudtrail.amazonaws.com"),),
    ("cloudwatch", "PutMetricStream"): (("RoleArn", "streams.metrics.cloudwatch.amazonaws.com"),),
    ("codedeploy", "CreateDeploymentGroup"): (("serviceRoleArn", "codedeploy.amazonaws.com"),),
    ("codedeploy", "UpdateDeploymentGroup"): (("serviceRoleArn", "codedeploy.amazonaws.com"),),
    ("cognito-idp", "CreateUserPool"): (("SmsConfiguration.SnsCallerArn", "cognito-idp.amazonaws.com"),),
    ("cognito-idp", "UpdateUserPool"): (("SmsConfiguration.SnsCallerArn", "cognito-idp.amazonaws.com"),),
    ("events", "PutTargets"): (("Targets[].RoleArn", "events.amazonaws.com"),),
    ("events", "PutRule"): (("RoleArn", "events.amazonaws.com"),),
    ("firehose", "CreateDeliveryStream"): (
        ("KinesisStreamSourceConfiguration.RoleARN", "firehose.amazonaws.com"),
        ("S3DestinationConfiguration.RoleARN", "firehose.amazonaws.com"),
        ("ExtendedS3DestinationConfiguration.RoleARN", "firehose.amazonaws.com"),
        ("HttpEndpointDestinationConfiguration.RoleARN", "firehose.amazonaws.com"),
    ),
    ("firehose", "UpdateDestination"): (
        ("S3DestinationUpdate.RoleARN", "firehose.amazonaws.com"),
        ("ExtendedS3DestinationUpdate.RoleARN", "firehose.amazonaws.com"),
    ),
    ("lambda", "CreateFunction"): (("Role", "lambda.amazonaws.com"),),
    ("lambda", "UpdateFunctionConfiguration"): (("Role", "lambda.amazonaws.com"),),
    ("logs", "PutSubscriptionFilter"): (("roleArn", "logs.amazonaws.com"),),
    ("logs", "PutDestination"): (("roleArn", "logs.amazonaws.com"),),
    ("pipes", "CreatePipe"): (("RoleArn", "pipes.amazonaws.com"),),
    ("pipes", "UpdatePipe"): (("RoleArn", "pipes.amazonaws.com"),),
    ("s3", "PutBucketReplication"): (("ReplicationConfiguration.Role", "s3.amazonaws.com"),),
    ("scheduler", "CreateSchedule"): (("Target.RoleArn", "scheduler.amazonaws.com"),),
    ("scheduler", "UpdateSchedule"): (("Target.RoleArn", "scheduler.amazonaws.com"),),
    ("ssm", "StartAutomationExecution"): (("Parameters.AutomationAssumeRole[]", "ssm.amazonaws.com"),),
    ("stepfunctions", "CreateStateMachine"): (("roleArn", "states.amazonaws.com"),),
    ("stepfunctions", "UpdateStateMachine"): (("roleArn", "states.amazonaws.com"),),
}


def authorisations(asked: Asked) -> Iterator[Authorisation]:
    """One ``iam:PassRole`` for each role in the request, once."""
    seen = set()
    for path, service in PASSED.get((asked.service, asked.operation), ()):
        for arn in _at(asked.params, path.split(".")):
            if ":role/" in arn and arn not in seen:
                seen.add(arn)
                yield Authorisation("iam:PassRole", arn, "", {"iam:PassedToService": service})


def _at(value: Any, path: list[str]) -> Iterator[str]:
    if not path:
        if isinstance(value, str) and value:
            yield value
        return
    if not isinstance(value, Mapping):
        return
    member = value.get(path[0].removesuffix("[]"))
    items = member if path[0].endswith("[]") and isinstance(member, list | tuple) else [member]
    for item in items:
        yield from _at(item, path[1:])
