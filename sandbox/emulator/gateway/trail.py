"""What the record of a call keeps: enough to explain it, never its payloads."""

from __future__ import annotations

import base64
import html
import json
import re
from collections.abc import Mapping
from typing import Any

from sandbox.emulator.gateway.requests import HttpAnswer

_TEXT_LIMIT = 256
_ITEMS_LIMIT = 20
_DEPTH_LIMIT = 5
_SECRET = re.compile(r"secret|password|token|private|plaintext", re.IGNORECASE)
_CODE_IN_XML = re.compile(rb"<Code>([^<]+)</Code>")
_MESSAGE_IN_XML = re.compile(rb"<Message>([^<]+)</Message>")


def summarise(value: Any, depth: int = 0) -> Any:
    """Parameters as plain JSON, shortened, with secrets masked."""
    if isinstance(value, Mapping):
        if depth >= _DEPTH_LIMIT:
            return "…"
        return {
            str(name): "***"
            if _SECRET.search(str(name)) and isinstance(item, str)
            else summarise(item, depth + 1)
            for name, item in list(value.items())[:_ITEMS_LIMIT]
        }
    if isinstance(value, list | tuple):
        return [summarise(item, depth + 1) for item in value[:_ITEMS_LIMIT]]
    if isinstance(value, bytes | bytearray):
        return {"bytes": len(value), "head": base64.b64encode(value[:24]).decode()}
    if isinstance(value, str):
        return value if len(value) <= _TEXT_LIMIT else f"{value[:_TEXT_LIMIT]}… ({len(value)} characters)"
    if value is None or isinstance(value, bool | int | float):
        return value
    return str(value)


def error_code(answer: HttpAnswer) -> str:
    """The code of an error answer, in whatever protocol it was written."""
    for name, value in answer.headers:
        if name.lower() == "x-amzn-errortype":
            return value.split(":")[0].rsplit("#", 1)[-1]
    found = _CODE_IN_XML.search(answer.body)
    if found:
        return found[1].decode(errors="replace")
    try:
        body = json.loads(answer.body)
        told = body.get("__type") or body.get("code") or body.get("Code") or ""
        return str(told).rsplit("#", 1)[-1] or str(answer.status)
    except (ValueError, AttributeError):
        return str(answer.status)


def error_message(answer: HttpAnswer) -> str:
    """The message of an error answer, shortened; empty without one."""
    if found := _MESSAGE_IN_XML.search(answer.body):
        return str(summarise(html.unescape(found[1].decode(errors="replace"))))
    try:
        body = json.loads(answer.body)
        return str(summarise(str(body.get("message") or body.get("Message") or "")))
    except (ValueError, AttributeError):
        return ""
