"""What a target is given: the event, a part of it, a constant, or a template filled from it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.calls import AwsError

_STEP = re.compile(r"\.([\w\-/]+)|\['([^']+)'\]|\[(\d+|\*)\]")
_VARIABLE = re.compile(r"<([A-Za-z][\w.\-]*)>")
_MISSING: Any = object()


def check_target(target: Mapping[str, Any]) -> None:
    """Refuse a target whose input can't be made.

    Raises:
        AwsError: in EventBridge's words.
    """
    name = target.get("Id")
    given = [key for key in ("Input", "InputPath", "InputTransformer") if target.get(key)]
    if len(given) > 1:
        raise AwsError(
            "ValidationException",
            f"Only one of Input, InputPath, or InputTransformer must be provided for target {name}.",
        )
    if target.get("Input"):
        try:
            json.loads(target["Input"])
        except ValueError:
            raise AwsError("ValidationException", f"JSON syntax error in input for target {name}") from None
    paths = [target["InputPath"]] if target.get("InputPath") else []
    transformer = target.get("InputTransformer") or {}
    paths += list((transformer.get("InputPathsMap") or {}).values())
    for path in paths:
        if _steps(path) is None:
            raise AwsError(
                "ValidationException", f"InputPath for target {name} is invalid: {path!r} is no JSON path."
            )
    if transformer:
        _check_template(name, transformer)


def _check_template(name: Any, transformer: Mapping[str, Any]) -> None:
    known = transformer.get("InputPathsMap") or {}
    for variable in known:
        if variable.lower().startswith("aws."):
            raise AwsError(
                "ValidationException",
                f"InputPathsMap for target {name} uses a reserved name: {variable}",
            )
    for variable in _VARIABLE.findall(transformer.get("InputTemplate") or ""):
        if variable not in known and not variable.startswith("aws.events."):
            raise AwsError(
                "ValidationException",
                f"Invalid InputTemplate for target {name} : [Template contains undefined placeholder "
                f"<{variable}>]",
            )


def make_input(target: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, str]) -> str:
    """The text a target is given; ``rule`` has the reserved variables that are not in the event."""
    if target.get("Input"):
        return str(target["Input"])
    if target.get("InputPath"):
        found = find(event, target["InputPath"])
        return "" if found is _MISSING else _json(found)
    transformer = target.get("InputTransformer")
    if transformer:
        return transform(transformer, event, rule)
    return _json(event)


def transform(transformer: Mapping[str, Any], event: Mapping[str, Any], rule: Mapping[str, str]) -> str:
    """A template with its variables filled in.

    Between quotation marks a variable becomes text, outside of them JSON. A path that the event
    does not have leaves nothing.

    Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-transform-target-input.html
    """
    values: dict[str, Any] = dict(rule)
    for name, path in (transformer.get("InputPathsMap") or {}).items():
        values[name] = find(event, path)
    values["aws.events.event"] = {key: value for key, value in event.items() if key != "detail"}
    values["aws.events.event.json"] = dict(event)
    template = str(transformer.get("InputTemplate") or "")
    filled, position = [], 0
    for found in _VARIABLE.finditer(template):
        before = template[: found.start()]
        filled.append(template[position : found.start()])
        value = values.get(found[1], _MISSING)
        quoted = _inside_quotes(before)
        filled.append(_as_text(value) if quoted else _as_json(value))
        position = found.end()
    filled.append(template[position:])
    return "".join(filled)


def find(event: Any, path: str) -> Any:
    """What is at a JSON path; a marker that only this module knows if there is nothing."""
    steps = _steps(path)
    if steps is None:
        return _MISSING
    return _walk(event, steps)


def _walk(node: Any, steps: list[str | int]) -> Any:
    for index, step in enumerate(steps):
        if step == "*":
            if not isinstance(node, list):
                return _MISSING
            return [found for item in node if (found := _walk(item, steps[index + 1 :])) is not _MISSING]
        if isinstance(step, int):
            if not isinstance(node, list) or step >= len(node):
                return _MISSING
            node = node[step]
        else:
            if not isinstance(node, Mapping) or step not in node:
                return _MISSING
            node = node[step]
    return node


def _steps(path: Any) -> list[str | int] | None:
    if not isinstance(path, str) or not path.startswith("$"):
        return None
    steps: list[str | int] = []
    position = 1
    while position < len(path):
        found = _STEP.match(path, position)
        if found is None:
            return None
        index = found[3]
        steps.append(found[1] or found[2] or (index if index == "*" else int(index)))
        position = found.end()
    return steps


def _inside_quotes(text: str) -> bool:
    inside, escaped = False, False
    for character in text:
        if escaped:
            escaped = False
        elif character == "\\":
            escaped = True
        elif character == '"':
            inside = not inside
    return inside


def _as_json(value: Any) -> str:
    return '""' if value is _MISSING else _json(value)


def _as_text(value: Any) -> str:
    if value is _MISSING:
        return ""
    text = value if isinstance(value, str) else _json(value)
    # What stands between quotation marks has to stay one JSON string.
    return json.dumps(text, ensure_ascii=False)[1:-1]


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, separators=(",", ":"))
