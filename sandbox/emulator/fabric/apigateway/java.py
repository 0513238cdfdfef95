"""Java's strings, numbers, lists and maps, for the templates that call their methods.

Source: https://docs.oracle.com/en/java/javase/17/docs/api/java.base/java/lang/String.html
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Callable, Mapping
from typing import Any

Method = Callable[..., Any]


def text(value: Any) -> str:
    """What ``toString()`` gives."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key}={_inner(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list):
        return json.dumps(value, separators=(",", ":"), ensure_ascii=False, default=str)
    return str(value)


def _inner(value: Any) -> str:
    return "null" if value is None else text(value)


def same(left: Any, right: Any) -> bool:
    """Velocity's ``==``: values of different classes are compared as text.

    Source: https://velocity.apache.org/engine/1.7/user-guide.html (relational and logical operators)
    """
    if left is None or right is None:
        return left is right
    numbers = all(isinstance(side, int | float) and not isinstance(side, bool) for side in (left, right))
    if numbers or (type(left) is type(right)):
        return bool(left == right)
    return text(left) == text(right)


def joined(left: Any, right: Any) -> Any:
    """Velocity's ``+``: numbers are added, everything else is put together as text."""
    if all(isinstance(side, int | float) and not isinstance(side, bool) for side in (left, right)):
        return left + right
    return _inner(left) + _inner(right)


def method(value: Any, name: str) -> Method | None:
    """A method of a value's class in Java, ``None`` where Python's own will do or there is none."""
    for kind, methods in _METHODS:
        if isinstance(value, kind):
            return functools.partial(methods[name], value) if name in methods else None
    return None


def _replacement(written: str) -> Callable[[re.Match[str]], str]:
    def fill(found: re.Match[str]) -> str:
        def part(piece: re.Match[str]) -> str:
            return piece[1] if piece[1] is not None else (found[int(piece[2])] or "")

        return re.sub(r"\\(.)|\$(\d)", part, written, flags=re.DOTALL)

    return fill


def _split(value: str, pattern: str, limit: int = 0) -> list[str]:
    """Trailing empty parts are dropped unless a limit is given."""
    parts = re.split(pattern, value, maxsplit=max(limit - 1, 0)) if pattern else list(value)
    while limit == 0 and len(parts) > 1 and parts[-1] == "":
        parts.pop()
    return parts


def _substring(value: str, begin: int, end: int | None = None) -> str:
    last = len(value) if end is None else end
    if not 0 <= begin <= last <= len(value):
        raise IndexError(f"begin {begin}, end {last}, length {len(value)}")
    return value[begin:last]


def _add(value: list[Any], *given: Any) -> bool:
    value.insert(given[0] if len(given) > 1 else len(value), given[-1])
    return True


def _add_all(value: list[Any], more: list[Any]) -> bool:
    value.extend(more)
    return bool(more)


def _remove(value: list[Any], which: Any) -> Any:
    if isinstance(which, int) and not isinstance(which, bool):
        return value.pop(which)
    if which in value:
        value.remove(which)
        return True
    return False


def _set(value: list[Any], index: int, item: Any) -> Any:
    before, value[index] = value[index], item
    return before


def _put_all(value: dict[str, Any], more: Mapping[str, Any]) -> str:
    value.update(more)
    return ""


_ANY: dict[str, Method] = {"toString": text, "equals": lambda value, other: same(value, other)}

_STRING: dict[str, Method] = _ANY | {
    "charAt": lambda value, index: value[index],
    "concat": lambda value, other: value + other,
    "contains": lambda value, part: part in value,
    "endsWith": lambda value, suffix: value.endswith(suffix),
    "equals": lambda value, other: isinstance(other, str) and value == other,
    "equalsIgnoreCase": lambda value, other: isinstance(other, str) and value.lower() == other.lower(),
    "indexOf": lambda value, part, start=0: value.find(part, start),
    "isBlank": lambda value: not value.strip(),
    "isEmpty": lambda value: not value,
    "lastIndexOf": lambda value, part: value.rfind(part),
    "length": len,
    "matches": lambda value, pattern: re.fullmatch(pattern, value) is not None,
    "replace": lambda value, old, new: value.replace(old, new),
    "replaceAll": lambda value, pattern, new: re.sub(pattern, _replacement(new), value),
    "replaceFirst": lambda value, pattern, new: re.sub(pattern, _replacement(new), value, count=1),
    "split": _split,
    "startsWith": lambda value, prefix, start=0: value.startswith(prefix, start),
    "strip": lambda value: value.strip(),
    "substring": _substring,
    "toLowerCase": lambda value: value.lower(),
    "toUpperCase": lambda value: value.upper(),
    "trim": lambda value: value.strip(),
}

_NUMBER: dict[str, Method] = _ANY | {
    "doubleValue": float,
    "intValue": int,
    "longValue": int,
}

_LIST: dict[str, Method] = _ANY | {
    "add": _add,
    "addAll": _add_all,
    "contains": lambda value, item: item in value,
    "get": lambda value, index: value[index],
    "indexOf": lambda value, item: value.index(item) if item in value else -1,
    "isEmpty": lambda value: not value,
    "remove": _remove,
    "set": _set,
    "size": len,
    "subList": lambda value, begin, end: value[begin:end],
}

_MAP: dict[str, Method] = _ANY | {
    "containsKey": lambda value, key: key in value,
    "containsValue": lambda value, item: item in value.values(),
    "getOrDefault": lambda value, key, default: dict.get(value, key, default),
    "isEmpty": lambda value: not value,
    "keySet": list,
    "putAll": _put_all,
    "remove": lambda value, key: value.pop(key, None),
    "size": len,
    "values": lambda value: list(dict.values(value)),
}

_METHODS: tuple[tuple[type, dict[str, Method]], ...] = (
    (bool, _ANY | {"booleanValue": bool}),
    (str, _STRING),
    (int, _NUMBER),
    (float, _NUMBER),
    (list, _LIST),
    (dict, _MAP),
)
