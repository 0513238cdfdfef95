"""What requests consume of tables and their indexes, in capacity units.

Source: https://docs.aws.amazon.com/amazondynamodb/latest/developerguide/read-write-operations.html
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from moto.dynamodb.exceptions import ConditionalCheckFailed
from moto.dynamodb.models.dynamo_type import DynamoType

from sandbox.emulator.calls import Call, current_call
from sandbox.emulator.patches import replaces

_READ_BYTES, _WRITE_BYTES = 4096, 1024
_ITEM_READS = frozenset({"GetItem", "BatchGetItem", "TransactGetItems", "ExecuteStatement"})


@dataclass(frozen=True, slots=True)
class Taken:
    """Units of a table, or of one of its global indexes."""

    table: str
    index: str
    kind: str
    units: float


# Told of each request: the table's ARN, the global index or nothing, Read or Write, and how many units.
Sink = Callable[[str, str, str, float], None]
_sink: Sink | None = None
_taken: list[Taken] | None = None
_LISTED = frozenset({"BatchGetItem", "BatchWriteItem", "TransactGetItems", "TransactWriteItems"})
# A write of moto's may be made of others. Everything here happens with the dispatch lock held.
_inside = False


def meter(sink: Sink) -> None:
    """From now on ``sink`` learns of what requests consume; there is one in an account's process."""
    global _sink
    _sink = sink


@contextmanager
def taking() -> Iterator[list[Taken]]:
    """What is consumed within, for the answer."""
    global _taken
    before, _taken = _taken, []
    try:
        yield _taken
    finally:
        _taken = before


def wanted(call: Call | None) -> bool:
    """Whether a request wants to know what it consumes."""
    how = call.params.get("ReturnConsumedCapacity") if call is not None and call.service == "dynamodb" else ""
    return how in ("TOTAL", "INDEXES")


def told(call: Call, taken: list[Taken]) -> Any:
    """``ConsumedCapacity`` of an answer.

    Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_ConsumedCapacity.html
    """
    tables = list(dict.fromkeys(each.table for each in taken))
    made = [_of_table(call, table, [each for each in taken if each.table == table]) for table in tables]
    return made if call.operation in _LISTED else made[0] if made else {}


def _of_table(call: Call, table: str, taken: list[Taken]) -> dict[str, Any]:
    made: dict[str, Any] = {"TableName": table, "CapacityUnits": sum(each.units for each in taken)}
    if call.operation.startswith("Transact"):
        kind = taken[0].kind
        made[f"{kind}CapacityUnits"] = made["CapacityUnits"]
    if call.params["ReturnConsumedCapacity"] == "INDEXES":
        made["Table"] = {"CapacityUnits": sum(each.units for each in taken if not each.index)}
        indexes = list(dict.fromkeys(each.index for each in taken if each.index))
        if indexes:
            made["GlobalSecondaryIndexes"] = {
                name: {"CapacityUnits": sum(each.units for each in taken if each.index == name)}
                for name in indexes
            }
    return made


def _asked() -> Call | None:
    """The request that consumes; what the account does by itself consumes nothing that is told."""
    call = current_call.get()
    heard = _sink is not None or _taken is not None
    return call if heard and call is not None and call.service == "dynamodb" else None


@contextmanager
def writing(table: Any, key: Mapping[str, Any] | tuple[Any, Any]) -> Iterator[None]:
    """One item of a table is written within, if its condition holds; it costs either way."""
    global _inside
    call = _asked()
    if call is None or _inside:
        yield
        return
    keys = _keys(table, key) if isinstance(key, Mapping) else key
    before = _sizes(table, keys)
    _inside = True
    try:
        yield
    except ConditionalCheckFailed:
        _tell(table, "", "Write", _units(before.get("", 0), _WRITE_BYTES) * _factor(call))
        raise
    finally:
        _inside = False
    after = _sizes(table, keys)
    own = _units(max(before.get("", 0), after.get("", 0)), _WRITE_BYTES)
    local = {index.name for index in table.indexes}
    for name in (before.keys() | after.keys()) - {""}:
        units = _units(max(before.get(name, 0), after.get(name, 0)), _WRITE_BYTES)
        if name in local:
            own += units
        else:
            _tell(table, name, "Write", units * _factor(call))
    _tell(table, "", "Write", own * _factor(call))


