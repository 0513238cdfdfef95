"""Adds replicas to tables and takes them away, and keeps their settings alike.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/GlobalTables.html
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from sandbox.emulator.calls import AwsError, Call, Handler, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.dynamodb.expiry import Expiry
from sandbox.emulator.dynamodb.replication import replicas
from sandbox.emulator.dynamodb.replication.autoscaling import AutoScaling
from sandbox.emulator.dynamodb.replication.engine import Replicator
from sandbox.emulator.dynamodb.replication.group import Group, Replica, Status
from sandbox.emulator.dynamodb.replication.replicas import invalid, missing
from sandbox.emulator.fabric.streams import Streams
from sandbox.emulator.links import SOON_S, Links

VERSION = "2019.11.21"
# AWS says "a few minutes"; what a table is while it waits can be seen here too.
_MAKING_S, _REMOVING_S = 1.0, 0.2
# What can't be copied because a way is cut is tried again after this time.
_AGAIN_S = 10.0
_SOURCE_FOR_S = 24 * 3600.0
_OVERRIDES = (
    "GlobalSecondaryIndexes",
    "KMSMasterKeyId",
    "OnDemandThroughputOverride",
    "ProvisionedThroughputOverride",
    "TableClassOverride",
)
# What UpdateTable changes in every replica; the rest is each replica's own.
# Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/globaltables-CoreConcepts.html
_SHARED = ("AttributeDefinitions", "BillingMode", "GlobalSecondaryIndexUpdates", "ProvisionedThroughput")


class GlobalTables:
    """Takes over from moto what concerns tables with replicas."""

    def __init__(self, core: AccountCore, streams: Streams, links: Links, expiry: Expiry) -> None:
        self._core = core
        self._expiry = expiry
        self._links = links
        self._replicator = Replicator(core, streams, links)
        self._groups = self._replicator.groups
        self._scaling = AutoScaling(core, self._groups)
        expiry.elsewhere = self._elsewhere

    def handlers(self) -> Handlers:
        """The operations it takes over."""
        found: dict[str, Handler] = {
            "UpdateTable": self._update,
            "DescribeTable": self._describe,
            "DeleteTable": self._delete,
        }
        own = {("dynamodb", name): handler for name, handler in found.items()}
        return own | self._scaling.handlers()

    def _elsewhere(self, account_id: str, region: str, name: str) -> list[str]:
        """The other regions in which a table has replicas."""
        group = self._groups.get((account_id, name))
        return group.others(region) if group is not None and region in group.replicas else []

    def _group(self, call: Call, name: str) -> Group | None:
        group = self._groups.get((call.account_id, name))
        return group if group is not None and call.region in group.replicas else None

    def _update(self, call: Call) -> dict[str, Any]:
        name = _name(call)
        updates = call.params.get("ReplicaUpdates") or []
        if (
            call.params.get("MultiRegionConsistency") == "STRONG"
            or "GlobalTableWitnessUpdates" in call.params
        ):
            raise AwsError("NotEmulated", "Coldstart has no multi-Region strong consistency. Our gap.", 501)
        with self._core.dispatch_lock:
            group = self._group(call, name)
            if group is not None and not group.settled():
                raise AwsError(
                    "ResourceInUseException",
                    f"Attempt to change a resource which is still in use: Table is being updated: {name}",
                )
            if group is not None and "StreamSpecification" in call.params:
                raise invalid(
                    "One or more parameter values were invalid: The stream of a table that has replicas "
                    "can't be changed."
                )
            own = {key: value for key, value in call.params.items() if key != "ReplicaUpdates"}
            if own.keys() - {"TableName"}:
                answer = self._core.moto(_with(call, own))
                if group is not None:
                    self._share(group, call)
            for update in updates:
                self._replicate(call, name, update)
            if not updates:
                return self._told(call, answer, "TableDescription") if own.keys() - {"TableName"} else answer
            found = self._core.moto(_with(call, {"TableName": name}, "DescribeTable"))
            return self._told(call, {"TableDescription": found["Table"]}, "TableDescription")

    def _share(self, group: Group, call: Call) -> None:
        """What was changed in one region is changed in the others."""
        wanted = {key: copy.deepcopy(call.params[key]) for key in _SHARED if key in call.params}
        for region in group.others(call.region) if wanted else ():
            dynamodb_backends[call.account_id][region].update_table(
                name=group.name,
                attr_definitions=copy.deepcopy(wanted.get("AttributeDefinitions")),
                global_index=copy.deepcopy(wanted.get("GlobalSecondaryIndexUpdates")),
                throughput=copy.deepcopy(wanted.get("ProvisionedThroughput")),
                billing_mode=wanted.get("BillingMode"),
                stream_spec=None,
                deletion_protection_enabled=None,
                warm_throughput=None,
            )

    def _replicate(self, call: Call, name: str, update: Mapping[str, Any]) -> None:
        if sum(kind in update for kind in ("Create", "Update", "Delete")) != 1:
            raise invalid("One or more parameter values were invalid: A replica update has one action.")
        kind, wanted = next(iter(update.items()))
        region = str(wanted.get("RegionName", ""))
        if region == call.region:
            raise invalid(
                "Cannot add, delete, or update the local region through ReplicaUpdates. Use CreateTable, "
                "DeleteTable, or UpdateTable as required."
            )
        if region not in dynamodb_backends[call.account_id].regions:
            raise invalid(f"One or more parameter values were invalid: {region} is not a valid region.")
        {"Create": self._create, "Update": self._change, "Delete": self._remove}[kind](
            call, name, region, wanted
        )

    def _create(self, call: Call, name: str, region: str, wanted: Mapping[str, Any]) -> None:
        key = (call.account_id, name)
        source = dynamodb_backends[call.account_id][call.region].tables.get(name)
        if source is None:
            raise missing(name)
        group = self._group(call, name)
        if name in dynamodb_backends[call.account_id][region].tables or (group and region in group.replicas):
            raise invalid(
                f"Failed to create a the new replica of table with name: '{name}' because one or more "
                "replicas already existed as tables."
            )
        replicas.check_source(source, autoscaled=key in self._scaling.settings)
        if group is None:
            replicas.link_role(call.account_id)
            group = self._groups[key] = Group(call.account_id, name)
            group.replicas[call.region] = Replica(Status.ACTIVE)
            group.skip(call.region)
            self._replicator.follow(group, call.region)
        settings = {key: wanted[key] for key in _OVERRIDES if key in wanted}
        group.replicas[region] = Replica(Status.CREATING, settings)
        self._later(group, _MAKING_S, lambda: self._created(group, call.region, region))

    def _created(self, group: Group, source: str, region: str) -> None:
        """The copy is complete: from now on the replica takes part."""
        with self._core.dispatch_lock:
            replica, table = group.replicas.get(region), group.table(source)
            if replica is None or replica.status is not Status.CREATING:
                return
            if self._links.is_cut(source, region):
                self._later(group, _AGAIN_S, lambda: self._created(group, source, region))
                return
            if table is None or group.table(region) is not None:
                replica.status = Status.FAILED
                return
            for live in group.live():
                self._replicator.take_up(group, live)
            replicas.make_table(group, table, region, replica.settings)
            origin = group.replicas[source]
            origin.sourced_at = self._core.clock.time()
            replica.stamps = dict(origin.stamps)
            replica.status = Status.ACTIVE
            for other in group.others(region):
                # What the source has not heard of yet, its copy has not either.
                group.way(other, region).waiting.extend(group.way(other, source).waiting)
            self._replicator.follow(group, region)
            self._expiry.begin(group.account_id, region, group.name)
            self._replicator.resume()

    def _change(self, call: Call, name: str, region: str, wanted: Mapping[str, Any]) -> None:
        replica = self._existing(call, name, region)
        replica.settings |= {key: wanted[key] for key in _OVERRIDES if key in wanted}

    def _remove(self, call: Call, name: str, region: str, _wanted: Mapping[str, Any]) -> None:
        replica = self._existing(call, name, region)
        group = self._groups[call.account_id, name]
        table = group.table(region)
        if table is not None and table.deletion_protection_enabled:
            raise invalid(
                f"Resource cannot be deleted as it is currently protected against deletion: {table.table_arn}"
            )
        self._check_age(replica)
        replica.status = Status.DELETING

        def gone() -> None:
            with self._core.dispatch_lock:
                if group.replicas.get(region) is replica:
                    dynamodb_backends[group.account_id][region].tables.pop(name, None)
                    self._left(group, region)

        self._later(group, _REMOVING_S, gone)

    def _existing(self, call: Call, name: str, region: str) -> Replica:
        group = self._group(call, name)
        if group is None or region not in group.replicas:
            raise invalid(
                f"Failed to update or delete the replica of table with name: '{name}' in region {region} "
                "because it does not exist."
            )
        return group.replicas[region]

    def _check_age(self, replica: Replica) -> None:
        if self._core.clock.time() - replica.sourced_at < _SOURCE_FOR_S:
            raise invalid(
                "Replica cannot be deleted because it has acted as a source region for new replica(s) being "
                "added to the table in the last 24 hours."
            )

    def _later(self, group: Group, delay_s: float, action: Callable[[], None]) -> None:
        label = f"replica of dynamodb:{group.name}"
        self._core.work.submit(action, label=label, delay_s=delay_s, awaited=delay_s <= SOON_S)

    def _left(self, group: Group, region: str) -> None:
        """A replica is gone; one that is alone is an ordinary table again."""
        del group.replicas[region]
        group.ways = {way: held for way, held in group.ways.items() if region not in way}
        if len(group.replicas) < 2:
            self._groups.pop((group.account_id, group.name), None)
            group.replicas.clear()

    def _delete(self, call: Call) -> dict[str, Any]:
        name = _name(call)
        with self._core.dispatch_lock:
            group = self._group(call, name)
            if group is None:
                answer = self._core.moto(call)
                self._scaling.settings.pop((call.account_id, name), None)
                return answer
            if not group.settled():
                raise AwsError(
                    "ResourceInUseException",
                    f"Attempt to change a resource which is still in use: Table is being updated: {name}",
                )
            self._check_age(group.replicas[call.region])
            # What it still has to tell, it tells first.
            self._replicator.take_up(group, call.region)
            self._replicator.flush(group, call.region)
            answer = self._core.moto(call)
            self._left(group, call.region)
            return answer

    def _describe(self, call: Call) -> dict[str, Any]:
        name = _name(call)
        with self._core.dispatch_lock:
            group = self._group(call, name)
            if group is None or group.replicas[call.region].status is not Status.CREATING:
                return self._told(call, self._core.moto(call), "Table")
            source = group.live()[0]
            found = self._core.moto(_with(call, {"TableName": name}, "DescribeTable", source))["Table"]
            arn = str(found["TableArn"]).replace(f":{source}:", f":{call.region}:")
            hidden = ("ItemCount", "LatestStreamArn", "LatestStreamLabel", "TableSizeBytes", "TableStatus")
            shown = {key: value for key, value in found.items() if key not in hidden}
            shown |= {"TableArn": arn, "TableStatus": "CREATING", "ItemCount": 0, "TableSizeBytes": 0}
            return self._told(call, {"Table": shown}, "Table")

    def _told(self, call: Call, answer: dict[str, Any], member: str) -> dict[str, Any]:
        """A table's description with its replicas elsewhere."""
        group = self._group(call, _name(call))
        if group is None:
            return answer
        table = {**answer[member], "GlobalTableVersion": VERSION}
        table["Replicas"] = [
            {"RegionName": region, "ReplicaStatus": str(each.status), **_shown(each.settings)}
            for region, each in group.replicas.items()
            if region != call.region
        ]
        if not group.settled() and table.get("TableStatus") == "ACTIVE":
            table["TableStatus"] = "UPDATING"
        return {**answer, member: table}


def _shown(settings: Mapping[str, Any]) -> dict[str, Any]:
    """A replica's own settings as DescribeTable tells them."""
    shown = {key: value for key, value in settings.items() if key != "TableClassOverride"}
    if kind := settings.get("TableClassOverride"):
        shown["ReplicaTableClassSummary"] = {"TableClass": kind}
    return shown


def _name(call: Call) -> str:
    return str(call.params.get("TableName", "")).rsplit("/", 1)[-1]


def _with(call: Call, params: dict[str, Any], operation: str = "", region: str = "") -> Call:
    """The same caller's call with other parameters."""
    return Call(
        call.service,
        operation or call.operation,
        params,
        call.principal,
        call.account_id,
        region or call.region,
        call.request_id,
    )
