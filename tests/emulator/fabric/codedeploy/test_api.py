"""CodeDeploy's API: what it keeps, and what it refuses."""

from __future__ import annotations

import json
from typing import Any

import botocore.session
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from botocore.parsers import JSONParser, RpcV2CBORParser
from werkzeug.test import Client

from sandbox.emulator.fabric.codedeploy import CodeDeploy
from sandbox.emulator.fabric.codedeploy.appspec import BadAppSpec, read
from sandbox.emulator.fabric.eventbridge.service import EventBridge
from sandbox.emulator.fabric.sqs.service import SqsService
from sandbox.emulator.gateway import cbor
from tests.emulator.fabric.fakes import RecordingFunctions, create_role


class Deploying:
    """CodeDeploy in an account where nothing runs."""

    def __init__(self, account: Any) -> None:
        self.account = account
        queues = SqsService(account.core)
        bus = EventBridge(account.core, RecordingFunctions(), queues.mailroom)
        account.add(CodeDeploy(account.core, bus).handlers())
        self.client = account.client("codedeploy")
        self.role = create_role(account, "deployer", "codedeploy.amazonaws.com")

    def group(self, **settings: Any) -> Any:
        names = {"applicationName": "app", "deploymentGroupName": "group"}
        return self.client.create_deployment_group(**{**names, "serviceRoleArn": self.role, **settings})


@pytest.fixture
def deploying(account: Any) -> Deploying:
    made = Deploying(account)
    made.client.create_application(applicationName="app", computePlatform="Lambda")
    return made


def refused(call: Any, *parameters: Any, **more: Any) -> str:
    with pytest.raises(ClientError) as caught:
        call(*parameters, **more)
    return str(caught.value.response["Error"]["Code"])


def test_every_predefined_way_to_move_traffic_of_functions_is_there(deploying: Deploying) -> None:
    names = deploying.client.list_deployment_configs()["deploymentConfigsList"]
    assert {name.removeprefix("CodeDeployDefault.Lambda") for name in names} == {
        "AllAtOnce",
        *(f"Canary10Percent{minutes}Minutes" for minutes in (5, 10, 15, 30)),
        "Linear10PercentEvery1Minute",
        *(f"Linear10PercentEvery{minutes}Minutes" for minutes in (2, 3, 10)),
    }
    found = deploying.client.get_deployment_config(deploymentConfigName=sorted(names)[1])
    assert found["deploymentConfigInfo"]["trafficRoutingConfig"] == {
        "type": "TimeBasedCanary",
        "timeBasedCanary": {"canaryPercentage": 10, "canaryInterval": 10},
    }


def test_applications_groups_and_configurations_come_and_go(deploying: Deploying) -> None:
    client = deploying.client
    linear = {"type": "TimeBasedLinear", "timeBasedLinear": {"linearPercentage": 20, "linearInterval": 2}}
    own = {"deploymentConfigName": "slow", "computePlatform": "Lambda", "trafficRoutingConfig": linear}
    client.create_deployment_config(**own)
    assert refused(client.create_deployment_config, **own) == "DeploymentConfigAlreadyExistsException"
    deploying.group(deploymentConfigName="slow", tags=[{"Key": "team", "Value": "a"}])
    assert refused(client.delete_deployment_config, deploymentConfigName="slow") == (
        "DeploymentConfigInUseException"
    )

    client.update_application(applicationName="app", newApplicationName="shop")
    client.update_deployment_group(
        applicationName="shop",
        currentDeploymentGroupName="group",
        newDeploymentGroupName="live",
        alarmConfiguration={"enabled": True, "alarms": [{"name": "errors"}]},
    )
    assert client.list_applications()["applications"] == ["shop"]
    assert client.list_deployment_groups(applicationName="shop")["deploymentGroups"] == ["live"]
    found = client.get_deployment_group(applicationName="shop", deploymentGroupName="live")
    told = found["deploymentGroupInfo"]
    assert (told["deploymentConfigName"], told["computePlatform"]) == ("slow", "Lambda")
    assert told["alarmConfiguration"]["alarms"] == [{"name": "errors"}]
    assert told["deploymentStyle"]["deploymentType"] == "BLUE_GREEN"
    where = f"{deploying.account.core.region}:{deploying.account.core.account_id}"
    arn = f"arn:aws:codedeploy:{where}:deploymentgroup:shop/live"
    client.tag_resource(ResourceArn=arn, Tags=[{"Key": "stage", "Value": "b"}])
    client.untag_resource(ResourceArn=arn, TagKeys=["team"])
    assert client.list_tags_for_resource(ResourceArn=arn)["Tags"] == [{"Key": "stage", "Value": "b"}]

    client.delete_application(applicationName="shop")
    assert refused(client.get_application, applicationName="shop") == "ApplicationDoesNotExistException"
    client.delete_deployment_config(deploymentConfigName="slow")


