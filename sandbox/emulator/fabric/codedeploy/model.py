"""Applications, deployment groups and deployments, as one account and region keeps them."""

from __future__ import annotations

import datetime as dt
import secrets
import string
import threading
import uuid
from collections.abc import Generator, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from sandbox.emulator.calls import AwsError
from sandbox.emulator.fabric.codedeploy.appspec import AFTER, ALLOW, BEFORE, AppSpec
from sandbox.emulator.fabric.codedeploy.configs import AT_ONCE, LAMBDA, Config, predefined
from sandbox.emulator.work import WorkItem

_ID = string.ascii_uppercase + string.digits


class Status(StrEnum):
    CREATED = "Created"
    IN_PROGRESS = "InProgress"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    STOPPED = "Stopped"

    @property
    def final(self) -> bool:
        return self in (Status.SUCCEEDED, Status.FAILED, Status.STOPPED)


@dataclass(slots=True)
class Application:
    """Groups that belong together."""

    name: str
    created_at: dt.datetime
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    tags: dict[str, str] = field(default_factory=dict)
    revisions: list[dict[str, Any]] = field(default_factory=list)


@dataclass(slots=True)
class Group:
    """How deployments of one alias go. ``params`` are the API's members."""

    application: str
    name: str
    params: dict[str, Any]
    id: str = field(default_factory=lambda: str(uuid.uuid4()))
    tags: dict[str, str] = field(default_factory=dict)

    @property
    def role_arn(self) -> str:
        return str(self.params["serviceRoleArn"])

    @property
    def config_name(self) -> str:
        return str(self.params.get("deploymentConfigName") or AT_ONCE)


@dataclass(slots=True)
class Lifecycle:
    """One event of a deployment's life. ``execution_id`` is what a hook answers with."""

    name: str
    status: str = "Pending"
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    execution_id: str = ""
    message: str = ""

    def described(self) -> dict[str, Any]:
        """As the API tells it."""
        told: dict[str, Any] = {"lifecycleEventName": self.name, "status": self.status}
        if self.started_at is not None:
            told["startTime"] = self.started_at
        if self.ended_at is not None:
            told["endTime"] = self.ended_at
        if self.message:
            told["diagnostics"] = {"errorCode": "UnknownError", "message": self.message}
        return told


