"""Secrets Manager's rotation; moto keeps the secrets and their versions."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from moto.secretsmanager.models import secretsmanager_backends

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import policies
from sandbox.emulator.fabric.secretsmanager.rotation import (
    CURRENT,
    NOT_HERE,
    SERVICE,
    Rotation,
    Rotations,
    StepFailed,
    add_pending,
    find_secret,
    pending,
)
from sandbox.emulator.fabric.secretsmanager.rules import Rules, read_rules
from sandbox.emulator.functions.contract import Functions
from sandbox.emulator.work import WorkItem

# AWS says that it tries the whole rotation again several times, and not when.
_RETRIES_S = (300.0, 900.0, 1800.0, 3600.0)


@dataclass(slots=True)
class _Plan:
    """How a secret is rotated, and what of that is still to come."""

    function: str = ""
    rules: Rules | None = None
    since: dt.datetime | None = None
    closes: dt.datetime | None = None
    due: WorkItem | None = None
    retries: list[WorkItem] = field(default_factory=list)


class Secrets:
    """Rotates secrets when told to and when it is time."""

    def __init__(self, core: AccountCore, functions: Functions) -> None:
        self._core = core
        self._rotations = Rotations(core, functions)
        self._plans: dict[str, _Plan] = {}
        self.changed: Callable[[Any], None] = lambda _secret: None
        """Told of each secret whose versions changed, with the dispatch lock held; must only enqueue."""

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "RotateSecret": self._rotate,
            "CancelRotateSecret": self._cancel,
            "DescribeSecret": self._describe,
            "ListSecrets": self._list,
            "UpdateSecretVersionStage": self._move,
        }
        return {("secretsmanager", name): handler for name, handler in found.items()}

    def _rotate(self, call: Call) -> dict[str, Any]:
        params = call.params
        rules = read_rules(params.get("RotationRules") or {})
        token = params.get("ClientRequestToken") or str(uuid.uuid4())
        if not 32 <= len(token) <= 64:
            raise AwsError("InvalidParameterException", "ClientRequestToken must be 32-64 characters long.")
        with self._core.dispatch_lock:
            secret = self._get(call)
            plan = self._plans.get(secret.arn) or _Plan()
            function = params.get("RotationLambdaARN") or plan.function
            if not function:
                raise AwsError(
                    "InvalidRequestException",
                    "No Lambda rotation function ARN is associated with this secret.",
                )
            self._check_function(call, secret.arn, function)
            if pending(secret):
                raise AwsError(
                    "InvalidRequestException",
                    "A previous rotation isn't complete. That rotation will be reattempted.",
                )
            plan.function, plan.rules = function, rules or plan.rules
            plan.since = self._core.clock.now()
            self._plans[secret.arn] = plan
            secret.rotation_requested = secret.rotation_enabled = True
            secret.rotation_lambda_arn = function
            now_too = params.get("RotateImmediately", True)
            rotation = Rotation(secret.arn, call.account_id, call.region, function, token)
            if secret.versions:
                add_pending(secret, token, self._core.clock.time(), copied=not now_too)
                run = self._attempt if now_too else self._test
                self._submit(rotation, lambda: run(rotation))
            self._schedule(rotation, plan)
            return {"ARN": secret.arn, "Name": secret.name, "VersionId": token}

    def _check_function(self, call: Call, arn: str, function: str) -> None:
        """Refuse a function that Secrets Manager, or whoever asks for the rotation, may not invoke.

        Raises:
            AwsError: it may not.
        """
        try:
            refused = policies.refusal(self._core, function, policies.Delivery(SERVICE, arn, call.account_id))
        except ValueError as error:
            raise AwsError("InvalidParameterException", str(error)) from None
        if "does not exist" in refused:
            raise AwsError("ResourceNotFoundException", f"Resource not found for ARN '{function}'.")
        if refused:
            raise AwsError(
                "AccessDeniedException",
                "Secrets Manager cannot invoke the specified Lambda function. Ensure that the function "
                f"policy grants access to the principal {SERVICE}.",
            )
        denied = self._core.guard.refusal(
            call.principal, "lambda:InvokeFunction", function, region=call.region
        )
        if denied:
            raise AwsError("AccessDeniedException", denied)

    def _submit(self, rotation: Rotation, action: Callable[[], None], delay_s: float = 0.0) -> WorkItem:
        label = f"rotation of {rotation.arn.rsplit(':', 1)[-1]}"
        return self._core.work.submit(action, label=label, delay_s=delay_s)

    def _test(self, rotation: Rotation) -> None:
        try:
            self._rotations.test(rotation)
        except StepFailed:
            return  # The timeline tells; AWS leaves the schedule as it is.

    def _attempt(self, rotation: Rotation, tries: int = 0) -> None:
        """Rotate, and plan to try again what failed."""
        with self._core.dispatch_lock:
            secret = find_secret(rotation.arn, rotation.account_id, rotation.region)
            if secret is None or secret.is_deleted() or not secret.rotation_enabled:
                return
            if tries and pending(secret) != rotation.token:
                return  # Somebody has finished or given up what failed.
        try:
            self._rotations.run(rotation)
        except StepFailed:
            if tries < len(_RETRIES_S):
                with self._core.dispatch_lock:
                    plan = self._plans.setdefault(rotation.arn, _Plan())
                    again = self._submit(
                        rotation, lambda: self._attempt(rotation, tries + 1), _RETRIES_S[tries]
                    )
                    plan.retries.append(again)
            return
        with self._core.dispatch_lock:
            secret.last_rotation_date = int(self._core.clock.time())
            plan = self._plans.setdefault(rotation.arn, _Plan())
            plan.since = self._core.clock.now()
            self._schedule(rotation, plan)

    def _schedule(self, rotation: Rotation, plan: _Plan) -> None:
        """Plan the next rotation; call with the dispatch lock held."""
        if plan.due is not None:
            self._core.work.cancel(plan.due)
        plan.due = plan.closes = None
        window = plan.rules.after(plan.since) if plan.rules is not None and plan.since is not None else None
        if window is None:
            return
        plan.closes = window.closes
        delay_s = max(0.0, window.opens.timestamp() - self._core.clock.time())
        plan.due = self._submit(rotation, lambda: self._due(rotation), delay_s)

    def _due(self, last: Rotation) -> None:
        """The window has opened: rotate, or try again what is still unfinished."""
        with self._core.dispatch_lock:
            secret = find_secret(last.arn, last.account_id, last.region)
            plan = self._plans.get(last.arn)
            if secret is None or secret.is_deleted() or plan is None:
                return
            for item in plan.retries:
                self._core.work.cancel(item)
            plan.retries.clear()
            token = pending(secret)
            if not token:
                token = str(uuid.uuid4())
                add_pending(secret, token, self._core.clock.time())
            rotation = Rotation(last.arn, last.account_id, last.region, plan.function, token)
            plan.since = self._core.clock.now()
            self._schedule(rotation, plan)
        self._attempt(rotation)

    def _cancel(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            answer = self._core.moto(call)
            plan = self._plans.get(answer["ARN"])
            for item in (*plan.retries, plan.due) if plan is not None else ():
                if item is not None:
                    self._core.work.cancel(item)
            if plan is not None:
                plan.due = plan.closes = None
                plan.retries.clear()
        return answer

    def _describe(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            return self._told(self._core.moto(call))

    def _list(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            answer = self._core.moto(call)
            return {**answer, "SecretList": [self._told(each) for each in answer.get("SecretList", [])]}

    def _told(self, secret: dict[str, Any]) -> dict[str, Any]:
        """A secret as the API tells it, with its rotation as it is here."""
        plan = self._plans.get(secret["ARN"])
        told = {name: value for name, value in secret.items() if name != "NextRotationDate"}
        if plan is None:
            return told
        told.pop("RotationRules", None)
        if plan.rules is not None:
            told["RotationRules"] = dict(plan.rules.given)
        if plan.closes is not None:
            told["NextRotationDate"] = plan.closes
        return told

    def _move(self, call: Call) -> dict[str, Any]:
        """Move a label; moto forgets which version is read when none is named."""
        stage, target = call.params["VersionStage"], call.params.get("MoveToVersionId")
        with self._core.dispatch_lock:
            answer = self._core.moto(call)
            secret = self._get(call)
            for version in secret.versions.values():
                version["version_stages"] = list(dict.fromkeys(version["version_stages"]))
            if stage == CURRENT and target:
                secret.set_default_version_id(target)
            self.changed(secret)
        return answer

    def _get(self, call: Call) -> Any:
        secret = find_secret(call.params["SecretId"], call.account_id, call.region)
        if secret is None:
            held = secretsmanager_backends[call.account_id][call.region].secrets
            if call.params["SecretId"] in held:
                raise AwsError("InvalidParameterException", NOT_HERE)
            raise AwsError("ResourceNotFoundException", "Secrets Manager can't find the specified secret.")
        if secret.is_deleted():
            raise AwsError(
                "InvalidRequestException",
                "You can't perform this operation on the secret because it was marked for deletion.",
            )
        return secret
