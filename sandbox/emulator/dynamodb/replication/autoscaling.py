"""Settings by which global tables would scale; they are kept, and capacity stays as it is."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from sandbox.emulator.calls import Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.dynamodb.replication.group import Group, Replica, Status
from sandbox.emulator.dynamodb.replication.replicas import missing

_LIMITS = ("MinimumUnits", "MaximumUnits", "AutoScalingDisabled", "AutoScalingRoleArn")


class AutoScaling:
    """``settings`` are by account and table; a provisioned table needs them to have replicas."""

    def __init__(self, core: AccountCore, groups: Mapping[tuple[str, str], Group]) -> None:
        self._core = core
        self._groups = groups
        self.settings: dict[tuple[str, str], dict[str, Any]] = {}

    def handlers(self) -> Handlers:
        """The operations it takes over."""
        return {
            ("dynamodb", "UpdateTableReplicaAutoScaling"): self._update,
            ("dynamodb", "DescribeTableReplicaAutoScaling"): self._describe,
        }

    def _update(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            name = self._table(call)
            held = self.settings.setdefault((call.account_id, name), {})
            held |= {key: value for key, value in call.params.items() if key != "TableName"}
            return self._told(call, name)

    def _describe(self, call: Call) -> dict[str, Any]:
        with self._core.dispatch_lock:
            return self._told(call, self._table(call))

    def _table(self, call: Call) -> str:
        name = str(call.params.get("TableName", "")).rsplit("/", 1)[-1]
        if name not in dynamodb_backends[call.account_id][call.region].tables:
            raise missing(name)
        return name

    def _told(self, call: Call, name: str) -> dict[str, Any]:
        group = self._groups.get((call.account_id, name))
        given = self.settings.get((call.account_id, name), {}).get(
            "ProvisionedWriteCapacityAutoScalingUpdate"
        )
        limits = {each: given[each] for each in _LIMITS if each in given} if given else {}
        writing = {"ReplicaProvisionedWriteCapacityAutoScalingSettings": limits} if limits else {}
        regions = group.replicas if group is not None else {call.region: Replica(Status.ACTIVE)}
        shown = [
            {"RegionName": region, "ReplicaStatus": str(each.status), **writing}
            for region, each in regions.items()
        ]
        told = {"TableName": name, "TableStatus": "ACTIVE", "Replicas": shown}
        return {"TableAutoScalingDescription": told}
