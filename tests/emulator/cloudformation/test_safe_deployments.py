"""An alias whose update CodeDeploy carries out: the stack waits, and comes back when that fails."""

from __future__ import annotations

import collections
from typing import Any

import pytest

from sandbox.emulator.fabric.codedeploy import CodeDeploy
from sandbox.emulator.telemetry.service import Telemetry
from tests.emulator.cloudformation.engine import Engine
from tests.emulator.functions.conftest import functions, spawner_socket

__all__ = ["functions", "spawner_socket"]

SAM = "AWS::Serverless-2016-10-31"
HOOK = """
import boto3

def handler(event, context):
    boto3.client("codedeploy").put_lifecycle_event_hook_execution_status(
        deploymentId=event["DeploymentId"],
        lifecycleEventHookExecutionId=event["LifecycleEventHookExecutionId"],
        status="{status}",
    )
"""


def application(
    answer: str, *, hook: str = "", kind: str = "Canary10Percent5Minutes", **preference: Any
) -> Any:
    """A SAM application that answers ``answer``; ``hook`` is what its hook reports."""
    resources: dict[str, Any] = {
        "Shop": {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "FunctionName": "shop",
                "InlineCode": f"def handler(event, context): return {answer!r}",
                "AutoPublishAlias": "live",
                "DeploymentPreference": {"Type": kind, "Alarms": [{"Ref": "Errors"}], **preference},
            },
        },
        "Errors": {
            "Type": "AWS::CloudWatch::Alarm",
            "Properties": {
                "AlarmName": "errors",
                "Namespace": "Shop",
                "MetricName": "Errors",
                "Statistic": "Sum",
                "Period": 60,
                "EvaluationPeriods": 1,
                "Threshold": 1,
                "ComparisonOperator": "GreaterThanOrEqualToThreshold",
            },
        },
    }
    if hook:
        resources["Shop"]["Properties"]["DeploymentPreference"]["Hooks"] = {"PreTraffic": {"Ref": "Check"}}
        application_name = "${ServerlessDeploymentApplication}"
        group = {"Fn::Sub": f"arn:aws:codedeploy:*:*:deploymentgroup:{application_name}/*"}
        allow = {
            "Effect": "Allow",
            "Action": "codedeploy:PutLifecycleEventHookExecutionStatus",
            "Resource": group,
        }
        resources["Check"] = {
            "Type": "AWS::Serverless::Function",
            "Properties": {
                "FunctionName": "CodeDeployHook_check",
                "InlineCode": HOOK.format(status=hook),
                "MemorySize": 1769,
                "Policies": [{"Version": "2012-10-17", "Statement": [allow]}],
                "DeploymentPreference": {"Enabled": False},
            },
        }
    return {
        "Transform": SAM,
        "Globals": {"Function": {"Runtime": "python3.12", "Handler": "index.handler", "Timeout": 15}},
        "Resources": resources,
    }


class Deploying:
    """Stacks in an account where functions run, alarms ring, and CodeDeploy deploys."""

    def __init__(self, engine: Engine, functions: Any) -> None:
        self.engine, self.functions, self.account = engine, functions, engine.account
        core = self.account.core
        telemetry = Telemetry(core, functions.service, functions.mailroom, functions.bus)
        for service in (telemetry, CodeDeploy(core, functions.bus)):
            self.account.add(service.handlers())
        self.codedeploy = self.account.client("codedeploy")

    def create(self, template: Any) -> None:
        self.engine.create(template, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])
        assert self.engine.status() == "CREATE_COMPLETE", self.engine.reasons()

    def update(self, template: Any) -> None:
        self.engine.update(template, Capabilities=["CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"])

    def ring(self) -> None:
        """Set the alarm off, and let CodeDeploy see it.

        An alarm without data goes back soon after the minute is full; CodeDeploy looks every ten seconds.
        """
        self.account.advance(80 - self.account.core.clock.now().second)
        self.account.client("cloudwatch").set_alarm_state(
            AlarmName="errors", StateValue="ALARM", StateReason="customers complain"
        )
        self.account.advance(30)

    def alias(self) -> tuple[str, dict[str, float]]:
        found = self.functions.api.get_alias(FunctionName="shop", Name="live")
        weights = (found.get("RoutingConfig") or {}).get("AdditionalVersionWeights", {})
        return found["FunctionVersion"], weights

    def answers(self, count: int) -> dict[str, int]:
        """How often the alias gave which answer."""
        found = (self.functions.invoke(name="shop", Qualifier="live") for _ in range(count))
        return collections.Counter(each["Payload"] for each in found)

    def deployments(self) -> list[dict[str, Any]]:
        """Newest first."""
        ids = self.codedeploy.list_deployments()["deployments"]
        return [self.codedeploy.get_deployment(deploymentId=each)["deploymentInfo"] for each in ids]


