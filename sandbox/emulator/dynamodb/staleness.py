"""Eventually consistent reads that tell of a while ago, while the fault ``stale_reads`` is on.

What each write replaces is noted from the moment the fault begins; a reader is shown the table with what was
written since then undone.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/HowItWorks.ReadConsistency.html
"""

from __future__ import annotations

import copy
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Any

from moto.dynamodb.models import dynamodb_backends
from moto.dynamodb.models.dynamo_type import DynamoType

from sandbox.emulator.calls import Call, Principal
from sandbox.emulator.dynamodb import capacity
from sandbox.emulator.faults import Faults
from sandbox.emulator.patches import replaces
from sandbox.faults import Fault
from sandbox.faults.reads import StaleReads

_Name = tuple[str, str, str]


@dataclass(frozen=True, slots=True)
class _Replaced:
    """What one write replaced: an item, or nothing."""

    at: float
    hash_key: Any
    range_key: Any
    before: Any


class StaleViews:
    """Shows readers tables as they were. Used with the dispatch lock held.

    ``spares`` says who reads what is there in any case, unless the fault says otherwise.
    """

    def __init__(self, faults: Faults, spares: Callable[[Principal], bool]) -> None:
        self._faults = faults
        self._spares = spares
        self._replaced: defaultdict[_Name, list[_Replaced]] = defaultdict(list)
        faults.listen(self._ended)
        global _views
        _views = self

    def note(self, table: Any, hash_key: Any, range_key: Any) -> None:
        """An item of a table is about to be written."""
        longest_s = max((fault.lag_s for fault in self._faults.of_kind(StaleReads)), default=0.0)
        if not longest_s:
            return
        now = self._faults.now()
        before = table.get_item(hash_key, range_key) if range_key or not table.has_range_key else None
        replaced = self._replaced[table.account_id, table.region_name, table.name]
        while replaced and replaced[0].at < now - longest_s:
            del replaced[0]
        replaced.append(_Replaced(now, hash_key, range_key, copy.deepcopy(before)))

    @contextmanager
    def view(self, call: Call | None) -> Iterator[None]:
        """Have a call that reads find what its tables held a while ago, if a fault wants that."""
        shown: list[tuple[Any, Any]] = []
        if call is not None and call.service == "dynamodb" and self._replaced:
            for name in _read_loosely(call):
                table = dynamodb_backends[call.account_id][call.region].tables.get(name)
                lag_s = self._lag_s(call, name) if table is not None else 0.0
                if lag_s and (items := self._items(table, self._faults.now() - lag_s)) is not None:
                    shown.append((table, table.items))
                    table.items = items
        try:
            yield
        finally:
            for table, items in shown:
                table.items = items

    def _lag_s(self, call: Call, table: str) -> float:
        spared = self._spares(call.principal)
        return max(
            (
                fault.lag_s
                for fault in self._faults.of_kind(StaleReads)
                if fnmatchcase(table, fault.table)
                and fault.region in ("", call.region)
                and (fault.grader or not spared)
            ),
            default=0.0,
        )

    def _items(self, table: Any, moment: float) -> Any:
        """What a table held at a moment; None when that is what it holds."""
        since = [
            each
            for each in self._replaced.get((table.account_id, table.region_name, table.name), ())
            if each.at > moment
        ]
        if not since:
            return None
        items: defaultdict[Any, Any] = defaultdict(dict)
        items.update((key, dict(held) if table.has_range_key else held) for key, held in table.items.items())
        for each in reversed(since):
            if table.has_range_key:
                _put(items[each.hash_key], each.range_key, each.before)
            else:
                _put(items, each.hash_key, each.before)
        return items

    def _ended(self, fault: Fault) -> None:
        if self._faults.find(StaleReads) is None:
            self._replaced.clear()


_views: StaleViews | None = None


def _put(items: Any, key: Any, item: Any) -> None:
    if item is None:
        items.pop(key, None)
    else:
        items[key] = item


def _read_loosely(call: Call) -> list[str]:
    """The tables that a call reads with eventual consistency."""
    params = call.params
    if call.operation == "BatchGetItem":
        asked = (params.get("RequestItems") or {}).items()
        return [_name(table) for table, wanted in asked if not wanted.get("ConsistentRead")]
    if call.operation in ("GetItem", "Query", "Scan") and not params.get("ConsistentRead"):
        return [_name(params.get("TableName", ""))]
    return []


def _name(table: str) -> str:
    return str(table).rsplit("/", 1)[-1]


def _note(table: Any, attributes: dict[str, Any]) -> None:
    """A write is about to be made to the item with these attributes; a key that is wrong is refused later."""
    if _views is None or table.hash_key_attr not in attributes:
        return
    hash_key = DynamoType(attributes[table.hash_key_attr])
    range_key = None
    if table.has_range_key:
        if table.range_key_attr not in attributes:
            return
        range_key = DynamoType(attributes[table.range_key_attr])
    _views.note(table, hash_key, range_key)


@replaces(
    "moto.dynamodb.models.table",
    "Table.put_item",
    source_sha256="de23933013ef842639046c19bcf7e418bce0474d810f6719368be4cedce11d47",
)
def _note_put(original: Callable[..., Any]) -> Callable[..., Any]:
    def put_item(table: Any, item_attrs: dict[str, Any], *given: Any, **more: Any) -> Any:
        _note(table, item_attrs)
        with capacity.writing(table, item_attrs):
            return original(table, item_attrs, *given, **more)

    return put_item


@replaces(
    "moto.dynamodb.models.table",
    "Table.delete_item",
    source_sha256="1594f7b07616c8cb8cdf0fbf58d6f54eeac83f25d7ac7b14e832a08e10efd8f9",
)
def _note_deletion(original: Callable[..., Any]) -> Callable[..., Any]:
    def delete_item(table: Any, hash_key: Any, range_key: Any) -> Any:
        if _views is not None:
            _views.note(table, hash_key, range_key)
        with capacity.writing(table, (hash_key, range_key)):
            return original(table, hash_key, range_key)

    return delete_item


@replaces(
    "moto.dynamodb.models",
    "DynamoDBBackend.update_item",
    source_sha256="218984588dd689a5de81678ce11e6a40d05c91e7b6c21b44c4ed4122fe74aa9f",
)
def _note_update(original: Callable[..., Any]) -> Callable[..., Any]:
    def update_item(backend: Any, table_name: str, key: dict[str, Any], *given: Any, **more: Any) -> Any:
        table = backend.tables.get(_name(table_name))
        if table is None:
            return original(backend, table_name, key, *given, **more)
        _note(table, key)
        with capacity.writing(table, key):
            return original(backend, table_name, key, *given, **more)

    return update_item
