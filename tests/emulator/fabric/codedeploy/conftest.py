"""An account with CodeDeploy, alarms, and functions that really run."""

from __future__ import annotations

import collections
import json
from typing import Any

import pytest

from sandbox.emulator.fabric.codedeploy import CodeDeploy
from sandbox.emulator.telemetry.service import Telemetry
from tests.emulator.fabric.fakes import create_role
from tests.emulator.functions.conftest import functions, spawner_socket

__all__ = ["functions", "shop", "spawner_socket"]

SHOP = "def handler(event, context): return {version!r}"
HOOK = """
import boto3

def handler(event, context):
    print(sorted(event))
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status={status!r},
    )
"""

SILENT = "def handler(event, context): print('id', event['LifecycleEventHookExecutionId'])"


class Shop:
    """The function ``shop`` with versions 1 and 2; its alias ``live`` points at 1; a group to deploy it."""

    def __init__(self, functions: Any) -> None:
        self.functions, self.account = functions, functions.account
        core = self.account.core
        telemetry = Telemetry(core, functions.service, functions.mailroom, functions.bus)
        for service in (telemetry, CodeDeploy(core, functions.bus)):
            self.account.add(service.handlers())
        self.api = functions.api
        self.client = self.account.client("codedeploy")
        self.alarms = self.account.client("cloudwatch")
        self.role = create_role(self.account, "deployer", "codedeploy.amazonaws.com")
        self._versions()
        self.client.create_application(applicationName="app", computePlatform="Lambda")

    def _versions(self) -> None:
        self.functions.create(SHOP.format(version="old"), name="shop")
        self.api.publish_version(FunctionName="shop")
        self.functions.update_code(SHOP.format(version="new"), name="shop")
        self.api.publish_version(FunctionName="shop")
        self.api.create_alias(FunctionName="shop", Name="live", FunctionVersion="1")

    def group(self, config: str = "AllAtOnce", **settings: Any) -> None:
        events = ["DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST"]
        self.client.create_deployment_group(
            applicationName="app",
            deploymentGroupName="group",
            deploymentConfigName=f"CodeDeployDefault.Lambda{config}",
            **{
                "serviceRoleArn": self.role,
                "autoRollbackConfiguration": {"enabled": True, "events": events},
                **settings,
            },
        )

    def hook(self, name: str, status: str = "Succeeded") -> None:
        iam = self.account.client("iam")
        allow = {
            "Effect": "Allow",
            "Action": "codedeploy:PutLifecycleEventHookExecutionStatus",
            "Resource": "arn:aws:codedeploy:*:*:deploymentgroup:app/*",
        }
        iam.put_role_policy(
            RoleName="fn-role",
            PolicyName="hooks",
            PolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": allow}),
        )
        code = HOOK.format(status=status) if status else SILENT
        self.functions.create(code, name=name, MemorySize=1769)

    def alarm(self, name: str = "errors") -> None:
        self.alarms.put_metric_alarm(
            AlarmName=name,
            Namespace="Shop",
            MetricName="Errors",
            Statistic="Sum",
            Period=60,
            EvaluationPeriods=1,
            Threshold=1.0,
            ComparisonOperator="GreaterThanOrEqualToThreshold",
        )

    def ring(self, name: str = "errors") -> None:
        """Set an alarm off. Without data it goes back soon after the minute is full: that is 40 s away."""
        self.account.advance((80 - self.account.core.clock.now().second) % 60)
        self.alarms.set_alarm_state(AlarmName=name, StateValue="ALARM", StateReason="it is bad")

    def appspec(self, current: str = "1", **hooks: str) -> dict[str, Any]:
        properties = {"Name": "shop", "Alias": "live", "CurrentVersion": current, "TargetVersion": "2"}
        return {
            "version": 0.0,
            "Resources": [{"shop": {"Type": "AWS::Lambda::Function", "Properties": properties}}],
            "Hooks": [{event: function} for event, function in hooks.items()],
        }

    def deploy(self, spec: Any = None, **settings: Any) -> str:
        content = {"content": json.dumps(spec or self.appspec())}
        revision = {"revisionType": "AppSpecContent", "appSpecContent": content}
        made = self.client.create_deployment(
            **{"applicationName": "app", "deploymentGroupName": "group", "revision": revision, **settings}
        )
        self.account.settle(30)
        return str(made["deploymentId"])

    def told(self, deployment_id: str) -> dict[str, Any]:
        found: dict[str, Any] = self.client.get_deployment(deploymentId=deployment_id)["deploymentInfo"]
        return found

    def lifecycle(self, deployment_id: str) -> list[tuple[str, str]]:
        target = self.client.get_deployment_target(deploymentId=deployment_id, targetId="shop")
        events = target["deploymentTarget"]["lambdaTarget"]["lifecycleEvents"]
        return [(event["lifecycleEventName"], event["status"]) for event in events]

    def alias(self) -> tuple[str, dict[str, float]]:
        """The version that ``live`` points at, and the weights of the other."""
        found = self.api.get_alias(FunctionName="shop", Name="live")
        return found["FunctionVersion"], (found.get("RoutingConfig") or {}).get(
            "AdditionalVersionWeights", {}
        )

    def answers(self, count: int) -> dict[str, int]:
        """How many of so many invocations of the alias each version answered."""
        return collections.Counter(
            self.functions.invoke(name="shop", Qualifier="live")["Payload"] for _ in range(count)
        )


@pytest.fixture
def shop(functions: Any) -> Shop:
    return Shop(functions)
