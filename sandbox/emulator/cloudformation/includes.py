"""``AWS::Include``: parts of a template that lie in S3, put where they are named.

Source: https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/transform-aws-include.html
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from sandbox.emulator.cloudformation import documents
from sandbox.emulator.cloudformation.errors import invalid, not_emulated

INCLUDE = "AWS::Include"
# The text at an address.
Read = Callable[[str], str]


def included(values: Mapping[str, Any], parameters: Mapping[str, Any], read: Read) -> dict[str, Any]:
    """A template with everything in it that it includes, whole or within ``Fn::Transform``.

    Raises:
        AwsError: a part can't be read, or names another macro.
    """
    section = values.get("Transform") or []
    listed = section if isinstance(section, list) else [section]
    found = dict(_filled(values, parameters, read))
    for entry in listed:
        if isinstance(entry, dict) and entry.get("Name") == INCLUDE:
            found = {**found, **_part(entry, parameters, read)}
    return found


def includes(value: Any) -> bool:
    """Whether a value has something to be included."""
    if isinstance(value, dict):
        return "Fn::Transform" in value or any(includes(item) for item in value.values())
    return isinstance(value, list) and any(includes(item) for item in value)


def _filled(value: Any, parameters: Mapping[str, Any], read: Read) -> Any:
    if isinstance(value, dict):
        found = {
            key: _filled(item, parameters, read) for key, item in value.items() if key != "Fn::Transform"
        }
        if "Fn::Transform" in value:
            asked = value["Fn::Transform"]
            for entry in asked if isinstance(asked, list) else [asked]:
                found |= _part(entry, parameters, read)
        return found
    return [_filled(item, parameters, read) for item in value] if isinstance(value, list) else value


def _part(entry: Any, parameters: Mapping[str, Any], read: Read) -> dict[str, Any]:
    name = entry.get("Name") if isinstance(entry, dict) else entry
    if name != INCLUDE:
        raise not_emulated(f"the transform {name}")
    location = (entry.get("Parameters") or {}).get("Location") if isinstance(entry, dict) else None
    if isinstance(location, dict) and list(location) == ["Ref"]:
        location = parameters.get(str(location["Ref"]))
    if not isinstance(location, str) or not location:
        raise invalid(f"Transform {INCLUDE} failed with: The location parameter is missing or not text.")
    return documents.parse(read(location))