@pytest.fixture
def deploying(functions: Any, engine: Engine) -> Deploying:
    return Deploying(engine, functions)


def test_a_stack_s_update_waits_for_the_canary(deploying: Deploying) -> None:
    deploying.create(application("old"))
    assert deploying.alias() == ("1", {})
    assert deploying.deployments() == [], "the first version is nobody's to replace"

    deploying.update(application("new"))

    assert deploying.engine.status() == "UPDATE_IN_PROGRESS"
    assert deploying.alias() == ("1", {"2": 0.1})
    answers = deploying.answers(100)
    assert 1 <= answers["new"] <= 35, answers
    deploying.account.advance(301)
    assert deploying.engine.status() == "UPDATE_COMPLETE", deploying.engine.reasons()
    assert deploying.alias() == ("2", {})
    assert deploying.answers(2) == {"new": 2}
    [deployment] = deploying.deployments()
    assert (deployment["status"], deployment["deploymentConfigName"]) == (
        "Succeeded",
        "CodeDeployDefault.LambdaCanary10Percent5Minutes",
    )


def test_an_alarm_takes_alias_and_stack_back(deploying: Deploying) -> None:
    deploying.create(application("old"))
    deploying.update(application("new"))
    deploying.ring()

    assert deploying.engine.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert deploying.alias() == ("1", {})
    assert deploying.answers(2) == {"old": 2}
    back, first = deploying.deployments()
    assert (first["status"], first["errorInformation"]["code"]) == ("Stopped", "ALARM_ACTIVE")
    assert (back["creator"], back["status"]) == ("codeDeployRollback", "Succeeded")
    reason = deploying.engine.reasons()["ShopAliaslive"]
    assert first["deploymentId"] in reason
    assert "Activated alarms: errors" in reason

    deploying.account.client("cloudwatch").set_alarm_state(
        AlarmName="errors", StateValue="OK", StateReason="repaired"
    )
    deploying.update(application("newer"))
    deploying.account.advance(301)
    assert deploying.engine.status() == "UPDATE_COMPLETE", deploying.engine.reasons()
    assert deploying.answers(2) == {"newer": 2}


def test_errors_of_the_new_version_alone_ring_its_alarm(deploying: Deploying) -> None:
    """The alarm watches one version behind the alias, so that the old one's traffic does not dilute it."""

    def template(code: str) -> Any:
        made = application("")
        made["Resources"]["Shop"]["Properties"]["InlineCode"] = code
        version = {"Fn::GetAtt": ["Shop.Version", "Version"]}
        names = {"FunctionName": "shop", "Resource": "shop:live", "ExecutedVersion": version}
        made["Resources"]["Errors"]["Properties"] |= {
            "Namespace": "AWS/Lambda",
            "TreatMissingData": "notBreaching",
            "Dimensions": [{"Name": name, "Value": value} for name, value in names.items()],
        }
        return made

    deploying.create(template("def handler(event, context): return 'old'"))
    deploying.update(template("def handler(event, context): return 1 / 0"))
    assert deploying.alias() == ("1", {"2": 0.1})
    answers = [deploying.functions.invoke(name="shop", Qualifier="live") for _ in range(60)]
    failed = sum("FunctionError" in answer for answer in answers)
    assert 1 <= failed <= 25
    deploying.account.advance(75)

    assert deploying.engine.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert deploying.alias() == ("1", {})
    assert deploying.answers(20) == {"old": 20}


