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
    "moto.dynamodb.models.table",
    "Table.all_items",
    source_sha256="c80d2ee3c896acd0cab6ca35aaeae3ab3fb65858933f8a3403d4e027c240f31d",
)
def _keys_read_once(_original: Any) -> Any:
    """moto reads two keys' values anew in each comparison of a sort; the order is the same."""

    def all_items(self: Any) -> list[Any]:
        items: list[Any] = []
        for held in self.items.values():
            items += held.values() if self.range_key_attr else [held]
        return sorted(
            items,
            key=lambda item: (
                item.hash_key.cast_value,
                item.range_key.cast_value if item.range_key else None,
            ),
        )

    return all_items


@replaces(
    "moto.dynamodb.models.table",
    "Table._item_comes_before_dct",
    source_sha256="6d70f41f7cb059f40e932e9c6c13cc57b6052c5d025c51235df414adf172bee1",
)
def _compared_once(_original: Any) -> Any:
    """moto reads a page's start anew for each item before it, three times."""

    def comes_before(
        self: Any,
        item: Any,
        start: dict[str, Any],
        hash_key_attrs: list[str],
        range_key_attrs: list[str | None],
        scan_index_forward: bool,
    ) -> bool:
        for name in self._generate_attr_to_sort_by(hash_key_attrs, range_key_attrs):
            if name not in item.attrs:
                continue
            mine, theirs = item.attrs[name], DynamoType(start.get(name))
            here, there = mine.cast_value, theirs.cast_value
            if mine.type != theirs.type or here != there:
                return bool((here < there) == scan_index_forward)
        return True

    return comes_before


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
