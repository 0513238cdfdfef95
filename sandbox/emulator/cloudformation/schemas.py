"""What AWS's own schemas say of resource types: the ones that cfn-lint ships."""

from __future__ import annotations

import functools
from collections.abc import Container, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import regex  # type: ignore[import-untyped]
from cfnlint.schema import PROVIDER_SCHEMA_MANAGER, ResourceNotFoundError

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "array": (list,),
    "object": (dict,),
}
# The names that AWS's validator, written in Java, has for JSON's types.
_JAVA_TYPES = {
    "string": "String",
    "integer": "Integer",
    "number": "Number",
    "boolean": "Boolean",
    "array": "JSONArray",
    "object": "JSONObject",
}
_MANY = 20
STACK = "AWS::CloudFormation::Stack"


@dataclass(frozen=True, slots=True)
class TypeSchema:
    """The schema of one resource type."""

    type: str
    root: Mapping[str, Any]
    attributes: Container[str]

    @property
    def create_only(self) -> tuple[tuple[str, ...], ...]:
        """Paths of the properties that can't change without replacement."""
        return _paths(self.root.get("createOnlyProperties", ()))

    @property
    def conditionally_create_only(self) -> tuple[tuple[str, ...], ...]:
        return _paths(self.root.get("conditionalCreateOnlyProperties", ()))

    @property
    def identifiers(self) -> frozenset[str]:
        """Top-level properties that make up the physical id."""
        return frozenset(path[0] for path in _paths(self.root.get("primaryIdentifier", ())) if len(path) == 1)

    @property
    def read_only(self) -> frozenset[str]:
        """Top-level properties that only AWS sets."""
        return frozenset(
            path[0] for path in _paths(self.root.get("readOnlyProperties", ())) if len(path) == 1
        )

    @property
    def properties(self) -> Mapping[str, Any]:
        found: Mapping[str, Any] = self.root.get("properties", {})
        return found

    def coerced(self, properties: Mapping[str, Any]) -> dict[str, Any]:
        """Properties with text made numbers and booleans, and the reverse, where the schema wants it."""
        found: dict[str, Any] = _coerce(properties, self.root, self.root)
        return found

    def problems(self, properties: Mapping[str, Any]) -> list[str]:
        """What is wrong with properties, in the words of AWS's validator; a few at most."""
        settable = {name: rule for name, rule in self.properties.items() if name not in self.read_only}
        root = {**self.root, "properties": settable}
        found = _problems(properties, root, self.root, "#")
        return [problem for _, problem in zip(range(_MANY), found, strict=False)]


class Schemas:
    """The resource types of one region."""

    def __init__(self, region: str) -> None:
        self._region = region

    def knows(self, kind: str) -> bool:
        """Whether CloudFormation has this type."""
        return self.find(kind) is not None

    def has_attribute(self, kind: str, attribute: str) -> bool:
        """Whether ``Fn::GetAtt`` of a resource of this type can read ``attribute``."""
        schema = self.find(kind)
        return schema is not None and attribute in schema.attributes

    def find(self, kind: str) -> TypeSchema | None:
        """The schema of a type, if there is such a type."""
        return _find(self._region, kind)

    def get(self, kind: str) -> TypeSchema:
        """The schema of a type that was checked to exist."""
        schema = self.find(kind)
        assert schema is not None, kind
        return schema


def compile_patterns(schema: Any) -> None:
    """Compile the patterns of a schema, or of a part of one, ahead."""
    if isinstance(schema, Mapping):
        for name in schema.get("patternProperties", ()):
            _pattern(name)
        if isinstance(schema.get("pattern"), str):
            _pattern(schema["pattern"])
        schema = list(schema.values())
    if isinstance(schema, list):
        for part in schema:
            compile_patterns(part)


