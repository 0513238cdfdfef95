"""What AWS::LanguageExtensions writes out before a stack is planned: loops, computed names and policies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NoReturn

from sandbox.emulator.cloudformation.errors import invalid
from sandbox.emulator.cloudformation.intrinsics import Resolver

_LOOP = "Fn::ForEach::"
_POLICIES = ("DeletionPolicy", "UpdateReplacePolicy")


def extended(values: Mapping[str, Any], known: Mapping[str, Any]) -> dict[str, Any]:
    """A template with its loops written out, and with plain names and policies where it computes them.

    ``known`` has the parameters and pseudo parameters.

    Raises:
        AwsError: a loop is not of the form that it has to have, or a name rests on a resource.
    """
    expanded: dict[str, Any] = _Loops(values, known).expand(dict(values), {})
    return expanded


def without_loops(resources: Mapping[str, Any]) -> dict[str, Any]:
    """Resources as they are written, those inside loops once each under the name that stands there."""
    found: dict[str, Any] = {}
    for name, resource in resources.items():
        if not name.startswith(_LOOP):
            found[name] = resource
        elif isinstance(resource, list) and resource and isinstance(resource[-1], dict):
            found |= without_loops(resource[-1])
    return found


def _of_a_resource(name: str, *_: str) -> NoReturn:
    raise invalid(
        f"Transform AWS::LanguageExtensions failed with: {name} is no parameter, so nothing can be computed "
        "from it before the stack is made."
    )


class _Loops:
    def __init__(self, values: Mapping[str, Any], known: Mapping[str, Any]) -> None:
        self._resolver = Resolver(
            mappings=values.get("Mappings", {}),
            conditions=values.get("Conditions", {}),
            names=known,
            reference=_of_a_resource,
            attribute=_of_a_resource,
            imported=_of_a_resource,
            zones=_of_a_resource,
        )

    def expand(self, value: Any, bound: Mapping[str, str]) -> Any:
        if isinstance(value, str):
            return _filled(value, bound)
        if isinstance(value, list):
            return [self.expand(item, bound) for item in value]
        if not isinstance(value, dict):
            return value
        if len(value) == 1 and isinstance(value.get("Ref"), str) and value["Ref"] in bound:
            return bound[value["Ref"]]
        found: dict[str, Any] = {}
        for key, item in value.items():
            if key.startswith(_LOOP):
                found.update(self._loop(key, item, bound))
            else:
                found[_filled(key, bound)] = self.expand(item, bound)
        return self._named(found)

    def _named(self, value: dict[str, Any]) -> dict[str, Any]:
        """A reference whose name was computed, or a resource whose policies were, with what they came to.

        Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/transform-aws-languageextensions.html
        """
        if len(value) == 1 and isinstance(value.get("Ref"), dict):
            return {"Ref": self._resolver.resolve(value["Ref"])}
        if len(value) == 1 and isinstance(value.get("Fn::GetAtt"), list):
            return {"Fn::GetAtt": [self._text(part) for part in value["Fn::GetAtt"]]}
        if isinstance(value.get("Type"), str):
            return value | {key: self._text(value[key]) for key in _POLICIES if key in value}
        return value

    def _text(self, value: Any) -> Any:
        return self._resolver.resolve(value) if isinstance(value, dict) else value

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
        collection = self._text(self.expand(collection, bound))
        if not isinstance(collection, list) or not all(isinstance(item, str) for item in collection):
            raise invalid(
                f"Transform AWS::LanguageExtensions failed with: The collection of {key} is not a list of "
                "strings."
            )
        return collection


def _filled(text: str, bound: Mapping[str, str]) -> str:
    for name, item in bound.items():
        text = text.replace("${" + name + "}", item).replace("&{" + name + "}", _alphanumeric(item))
    return text


def _alphanumeric(text: str) -> str:
    return "".join(character for character in text if character.isalnum())
