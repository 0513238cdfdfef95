"""Deployments in progress: lifecycle events in their order, on the account's clock.

Sources: https://docs.aws.amazon.com/codedeploy/latest/userguide/deployment-steps-lambda.html,
https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html and
https://docs.aws.amazon.com/codedeploy/latest/userguide/deployments-rollback-and-redeploy.html
"""

from __future__ import annotations

import base64
import json
import secrets
from collections.abc import Generator
from typing import Any

from botocore.exceptions import ClientError

from sandbox.emulator.calls import AwsError
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import roles
from sandbox.emulator.fabric.codedeploy import revisions
from sandbox.emulator.fabric.codedeploy.appspec import AFTER, ALLOW, BEFORE
from sandbox.emulator.fabric.codedeploy.configs import AT_ONCE
from sandbox.emulator.fabric.codedeploy.failures import Broken, refused
from sandbox.emulator.fabric.codedeploy.model import Deployment, Lifecycle, Shelf, Status
from sandbox.emulator.fabric.codedeploy.notices import SERVICE, Notices, group_arn

HOOK_LIMIT_S = 3600.0
_LOOK_EVERY_S = 10.0
_ON_FAILURE, _ON_ALARM, _ON_REQUEST = (
    "DEPLOYMENT_FAILURE",
    "DEPLOYMENT_STOP_ON_ALARM",
    "DEPLOYMENT_STOP_ON_REQUEST",
)


