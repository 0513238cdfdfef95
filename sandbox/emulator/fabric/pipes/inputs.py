"""What a pipe makes of an event for its enrichment and its target.

Source: https://docs.aws.amazon.com/eventbridge/latest/userguide/eb-pipes-input-transformation.html
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.fabric.eventbridge.inputs import find

_VARIABLE = re.compile(r"<(\$[^<>]*|aws\.pipes\.[\w.-]+)>")
# Texts that may hold JSON, which paths go into.
_PAYLOADS = ("body", "data")


def transform(template: str, event: Any, reserved: Mapping[str, str]) -> Any:
    """The event as ``template`` wants it; the event itself without one.

    Within quotation marks a variable becomes text, outside of them JSON.
    """
    if not template:
        return event
    readable = _readable(event)

    def value_of(name: str) -> Any:
        if name == "aws.pipes.event.json":
            return event
        if name.startswith("aws.pipes."):
            return reserved.get(name, "")
        found = find(readable, name)
        return found if isinstance(found, str | int | float | bool | list | dict) or found is None else ""

    made = ""
    position = 0
    quoted = False
    for match in _VARIABLE.finditer(template):
        before = template[position : match.start()]
        quoted ^= len(re.findall(r'(?<!\\)"', before)) % 2 == 1
        value = value_of(match[1])
        text = value if isinstance(value, str) else json.dumps(value, separators=(",", ":"))
        made += before + (json.dumps(text)[1:-1] if quoted else json.dumps(value))
        position = match.end()
    made += template[position:]
    try:
        return json.loads(made)
    except ValueError:
        return made


def _readable(event: Any) -> Any:
    """The event with JSON texts in it as data, as paths and filters see it."""
    if not isinstance(event, dict):
        return event
    shown = dict(event)
    for name in _PAYLOADS:
        value = shown.get(name)
        if not isinstance(value, str):
            continue
        text = value
        if name == "data":
            text = base64.b64decode(value).decode("utf-8", "replace")
        try:
            shown[name] = json.loads(text)
        except ValueError:
            shown[name] = text
    return shown


def text_of(value: Any) -> str:
    """A value as a message's text."""
    return value if isinstance(value, str) else json.dumps(value, separators=(",", ":"), ensure_ascii=False)


def path_or_text(written: str | None, event: Any) -> str:
    """A parameter that may be a path into the event (``$.body.id``)."""
    if not written or not written.startswith("$."):
        return written or ""
    found = find(_readable(event), written)
    return found if isinstance(found, str) else json.dumps(found)
