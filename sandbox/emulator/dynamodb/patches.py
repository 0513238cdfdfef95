"""How much a batch may hold, and what comes back unprocessed."""

from __future__ import annotations

import copy
import math
from typing import Any

from moto.dynamodb.exceptions import MockValidationException
from moto.dynamodb.models.dynamo_type import DynamoType, Item, ItemSizeTooLarge, LimitedSizeDict
from moto.dynamodb.models.utilities import bytesize

from sandbox.emulator.faults import Faults
from sandbox.emulator.patches import replaces

# Source: https://docs.aws.amazon.com/amazondynamodb/latest/APIReference/API_BatchWriteItem.html
BATCH_LIMIT = 25
# As moto draws it: a little above the documented 400 KB, where AWS was seen to refuse.
ITEM_LIMIT_BYTES = 405_000

_faults: Faults | None = None
_written = 0


def break_by(faults: Faults | None) -> None:
    """Say where this account process keeps its faults.

    ``dynamodb.unprocessed`` has each BatchWriteItem hand back a ``share`` (0 to 1) of its items, as a
    table under pressure does; which ones follows from their order alone.
    """
    global _faults
    _faults = faults


@replaces(
    "moto.dynamodb.responses",
    "DynamoHandler.batch_write_item",
    source_sha256="26221a09e2b2b1fdd77fbc6a92a6781dce3ec1fd30bb34f36c6b4889bc720b2d",
)
def _limited(original: Any) -> Any:
    def batch_write_item(self: Any) -> Any:
        requested: dict[str, list[Any]] = self.body["RequestItems"]
        if not 0 < sum(map(len, requested.values())) <= BATCH_LIMIT:
            raise MockValidationException("Too many items requested for the BatchWriteItem call")
        fault = _faults.find("dynamodb.unprocessed") if _faults is not None else None
        if fault is None:
            return original(self)
        taken, left = _share(requested, min(max(float(fault.get("share", 0.2)), 0.0), 0.95))
        self.body = {**self.body, "RequestItems": taken}
        answer = original(self)
        answer.result["UnprocessedItems"] = left
        return answer

    return batch_write_item


def _share(
    requested: dict[str, list[Any]], share: float
) -> tuple[dict[str, list[Any]], dict[str, list[Any]]]:
    """What is written and what comes back: items at which the running share passes a whole number."""
    global _written
    taken: dict[str, list[Any]] = {}
    left: dict[str, list[Any]] = {}
    for table, requests in requested.items():
        for request in requests:
            before, _written = _written, _written + 1
            back = math.floor(_written * share) > math.floor(before * share)
            (left if back else taken).setdefault(table, []).append(request)
    return taken, left


@replaces(
    "moto.dynamodb.models.dynamo_type",
    "Item.__init__",
    source_sha256="d9c12b62cb921831aab9b2eb22ac24fbd600689064a0219ae3ffbe057ae4be74",
)
def _measured_once(_original: Any) -> Any:
    """moto measures an item anew for each attribute it adds; the limit is the same, asked once."""

    def __init__(self: Any, hash_key: Any, range_key: Any, attrs: dict[str, Any]) -> None:
        self.hash_key = hash_key
        self.range_key = range_key
        typed = {name: DynamoType(value) for name, value in attrs.items()}
        if sum(bytesize(name) + value.size() for name, value in typed.items()) > ITEM_LIMIT_BYTES:
            raise ItemSizeTooLarge
        self.attrs = LimitedSizeDict()
        dict.update(self.attrs, typed)

    def __deepcopy__(self: Any, memo: dict[int, Any]) -> Any:
        copied = Item.__new__(Item)
        copied.hash_key, copied.range_key = self.hash_key, self.range_key
        copied.attrs = LimitedSizeDict()
        dict.update(copied.attrs, {name: copy.deepcopy(value, memo) for name, value in self.attrs.items()})
        return copied

    Item.__deepcopy__ = __deepcopy__
    return __init__


@replaces(
    "moto.core.serialize",
    "ResponseSerializer._serialize_type_structure",
    source_sha256="f9b47068f40ce489e55e7a0bf78accec38597d27168dc3d095ac2fc18312d4a8",
)
def _values_as_they_are(original: Any) -> Any:
    """moto looks for each of the ten kinds of an attribute's value under several names; it has one."""

    def serialize_structure(self: Any, serialized: Any, value: Any, shape: Any, key: str) -> None:
        if shape.name != "AttributeValue" or type(value) is not dict or not key:
            original(self, serialized, value, shape, key)
            return
        wrapper = self.MAP_TYPE()
        for kind, held in value.items():
            self._serialize(wrapper, held, shape.members[kind], kind)
        self._default_serialize(serialized, wrapper, shape, key)

    return serialize_structure
