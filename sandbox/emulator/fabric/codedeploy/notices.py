"""Who is told how a deployment goes: the timeline, the default bus, and the group's topics.

Sources: https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-cloudwatch-events.html and
https://docs.aws.amazon.com/codedeploy/latest/userguide/monitoring-sns-event-notifications-json-format.html
"""

from __future__ import annotations

import datetime as dt
import functools
import json
from collections.abc import Mapping
from typing import Any, Protocol

from botocore.exceptions import ClientError

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import roles
from sandbox.emulator.fabric.codedeploy.model import Deployment, Group, Status

SERVICE = "codedeploy.amazonaws.com"
_STATES = {
    Status.IN_PROGRESS: "START",
    Status.SUCCEEDED: "SUCCESS",
    Status.FAILED: "FAILURE",
    Status.STOPPED: "STOP",
}
_TRIGGERS = {
    Status.IN_PROGRESS: "DeploymentStart",
    Status.SUCCEEDED: "DeploymentSuccess",
    Status.FAILED: "DeploymentFailure",
    Status.STOPPED: "DeploymentStop",
}


class Bus(Protocol):
    """Where changes of state are told."""

    def put(self, account_id: str, region: str, event: Mapping[str, Any]) -> str:
        """Put an AWS service's event on the default bus."""


def group_arn(group: Group, account_id: str, region: str) -> str:
    """A deployment group's ARN."""
    return f"arn:aws:codedeploy:{region}:{account_id}:deploymentgroup:{group.application}/{group.name}"


def subject(deployment_id: str) -> str:
    """How the timeline calls a deployment."""
    return f"codedeploy:{deployment_id}"


class Notices:
    """Tells of each new status."""

    def __init__(self, core: AccountCore, bus: Bus) -> None:
        self._core = core
        self._bus = bus

    def tell(self, deployment: Deployment) -> None:
        """A deployment is in a new status; only enqueues."""
        group = deployment.group
        self._core.timeline.add(
            "deployment",
            subject(deployment.id),
            account_id=deployment.account_id,
            region=deployment.region,
            outcome=deployment.status.value,
            group=f"{group.application}/{group.name}",
            reason=(deployment.error or {}).get("message", ""),
        )
        self._bus.put(deployment.account_id, deployment.region, _event(deployment))
        happened = {_TRIGGERS[deployment.status]}
        if deployment.creator == "codeDeployRollback" and deployment.status is Status.IN_PROGRESS:
            happened.add("DeploymentRollback")
        for trigger in group.params.get("triggerConfigurations") or ():
            if happened & set(trigger.get("triggerEvents") or ()):
                send = functools.partial(self._send, deployment, trigger, _message(deployment, trigger))
                label = f"codedeploy {deployment.id} → {trigger['triggerTargetArn']}"
                self._core.work.submit(send, label=label)

    def _send(self, deployment: Deployment, trigger: Mapping[str, Any], message: dict[str, Any]) -> None:
        topic, why = str(trigger["triggerTargetArn"]), ""
        title = f"{message['status'].upper()}: AWS CodeDeploy {deployment.id} in {deployment.region}"
        try:
            principal = roles.assume(
                self._core,
                deployment.group.role_arn,
                SERVICE,
                source_arn=group_arn(deployment.group, deployment.account_id, deployment.region),
            )
            client = self._core.clients.client("sns", region=topic.split(":")[3], principal=principal)
            client.publish(
                TopicArn=topic,
                Subject=f"{title} to {deployment.group.application}"[:100],
                Message=json.dumps(message),
            )
        except (ClientError, roles.RoleRefused) as error:
            why = str(error)
        self._core.timeline.add(
            "delivery",
            subject(deployment.id),
            account_id=deployment.account_id,
            region=deployment.region,
            outcome="failed" if why else "ok",
            target=topic,
            message=why,
        )


def _event(deployment: Deployment) -> dict[str, Any]:
    group, at = deployment.group, (deployment.region, deployment.account_id)
    return {
        "source": "aws.codedeploy",
        "detail-type": "CodeDeploy Deployment State-change Notification",
        "resources": [
            f"arn:aws:codedeploy:{at[0]}:{at[1]}:application:{group.application}",
            group_arn(group, deployment.account_id, deployment.region),
        ],
        "detail": {
            "instanceGroupId": group.id,
            "region": deployment.region,
            "application": group.application,
            "deploymentId": deployment.id,
            "state": _STATES[deployment.status],
            "deploymentGroup": group.name,
        },
    }


def _message(deployment: Deployment, trigger: Mapping[str, Any]) -> dict[str, Any]:
    told: dict[str, Any] = {
        "region": deployment.region,
        "accountId": deployment.account_id,
        "eventTriggerName": trigger["triggerName"],
        "applicationName": deployment.group.application,
        "deploymentId": deployment.id,
        "deploymentGroupName": deployment.group.name,
        "createTime": _seconds(deployment.created_at),
        "completeTime": _seconds(deployment.ended_at) if deployment.ended_at else None,
        "status": deployment.status.value if deployment.status.final else "Created",
    }
    if deployment.status.final:
        counts = deployment.described()["deploymentOverview"].items()
        told["deploymentOverview"] = {name: str(count) for name, count in counts if name != "Ready"}
    if deployment.error:
        told["errorInformation"] = {
            "ErrorCode": deployment.error["code"],
            "ErrorMessage": deployment.error["message"],
        }
    return {name: value for name, value in told.items() if value is not None}


def _seconds(at: dt.datetime) -> str:
    return f"{at.timestamp():.3f}"
