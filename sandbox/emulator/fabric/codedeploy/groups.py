"""The API of applications, deployment groups, deployment configurations and their tags."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handler
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import roles
from sandbox.emulator.fabric.codedeploy import configs, revisions
from sandbox.emulator.fabric.codedeploy.configs import LAMBDA, PREDEFINED
from sandbox.emulator.fabric.codedeploy.model import Application, Deployment, Group, Shelf
from sandbox.emulator.fabric.codedeploy.notices import SERVICE

_NAME = re.compile(r".{1,100}", re.DOTALL)
_STYLE = {"deploymentType": "BLUE_GREEN", "deploymentOption": "WITH_TRAFFIC_CONTROL"}
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


class Groups:
    """Keeps what deployments are made by. ``shelf`` finds what an account and region have."""

    def __init__(self, core: AccountCore, shelf: Callable[[Call], Shelf]) -> None:
        self._core = core
        self._shelf = shelf

    def handlers(self) -> dict[str, Handler]:
        """Its operations, by name."""
        return {
            "CreateApplication": self._create_application,
            "GetApplication": self._get_application,
            "BatchGetApplications": self._get_applications,
            "ListApplications": self._list_applications,
            "UpdateApplication": self._update_application,
            "DeleteApplication": self._delete_application,
            "RegisterApplicationRevision": self._register_revision,
            "ListApplicationRevisions": self._list_revisions,
            "CreateDeploymentGroup": self._create_group,
            "GetDeploymentGroup": self._get_group,
            "BatchGetDeploymentGroups": self._get_groups,
            "ListDeploymentGroups": self._list_groups,
            "UpdateDeploymentGroup": self._update_group,
            "DeleteDeploymentGroup": self._delete_group,
            "CreateDeploymentConfig": self._create_config,
            "GetDeploymentConfig": self._get_config,
            "ListDeploymentConfigs": self._list_configs,
            "DeleteDeploymentConfig": self._delete_config,
            "TagResource": self._tag,
            "UntagResource": self._untag,
            "ListTagsForResource": self._list_tags,
        }

    def _create_application(self, call: Call) -> dict[str, Any]:
        shelf, name = self._shelf(call), _application_name(call.params.get("applicationName"))
        configs.check_platform(call.params.get("computePlatform"))
        if name in shelf.applications:
            raise AwsError("ApplicationAlreadyExistsException", f"Application already exists: {name}")
        made = Application(name, self._core.clock.now(), tags=_tags(call.params.get("tags")))
        shelf.applications[name] = made
        return {"applicationId": made.id}

    def _get_application(self, call: Call) -> dict[str, Any]:
        name = _application_name(call.params.get("applicationName"))
        return {"application": _application(self._shelf(call).application(name))}

    def _get_applications(self, call: Call) -> dict[str, Any]:
        shelf, names = self._shelf(call), batch(call.params.get("applicationNames"))
        return {"applicationsInfo": [_application(shelf.application(name)) for name in names]}

    def _list_applications(self, call: Call) -> dict[str, Any]:
        return {"applications": sorted(self._shelf(call).applications)}

    def _update_application(self, call: Call) -> dict[str, Any]:
        shelf, name = self._shelf(call), str(call.params.get("applicationName") or "")
        application = shelf.application(name)
        new = _application_name(call.params.get("newApplicationName") or name)
        if new == name:
            return {}
        if new in shelf.applications:
            raise AwsError("ApplicationAlreadyExistsException", f"Application already exists: {new}")
        shelf.applications[new] = shelf.applications.pop(name)
        application.name = new
        for group in [group for group in shelf.groups.values() if group.application == name]:
            del shelf.groups[name, group.name]
            group.application = new
            shelf.groups[new, group.name] = group
        return {}

    def _delete_application(self, call: Call) -> dict[str, Any]:
        """It takes its groups along; one that is not there is fine."""
        shelf, name = self._shelf(call), _application_name(call.params.get("applicationName"))
        shelf.applications.pop(name, None)
        for key in [key for key in shelf.groups if key[0] == name]:
            del shelf.groups[key]
        return {}

    def _register_revision(self, call: Call) -> dict[str, Any]:
        application = self._shelf(call).application(str(call.params.get("applicationName") or ""))
        revision = revisions.check(call.params.get("revision"))
        if revision not in application.revisions:
            application.revisions.append(revision)
        return {}

    def _list_revisions(self, call: Call) -> dict[str, Any]:
        application = self._shelf(call).application(str(call.params.get("applicationName") or ""))
        return {"revisions": list(application.revisions)}

    def _create_group(self, call: Call) -> dict[str, Any]:
        shelf, params = self._shelf(call), call.params
        application = shelf.application(_application_name(params.get("applicationName")))
        name = _group_name(params.get("deploymentGroupName"))
        if (application.name, name) in shelf.groups:
            raise AwsError(
                "DeploymentGroupAlreadyExistsException", f"Deployment group already exists: {name}"
            )
        settings = self._settings(shelf, {"deploymentStyle": _STYLE}, params)
        made = Group(application.name, name, settings, tags=_tags(params.get("tags")))
        shelf.groups[application.name, name] = made
        return {"deploymentGroupId": made.id}

    def _update_group(self, call: Call) -> dict[str, Any]:
        shelf, params = self._shelf(call), call.params
        group = shelf.group(
            str(params.get("applicationName") or ""), str(params.get("currentDeploymentGroupName") or "")
        )
        settings = self._settings(shelf, group.params, params)
        new = _group_name(params.get("newDeploymentGroupName") or group.name)
        if new != group.name:
            if (group.application, new) in shelf.groups:
                raise AwsError(
                    "DeploymentGroupAlreadyExistsException", f"Deployment group already exists: {new}"
                )
            shelf.groups[group.application, new] = shelf.groups.pop((group.application, group.name))
            group.name = new
        group.params = settings
        return {"hooksNotCleanedUp": []}

    def _settings(self, shelf: Shelf, before: Mapping[str, Any], params: Mapping[str, Any]) -> dict[str, Any]:
        """A group's settings after a request, checked.

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
        if dict(made["deploymentStyle"]) != _STYLE:
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
            roles.assume(self._core, made["serviceRoleArn"], SERVICE)
        except roles.RoleRefused:
            raise AwsError(
                "InvalidRoleException",
                "AWS CodeDeploy does not have the permissions required to assume the role "
                f"{made['serviceRoleArn']}.",
            ) from None
        return made

    def _get_group(self, call: Call) -> dict[str, Any]:
        shelf, params = self._shelf(call), call.params
        name = _group_name(params.get("deploymentGroupName"))
        group = shelf.group(str(params.get("applicationName") or ""), name)
        return {"deploymentGroupInfo": _group(shelf, group)}

    def _get_groups(self, call: Call) -> dict[str, Any]:
        shelf, application = self._shelf(call), str(call.params.get("applicationName") or "")
        names = batch(call.params.get("deploymentGroupNames"))
        return {"deploymentGroupsInfo": [_group(shelf, shelf.group(application, name)) for name in names]}

    def _list_groups(self, call: Call) -> dict[str, Any]:
        shelf = self._shelf(call)
        application = shelf.application(str(call.params.get("applicationName") or "")).name
        names = sorted(name for of, name in shelf.groups if of == application)
        return {"applicationName": application, "deploymentGroups": names}

    def _delete_group(self, call: Call) -> dict[str, Any]:
        """One that is not there is fine."""
        name = _group_name(call.params.get("deploymentGroupName"))
        self._shelf(call).groups.pop((str(call.params.get("applicationName") or ""), name), None)
        return {"hooksNotCleanedUp": []}

    def _create_config(self, call: Call) -> dict[str, Any]:
        shelf, made = self._shelf(call), configs.read(call.params, self._core.clock.now())
        if made.name in shelf.configs:
            raise AwsError(
                "DeploymentConfigAlreadyExistsException",
                f"A deployment configuration with the name {made.name} already exists.",
            )
        shelf.configs[made.name] = made
        return {"deploymentConfigId": made.id}

    def _get_config(self, call: Call) -> dict[str, Any]:
        found = self._shelf(call).config(str(call.params.get("deploymentConfigName") or ""))
        return {"deploymentConfigInfo": found.described()}

    def _list_configs(self, call: Call) -> dict[str, Any]:
        return {"deploymentConfigsList": sorted(self._shelf(call).configs)}

    def _delete_config(self, call: Call) -> dict[str, Any]:
        shelf, name = self._shelf(call), str(call.params.get("deploymentConfigName") or "")
        if name.startswith(PREDEFINED):
            raise AwsError("InvalidOperationException", f"{name} is predefined and can't be deleted.")
        if any(group.config_name == name for group in shelf.groups.values()):
            raise AwsError("DeploymentConfigInUseException", f"A deployment group uses {name}.")
        shelf.configs.pop(name, None)
        return {}

    def _tagged(self, call: Call) -> dict[str, str]:
        arn = str(call.params.get("ResourceArn") or "")
        kind, _, name = arn.split(":", 5)[-1].partition(":")
        if not arn.startswith("arn:") or kind not in ("application", "deploymentgroup"):
            raise AwsError("ArnNotSupportedException", f"The ARN {arn} is of nothing that can be tagged.")
        shelf = self._shelf(call)
        if kind == "application":
            return shelf.application(name).tags
        return shelf.group(*name.split("/", 1)).tags if "/" in name else shelf.application(name).tags

    def _tag(self, call: Call) -> dict[str, Any]:
        self._tagged(call).update(_tags(call.params.get("Tags")))
        return {}

    def _untag(self, call: Call) -> dict[str, Any]:
        tags = self._tagged(call)
        for key in call.params.get("TagKeys") or ():
            tags.pop(key, None)
        return {}

    def _list_tags(self, call: Call) -> dict[str, Any]:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self._tagged(call).items()]}


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


