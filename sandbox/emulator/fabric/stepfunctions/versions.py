"""Published versions of state machines, and the aliases that share executions out among them.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/concepts-cd-aliasing-versioning.html
"""

from __future__ import annotations

import random
import re
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from moto.stepfunctions.models import stepfunctions_backends

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore

_ALIAS = re.compile(r"(?!\d+$)[\w.-]{1,80}")
INITIAL = "INITIAL"


class Versions:
    """What moto lacks of versions and aliases; it keeps both with the machine."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self._chance = random.Random(f"states:{core.account_id}")

    def handlers(self) -> Handlers:
        """The operations it takes over from moto."""
        found: dict[str, Handler] = {
            "DescribeStateMachine": self._describe,
            "PublishStateMachineVersion": self._publish,
            "ListStateMachineVersions": self._list,
            "DeleteStateMachineVersion": self._delete,
            "CreateStateMachineAlias": self._create_alias,
            "UpdateStateMachineAlias": self._update_alias,
        }
        return {("stepfunctions", name): self._locked(handler) for name, handler in found.items()}

    def chosen(self, machine: Any, qualifier: str) -> Any:
        """A machine's version by its number, or by an alias's weights; None: there is none. Hold the lock."""
        if qualifier.isdigit():
            return machine.versions.get(int(qualifier))
        alias = machine.aliases.get(qualifier)
        if alias is None:
            return None
        routes = alias.routing_configuration
        weights = [int(route["weight"]) for route in routes]
        [route] = self._chance.choices(routes, weights)
        return machine.versions.get(_number(route["stateMachineVersionArn"]))

    @staticmethod
    def revised(machine: Any) -> str:
        """Note that a machine changed; its new revision."""
        machine.revision_id = str(uuid.uuid4())
        return str(machine.revision_id)

    def _locked(self, handler: Handler) -> Handler:
        def locked(call: Call) -> dict[str, Any]:
            with self._core.dispatch_lock:
                return handler(call)

        return locked

    def _describe(self, call: Call) -> dict[str, Any]:
        arn = str(call.params["stateMachineArn"])
        made = self._core.moto(call)
        if arn.count(":") > 6:
            version = _machine(call, arn).versions.get(_number(arn))
            return made | {"revisionId": getattr(version, "revision_id", INITIAL)}
        revision = getattr(_machine(call, arn), "revision_id", None)
        return made | ({"revisionId": revision} if revision else {})

    def _publish(self, call: Call) -> dict[str, Any]:
        machine = _machine(call, call.params["stateMachineArn"])
        revision = getattr(machine, "revision_id", INITIAL)
        wanted = call.params.get("revisionId")
        if wanted and wanted != revision:
            raise AwsError(
                "ConflictException",
                "Version publish request contains outdated revision ID. Use the latest revision ID instead.",
            )
        latest = machine.latest_version
        if latest is None or getattr(latest, "revision_id", INITIAL) != revision:
            machine.publish(call.params.get("description"))
            latest = machine.latest_version
            latest.revision_id = revision
            latest.creation_date = self._core.clock.now()
        return {"creationDate": latest.creation_date, "stateMachineVersionArn": latest.arn}

    def _list(self, call: Call) -> dict[str, Any]:
        machine = _machine(call, call.params["stateMachineArn"])
        found = sorted(machine.versions.values(), key=lambda version: -version.version)
        return {
            "stateMachineVersions": [
                {"stateMachineVersionArn": version.arn, "creationDate": version.creation_date}
                for version in found
            ]
        }

    def _delete(self, call: Call) -> dict[str, Any]:
        arn = str(call.params["stateMachineVersionArn"])
        machine = _machine(call, arn)
        holding = [
            alias.arn
            for alias in machine.aliases.values()
            if any(route["stateMachineVersionArn"] == arn for route in alias.routing_configuration)
        ]
        if holding:
            raise AwsError(
                "ConflictException",
                "Version to be deleted must not be referenced by an alias. Current list of aliases "
                f"referencing this version: [{', '.join(holding)}]",
            )
        gone = machine.versions.pop(_number(arn), None)
        if gone is not None and machine.latest_version is gone:
            machine.latest_version = None
        return {}

    def _create_alias(self, call: Call) -> dict[str, Any]:
        name = str(call.params["name"])
        if not _ALIAS.fullmatch(name):
            raise AwsError("InvalidName", f"Invalid Name: '{name}'")
        machine = self._check_routes(call, call.params["routingConfiguration"])
        present = machine.aliases.get(name)
        if present is not None and present.routing_configuration != call.params["routingConfiguration"]:
            raise AwsError("ConflictException", f"Alias {name} already exists with other settings.")
        return self._core.moto(call)

    def _update_alias(self, call: Call) -> dict[str, Any]:
        if routes := call.params.get("routingConfiguration"):
            self._check_routes(call, routes)
        return self._core.moto(call)

    def _check_routes(self, call: Call, routes: Sequence[Mapping[str, Any]]) -> Any:
        arns = [str(route["stateMachineVersionArn"]) for route in routes]
        machines = {arn.rpartition(":")[0] for arn in arns}
        if sum(int(route["weight"]) for route in routes) != 100 or not 1 <= len(routes) <= 2:
            raise AwsError("ValidationException", "Sum of routing configuration weights must equal 100.")
        if len(machines) != 1 or len(set(arns)) != len(arns):
            raise AwsError(
                "ValidationException",
                "Routing configuration must hold different versions of one state machine.",
            )
        machine = _machine(call, arns[0])
        for arn in arns:
            if _number(arn) not in machine.versions:
                raise AwsError("ResourceNotFound", f"State Machine Version Does Not Exist: '{arn}'")
        return machine


def _machine(call: Call, arn: str) -> Any:
    """The machine that an ARN, perhaps of a version, belongs to."""
    parts = arn.split(":")
    plain = ":".join(parts[:7])
    backend = stepfunctions_backends[call.account_id][call.region]
    machine = next((each for each in backend.state_machines if each.arn == plain), None)
    if machine is None:
        raise AwsError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")
    return machine


def _number(arn: str) -> int:
    last = arn.rsplit(":", 1)[-1]
    return int(last) if last.isdigit() else 0
