"""Items that outlived their time to live are deleted, and their stream says that DynamoDB did it.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/TTL.html
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import Any

from moto.dynamodb.models import dynamodb_backends

from sandbox.emulator.calls import AwsError, Call, Handlers
from sandbox.emulator.core import AccountCore
from sandbox.emulator.fabric.streams.patches import by_service

# AWS promises "within a few days"; what is asked for in labs is that it happens.
SWEEP_EVERY_S = 60.0
# A replica looks later than the table at which time to live was enabled, so that mostly one of them deletes
# an item and the others hear of it.
_REPLICA_LATER_S = 30.0
# An item that expired longer ago than this stays: its attribute was not meant as a time to live.
_TOO_OLD_S = 5 * 365.25 * 86_400


class Expiry:
    """Sweeps each table with a time to live once a minute of account time."""

    def __init__(self, core: AccountCore) -> None:
        self._core = core
        self._swept: set[tuple[str, str, str]] = set()
        self.elsewhere: Callable[[str, str, str], Iterable[str]] = lambda *_: ()
        """By account, region and table: the other regions in which the table has replicas."""

    def handlers(self) -> Handlers:
        """The one operation it has to know of."""
        return {("dynamodb", "UpdateTimeToLive"): self._update}

    def _update(self, call: Call) -> dict[str, Any]:
        name = str(call.params["TableName"]).rsplit("/", 1)[-1]
        wanted = call.params["TimeToLiveSpecification"]
        with self._core.dispatch_lock:
            table = dynamodb_backends[call.account_id][call.region].tables.get(name)
            if table is not None and (table.ttl["TimeToLiveStatus"] == "ENABLED") == bool(wanted["Enabled"]):
                state = "enabled" if wanted["Enabled"] else "disabled"
                raise AwsError("ValidationException", f"TimeToLive is already {state}")
            answer = self._core.moto(call)
            self.begin(call.account_id, call.region, name, later_s=0.0)
            for region in self.elsewhere(call.account_id, call.region, name) if table is not None else ():
                dynamodb_backends[call.account_id][region].tables[name].ttl = dict(table.ttl)
                self.begin(call.account_id, region, name)
        return answer

    def begin(self, account_id: str, region: str, name: str, *, later_s: float = _REPLICA_LATER_S) -> None:
        """Look after a table's items from now on, if they have a time to live; by default a replica's."""
        key = (account_id, region, name)
        table = dynamodb_backends[account_id][region].tables.get(name)
        if key in self._swept or table is None or table.ttl["TimeToLiveStatus"] != "ENABLED":
            return
        self._swept.add(key)
        self._plan(key, SWEEP_EVERY_S + later_s)

    def _plan(self, key: tuple[str, str, str], delay_s: float = SWEEP_EVERY_S) -> None:
        self._core.work.submit(lambda: self._sweep(key), label=f"time to live of {key[2]}", delay_s=delay_s)

    def _sweep(self, key: tuple[str, str, str]) -> None:
        account_id, region, name = key
        with self._core.dispatch_lock:
            table = dynamodb_backends[account_id][region].tables.get(name)
            if table is None or table.ttl["TimeToLiveStatus"] != "ENABLED":
                self._swept.discard(key)
                return
            if self._core.faults.region_down(region):
                self._plan(key)
                return
            now = self._core.clock.time()
            for item in list(_expired(table, now)):
                with by_service("dynamodb.amazonaws.com"):
                    table.delete_item(item.hash_key, item.range_key)
            self._plan(key)


def _expired(table: Any, now: float) -> Iterator[Any]:
    """Items whose attribute is a number of seconds that is over, but not ages ago."""
    attribute = table.ttl["AttributeName"]
    for held in table.items.values():
        for item in held.values() if table.range_key_attr else (held,):
            value = item.attrs.get(attribute)
            if value is not None and value.type == "N" and now - _TOO_OLD_S < float(value.value) <= now:
                yield item
