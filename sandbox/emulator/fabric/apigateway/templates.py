"""Mapping templates: Velocity's language with API Gateway's own variables.

Source: https://docs.aws.amazon.com/apigateway/latest/developerguide/api-gateway-mapping-template-reference.html
"""

from __future__ import annotations

import base64
import functools
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote_plus, unquote_plus

from jsonpath_ng.exceptions import JSONPathError
from jsonpath_ng.ext.parser import parse

from sandbox.emulator.fabric.apigateway import velocity

# A template that never ends must not hold a thread for ever; its output is bounded by its input alone.
LIMIT_BYTES = 10 * 1024 * 1024


class BadTemplate(Exception):
    """The template can't be evaluated."""


class VtlMap(dict[str, Any]):
    """An object with the methods that templates call on Java's maps."""

    def keySet(self) -> list[str]:
        """The keys."""
        return list(self)

    def entrySet(self) -> list[Any]:
        """Keys with values."""
        return [VtlMap(key=key, value=value) for key, value in self.items()]

    def containsKey(self, key: str) -> bool:
        """Whether a key is there."""
        return key in self

    def isEmpty(self) -> bool:
        """Whether there is none."""
        return not self

    def size(self) -> int:
        """How many there are."""
        return len(self)

    def put(self, key: str, value: Any) -> str:
        """Set a key; nothing is shown."""
        self[key] = value
        return ""

    def get(self, key: Any, default: Any = None) -> Any:
        """A value by its key."""
        return dict.get(self, key, default)


def wrapped(value: Any) -> Any:
    """JSON data with the methods that templates use."""
    if isinstance(value, dict):
        return VtlMap({str(key): wrapped(item) for key, item in value.items()})
    if isinstance(value, list):
        return [wrapped(item) for item in value]
    return value


@dataclass(frozen=True, slots=True)
class Input:
    """``$input``: the body, and where the request's parameters are."""

    text: str
    parameters: Mapping[str, Mapping[str, str]] = field(default_factory=dict)

    @property
    def body(self) -> str:
        """``$input.body``."""
        return self.text

    def path(self, path: str) -> Any:
        """``$input.path('$.x')``: data."""
        found = _select(self.text, path)
        return "" if found is None else wrapped(found)

    def json(self, path: str) -> str:
        """``$input.json('$.x')``: JSON."""
        found = _select(self.text, path)
        return '""' if found is None else json.dumps(found, separators=(",", ":"), ensure_ascii=False)

    def params(self, name: str | None = None) -> Any:
        """``$input.params('x')``, looked for in path, query and headers; or all of them."""
        if name is None:
            return wrapped({where: dict(values) for where, values in self.parameters.items()})
        for where in ("path", "querystring", "header"):
            for key, value in self.parameters.get(where, {}).items():
                if key == name or (where == "header" and key.lower() == name.lower()):
                    return value
        return ""


def _select(text: str, path: str) -> Any:
    try:
        document = json.loads(text) if text.strip() else {}
    except ValueError:
        return text if path == "$" else None
    if path == "$":
        return document
    try:
        found = [match.value for match in _path(path).find(document)]
    except (JSONPathError, TypeError, ValueError):
        raise BadTemplate(f"Invalid JSON path {path}") from None
    if "*" in path or ".." in path or "?" in path:
        return found
    return found[0] if found else None


@functools.lru_cache(maxsize=256)
def _path(path: str) -> Any:
    return parse(path)


class Util:
    """``$util``."""

    @staticmethod
    def escapeJavaScript(text: Any) -> str:
        """For use within a JSON string."""
        return json.dumps(str(text), ensure_ascii=False)[1:-1].replace("'", "\\'").replace("/", "\\/")

    @staticmethod
    def parseJson(text: Any) -> Any:
        """Data from JSON."""
        return wrapped(json.loads(str(text)))

    @staticmethod
    def urlEncode(text: Any) -> str:
        """For use in a form or a query."""
        return quote_plus(str(text))

    @staticmethod
    def urlDecode(text: Any) -> str:
        """Out of a form or a query."""
        return unquote_plus(str(text))

    @staticmethod
    def base64Encode(text: Any) -> str:
        """As Base64."""
        return base64.b64encode(str(text).encode()).decode()

    @staticmethod
    def base64Decode(text: Any) -> str:
        """From Base64."""
        return base64.b64decode(str(text)).decode("utf-8", "replace")


def render(
    template: str,
    given: Input,
    context: Mapping[str, Any],
    variables: Mapping[str, str],
    overrides: dict[str, Any] | None = None,
) -> str:
    """A template's text; ``overrides`` receives what it sets of the request and the response.

    Raises:
        BadTemplate: it can't be evaluated.
    """
    shown = wrapped(dict(context))
    parts = VtlMap(header=VtlMap(), path=VtlMap(), querystring=VtlMap())
    shown["requestOverride"], shown["responseOverride"] = parts, VtlMap(header=VtlMap())
    names = {"input": given, "context": shown, "util": Util(), "stageVariables": wrapped(dict(variables))}
    try:
        text = str(velocity.compiled(template).merge(names))
    except BadTemplate:
        raise
    except Exception as error:  # the library raises its own types, and what the data's methods raise
        raise BadTemplate(f"{type(error).__name__}: {error}") from None
    if len(text) > LIMIT_BYTES:
        raise BadTemplate("the template makes too much")
    if overrides is not None:
        overrides |= {"request": shown["requestOverride"], "response": shown["responseOverride"]}
    return text
