"""CodeDeploy's API for deployments of functions; all of it is ours."""

from __future__ import annotations

import threading
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.codedeploy import revisions
from sandbox.emulator.fabric.codedeploy.checks import batch, check_alarms, check_rollback
from sandbox.emulator.fabric.codedeploy.groups import Groups
from sandbox.emulator.fabric.codedeploy.model import Deployment, Group, Shelf
from sandbox.emulator.fabric.codedeploy.notices import Bus, Notices, group_arn
from sandbox.emulator.fabric.codedeploy.runs import Runs

_TARGETS_LIMIT = 100


class CodeDeploy:
    """Applications, groups and deployments of all accounts and regions."""

    def __init__(self, core: AccountCore, bus: Bus) -> None:
        self._core = core
        self._lock = threading.RLock()
        self._shelves: dict[tuple[str, str], Shelf] = {}
        self._runs = Runs(core, Notices(core, bus))
        self._groups = Groups(core, self._shelf)
        core.guard.teach("deployment", self._find_group_arn)

    def handlers(self) -> Handlers:
        """Every operation on deployments of functions."""
        found: dict[str, Handler] = {
            **self._groups.handlers(),
            "CreateDeployment": self._create,
            "GetDeployment": self._get,
            "BatchGetDeployments": self._get_several,
            "ListDeployments": self._list,
            "StopDeployment": self._stop,
            "ContinueDeployment": self._continue,
            "ListDeploymentTargets": self._list_targets,
            "GetDeploymentTarget": self._get_target,
            "BatchGetDeploymentTargets": self._get_targets,
            "PutLifecycleEventHookExecutionStatus": self._report,
        }
        return {("codedeploy", name): self._locked(handler) for name, handler in found.items()}

    def _locked(self, handler: Handler) -> Handler:
        def handle(call: Call) -> dict[str, Any]:
            with self._lock:
                return handler(call)

        return handle

    def _shelf(self, call: Call) -> Shelf:
        return self._shelves.setdefault((call.account_id, call.region), Shelf())

    def _find_group_arn(self, deployment_id: str, account_id: str, region: str) -> str | None:
        """What a request that names a deployment has to be allowed for: its group."""
        shelf = self._shelves.get((account_id, region))
        found = shelf.deployments.get(deployment_id) if shelf is not None else None
        return None if found is None else group_arn(found.group, account_id, region)

    def _create(self, call: Call) -> dict[str, Any]:
        shelf, params = self._shelf(call), call.params
        if not params.get("deploymentGroupName"):
            raise AwsError("DeploymentGroupNameRequiredException", "The deployment group name is missing.")
        group = shelf.group(str(params.get("applicationName") or ""), str(params["deploymentGroupName"]))
        revision = revisions.check(params.get("revision"))
        config = shelf.config(str(params.get("deploymentConfigName") or group.config_name))
        check_alarms(params.get("overrideAlarmConfiguration"))
        check_rollback(params.get("autoRollbackConfiguration"))
        active = next((each for each in shelf.of(group) if not each.status.final), None)
        if active is not None:
            raise AwsError(
                "DeploymentLimitExceededException",
                f"The Deployment Group '{group.name}' already has an active Deployment '{active.id}'",
            )
        deployment = Deployment(
            group=group,
            config=config,
            revision=revision,
            created_at=self._core.clock.now(),
            account_id=call.account_id,
            region=call.region,
            description=str(params.get("description") or ""),
            alarms=_given(params, group, "overrideAlarmConfiguration", "alarmConfiguration"),
            rollback=_given(params, group, "autoRollbackConfiguration", "autoRollbackConfiguration"),
        )
        application = shelf.application(group.application)
        if revision not in application.revisions:
            application.revisions.append(revision)
        self._runs.begin(shelf, deployment)
        return {"deploymentId": deployment.id}

    def _get(self, call: Call) -> dict[str, Any]:
        deployment = self._shelf(call).deployment(call.params.get("deploymentId"))
        return {"deploymentInfo": deployment.described()}

    def _get_several(self, call: Call) -> dict[str, Any]:
        shelf, ids = self._shelf(call), batch(call.params.get("deploymentIds"))
        found = (shelf.deployments.get(each) for each in ids)
        return {"deploymentsInfo": [each.described() for each in found if each is not None]}

    def _list(self, call: Call) -> dict[str, Any]:
        shelf, params = self._shelf(call), call.params
        application, group = params.get("applicationName"), params.get("deploymentGroupName")
        if group and not application:
            raise AwsError("ApplicationNameRequiredException", "The application name is missing.")
        if group:
            shelf.group(str(application), str(group))
        elif application:
            shelf.application(str(application))
        wanted = params.get("includeOnlyStatuses") or ()
        times = params.get("createTimeRange") or {}
        start, end = times.get("start"), times.get("end")
        if start is not None and end is not None and start > end:
            raise AwsError("InvalidTimeRangeException", "The start time must be earlier than the end time.")
        found = [
            each.id
            for each in list(shelf.deployments.values())
            if (not application or each.group.application == application)
            and (not group or each.group.name == group)
            and (not wanted or each.status.value in wanted)
            and (start is None or each.created_at >= start)
            and (end is None or each.created_at <= end)
        ]
        return {"deployments": found[::-1]}

    def _stop(self, call: Call) -> dict[str, Any]:
        shelf = self._shelf(call)
        deployment = shelf.deployment(call.params.get("deploymentId"))
        self._runs.stop(shelf, deployment, back=call.params.get("autoRollbackEnabled"))
        return {"status": "Succeeded", "statusMessage": "The deployment was stopped."}

    def _continue(self, call: Call) -> dict[str, Any]:
        self._shelf(call).deployment(call.params.get("deploymentId"))
        raise AwsError(
            "UnsupportedActionForDeploymentTypeException",
            "Deployments of Lambda functions wait for nobody before they reroute traffic.",
        )

    def _started(self, call: Call) -> Deployment:
        deployment = self._shelf(call).deployment(call.params.get("deploymentId"))
        if deployment.spec is None:
            raise AwsError(
                "DeploymentNotStartedException", f"The deployment {deployment.id} has not started yet."
            )
        return deployment

    def _list_targets(self, call: Call) -> dict[str, Any]:
        return {"targetIds": [self._started(call).target()["lambdaTarget"]["targetId"]]}

    def _get_target(self, call: Call) -> dict[str, Any]:
        wanted = call.params.get("targetId")
        if not wanted:
            raise AwsError("DeploymentTargetIdRequiredException", "A deployment target ID was not provided.")
        found = self._started(call).target()
        if found["lambdaTarget"]["targetId"] != wanted:
            raise AwsError(
                "DeploymentTargetDoesNotExistException", f"There is no deployment target {wanted}."
            )
        return {"deploymentTarget": found}

    def _get_targets(self, call: Call) -> dict[str, Any]:
        wanted = call.params.get("targetIds") or ()
        if len(wanted) > _TARGETS_LIMIT:
            raise AwsError(
                "DeploymentTargetListSizeExceededException", f"{_TARGETS_LIMIT} targets can be asked for."
            )
        found = self._started(call).target()
        return {"deploymentTargets": [found] if found["lambdaTarget"]["targetId"] in wanted else []}

    def _report(self, call: Call) -> dict[str, Any]:
        shelf, params = self._shelf(call), call.params
        deployment = shelf.deployment(params.get("deploymentId"))
        status = str(params.get("status") or "")
        if status not in ("Succeeded", "Failed"):
            raise AwsError(
                "InvalidLifecycleEventHookExecutionStatusException",
                f"A validation function reports Succeeded or Failed, not {status or 'nothing'}.",
            )
        execution_id = str(params.get("lifecycleEventHookExecutionId") or "")
        self._runs.report(shelf, deployment, execution_id, status)
        return {"lifecycleEventHookExecutionId": execution_id}


def _given(params: Mapping[str, Any], group: Group, name: str, of_group: str) -> Mapping[str, Any]:
    """A setting of the request, or the group's."""
    found: Mapping[str, Any] | None = params.get(name)
    return found if found is not None else group.params.get(of_group) or {}
