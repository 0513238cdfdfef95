"""Selection expressions: which route a message is for, which template an integration uses.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/apigateway-websocket-api-selection-expressions.html
"""

from __future__ import annotations

import json
import re
from typing import Any

DEFAULT = "$default"
_PLACE = re.compile(r"\$\{request\.body\.([\w.\-]+)\}|\$request\.body\.([\w.\-]+)")


def select(expression: str, text: str) -> str | None:
    """What the expression is for a message; None where the message lacks what it names."""
    try:
        body = json.loads(text)
    except (ValueError, RecursionError):
        body = None
    found: list[str | None] = []

    def value(match: re.Match[str]) -> str:
        held = _read(body, match[1] or match[2])
        found.append(held)
        return held or ""

    chosen = _PLACE.sub(value, expression)
    return None if None in found or chosen == "" else chosen.replace("\\$", "$")


def _read(body: Any, path: str) -> str | None:
    for name in path.split("."):
        body = body.get(name) if isinstance(body, dict) else None
    if isinstance(body, bool):
        return str(body).lower()
    return str(body) if isinstance(body, str | int | float) else None