class Runs:
    """Carries deployments out, in the role of their group."""

    def __init__(self, core: AccountCore, notices: Notices) -> None:
        self._core = core
        self._notices = notices

    def begin(self, shelf: Shelf, deployment: Deployment) -> None:
        """Start a deployment, as soon as the account gets to it."""
        shelf.deployments[deployment.id] = deployment
        deployment.script = self._script(deployment)
        self._in(deployment, shelf, 0.0)

    def stop(self, shelf: Shelf, deployment: Deployment, *, back: bool | None) -> None:
        """End a deployment by hand. ``back``: whether traffic goes back; None leaves it to the group."""
        with deployment.lock:
            if deployment.status.final:
                raise AwsError(
                    "DeploymentAlreadyCompletedException",
                    f"The deployment {deployment.id} has already been completed",
                )
            why = Broken("MANUAL_STOP", "The deployment was stopped by request.", _ON_REQUEST)
            self._broken(shelf, deployment, why, back=back)

    def report(self, shelf: Shelf, deployment: Deployment, execution_id: str, status: str) -> None:
        """A hook says how it went.

        Raises:
            AwsError: nobody waits for it.
        """
        with deployment.lock:
            event = next(
                (e for e in deployment.events if e.execution_id and e.execution_id == execution_id), None
            )
            if event is None:
                raise AwsError(
                    "InvalidLifecycleEventHookExecutionIdException",
                    "The lifecycle event hook execution ID is invalid.",
                )
            if deployment.status.final or event.status != "InProgress":
                raise AwsError(
                    "LifecycleEventAlreadyCompletedException",
                    f"The lifecycle event {event.name} has already been completed.",
                )
            event.status = status
            self._in(deployment, shelf, 0.0)

    def _in(self, deployment: Deployment, shelf: Shelf, delay_s: float) -> None:
        """Have its script go on then, and not at any time set before."""
        if deployment.timer is not None:
            self._core.work.cancel(deployment.timer)
        deployment.timer = self._core.work.submit(
            lambda: self._go_on(shelf, deployment), label=f"codedeploy {deployment.id}", delay_s=delay_s
        )

    def _go_on(self, shelf: Shelf, deployment: Deployment) -> None:
        with deployment.lock:
            if deployment.status.final or deployment.script is None:
                return
            try:
                if deployment.status is Status.CREATED:
                    self._start(shelf, deployment)
                self._look_at_alarms(deployment)
                wait_s = next(deployment.script, None)
            except Broken as broken:
                self._broken(shelf, deployment, broken)
                return
            if wait_s is None:
                self._end(deployment, Status.SUCCEEDED)
            else:
                self._in(deployment, shelf, wait_s)

    def _start(self, shelf: Shelf, deployment: Deployment) -> None:
        deployment.status, deployment.started_at = Status.IN_PROGRESS, self._core.clock.now()
        self._notices.tell(deployment)
        if _alarms(deployment):
            self._watch(shelf, deployment)

    def _script(self, deployment: Deployment) -> Generator[float, None, None]:
        """What a deployment does; each value is for how long it wants to be left alone."""
        spec = deployment.spec
        if spec is None:
            spec = deployment.spec = revisions.fetch(
                deployment.revision, lambda service: self._client(deployment, service)
            )
            self._check_alias(deployment)
        yield from self._hook(deployment, BEFORE)
        with _Event(self._core, deployment, ALLOW):
            for shift in deployment.config.shifts():
                self._move(deployment, shift.percentage)
                yield shift.wait_s
            self._move(deployment, 100)
        yield from self._hook(deployment, AFTER)

    def _hook(self, deployment: Deployment, name: str) -> Generator[float, None, None]:
        assert deployment.spec is not None
        function = deployment.spec.hooks.get(name)
        with _Event(self._core, deployment, name) as event:
            if not function:
                return
            event.execution_id = base64.b64encode(secrets.token_bytes(96)).decode()
            payload = {"DeploymentId": deployment.id, "LifecycleEventHookExecutionId": event.execution_id}
            client = self._client(deployment, "lambda")
            try:
                client.invoke(
                    FunctionName=function, InvocationType="Event", Payload=json.dumps(payload).encode()
                )
            except ClientError as error:
                raise refused(error, deployment.group.role_arn, function) from error
            yield HOOK_LIMIT_S
            if event.status == "InProgress":
                event.message = f"{function} did not report within one hour."
            if event.status != "Succeeded":
                raise Broken(
                    "HOOK_EXECUTION_FAILURE",
                    "One or more of the lifecycle event hooks failed: "
                    + (event.message or f"{name} ({function}) reported {event.status}."),
                )

    def _check_alias(self, deployment: Deployment) -> None:
        spec = deployment.spec
        assert spec is not None
        client = self._client(deployment, "lambda")
        try:
            alias = client.get_alias(FunctionName=spec.function, Name=spec.alias)
        except ClientError as error:
            raise refused(error, deployment.group.role_arn, f"{spec.function}:{spec.alias}") from error
        if str(alias["FunctionVersion"]) != spec.current:
            raise Broken(
                "INVALID_LAMBDA_CONFIGURATION",
                "The deployment failed because the AppSpec file that specifies the AWS Lambda deployment "
                "configuration is missing or has an invalid configuration. The Lambda function alias version "
                "does not match the current version in AppSpec file.",
            )

    def _move(self, deployment: Deployment, percentage: int) -> None:
        """Let so much of the traffic reach the new version."""
        spec = deployment.spec
        assert spec is not None
        weights = {spec.target: percentage / 100} if percentage < 100 else {}
        try:
            self._client(deployment, "lambda").update_alias(
                FunctionName=spec.function,
                Name=spec.alias,
                FunctionVersion=spec.current if weights else spec.target,
                RoutingConfig={"AdditionalVersionWeights": weights},
            )
        except ClientError as error:
            raise refused(error, deployment.group.role_arn, f"{spec.function}:{spec.alias}") from error
        deployment.weight, deployment.updated_at = percentage, self._core.clock.now()

    def _client(self, deployment: Deployment, service: str) -> Any:
        group = deployment.group
        arn = group_arn(group, deployment.account_id, deployment.region)
        try:
            principal = roles.assume(self._core, group.role_arn, SERVICE, source_arn=arn)
        except roles.RoleRefused as error:
            raise Broken("IAM_ROLE_MISSING", f"The service role can't be assumed: {error}.") from None
        return self._core.clients.client(service, region=deployment.region, principal=principal)

    def _watch(self, shelf: Shelf, deployment: Deployment) -> None:
        """Look at the alarms again and again, as long as it runs."""

        def look() -> None:
            with deployment.lock:
                if deployment.status.final:
                    return
                try:
                    self._look_at_alarms(deployment)
                except Broken as broken:
                    self._broken(shelf, deployment, broken)
                    return
            self._watch(shelf, deployment)

        label = f"codedeploy {deployment.id} looks at its alarms"
        self._core.work.submit(look, label=label, delay_s=_LOOK_EVERY_S, observes=True)

    def _look_at_alarms(self, deployment: Deployment) -> None:
        names = _alarms(deployment)
        if not names:
            return
        try:
            told = self._client(deployment, "cloudwatch").describe_alarms(
                AlarmNames=names, AlarmTypes=["MetricAlarm", "CompositeAlarm"]
            )
        except ClientError as error:
            if deployment.alarms.get("ignorePollAlarmFailure"):
                return
            raise refused(error, deployment.group.role_arn, "CloudWatch's alarms") from error
        found = [*told.get("MetricAlarms", ()), *told.get("CompositeAlarms", ())]
        active = sorted(alarm["AlarmName"] for alarm in found if alarm["StateValue"] == "ALARM")
        if active:
            raise Broken(
                "ALARM_ACTIVE",
                "One or more alarms have been activated according to the Amazon CloudWatch metrics you "
                f"selected, and the affected deployments have been stopped. Activated alarms: "
                f"{', '.join(active)}",
                _ON_ALARM,
            )

    def _broken(self, shelf: Shelf, deployment: Deployment, why: Broken, *, back: bool | None = None) -> None:
        """End it, and send traffic back if that is wanted."""
        deployment.error = {"code": why.code, "message": why.message}
        now = self._core.clock.now()
        for event in deployment.events:
            if event.status == "InProgress":
                event.status, event.ended_at = "Failed", now
            elif event.status == "Pending":
                event.status = "Skipped"
        wanted = deployment.rollback
        if back is None:
            back = bool(wanted.get("enabled")) and why.occasion in (wanted.get("events") or ())
        way_back = self._way_back(shelf, deployment) if back else None
        if way_back is not None:
            # Whoever hears of the end finds the way back.
            shelf.deployments[way_back.id] = way_back
            deployment.rollback_info = {
                "rollbackDeploymentId": way_back.id,
                "rollbackMessage": f"The deployment {way_back.id} rolls back {deployment.id}.",
            }
        self._end(deployment, Status.FAILED if why.occasion == _ON_FAILURE else Status.STOPPED)
        if way_back is not None:
            self.begin(shelf, way_back)

    def _way_back(self, shelf: Shelf, deployment: Deployment) -> Deployment | None:
        """A deployment that undoes what this one has done to its alias."""
        if deployment.spec is None or deployment.creator == "codeDeployRollback":
            return None
        spec = deployment.spec.reversed()
        return Deployment(
            group=deployment.group,
            config=shelf.configs[AT_ONCE],
            revision=revisions.written(spec),
            created_at=self._core.clock.now(),
            account_id=deployment.account_id,
            region=deployment.region,
            creator="codeDeployRollback",
            rollback_info={
                "rollbackTriggeringDeploymentId": deployment.id,
                "rollbackMessage": f"{deployment.id} ended with {(deployment.error or {}).get('code')}.",
            },
            spec=spec,
        )

    def _end(self, deployment: Deployment, status: Status) -> None:
        if deployment.timer is not None:
            self._core.work.cancel(deployment.timer)
        deployment.status, deployment.ended_at = status, self._core.clock.now()
        script, deployment.script = deployment.script, None
        if script is not None:
            script.close()
        self._notices.tell(deployment)


class _Event:
    """A lifecycle event while it happens; whoever lets it fail says so by ``Broken``."""

    def __init__(self, core: AccountCore, deployment: Deployment, name: str) -> None:
        self._core = core
        self._event = deployment.event(name)

    def __enter__(self) -> Lifecycle:
        self._event.status, self._event.started_at = "InProgress", self._core.clock.now()
        return self._event

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is None:
            self._event.status, self._event.ended_at = "Succeeded", self._core.clock.now()
        elif kind is not GeneratorExit:
            self._event.status, self._event.ended_at = "Failed", self._core.clock.now()


def _alarms(deployment: Deployment) -> list[str]:
    if not deployment.alarms.get("enabled"):
        return []
    return [str(alarm["name"]) for alarm in deployment.alarms.get("alarms") or ()]
