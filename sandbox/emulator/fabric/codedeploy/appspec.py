"""The AppSpec of a function's deployment: which alias goes from which version to which.

Sources:
https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-resources.html and
https://docs.aws.amazon.com/codedeploy/latest/userguide/reference-appspec-file-structure-hooks.html
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import yaml

BEFORE, ALLOW, AFTER = "BeforeAllowTraffic", "AllowTraffic", "AfterAllowTraffic"
_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FUNCTION = "AWS::Lambda::Function"


class BadAppSpec(ValueError):
    """What stands there is no AppSpec of a function; the message says why."""


@dataclass(frozen=True, slots=True)
class AppSpec:
    """One function's alias, its versions, and the functions that look after it, by lifecycle event."""

    function: str
    alias: str
    current: str
    target: str
    hooks: Mapping[str, str] = field(default_factory=dict)

    def reversed(self) -> AppSpec:
        """The way back, without anybody who looks after it."""
        return replace(self, current=self.target, target=self.current, hooks={})

    def text(self) -> str:
        """As JSON."""
        properties = {
            "Name": self.function,
            "Alias": self.alias,
            "CurrentVersion": self.current,
            "TargetVersion": self.target,
        }
        made = {
            "version": 0.0,
            "Resources": [{self.function: {"Type": _FUNCTION, "Properties": properties}}],
            "Hooks": [{event: function} for event, function in self.hooks.items()],
        }
        return json.dumps(made)


def read(text: str) -> AppSpec:
    """Read an AppSpec written in JSON or YAML.

    Raises:
        BadAppSpec: it can't be read, or lacks something.
    """
    try:
        values = json.loads(text) if text.lstrip().startswith("{") else yaml.load(text, _LOADER)
    except (ValueError, yaml.YAMLError):
        raise BadAppSpec("it is neither JSON nor YAML") from None
    if not isinstance(values, Mapping):
        raise BadAppSpec("it is not an object")
    parts = {str(name).lower(): value for name, value in values.items()}
    if str(parts.get("version")) not in ("0.0", "0"):
        raise BadAppSpec("its version must be 0.0")
    resources = _pairs(parts.get("resources"), "Resources")
    if len(resources) != 1:
        raise BadAppSpec("Resources must have exactly one function")
    [(name, resource)] = resources.items()
    if not isinstance(resource, Mapping) or resource.get("Type") != _FUNCTION:
        raise BadAppSpec(f"the resource {name} must be of the type {_FUNCTION}")
    properties = resource.get("Properties")
    if not isinstance(properties, Mapping):
        raise BadAppSpec(f"the resource {name} has no Properties")
    missing = [each for each in ("Alias", "CurrentVersion", "TargetVersion") if not properties.get(each)]
    if missing:
        raise BadAppSpec(f"the resource {name} lacks {', '.join(missing)}")
    hooks = _pairs(parts.get("hooks") or [], "Hooks")
    unknown = [event for event in hooks if event not in (BEFORE, AFTER)]
    if unknown:
        raise BadAppSpec(f"a Lambda deployment has no hook {', '.join(unknown)}")
    return AppSpec(
        str(properties.get("Name") or name),
        str(properties["Alias"]),
        str(properties["CurrentVersion"]),
        str(properties["TargetVersion"]),
        {event: str(function) for event, function in hooks.items()},
    )


def _pairs(value: Any, name: str) -> dict[str, Any]:
    """A list of objects with one member each, as one mapping."""
    items = [value] if isinstance(value, Mapping) else value
    if not isinstance(items, list) or not all(isinstance(item, Mapping) for item in items):
        raise BadAppSpec(f"{name} must be a list of objects")
    return {str(key): content for item in items for key, content in item.items()}
