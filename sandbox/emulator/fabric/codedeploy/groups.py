"""The API of applications, deployment groups, deployment configurations and their tags."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handler
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.codedeploy import checks, configs, revisions
from sandbox.emulator.fabric.codedeploy.configs import LAMBDA, PREDEFINED
from sandbox.emulator.fabric.codedeploy.model import Application, Deployment, Group, Shelf


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
        shelf, name = self._shelf(call), checks.application_name(call.params.get("applicationName"))
        configs.check_platform(call.params.get("computePlatform"))
        if name in shelf.applications:
            raise AwsError("ApplicationAlreadyExistsException", f"Application already exists: {name}")
        made = Application(name, self._core.clock.now(), tags=checks.read_tags(call.params.get("tags")))
        shelf.applications[name] = made
        return {"applicationId": made.id}

    def _get_application(self, call: Call) -> dict[str, Any]:
        name = checks.application_name(call.params.get("applicationName"))
        return {"application": _application(self._shelf(call).application(name))}

    def _get_applications(self, call: Call) -> dict[str, Any]:
        shelf, names = self._shelf(call), checks.batch(call.params.get("applicationNames"))
        return {"applicationsInfo": [_application(shelf.application(name)) for name in names]}

    def _list_applications(self, call: Call) -> dict[str, Any]:
        return {"applications": sorted(self._shelf(call).applications)}

    def _update_application(self, call: Call) -> dict[str, Any]:
        shelf, name = self._shelf(call), str(call.params.get("applicationName") or "")
        application = shelf.application(name)
        new = checks.application_name(call.params.get("newApplicationName") or name)
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
        shelf, name = self._shelf(call), checks.application_name(call.params.get("applicationName"))
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
        application = shelf.application(checks.application_name(params.get("applicationName")))
        name = checks.group_name(params.get("deploymentGroupName"))
        if (application.name, name) in shelf.groups:
            raise AwsError(
                "DeploymentGroupAlreadyExistsException", f"Deployment group already exists: {name}"
            )
        arn = _arn(call, application.name, name)
        settings = checks.merged(self._core, shelf, arn, {"deploymentStyle": checks.STYLE}, params)
        made = Group(application.name, name, settings, tags=checks.read_tags(params.get("tags")))
        shelf.groups[application.name, name] = made
        return {"deploymentGroupId": made.id}

    def _update_group(self, call: Call) -> dict[str, Any]:
        shelf, params = self._shelf(call), call.params
        group = shelf.group(
            str(params.get("applicationName") or ""), str(params.get("currentDeploymentGroupName") or "")
        )
        arn = _arn(call, group.application, group.name)
        settings = checks.merged(self._core, shelf, arn, group.params, params)
        new = checks.group_name(params.get("newDeploymentGroupName") or group.name)
        if new != group.name:
            if (group.application, new) in shelf.groups:
                raise AwsError(
                    "DeploymentGroupAlreadyExistsException", f"Deployment group already exists: {new}"
                )
            shelf.groups[group.application, new] = shelf.groups.pop((group.application, group.name))
            group.name = new
        group.params = settings
        return {"hooksNotCleanedUp": []}

    def _get_group(self, call: Call) -> dict[str, Any]:
        shelf, params = self._shelf(call), call.params
        name = checks.group_name(params.get("deploymentGroupName"))
        group = shelf.group(str(params.get("applicationName") or ""), name)
        return {"deploymentGroupInfo": _group(shelf, group)}

    def _get_groups(self, call: Call) -> dict[str, Any]:
        shelf, application = self._shelf(call), str(call.params.get("applicationName") or "")
        names = checks.batch(call.params.get("deploymentGroupNames"))
        return {"deploymentGroupsInfo": [_group(shelf, shelf.group(application, name)) for name in names]}

    def _list_groups(self, call: Call) -> dict[str, Any]:
        shelf = self._shelf(call)
        application = shelf.application(str(call.params.get("applicationName") or "")).name
        names = sorted(name for of, name in shelf.groups if of == application)
        return {"applicationName": application, "deploymentGroups": names}

    def _delete_group(self, call: Call) -> dict[str, Any]:
        """One that is not there is fine."""
        name = checks.group_name(call.params.get("deploymentGroupName"))
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
        self._tagged(call).update(checks.read_tags(call.params.get("Tags")))
        return {}

    def _untag(self, call: Call) -> dict[str, Any]:
        tags = self._tagged(call)
        for key in call.params.get("TagKeys") or ():
            tags.pop(key, None)
        return {}

    def _list_tags(self, call: Call) -> dict[str, Any]:
        return {"Tags": [{"Key": key, "Value": value} for key, value in self._tagged(call).items()]}


def _arn(call: Call, application: str, name: str) -> str:
    return f"arn:aws:codedeploy:{call.region}:{call.account_id}:deploymentgroup:{application}/{name}"


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
