"""The intrinsic functions of the Amazon States Language.

Source: https://docs.aws.amazon.com/step-functions/latest/dg/intrinsic-functions.html
"""

from __future__ import annotations

import base64
import hashlib
import json
import random
import re
import uuid
from collections.abc import Callable
from typing import Any

from sandbox.emulator.fabric.stepfunctions.errors import RUNTIME, StatesError

_HASHES = {"MD5": "md5", "SHA-1": "sha1", "SHA-256": "sha256", "SHA-384": "sha384", "SHA-512": "sha512"}
_NUMBER = re.compile(r"-?\d+(\.\d+)?([eE][+-]?\d+)?")

Resolve = Callable[[str], Any]


def is_call(text: str) -> bool:
    """Whether a value of a ``.$`` field calls a function rather than naming a path."""
    return text.startswith("States.")


def call(text: str, resolve: Resolve) -> Any:
    """Evaluate a call such as ``States.Format('{}', $.name)``; ``resolve`` reads paths.

    Raises:
        StatesError: States.IntrinsicFailure or States.Runtime.
    """
    value, end = _parse(text, 0, resolve)
    if text[end:].strip():
        raise _failed(text, "there is something behind its end")
    return value


def _failed(text: str, why: str) -> StatesError:
    return StatesError("States.IntrinsicFailure", f"The function '{text}' had the following error: {why}")


def _parse(text: str, at: int, resolve: Resolve) -> tuple[Any, int]:
    """One argument or call from position ``at``, and where it ends."""
    while at < len(text) and text[at].isspace():
        at += 1
    if text.startswith("States.", at):
        return _parse_call(text, at, resolve)
    if text.startswith("'", at):
        return _parse_text(text, at)
    if text.startswith("$", at):
        end = _end_of_path(text, at)
        return resolve(text[at:end].strip()), end
    for word, value in (("true", True), ("false", False), ("null", None)):
        if text.startswith(word, at):
            return value, at + len(word)
    number = _NUMBER.match(text, at)
    if number:
        return (json.loads(number[0])), number.end()
    raise StatesError(RUNTIME, f"Invalid intrinsic function: '{text}'")


def _parse_call(text: str, at: int, resolve: Resolve) -> tuple[Any, int]:
    opening = text.find("(", at)
    function = _FUNCTIONS.get(text[at:opening].strip()) if opening > 0 else None
    if function is None:
        raise StatesError(RUNTIME, f"Invalid intrinsic function: '{text}'")
    arguments: list[Any] = []
    position = opening + 1
    while True:
        while position < len(text) and text[position].isspace():
            position += 1
        if position < len(text) and text[position] == ")" and not arguments:
            position += 1
            break
        value, position = _parse(text, position, resolve)
        arguments.append(value)
        while position < len(text) and text[position].isspace():
            position += 1
        if position >= len(text) or text[position] not in ",)":
            raise StatesError(RUNTIME, f"Invalid intrinsic function: '{text}'")
        position += 1
        if text[position - 1] == ")":
            break
    try:
        return function(*arguments), position
    except StatesError:
        raise
    except (TypeError, ValueError, KeyError, IndexError, AttributeError) as error:
        raise _failed(text, str(error)) from None


def _parse_text(text: str, at: int) -> tuple[str, int]:
    made: list[str] = []
    position = at + 1
    while position < len(text):
        if text[position] == "\\" and position + 1 < len(text):
            # Format's own escapes stay for it to read.
            made.append(text[position : position + 2] if text[position + 1] in "{}" else text[position + 1])
            position += 2
        elif text[position] == "'":
            return "".join(made), position + 1
        else:
            made.append(text[position])
            position += 1
    raise StatesError(RUNTIME, f"Invalid intrinsic function: '{text}'")


def _end_of_path(text: str, at: int) -> int:
    depth = 0
    for position in range(at, len(text)):
        if text[position] in "[(":
            depth += 1
        elif text[position] in "])" and depth:
            depth -= 1
        elif text[position] in ",)" and not depth:
            return position
    return len(text)


def _format(template: str, *values: Any) -> str:
    parts = re.split(r"(?<!\\)\{\}", template)
    if len(parts) - 1 != len(values):
        raise ValueError("Number of arguments do not match the occurrences of {}")
    made = parts[0]
    for value, part in zip(values, parts[1:], strict=True):
        made += (value if isinstance(value, str) else _compact(value)) + part
    return made.replace("\\{", "{").replace("\\}", "}")


def _compact(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def _partition(values: list[Any], size: int) -> list[list[Any]]:
    if size < 1:
        raise ValueError("chunk size must be positive")
    return [values[first : first + size] for first in range(0, len(values), size)]


def _range(first: int, last: int, step: int) -> list[int]:
    if step == 0:
        raise ValueError("the step must not be 0")
    made = list(range(int(first), int(last) + (1 if step > 0 else -1), int(step)))
    if len(made) > 1000:
        raise ValueError("an array range holds at most 1000 items")
    return made


def _unique(values: list[Any]) -> list[Any]:
    seen: dict[str, Any] = {}
    for value in values:
        seen.setdefault(json.dumps(value, sort_keys=True), value)
    return list(seen.values())


def _hash(value: Any, algorithm: str) -> str:
    text = value if isinstance(value, str) else _compact(value)
    return hashlib.new(_HASHES[algorithm], text.encode(), usedforsecurity=False).hexdigest()


def _merge(first: dict[str, Any], second: dict[str, Any], deep: bool) -> dict[str, Any]:
    if deep:
        raise ValueError("only the shallow merge mode is supported")
    return {**first, **second}


def _random(first: int, last: int, seed: int | None = None) -> int:
    chance = random.Random(seed) if seed is not None else random
    return chance.randrange(int(first), int(last))


def _split(value: str, separators: str) -> list[str]:
    return [part for part in re.split(f"[{re.escape(separators)}]", value) if part]


_FUNCTIONS: dict[str, Callable[..., Any]] = {
    "States.Format": _format,
    "States.StringToJson": json.loads,
    "States.JsonToString": _compact,
    "States.Array": lambda *values: list(values),
    "States.ArrayPartition": _partition,
    "States.ArrayContains": lambda values, wanted: wanted in values,
    "States.ArrayRange": _range,
    "States.ArrayGetItem": lambda values, position: values[int(position)],
    "States.ArrayLength": lambda values: len(values),
    "States.ArrayUnique": _unique,
    "States.Base64Encode": lambda value: base64.b64encode(value.encode()).decode(),
    "States.Base64Decode": lambda value: base64.b64decode(value).decode(),
    "States.Hash": _hash,
    "States.JsonMerge": _merge,
    "States.MathRandom": _random,
    "States.MathAdd": lambda first, second: int(first) + int(second),
    "States.StringSplit": _split,
    "States.UUID": lambda: str(uuid.uuid4()),
}