@functools.cache
def _find(region: str, kind: str) -> TypeSchema | None:
    # Left over from a macro that did not run, or modules, which we do not have.
    if kind.startswith("AWS::Serverless::") or kind.endswith("::MODULE"):
        return None
    try:
        schema = PROVIDER_SCHEMA_MANAGER.get_resource_schema(region, kind)
    except (ResourceNotFoundError, KeyError):
        return None
    if is_custom(kind):
        return TypeSchema(kind, {**schema.schema, **_CUSTOM}, _Everything())
    attributes = _Outputs() if kind == STACK else schema.get_atts
    return TypeSchema(kind, schema.schema, attributes)


def is_custom(kind: str) -> bool:
    """Whether resources of a type are made by somebody's own code."""
    return kind.startswith("Custom::") or kind == "AWS::CloudFormation::CustomResource"


# What a custom resource has is up to who made it; its service token can't be changed, and is no name.
_CUSTOM: Mapping[str, Any] = {
    "properties": {"ServiceToken": {"type": "string"}, "ServiceTimeout": {"type": "integer"}},
    "required": ["ServiceToken"],
    "patternProperties": {},
    "additionalProperties": True,
    "createOnlyProperties": [],
    "readOnlyProperties": [],
    "primaryIdentifier": [],
}


class _Everything:
    def __contains__(self, attribute: object) -> bool:
        return isinstance(attribute, str)


class _Outputs:
    """The attributes of a nested stack."""

    def __contains__(self, attribute: object) -> bool:
        return str(attribute).startswith("Outputs.")


def _paths(pointers: Any) -> tuple[tuple[str, ...], ...]:
    return tuple(tuple(pointer.split("/")[2:]) for pointer in pointers)


def _resolved(schema: Mapping[str, Any], root: Mapping[str, Any]) -> Mapping[str, Any]:
    while "$ref" in schema:
        found: Any = root
        for step in str(schema["$ref"]).removeprefix("#/").split("/"):
            found = found.get(step, {})
        schema = found
    return schema


def _types(schema: Mapping[str, Any]) -> tuple[str, ...]:
    named = schema.get("type", ())
    return (named,) if isinstance(named, str) else tuple(named)


def _coerce(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any]) -> Any:
    schema = _resolved(schema, root)
    types = _types(schema)
    if isinstance(value, dict):
        rules = schema.get("properties", {})
        patterns = schema.get("patternProperties", {})
        rest = schema.get("additionalProperties", {})
        other = next(iter(patterns.values()), rest if isinstance(rest, dict) else {})
        if not rules and not patterns and "properties" not in schema:
            for choice in (*schema.get("oneOf", ()), *schema.get("anyOf", ())):
                if "object" in _types(_resolved(choice, root)):
                    return _coerce(value, choice, root)
        return {key: _coerce(item, rules.get(key, other), root) for key, item in value.items()}
    if isinstance(value, list):
        rule = schema.get("items", {})
        return [_coerce(item, rule, root) for item in value] if isinstance(rule, dict) else value
    if isinstance(value, str) and types and "string" not in types:
        return _from_text(value, types)
    if types == ("string",) and isinstance(value, bool | int | float):
        return ("true" if value else "false") if isinstance(value, bool) else str(value)
    return value


def _from_text(value: str, types: tuple[str, ...]) -> Any:
    text = value.strip()
    if "boolean" in types and text.lower() in ("true", "false"):
        return text.lower() == "true"
    if ("integer" in types or "number" in types) and regex.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    if "number" in types:
        try:
            return float(text)
        except ValueError:
            return value
    return value


def _problems(value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str) -> Iterator[str]:
    schema = _resolved(schema, root)
    types = _types(schema)
    if types and not any(_is(value, name) for name in types):
        wanted = " or ".join(_JAVA_TYPES.get(name, name) for name in types)
        yield f"{at}: expected type: {wanted}, found: {_java_type(value)}"
        return
    if ("enum" in schema and value not in schema["enum"]) or ("const" in schema and value != schema["const"]):
        yield f"{at}: failed validation constraint for keyword [{'enum' if 'enum' in schema else 'const'}]"
    if isinstance(value, str):
        yield from _text_problems(value, schema, at)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        for keyword, broken in (("minimum", value.__lt__), ("maximum", value.__gt__)):
            if isinstance(schema.get(keyword), int | float) and broken(schema[keyword]) is True:
                yield f"{at}: failed validation constraint for keyword [{keyword}]"
    elif isinstance(value, list):
        yield from _list_problems(value, schema, root, at)
    elif isinstance(value, dict):
        yield from _map_problems(value, schema, root, at)
    yield from _choice_problems(value, schema, root, at)


