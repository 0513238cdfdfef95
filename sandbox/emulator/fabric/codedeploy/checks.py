"""What the API's requests may say of applications and groups, and what they come to."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.calls import AwsError
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import roles
from sandbox.emulator.fabric.codedeploy.model import Shelf
from sandbox.emulator.fabric.codedeploy.notices import SERVICE

_NAME = re.compile(r".{1,100}", re.DOTALL)
STYLE = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
_ALARMS_LIMIT, _TRIGGERS_LIMIT, _BATCH_LIMIT = 10, 10, 100
# What a group of a Lambda application has; everything else is for servers and containers.
_SETTINGS = (
    "alarmConfiguration",
    "autoRollbackConfiguration",
    "deploymentConfigName",
    "deploymentStyle",
    "outdatedInstancesStrategy",
    "serviceRoleArn",
    "triggerConfigurations",
)
_NAMES = ("applicationName", "deploymentGroupName", "currentDeploymentGroupName", "newDeploymentGroupName")
_ROLLBACKS = ("DEPLOYMENT_FAILURE", "DEPLOYMENT_STOP_ON_ALARM", "DEPLOYMENT_STOP_ON_REQUEST")


def merged(
    core: AccountCore, shelf: Shelf, arn: str, before: Mapping[str, Any], params: Mapping[str, Any]
) -> dict[str, Any]:
    """The settings of the group ``arn`` after a request, checked.

    Raises:
        AwsError: they are not in order.
    """
    foreign = [name for name in params if name not in (*_SETTINGS, *_NAMES, "tags") and params[name]]
    if foreign:
        raise AwsError(
            "InvalidInputException",
            f"{', '.join(foreign)}: not for a group of the compute platform Lambda.",
        )
    made = {**before, **{name: params[name] for name in _SETTINGS if params.get(name) is not None}}
    if not made.get("serviceRoleArn"):
        raise AwsError("RoleRequiredException", "The role ID was not specified.")
    if dict(made["deploymentStyle"]) != STYLE:
        raise AwsError(
            "InvalidDeploymentStyleException",
            "For the Lambda compute platform, the deployment type must be BLUE_GREEN and the deployment "
            "option WITH_TRAFFIC_CONTROL.",
        )
    if made.get("deploymentConfigName"):
        shelf.config(made["deploymentConfigName"])
    check_alarms(made.get("alarmConfiguration"))
    check_rollback(made.get("autoRollbackConfiguration"))
    if len(made.get("triggerConfigurations") or ()) > _TRIGGERS_LIMIT:
        raise AwsError(
            "TriggerTargetsLimitExceededException",
            f"A deployment group can have {_TRIGGERS_LIMIT} triggers at most.",
        )
    try:
        roles.assume(core, made["serviceRoleArn"], SERVICE, source_arn=arn)
    except roles.RoleRefused:
        raise AwsError(
            "InvalidRoleException",
            "AWS CodeDeploy does not have the permissions required to assume the role "
            f"{made['serviceRoleArn']}.",
        ) from None
    return made


def check_alarms(given: Mapping[str, Any] | None) -> None:
    """Refuse an ``alarmConfiguration`` that can't be looked at.

    Raises:
        AwsError: it names none, or too many.
    """
    alarms = (given or {}).get("alarms") or ()
    if (given or {}).get("enabled") and not all(alarm.get("name") for alarm in alarms):
        raise AwsError("InvalidAlarmConfigException", "Each alarm must have a name.")
    if len(alarms) > _ALARMS_LIMIT:
        raise AwsError(
            "AlarmsLimitExceededException",
            f"The maximum number of alarms for a deployment group ({_ALARMS_LIMIT}) was exceeded.",
        )


def check_rollback(given: Mapping[str, Any] | None) -> None:
    """Refuse an ``autoRollbackConfiguration`` that means nothing.

    Raises:
        AwsError: it is on for no event, or for one that there is not.
    """
    if not given or not given.get("enabled"):
        return
    occasions = given.get("events") or ()
    if not occasions or any(each not in _ROLLBACKS for each in occasions):
        raise AwsError(
            "InvalidAutoRollbackConfigException",
            f"An automatic rollback that is enabled needs events among {', '.join(_ROLLBACKS)}.",
        )


def batch(names: Any) -> list[str]:
    """The names of a batch request.

    Raises:
        AwsError: there are too many.
    """
    found = [str(name) for name in names or ()]
    if len(found) > _BATCH_LIMIT:
        raise AwsError(
            "BatchLimitExceededException",
            f"The maximum number of names or IDs ({_BATCH_LIMIT}) was exceeded.",
        )
    return found


def application_name(name: Any) -> str:
    if not name:
        raise AwsError("ApplicationNameRequiredException", "The application name is missing.")
    if not _NAME.fullmatch(str(name)):
        raise AwsError("InvalidApplicationNameException", f"{name} is no name of an application.")
    return str(name)


def group_name(name: Any) -> str:
    if not name:
        raise AwsError("DeploymentGroupNameRequiredException", "The deployment group name is missing.")
    if not _NAME.fullmatch(str(name)):
        raise AwsError("InvalidDeploymentGroupNameException", f"{name} is no name of a deployment group.")
    return str(name)


def read_tags(given: Any) -> dict[str, str]:
    return {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in given or ()}
