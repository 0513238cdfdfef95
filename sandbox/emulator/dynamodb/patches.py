"""What moto does at a cost that grows faster than its tables."""

from __future__ import annotations

import copy
from typing import Any

from moto.dynamodb.models.dynamo_type import DynamoType, Item, ItemSizeTooLarge, LimitedSizeDict
from moto.dynamodb.models.utilities import bytesize

from sandbox.emulator.patches import replaces

# As moto draws it: a little above the documented 400 KB, where AWS was seen to refuse.
ITEM_LIMIT_BYTES = 405_000


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