@dataclass(slots=True)
class Deployment:
    """One deployment. ``lock`` guards everything that changes.

    ``script`` is what is left to do: it says how many seconds of account time it wants to be left alone.
    """

    group: Group
    config: Config
    revision: Mapping[str, Any]
    created_at: dt.datetime
    account_id: str
    region: str
    creator: str = "user"
    description: str = ""
    alarms: Mapping[str, Any] = field(default_factory=dict)
    rollback: Mapping[str, Any] = field(default_factory=dict)
    id: str = field(default_factory=lambda: "d-" + "".join(secrets.choice(_ID) for _ in range(9)))
    status: Status = Status.CREATED
    spec: AppSpec | None = None
    started_at: dt.datetime | None = None
    ended_at: dt.datetime | None = None
    updated_at: dt.datetime | None = None
    error: dict[str, str] | None = None
    rollback_info: dict[str, str] = field(default_factory=dict)
    weight: int = 0
    events: tuple[Lifecycle, ...] = field(
        default_factory=lambda: (Lifecycle(BEFORE), Lifecycle(ALLOW), Lifecycle(AFTER))
    )
    script: Generator[float, None, None] | None = None
    timer: WorkItem | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)

    def event(self, name: str) -> Lifecycle:
        """One of its lifecycle events."""
        return next(event for event in self.events if event.name == name)

    def described(self) -> dict[str, Any]:
        """As GetDeployment tells it."""
        overview = dict.fromkeys(("Pending", "InProgress", "Succeeded", "Failed", "Skipped", "Ready"), 0)
        if self.spec is not None:
            overview[self.target_status] = 1
        told: dict[str, Any] = {
            "applicationName": self.group.application,
            "deploymentGroupName": self.group.name,
            "deploymentConfigName": self.config.name,
            "deploymentId": self.id,
            "revision": dict(self.revision),
            "status": self.status.value,
            "createTime": self.created_at,
            "deploymentOverview": overview,
            "creator": self.creator,
            "ignoreApplicationStopFailures": False,
            "updateOutdatedInstancesOnly": False,
            "autoRollbackConfiguration": dict(self.rollback),
            "deploymentStyle": dict(self.group.params["deploymentStyle"]),
            "computePlatform": LAMBDA,
        }
        if self.description:
            told["description"] = self.description
        for name, value in (("startTime", self.started_at), ("completeTime", self.ended_at)):
            if value is not None:
                told[name] = value
        if self.error is not None:
            told["errorInformation"] = dict(self.error)
        if self.rollback_info:
            told["rollbackInfo"] = dict(self.rollback_info)
        return told

    @property
    def target_status(self) -> str:
        """How its one target stands."""
        if self.status is Status.SUCCEEDED:
            return "Succeeded"
        if self.status.final:
            return "Failed"
        return "Pending" if self.status is Status.CREATED else "InProgress"

    def target(self) -> dict[str, Any]:
        """Its one target, as the API tells it; there is one once it has started."""
        assert self.spec is not None
        function = self.spec.function.rsplit(":", 1)[-1]
        told: dict[str, Any] = {
            "deploymentId": self.id,
            "targetId": function,
            "targetArn": f"arn:aws:lambda:{self.region}:{self.account_id}:function:{function}",
            "status": self.target_status,
            "lifecycleEvents": [event.described() for event in self.events],
            "lambdaFunctionInfo": {
                "functionName": function,
                "functionAlias": self.spec.alias,
                "currentVersion": self.spec.current,
                "targetVersion": self.spec.target,
                "targetVersionWeight": float(self.weight),
            },
        }
        if self.updated_at is not None:
            told["lastUpdatedAt"] = self.updated_at
        return {"deploymentTargetType": "LambdaTarget", "lambdaTarget": told}


@dataclass(slots=True)
class Shelf:
    """Everything of one account and region."""

    applications: dict[str, Application] = field(default_factory=dict)
    groups: dict[tuple[str, str], Group] = field(default_factory=dict)
    deployments: dict[str, Deployment] = field(default_factory=dict)
    configs: dict[str, Config] = field(default_factory=predefined)

    def application(self, name: str) -> Application:
        """An application.

        Raises:
            AwsError: there is none of this name.
        """
        found = self.applications.get(name)
        if found is None:
            raise AwsError("ApplicationDoesNotExistException", f"No application found for name: {name}")
        return found

    def group(self, application: str, name: str) -> Group:
        """A deployment group.

        Raises:
            AwsError: there is none of this name in the application, or no such application.
        """
        self.application(application)
        found = self.groups.get((application, name))
        if found is None:
            raise AwsError(
                "DeploymentGroupDoesNotExistException", f"No Deployment Group found for name: {name}"
            )
        return found

    def config(self, name: str) -> Config:
        """A deployment configuration.

        Raises:
            AwsError: there is none of this name.
        """
        found = self.configs.get(name)
        if found is None:
            raise AwsError(
                "DeploymentConfigDoesNotExistException",
                f"No deployment configuration found for name: {name}",
            )
        return found

    def deployment(self, deployment_id: Any) -> Deployment:
        """A deployment.

        Raises:
            AwsError: the id is missing or misshapen, or there is none.
        """
        if not deployment_id:
            raise AwsError("DeploymentIdRequiredException", "The deployment ID is missing.")
        if not str(deployment_id).startswith("d-"):
            raise AwsError(
                "InvalidDeploymentIdException", f"{deployment_id} is not in the form of a deployment ID."
            )
        found = self.deployments.get(str(deployment_id))
        if found is None:
            raise AwsError(
                "DeploymentDoesNotExistException", f"The deployment {deployment_id} could not be found"
            )
        return found

    def of(self, group: Group) -> list[Deployment]:
        """A group's deployments, oldest first."""
        return [each for each in list(self.deployments.values()) if each.group is group]
