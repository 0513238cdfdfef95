"""Reading CloudFormation templates as data: comments and formatting never reach a check."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import yaml


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms (``!Ref``, ``!GetAtt`` …) as their long ones."""


def _short_form(loader: _Loader, suffix: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.ScalarNode):
        value = loader.construct_scalar(node)
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    if suffix == "GetAtt" and isinstance(value, str):
        value = value.split(".", 1)
    return {suffix if suffix in ("Ref", "Condition") else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _short_form)
# Versions such as 2012-10-17 are texts in a template, never dates.
_Loader.yaml_implicit_resolvers = {
    key: [(tag, pattern) for tag, pattern in resolvers if tag != "tag:yaml.org,2002:timestamp"]
    for key, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
}


def parse_template(text: str | bytes) -> dict[str, Any]:
    """A template's data, from JSON or YAML.

    Raises:
        ValueError: it is neither, or not a mapping; says where.
    """
    try:
        data = yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ValueError(f"The template is not valid YAML: {error}") from error
    if not isinstance(data, dict):
        raise ValueError("The template is not a mapping of sections such as Resources.")
    return data


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
    """The learner's template: as written (``original``) and after transforms (``processed``)."""

    original: Mapping[str, Any]
    processed: Mapping[str, Any]

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