def test_what_is_not_there_is_told_by_its_own_error(deploying: Deploying) -> None:
    client = deploying.client
    group = {"applicationName": "app", "deploymentGroupName": "none"}
    assert refused(client.get_deployment_group, **group) == "DeploymentGroupDoesNotExistException"
    assert refused(client.create_deployment, **group) == "DeploymentGroupDoesNotExistException"
    assert refused(client.get_deployment, deploymentId="d-ABCDEFGHI") == "DeploymentDoesNotExistException"
    assert refused(client.get_deployment, deploymentId="x") == "InvalidDeploymentIdException"
    assert refused(client.stop_deployment, deploymentId="d-ABCDEFGHI") == "DeploymentDoesNotExistException"
    assert refused(client.get_deployment_config, deploymentConfigName="none") == (
        "DeploymentConfigDoesNotExistException"
    )
    assert refused(client.create_application, applicationName="app", computePlatform="Lambda") == (
        "ApplicationAlreadyExistsException"
    )


def test_settings_that_mean_nothing_are_refused(deploying: Deploying) -> None:
    stranger = create_role(deploying.account, "stranger", "lambda.amazonaws.com")
    assert refused(deploying.group, serviceRoleArn=stranger) == "InvalidRoleException"
    in_place = {"deploymentType": "IN_PLACE", "deploymentOption": "WITHOUT_TRAFFIC_CONTROL"}
    assert refused(deploying.group, deploymentStyle=in_place) == "InvalidDeploymentStyleException"
    assert refused(deploying.group, autoRollbackConfiguration={"enabled": True, "events": []}) == (
        "InvalidAutoRollbackConfigException"
    )
    assert refused(deploying.group, autoScalingGroups=["fleet"]) == "InvalidInputException"
    assert refused(deploying.group, deploymentConfigName="none") == "DeploymentConfigDoesNotExistException"
    much = {"type": "TimeBasedCanary", "timeBasedCanary": {"canaryPercentage": 100, "canaryInterval": 1}}
    assert refused(
        deploying.client.create_deployment_config,
        deploymentConfigName="much",
        computePlatform="Lambda",
        trafficRoutingConfig=much,
    ) == ("InvalidTrafficRoutingConfigurationException")
    deploying.group()
    assert refused(
        deploying.client.create_deployment, applicationName="app", deploymentGroupName="group"
    ) == ("RevisionRequiredException")


@pytest.mark.parametrize("platform", ["Server", "ECS"])
def test_servers_and_containers_are_our_gap_and_named_so(deploying: Deploying, platform: str) -> None:
    with pytest.raises(ClientError, match=f"platform {platform} is not emulated.*our gap"):
        deploying.client.create_application(applicationName="other", computePlatform=platform)
    assert [event.outcome for event in deploying.account.events("gap")] == ["NotEmulated"]


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("- a\n", "not an object"),
        ("a: [", "neither JSON nor YAML"),
        ('{"version": 1}', "version must be 0.0"),
        ('{"version": 0.0, "Resources": []}', "exactly one function"),
        ('{"version": 0.0, "Resources": [{"a": {"Type": "AWS::ECS::Service"}}]}', "must be of the type"),
        (
            '{"version": 0.0, "Resources": [{"a": {"Type": "AWS::Lambda::Function", '
            '"Properties": {"Alias": "live"}}}]}',
            "lacks CurrentVersion, TargetVersion",
        ),
    ],
)
def test_an_appspec_that_says_too_little_tells_what_it_lacks(text: str, why: str) -> None:
    with pytest.raises(BadAppSpec, match=why):
        read(text)


@pytest.mark.parametrize("kind", ["application/cbor", "application/x-amz-json-1.1"])
def test_it_speaks_both_of_its_protocols(deploying: Deploying, kind: str) -> None:
    """Older clients write JSON, newer ones CBOR."""
    model = botocore.session.get_session().get_service_model("codedeploy")
    operation = model.operation_model("GetDeploymentGroup")
    deploying.group(alarmConfiguration={"enabled": True, "alarms": [{"name": "errors"}]})
    wanted = {"applicationName": "app", "deploymentGroupName": "group"}
    if kind == "application/cbor":
        path, target = "/service/CodeDeploy_20141006/operation/GetDeploymentGroup", {}
        body, parser = cbor.serialize(wanted, operation.input_shape), RpcV2CBORParser()
    else:
        path, target = "/", {"X-Amz-Target": "CodeDeploy_20141006.GetDeploymentGroup"}
        body, parser = json.dumps(wanted).encode(), JSONParser()
    keys = deploying.account.keys
    request = AWSRequest("POST", f"http://127.0.0.1{path}", {"Content-Type": kind, **target}, body)
    SigV4Auth(
        Credentials(keys.access_key_id, keys.secret_access_key, keys.session_token or None),
        "codedeploy",
        deploying.account.core.region,
    ).add_auth(request)
    web = Client(deploying.account.gateway.application())
    found = web.post(path, data=body, headers=dict(request.headers.items()), base_url="http://127.0.0.1")

    assert found.headers["Content-Type"] == kind
    answer = {"status_code": found.status_code, "headers": dict(found.headers), "body": found.data}
    told = parser.parse(answer, operation.output_shape)["deploymentGroupInfo"]
    assert told["alarmConfiguration"] == {"enabled": True, "alarms": [{"name": "errors"}]}
