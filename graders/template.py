"""Templates as checks see them: data, without comments and formatting."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from sandbox.templates import TemplateText


@dataclass(frozen=True, slots=True)
class Resource:
    """One resource of a template. ``properties`` may hold intrinsic functions in their long form."""

    logical_id: str
    type: str
    properties: Mapping[str, Any]
    attributes: Mapping[str, Any]

    def get(self, path: str, default: Any = None) -> Any:
        """A property by dotted path, e.g. ``Environment.Variables``."""
        value: Any = self.properties
        for key in path.split("."):
            if not isinstance(value, Mapping) or key not in value:
                return default
            value = value[key]
        return value


@dataclass(frozen=True, slots=True)
class Template:
    """The learner's template: as written (``original``) and after transforms (``processed``).

    ``source`` is its text, for telling where something stands; never for judging.
    """

    original: Mapping[str, Any]
    processed: Mapping[str, Any]
    source: TemplateText | None = field(default=None, repr=False, compare=False)

    def resources(self, *types: str, original: bool = False) -> tuple[Resource, ...]:
        """Resources of these types (all without types) after transforms, or as written with ``original``."""
        source = self.original if original else self.processed
        found = []
        for logical_id, body in source.get("Resources", {}).items():
            if isinstance(body, Mapping) and (not types or body.get("Type") in types):
                found.append(Resource(logical_id, str(body.get("Type")), body.get("Properties") or {}, body))
        return tuple(found)

    def resource(self, logical_id: str) -> Resource | None:
        """One resource after transforms."""
        return next((item for item in self.resources() if item.logical_id == logical_id), None)

    def text(self, *, original: bool = True) -> str:
        """The data as JSON, keys sorted; comments and formatting are gone."""
        return json.dumps(self.original if original else self.processed, sort_keys=True, default=str)