def _keys(table: Any, given: Mapping[str, Any]) -> tuple[Any, Any] | None:
    """An item's keys; none where one is missing, as the write will be refused."""
    wanted = [table.hash_key_attr, *([table.range_key_attr] if table.has_range_key else [])]
    if any(name not in given for name in wanted):
        return None
    found = [DynamoType(given[name]) for name in wanted]
    return found[0], found[1] if len(found) > 1 else None


def _sizes(table: Any, keys: tuple[Any, Any] | None) -> dict[str, int]:
    """How large an item is in its table (under no name) and in the indexes that it is in."""
    if keys is None:
        return {}
    held = table.items.get(keys[0])
    item = held.get(keys[1]) if held is not None and table.has_range_key else held
    if item is None:
        return {}
    found = {"": item.size()}
    for index in (*table.indexes, *table.global_indexes):
        if all(name in item.attrs for name in index.schema_key_attrs):
            found[index.name] = index.project(item).size()
    return found


def _units(size_bytes: int, of_bytes: int) -> float:
    """A request costs at least one unit."""
    return float(max(math.ceil(size_bytes / of_bytes), 1))


def _factor(call: Call) -> int:
    """Transactions cost twice."""
    return 2 if call.operation.startswith("Transact") else 1


def _tell(table: Any, index: str, kind: str, units: float) -> None:
    if _sink is not None:
        _sink(table.table_arn, index, kind, units)
    if _taken is not None:
        _taken.append(Taken(table.name, index, kind, units))


def _consistent(call: Call, table: Any) -> bool:
    params = call.params
    if call.operation == "BatchGetItem":
        asked = params.get("RequestItems") or {}
        params = asked.get(table.name) or asked.get(table.table_arn) or {}
    return bool(params.get("ConsistentRead"))


def _told_of_read(call: Call, table: Any, index: str, size_bytes: int) -> None:
    share = 2.0 if _factor(call) == 2 else 1.0 if _consistent(call, table) else 0.5
    is_global = any(each.name == index for each in table.global_indexes)
    _tell(table, index if is_global else "", "Read", _units(size_bytes, _READ_BYTES) * share)


@replaces(
    "moto.dynamodb.models",
    "DynamoDBBackend.get_item",
    source_sha256="290b95c46b38bc5ac8079668e9c449bba9b6b26f4a2872d80ca262115023e189",
)
def _weighed_item(original: Callable[..., Any]) -> Callable[..., Any]:
    def get_item(backend: Any, table_name: str, keys: dict[str, Any], projection: Any = None) -> Any:
        found = original(backend, table_name, keys, projection)
        call = _asked()
        if call is not None and call.operation in _ITEM_READS:
            table = backend.get_table(table_name)
            size = _sizes(table, _keys(table, keys)).get("", 0)
            _told_of_read(call, table, "", size)
        return found

    return get_item


class _Scale:
    """A filter that weighs what it is asked about: everything that a query came by."""

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self.size_bytes = 0

    def expr(self, item: Any) -> bool:
        self.size_bytes += item.size()
        return self._inner is None or bool(self._inner.expr(item))


def _weighed(original: Callable[..., Any]) -> Callable[..., Any]:
    def read(table: Any, *given: Any, **more: Any) -> Any:
        call = _asked()
        place = _FILTER_PLACES[original.__name__]
        if call is None:
            return original(table, *given, **more)
        scale = _Scale(given[place] if len(given) > place else more.get("filter_expression"))
        if len(given) > place:
            given = (*given[:place], scale, *given[place + 1 :])
        else:
            more["filter_expression"] = scale
        found = original(table, *given, **more)
        _told_of_read(call, table, str(call.params.get("IndexName") or ""), scale.size_bytes)
        return found

    return read


# Where filters stand among the arguments, after the table.
_FILTER_PLACES = {"query": 9, "scan": 3}


@replaces(
    "moto.dynamodb.models.table",
    "Table.query",
    source_sha256="002b4d00be6df07cf37f6cbe0132e5eb89455ae12a8e79b23db3fb492450f21e",
)
def _weighed_query(original: Callable[..., Any]) -> Callable[..., Any]:
    return _weighed(original)


@replaces(
    "moto.dynamodb.models.table",
    "Table.scan",
    source_sha256="5ef1ab21eef06a74d4d142aaf817f31c3147c39fd9aaaa5dd037cb62d64e4af3",
)
def _weighed_scan(original: Callable[..., Any]) -> Callable[..., Any]:
    return _weighed(original)
