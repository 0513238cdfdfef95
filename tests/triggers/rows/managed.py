"""Services that ask a function on their way: user pools, secrets that are rotated, deployments."""

from __future__ import annotations

import json
from typing import Any

from botocore.exceptions import ClientError

from tests.triggers.table import Ending, Observed, row
from tests.triggers.world import World

_HOUR_S = 3600


@row(
    "Cognito user pool",
    "Lambda",
    "cognito",
    tries_s=(0,),
    endings=(Ending.CALLER,),
    kept="any",
    note="here before and after signing up; what takes longer than 5 s is asked three times",
)
def _pool(world: World) -> Observed:
    cognito = world.client("cognito-idp")
    pool = cognito.create_user_pool(PoolName=world.name("pool"))["UserPool"]["Id"]
    world.undo(lambda: cognito.delete_user_pool(UserPoolId=pool))
    client = cognito.create_user_pool_client(UserPoolId=pool, ClientName="web")["UserPoolClient"]["ClientId"]

    def sign_up(name: str, **triggers: str) -> None:
        cognito.update_user_pool(UserPoolId=pool, LambdaConfig=triggers)
        cognito.sign_up(ClientId=client, Username=name, Password="Pass-word1")

    sign_up("ann", PreSignUp=world.works, PostConfirmation=world.works)
    cognito.admin_confirm_sign_up(UserPoolId=pool, Username="ann")
    delivered = world.ledger()
    assert [each["triggerSource"] for each in delivered] == [
        "PreSignUp_SignUp",
        "PostConfirmation_ConfirmSignUp",
    ]
    found: list[Any] = []
    try:
        sign_up("bob", PreSignUp=world.fails)
    except ClientError as error:
        found.append(error.response["Error"])
    assert [each["Code"] for each in found] == ["UserLambdaValidationException"]
    return Observed(delivered, world.tries(), {Ending.CALLER: found})


@row(
    "Secrets Manager rotation",
    "Lambda",
    "rotation",
    tries_s=(0, 300, 1200),
    endings=(Ending.TOLD,),
    note="four steps; one that fails ends that rotation, which is then tried again",
)
def _rotation(world: World) -> Observed:
    secrets = world.client("secretsmanager")

    def rotated(function: str) -> str:
        name = world.name("secret")
        secrets.create_secret(Name=name, SecretString="first")
        world.undo(lambda: secrets.delete_secret(SecretId=name, ForceDeleteWithoutRecovery=True))
        secrets.rotate_secret(SecretId=name, RotationLambdaARN=function)
        world.settle()
        return str(secrets.get_secret_value(SecretId=name)["SecretString"])

    assert rotated(world.works) == "rotated"
    delivered = world.ledger()
    assert [each["Step"] for each in delivered] == ["createSecret", "setSecret", "testSecret", "finishSecret"]
    assert rotated(world.fails) == "first"
    world.advance(1500)
    return Observed(delivered, world.tries(), {Ending.TOLD: world.told("RotationFailed")})


@row(
    "CodeDeploy hook",
    "Lambda",
    "hook",
    tries_s=(0, 60, 180),
    endings=(Ending.FUNCTION_DLQ, Ending.DEPLOYMENT),
    note="a hook has an hour to report; traffic then stays, or goes back, where it was",
)
def _hook(world: World) -> Observed:
    codedeploy, api = world.client("codedeploy"), world.client("lambda")
    name = world.name("shop")
    world.function(name, {})
    world.undo(lambda: api.delete_function(FunctionName=name))
    versions = [api.publish_version(FunctionName=name)["Version"]]
    api.update_function_configuration(FunctionName=name, Description="new")
    versions.append(api.publish_version(FunctionName=name)["Version"])
    api.create_alias(FunctionName=name, Name="live", FunctionVersion=versions[0])
    codedeploy.create_application(applicationName=name, computePlatform="Lambda")
    world.undo(lambda: codedeploy.delete_application(applicationName=name))
    codedeploy.create_deployment_group(
        applicationName=name,
        deploymentGroupName="group",
        deploymentConfigName="CodeDeployDefault.LambdaAllAtOnce",
        serviceRoleArn=world.role,
    )

    def deploy(hook: str, current: str, target: str) -> str:
        shift = {"Name": name, "Alias": "live", "CurrentVersion": current, "TargetVersion": target}
        spec = {
            "version": 0.0,
            "Resources": [{"shop": {"Type": "AWS::Lambda::Function", "Properties": shift}}],
            "Hooks": [{"BeforeAllowTraffic": hook}],
        }
        content = {"content": json.dumps(spec)}
        made = codedeploy.create_deployment(
            applicationName=name,
            deploymentGroupName="group",
            revision={"revisionType": "AppSpecContent", "appSpecContent": content},
        )
        world.settle()
        return str(made["deploymentId"])

    def live() -> str:
        return str(api.get_alias(FunctionName=name, Name="live")["FunctionVersion"])

    deploy("works", *versions)
    assert live() == versions[1]
    delivered = world.ledger()
    failing = deploy("fails", *reversed(versions))
    world.advance(_HOUR_S + 60)
    told = codedeploy.get_deployment(deploymentId=failing)["deploymentInfo"]
    assert (told["status"], live()) == ("Failed", versions[1])
    ended = {Ending.FUNCTION_DLQ: world.dead.bodies(), Ending.DEPLOYMENT: [told["errorInformation"]]}
    return Observed(delivered, world.tries(), ended)