@pytest.mark.parametrize("said", ["Succeeded", "Failed"])
def test_a_hook_decides(deploying: Deploying, said: str) -> None:
    deploying.create(application("old", hook=said, kind="AllAtOnce"))
    deploying.update(application("new", hook=said, kind="AllAtOnce"))

    good = said == "Succeeded"
    assert deploying.engine.status() == ("UPDATE_COMPLETE" if good else "UPDATE_ROLLBACK_COMPLETE"), (
        deploying.engine.reasons()
    )
    assert deploying.answers(2) == ({"new": 2} if good else {"old": 2})
    assert deploying.deployments()[-1]["status"] == ("Succeeded" if good else "Failed")


@pytest.mark.parametrize("back", [True, False])
def test_who_stops_a_deployment_stops_the_update(deploying: Deploying, back: bool) -> None:
    """Where CodeDeploy leaves traffic as it is, the stack's own way back takes the weights away."""
    deploying.create(application("old"))
    if not back:
        [name] = deploying.codedeploy.list_applications()["applications"]
        [group] = deploying.codedeploy.list_deployment_groups(applicationName=name)["deploymentGroups"]
        deploying.codedeploy.update_deployment_group(
            applicationName=name,
            currentDeploymentGroupName=group,
            autoRollbackConfiguration={"enabled": False},
        )
    deploying.update(application("new"))
    [deployment] = deploying.deployments()
    deploying.codedeploy.stop_deployment(deploymentId=deployment["deploymentId"])
    deploying.account.settle()

    assert deploying.engine.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert "MANUAL_STOP" in deploying.engine.reasons()["ShopAliaslive"]
    assert deploying.alias() == ("1", {})
    assert ("rollbackInfo" in deploying.deployments()[-1]) == back


def test_a_failure_behind_the_alias_brings_the_old_version_back_at_once(deploying: Deploying) -> None:
    deploying.create(application("old", kind="AllAtOnce"))
    template = application("new", kind="AllAtOnce")
    bad = {"Action": "lambda:InvokeFunction", "FunctionName": "nobody", "Principal": "s3.amazonaws.com"}
    template["Resources"]["Late"] = {
        "Type": "AWS::Lambda::Permission",
        "DependsOn": "ShopAliaslive",
        "Properties": bad,
    }
    deploying.update(template)

    assert deploying.engine.status() == "UPDATE_ROLLBACK_COMPLETE"
    assert deploying.alias() == ("1", {})
    assert len(deploying.deployments()) == 1


def test_a_way_of_one_s_own_to_move_traffic(deploying: Deploying) -> None:
    written = {"Type": "TimeBasedLinear", "TimeBasedLinear": {"LinearPercentage": 50, "LinearInterval": 3}}

    def template(answer: str) -> Any:
        made = application(answer, kind="half-and-half")
        made["Resources"]["Slowly"] = {
            "Type": "AWS::CodeDeploy::DeploymentConfig",
            "Properties": {
                "ComputePlatform": "Lambda",
                "DeploymentConfigName": "half-and-half",
                "TrafficRoutingConfig": written,
            },
        }
        made["Resources"]["Shop"]["Properties"]["DeploymentPreference"]["Type"] = {"Ref": "Slowly"}
        return made

    deploying.create(template("old"))
    deploying.update(template("new"))
    assert deploying.alias() == ("1", {"2": 0.5})
    deploying.account.advance(181)
    assert (deploying.engine.status(), deploying.alias()) == ("UPDATE_COMPLETE", ("2", {}))
    deploying.engine.delete()
    assert deploying.codedeploy.list_applications()["applications"] == []
    assert "half-and-half" not in deploying.codedeploy.list_deployment_configs()["deploymentConfigsList"]
