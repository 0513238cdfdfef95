"""One rotation of a secret: four steps, each a question to the secret's function.

Source: https://docs.aws.amazon.com/secretsmanager/latest/userguide/rotate-secrets_lambda-functions.html
"""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from typing import Any

from moto.secretsmanager.models import secretsmanager_backends

from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric import policies
from sandbox.emulator.functions.contract import Functions

SERVICE = "secretsmanager.amazonaws.com"
CURRENT, PENDING = "AWSCURRENT", "AWSPENDING"
NOT_HERE = "Operation not permitted on a replica secret. Call must be made in primary secret's region."
STEPS = ("createSecret", "setSecret", "testSecret", "finishSecret")


@dataclass(frozen=True, slots=True)
class Rotation:
    """A secret that gets a new version; ``token`` is that version's id."""

    arn: str
    account_id: str
    region: str
    function: str
    token: str


class StepFailed(Exception):
    """The function did not do a step; says why."""


class Rotations:
    """Runs rotations. Never call :meth:`run` or :meth:`test` with the dispatch lock held."""

    def __init__(self, core: AccountCore, functions: Functions) -> None:
        self._core = core
        self._functions = functions

    def run(self, rotation: Rotation) -> None:
        """Have the function do all four steps.

        Raises:
            StepFailed: it did not, or the new version did not become the current one.
        """
        for step in STEPS:
            self._ask(rotation, step)
        with self._core.dispatch_lock:
            secret = find_secret(rotation.arn, rotation.account_id, rotation.region)
            unfinished = secret is not None and pending(secret)
        if unfinished:
            why = f"the function ended, and {PENDING} is still on a version that is not {CURRENT}"
            self._note(rotation, "finishSecret", "RotationFailed", why)
            raise StepFailed(why)

    def test(self, rotation: Rotation) -> None:
        """Have the function try a version that is thrown away afterwards.

        Raises:
            StepFailed: it failed.
        """
        try:
            self._ask(rotation, "testSecret")
        finally:
            with self._core.dispatch_lock:
                secret = find_secret(rotation.arn, rotation.account_id, rotation.region)
                if secret is not None:
                    secret.versions.pop(rotation.token, None)

    def _ask(self, rotation: Rotation, step: str) -> None:
        delivery = policies.Delivery(SERVICE, rotation.arn, rotation.account_id)
        refused = policies.refusal(self._core, rotation.function, delivery)
        if refused:
            self._note(rotation, step, "AccessDenied", refused)
            raise StepFailed(refused)
        event = {
            "Step": step,
            "SecretId": rotation.arn,
            "ClientRequestToken": rotation.token,
            "RotationToken": str(uuid.uuid4()),
        }
        outcome = self._functions.invoke(
            rotation.function,
            json.dumps(event).encode(),
            account_id=rotation.account_id,
            region=rotation.region,
            source=f"secretsmanager:{rotation.arn.rsplit(':', 1)[-1]}",
        )
        if outcome.succeeded:
            self._note(rotation, step, "ok", "")
            return
        why = outcome.error_code or outcome.payload.decode("utf-8", "replace")
        self._note(rotation, step, "RotationFailed", why)
        raise StepFailed(why)

    def _note(self, rotation: Rotation, step: str, outcome: str, why: str) -> None:
        self._core.timeline.add(
            "delivery",
            f"secretsmanager:{rotation.arn.rsplit(':', 1)[-1]}",
            account_id=rotation.account_id,
            region=rotation.region,
            outcome=outcome,
            step=step,
            function=rotation.function,
            version=rotation.token,
            **({"reason": why} if why else {}),
        )


def find_secret(name: str, account_id: str, region: str) -> Any:
    """A secret of moto's by name or ARN, or None. Call with the dispatch lock held."""
    secret = secretsmanager_backends[account_id][region].secrets.get(name)
    return secret if secret is not None and hasattr(secret, "rotation_enabled") else None


def pending(secret: Any) -> str:
    """The version that a rotation left unfinished; empty for none."""
    for version_id, version in secret.versions.items():
        stages = version["version_stages"]
        if PENDING in stages and CURRENT not in stages:
            return str(version_id)
    return ""


def add_pending(secret: Any, token: str, now: float, *, copied: bool = False) -> None:
    """A new version for a rotation to fill; ``copied`` gives it the current one's value."""
    version: dict[str, Any] = {
        "createdate": int(now),
        "version_id": token,
        "version_stages": [PENDING],
    }
    if copied and secret.default_version_id:
        current = secret.versions[secret.default_version_id]
        version |= {name: current[name] for name in ("secret_string", "secret_binary") if name in current}
    secret.remove_version_stages_from_old_versions([PENDING])
    secret.versions[token] = version