def _application_name(name: Any) -> str:
    if not name:
        raise AwsError("ApplicationNameRequiredException", "The application name is missing.")
    if not _NAME.fullmatch(str(name)):
        raise AwsError("InvalidApplicationNameException", f"{name} is no name of an application.")
    return str(name)


def _group_name(name: Any) -> str:
    if not name:
        raise AwsError("DeploymentGroupNameRequiredException", "The deployment group name is missing.")
    if not _NAME.fullmatch(str(name)):
        raise AwsError("InvalidDeploymentGroupNameException", f"{name} is no name of a deployment group.")
    return str(name)


def _tags(given: Any) -> dict[str, str]:
    return {str(tag.get("Key", "")): str(tag.get("Value", "")) for tag in given or ()}


def _application(application: Application) -> dict[str, Any]:
    return {
        "applicationId": application.id,
        "applicationName": application.name,
        "createTime": application.created_at,
        "linkedToGitHub": False,
        "computePlatform": LAMBDA,
    }


def _group(shelf: Shelf, group: Group) -> dict[str, Any]:
    told = {
        **group.params,
        "applicationName": group.application,
        "deploymentGroupId": group.id,
        "deploymentGroupName": group.name,
        "deploymentConfigName": group.config_name,
        "computePlatform": LAMBDA,
    }
    made = shelf.of(group)
    good = [each for each in made if each.status.value == "Succeeded"]
    for name, found in (("lastAttemptedDeployment", made), ("lastSuccessfulDeployment", good)):
        if found:
            told[name] = _last(found[-1])
    if good:
        told["targetRevision"] = dict(good[-1].revision)
    return told


def _last(deployment: Deployment) -> dict[str, Any]:
    told: dict[str, Any] = {
        "deploymentId": deployment.id,
        "status": deployment.status.value,
        "createTime": deployment.created_at,
    }
    return {**told, "endTime": deployment.ended_at} if deployment.ended_at is not None else told
