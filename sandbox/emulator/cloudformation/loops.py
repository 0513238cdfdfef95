"""``Fn::ForEach`` of the AWS::LanguageExtensions transform."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from sandbox.emulator.cloudformation.errors import invalid

_LOOP = "Fn::ForEach::"


def expand_loops(values: Mapping[str, Any], parameters: Mapping[str, Any]) -> dict[str, Any]:
    """A template with its loops written out.

    Raises:
        AwsError: a loop is not of the form that it has to have.
    """
    expanded: dict[str, Any] = _Loops(parameters, values.get("Mappings", {})).expand(dict(values), {})
    return expanded


class _Loops:
    def __init__(self, parameters: Mapping[str, Any], mappings: Any) -> None:
        self._parameters = parameters
        self._mappings = mappings

    def expand(self, value: Any, bound: Mapping[str, str]) -> Any:
        if isinstance(value, str):
            return _filled(value, bound)
        if isinstance(value, list):
            return [self.expand(item, bound) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and value.get("Ref") in bound:
            return bound[value["Ref"]]
        found: dict[str, Any] = {}
        for key, item in value.items():
            if key.startswith(_LOOP):
                found.update(self._loop(key, item, bound))
            else:
                found[_filled(key, bound)] = self.expand(item, bound)
        return found

    def _loop(self, key: str, body: Any, bound: Mapping[str, str]) -> dict[str, Any]:
        if not (
            isinstance(body, list)
            and len(body) == 3
            and isinstance(body[0], str)
            and isinstance(body[2], dict)
        ):
            raise invalid(f"Transform AWS::LanguageExtensions failed with: {key} is not well-formed.")
        name, collection, output = body
        found: dict[str, Any] = {}
        for item in self._items(key, collection, bound):
            found.update(self.expand(output, {**bound, name: item}))
        return found

    def _items(self, key: str, collection: Any, bound: Mapping[str, str]) -> list[str]:
        if isinstance(collection, dict) and "Ref" in collection:
            collection = self._parameters.get(collection["Ref"])
        elif isinstance(collection, dict) and isinstance(collection.get("Fn::FindInMap"), list):
            found: Any = self._mappings
            for step in self.expand(collection["Fn::FindInMap"], bound):
                found = found.get(str(step)) if isinstance(found, dict) else None
            collection = found
        if not isinstance(collection, list) or not all(isinstance(item, str) for item in collection):
            raise invalid(
                f"Transform AWS::LanguageExtensions failed with: The collection of {key} is not a list of "
                "strings."
            )
        return [_filled(item, bound) for item in collection]


def _filled(text: str, bound: Mapping[str, str]) -> str:
    for name, item in bound.items():
        text = text.replace("${" + name + "}", item).replace("&{" + name + "}", _alphanumeric(item))
    return text


def _alphanumeric(text: str) -> str:
    return "".join(character for character in text if character.isalnum())
