"""Items of a table, in DynamoDB's JSON or in plain JSON."""

from __future__ import annotations

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from sandbox.account import Account
from sandbox.console.refusals import Refused, asks

SHOWN = 100
_TYPES = frozenset({"S", "N", "B", "BOOL", "NULL", "M", "L", "SS", "NS", "BS"})


@dataclass(frozen=True, slots=True)
class Item:
    """An item: its key as told in a form, and the whole of it as JSON."""

    key: str
    key_text: str
    text: str


@dataclass(frozen=True, slots=True)
class Table:
    """A table's keys and its first items."""

    name: str
    keys: tuple[str, ...]
    items: list[Item]
    more: bool


@asks
def read(account: Account, name: str) -> Table:
    """A table with its first items."""
    client = account.client("dynamodb")
    keys = _keys(client, name)
    page = client.scan(TableName=name, Limit=SHOWN)
    return Table(name, keys, [_item(keys, each) for each in page["Items"]], more="LastEvaluatedKey" in page)


@asks
def put(account: Account, name: str, text: str) -> None:
    """Put an item.

    Raises:
        Refused: the text is no item.
    """
    account.client("dynamodb").put_item(TableName=name, Item=parse(text))


@asks
def delete(account: Account, name: str, key: str) -> None:
    """Delete the item of a key, as :class:`Item` has it."""
    account.client("dynamodb").delete_item(TableName=name, Key=parse(key))


def parse(text: str) -> dict[str, Any]:
    """An item from JSON; values that all name a type are DynamoDB's own.

    Raises:
        Refused: it is no JSON object.
    """
    try:
        found = json.loads(text, parse_float=Decimal)
    except ValueError as error:
        raise Refused(f"That is not JSON: {error}") from None
    if not isinstance(found, dict) or not found:
        raise Refused("An item is a JSON object with at least its key.")
    if all(_is_typed(value) for value in found.values()):
        return {name: _sent(value) for name, value in found.items()}
    return {name: _typed(value) for name, value in found.items()}


def _is_typed(value: Any) -> bool:
    return isinstance(value, dict) and len(value) == 1 and next(iter(value)) in _TYPES


def _sent(value: Mapping[str, Any]) -> dict[str, Any]:
    """DynamoDB's JSON as the SDK takes it: bytes in the place of base64."""
    ((kind, held),) = value.items()
    try:
        match kind:
            case "B":
                return {kind: base64.b64decode(str(held), validate=True)}
            case "BS":
                return {kind: [base64.b64decode(str(each), validate=True) for each in held]}
            case "M":
                return {kind: {name: _sent(each) for name, each in held.items()}}
            case "L":
                return {kind: [_sent(each) for each in held]}
            case "N":
                return {kind: str(held)}
    except (binascii.Error, AttributeError, TypeError, ValueError):
        raise Refused(f"{json.dumps(value, default=str)[:200]} is no value of DynamoDB.") from None
    return {kind: held}


def _typed(value: Any) -> dict[str, Any]:
    if value is None:
        return {"NULL": True}
    if isinstance(value, bool):
        return {"BOOL": value}
    if isinstance(value, int | Decimal):
        return {"N": str(value)}
    if isinstance(value, str):
        return {"S": value}
    if isinstance(value, list):
        return {"L": [_typed(each) for each in value]}
    return {"M": {name: _typed(each) for name, each in value.items()}}


def _keys(client: Any, name: str) -> tuple[str, ...]:
    schema = client.describe_table(TableName=name)["Table"]["KeySchema"]
    return tuple(item["AttributeName"] for item in sorted(schema, key=lambda each: each["KeyType"]))


def _item(keys: tuple[str, ...], item: Mapping[str, Any]) -> Item:
    key = {name: item[name] for name in keys if name in item}
    shown = ", ".join(str(next(iter(value.values()))) for value in key.values())
    return Item(_json(key), shown, _json(item, indent=2))


def _json(value: Any, indent: int | None = None) -> str:
    return json.dumps(
        value,
        indent=indent,
        ensure_ascii=False,
        default=lambda each: base64.b64encode(each).decode() if isinstance(each, bytes) else str(each),
    )