def _text_problems(value: str, schema: Mapping[str, Any], at: str) -> Iterator[str]:
    if len(value) < schema.get("minLength", 0):
        yield f"{at}: expected minLength: {schema['minLength']}, actual: {len(value)}"
    if len(value) > schema.get("maxLength", len(value)):
        yield f"{at}: expected maxLength: {schema['maxLength']}, actual: {len(value)}"
    if "pattern" in schema:
        pattern = _pattern(str(schema["pattern"]))
        if pattern is not None and not pattern.search(value):
            yield f"{at}: failed validation constraint for keyword [pattern]"


def _list_problems(
    value: list[Any], schema: Mapping[str, Any], root: Mapping[str, Any], at: str
) -> Iterator[str]:
    if len(value) < schema.get("minItems", 0):
        yield f"{at}: expected minimum item count: {schema['minItems']}, found: {len(value)}"
    if len(value) > schema.get("maxItems", len(value)):
        yield f"{at}: expected maximum item count: {schema['maxItems']}, found: {len(value)}"
    if schema.get("uniqueItems") and any(item in value[:index] for index, item in enumerate(value)):
        yield f"{at}: array items are not unique"
    rule = schema.get("items")
    if isinstance(rule, dict):
        for index, item in enumerate(value):
            yield from _problems(item, rule, root, f"{at}/{index}")


def _map_problems(
    value: dict[str, Any], schema: Mapping[str, Any], root: Mapping[str, Any], at: str
) -> Iterator[str]:
    rules = schema.get("properties", {})
    patterns = schema.get("patternProperties", {})
    for name in schema.get("required", ()):
        if name not in value:
            yield f"{at}: required key [{name}] not found"
    for name, item in value.items():
        rule = rules.get(name)
        if rule is None:
            rule = next((r for text, r in patterns.items() if _matches(text, name)), None)
        if rule is not None:
            yield from _problems(item, rule, root, f"{at}/{name}")
        elif schema.get("additionalProperties") is False and (rules or patterns):
            yield f"{at}: extraneous key [{name}] is not permitted"
        elif isinstance(schema.get("additionalProperties"), dict):
            yield from _problems(item, schema["additionalProperties"], root, f"{at}/{name}")


def _choice_problems(
    value: Any, schema: Mapping[str, Any], root: Mapping[str, Any], at: str
) -> Iterator[str]:
    """``oneOf`` and ``anyOf`` that nothing fits. That two fit is left to the service to refuse."""
    for keyword in ("oneOf", "anyOf"):
        choices = schema.get(keyword, ())
        if at == "#" or not choices:
            continue
        if all(next(_problems(value, choice, root, at), None) for choice in choices):
            told = (
                "0 subschemas matched instead of one"
                if keyword == "oneOf"
                else f"no subschema matched out of the total {len(choices)} subschemas"
            )
            yield f"{at}: #: {told}"


def _is(value: Any, name: str) -> bool:
    if isinstance(value, bool):
        return name == "boolean"
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES.get(name, (object,)))


def _java_type(value: Any) -> str:
    if value is None:
        return "Null"
    names = ("boolean", "integer", "number", "string", "array", "object")
    return next(_JAVA_TYPES[name] for name in names if _is(value, name))


def _matches(pattern: str, text: str) -> bool:
    compiled = _pattern(pattern)
    return compiled is None or compiled.search(text) is not None


@functools.cache
def _pattern(text: str) -> regex.Pattern[str] | None:
    """A schema's pattern, or None where Python can't read what Java can."""
    try:
        return regex.compile(text)
    except regex.error:
        return None
