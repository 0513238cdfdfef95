"""What ``Ref``, ``Fn::…`` and conditions mean, evaluated against a stack as far as it is known."""

from __future__ import annotations

import base64
import ipaddress
import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.cloudformation.errors import invalid, not_emulated

NO_VALUE = object()
_VARIABLE = re.compile(r"\$\{([^}]*)\}")
_SUB_NAME = re.compile(r"[A-Za-z0-9_.:]+")


@dataclass(frozen=True, slots=True)
class Unknown:
    """A value that exists only once other resources do: ``sources`` names them and what is read.

    A source is ``Resource`` for its Ref and ``Resource.Attribute`` for an attribute.
    """

    sources: frozenset[str]


@dataclass(frozen=True, slots=True)
class Reference:
    """One mention of a parameter or resource. ``attribute`` is empty for a Ref."""

    name: str
    attribute: str = ""
    strict: bool = False


def references(value: Any) -> Iterator[Reference]:
    """Every mention in a value, whichever branch of an ``Fn::If`` it stands in."""
    if isinstance(value, dict):
        if len(value) == 1:
            (function, argument), *_ = value.items()
            if function == "Ref" and isinstance(argument, str):
                yield Reference(argument)
                return
            if function == "Fn::GetAtt":
                parts = attribute_path(argument)
                if isinstance(parts[1], str):
                    yield Reference(parts[0], parts[1], strict=True)
                else:
                    yield Reference(parts[0], "*", strict=True)
                    yield from references(parts[1])
                return
            if function == "Fn::Sub":
                yield from _sub_references(argument)
                return
        for item in value.values():
            yield from references(item)
    elif isinstance(value, list):
        for item in value:
            yield from references(item)


def _sub_references(argument: Any) -> Iterator[Reference]:
    text, own = _sub_parts(argument)
    yield from references(own)
    for name in sub_names(text):
        if name not in own:
            resource, _, attribute = name.partition(".")
            yield Reference(resource, attribute)


def sub_names(text: str) -> Iterator[str]:
    """The variables of an ``Fn::Sub`` text.

    Raises:
        AwsError: a name that none can have.
    """
    for found in _VARIABLE.finditer(text):
        name = found[1]
        if name.startswith("!"):
            continue
        if not _SUB_NAME.fullmatch(name):
            raise invalid(
                "Template error: variable names in Fn::Sub syntax must contain only alphanumeric "
                "characters, underscores, periods, and colons"
            )
        yield name


def conditions_used(value: Any) -> Iterator[str]:
    """The conditions that ``Fn::If`` and ``Condition`` name in a value."""
    if isinstance(value, dict):
        for function, argument in value.items():
            if function == "Fn::If" and isinstance(argument, list) and argument:
                if isinstance(argument[0], str):
                    yield argument[0]
            elif function == "Condition" and len(value) == 1 and isinstance(argument, str):
                yield argument
            yield from conditions_used(argument)
    elif isinstance(value, list):
        for item in value:
            yield from conditions_used(item)


def attribute_path(argument: Any) -> tuple[str, Any]:
    """The resource and attribute of an ``Fn::GetAtt`` in either form.

    Raises:
        AwsError: it is in neither.
    """
    if isinstance(argument, str) and "." in argument:
        resource, attribute = argument.split(".", 1)
        return resource, attribute
    if isinstance(argument, list) and len(argument) >= 2 and isinstance(argument[0], str):
        if len(argument) == 2:
            return argument[0], argument[1]
        if all(isinstance(part, str) for part in argument):
            return argument[0], ".".join(argument[1:])
    raise invalid(
        "Template error: every Fn::GetAtt object requires two non-empty parameters, "
        "the resource name and the resource attribute"
    )


@dataclass(slots=True)
class Resolver:
    """Evaluates values of one template for one stack.

    ``names`` has parameters and pseudo parameters; ``reference`` and ``attribute`` answer for
    resources and may answer :class:`Unknown`; ``imported`` answers for exports of other stacks.
    """

    mappings: Mapping[str, Any]
    conditions: Mapping[str, Any]
    names: Mapping[str, Any]
    reference: Callable[[str], Any]
    attribute: Callable[[str, str], Any]
    imported: Callable[[str], Any]
    zones: Callable[[str], Sequence[str]]
    _known_conditions: dict[str, bool] = field(default_factory=dict)
    _pending: set[str] = field(default_factory=set)

    def resolve(self, value: Any) -> Any:
        """A value without intrinsics; ``AWS::NoValue`` takes its key or item away.

        Raises:
            AwsError: an intrinsic is misused or names what is not there.
        """
        found = self._resolve(value)
        return None if found is NO_VALUE else found

    def condition(self, name: str) -> bool:
        """Whether a named condition holds."""
        if name not in self._known_conditions:
            if name not in self.conditions:
                raise invalid(f"Template error: unresolved condition dependency: {name}")
            if name in self._pending:
                raise invalid(f"Template error: circular dependency in condition {name}")
            self._pending.add(name)
            self._known_conditions[name] = self._truth(self.conditions[name])
            self._pending.discard(name)
        return self._known_conditions[name]

    def _resolve(self, value: Any) -> Any:
        if isinstance(value, dict):
            if len(value) == 1:
                (name, argument), *_ = value.items()
                if name == "Ref":
                    return self._ref(argument)
                if name.startswith("Fn::"):
                    function = _FUNCTIONS.get(name)
                    if function is None:
                        raise invalid(f"Template error: unknown function {name}")
                    return function(self, argument)
            resolved = {key: self._resolve(item) for key, item in value.items()}
            return {key: item for key, item in resolved.items() if item is not NO_VALUE}
        if isinstance(value, list):
            return [item for item in map(self._resolve, value) if item is not NO_VALUE]
        return value

    def _ref(self, name: Any) -> Any:
        if not isinstance(name, str):
            raise invalid("Template format error: Every Ref object must have a single String value.")
        if name == "AWS::NoValue":
            return NO_VALUE
        return self.names[name] if name in self.names else self.reference(name)

    def _get_att(self, argument: Any) -> Any:
        resource, attribute = attribute_path(argument)
        return self.attribute(resource, self._text(attribute, "Fn::GetAtt"))

    def _sub(self, argument: Any) -> Any:
        text, own = _sub_parts(argument)
        values: dict[str, Any] = {}
        for name in sub_names(text):
            if name in own:
                values[name] = self._resolve(own[name])
            elif name in self.names:
                values[name] = self.names[name]
            else:
                resource, _, attribute = name.partition(".")
                values[name] = self.attribute(resource, attribute) if attribute else self.reference(resource)
        unknown = _unknown(values.values())
        if unknown:
            return unknown

        def fill(found: re.Match[str]) -> str:
            name = found[1]
            return "${" + name[1:] + "}" if name.startswith("!") else as_text(values[name])

        return _VARIABLE.sub(fill, text)

    def _join(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) != 2 or not isinstance(argument[0], str):
            raise invalid(
                "Template error: every Fn::Join object requires two parameters, (1) a string delimiter "
                "and (2) a list of strings to be joined or a function that returns a list of strings "
                "(such as Fn::GetAZs) to be joined."
            )
        parts = self._resolve(argument[1])
        if isinstance(parts, Unknown):
            return parts
        if not isinstance(parts, list):
            raise invalid("Template error: Fn::Join requires a list of strings to be joined.")
        return _unknown(parts) or argument[0].join(as_text(part) for part in parts)

    def _select(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) != 2:
            raise invalid("Template error: Fn::Select requires a list argument with two elements")
        index, choices = self._resolve(argument[0]), self._resolve(argument[1])
        if isinstance(choices, Unknown):
            return choices
        try:
            position = int(index)
        except (TypeError, ValueError):
            raise invalid(
                "Template error: Fn::Select requires a list argument with a valid index value "
                "as its first element"
            ) from None
        if not isinstance(choices, list):
            raise invalid(
                "Template error: Fn::Select requires a list argument with two elements: "
                "an integer index and a list"
            )
        if not 0 <= position < len(choices):
            raise invalid(f"Template error: Fn::Select  cannot select nonexistent value at index {position}")
        return choices[position]

    def _split(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) != 2 or not isinstance(argument[0], str):
            raise invalid(
                "Template error: every Fn::Split object requires two parameters, (1) a string delimiter "
                "and (2) a string to be split or a function that returns a string to be split."
            )
        text = self._resolve(argument[1])
        return text if isinstance(text, Unknown) else as_text(text).split(argument[0])

    def _find_in_map(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) not in (3, 4):
            raise invalid(
                "Template error: every Fn::FindInMap object requires three parameters, the map name, "
                "map key and the attribute for return value"
            )
        keys = [self._text(part, "Fn::FindInMap") for part in argument[:3]]
        found: Any = self.mappings
        for key in keys:
            found = found.get(key, NO_VALUE) if isinstance(found, dict) else NO_VALUE
        if found is not NO_VALUE:
            return self._resolve(found)
        if len(argument) == 4 and isinstance(argument[3], dict) and "DefaultValue" in argument[3]:
            return self._resolve(argument[3]["DefaultValue"])
        if keys[0] not in self.mappings:
            raise invalid(
                f"Template error: Mapping named '{keys[0]}' is not present in the 'Mappings' section "
                "of template."
            )
        raise invalid(f"Template error: Unable to get mapping for {'::'.join(keys)}")

    def _if(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) != 3 or not isinstance(argument[0], str):
            raise invalid("Template error: Fn::If requires a list argument with three elements")
        return self._resolve(argument[1] if self.condition(argument[0]) else argument[2])

    def _base64(self, argument: Any) -> Any:
        text = self._resolve(argument)
        return text if isinstance(text, Unknown) else base64.b64encode(as_text(text).encode()).decode()

    def _import_value(self, argument: Any) -> Any:
        name = self._resolve(argument)
        return name if isinstance(name, Unknown) else self.imported(as_text(name))

    def _get_azs(self, argument: Any) -> Any:
        return list(self.zones(self._text(argument, "Fn::GetAZs")))

    def _cidr(self, argument: Any) -> Any:
        if not isinstance(argument, list) or len(argument) not in (2, 3):
            raise invalid("Template error: Fn::Cidr requires a list argument with two or three elements")
        block, count, *bits = [self._resolve(part) for part in argument]
        unknown = _unknown([block, count, *bits])
        if unknown:
            return unknown
        try:
            network = ipaddress.ip_network(as_text(block))
            prefix = network.max_prefixlen - int(bits[0] if bits else 8)
            subnets = network.subnets(new_prefix=prefix)
            found = [str(subnet) for _, subnet in zip(range(int(count)), subnets, strict=False)]
        except ValueError as error:
            raise invalid(f"Template error: Fn::Cidr: {error}") from None
        if len(found) < int(count):
            raise invalid(f"Template error: Fn::Cidr: {block} does not have room for {count} blocks")
        return found

    def _length(self, argument: Any) -> Any:
        found = self._resolve(argument)
        if not isinstance(found, list | Unknown):
            raise invalid("Template error: Fn::Length requires a list")
        return found if isinstance(found, Unknown) else len(found)

    def _to_json_string(self, argument: Any) -> Any:
        found = self._resolve(argument)
        if isinstance(found, Unknown):
            return found
        return _unknown(leaves(found)) or json.dumps(found, separators=(",", ":"))

    def _boolean(self, argument: Any) -> Any:
        raise invalid(
            "Template error: condition functions can only be used in the Conditions section and in Fn::If"
        )

    def _transform(self, argument: Any) -> Any:
        name = argument.get("Name") if isinstance(argument, dict) else argument
        raise not_emulated(f"Fn::Transform with {name}")

    def _text(self, value: Any, function: str) -> str:
        found = self._resolve(value)
        if isinstance(found, dict | list | Unknown) or found is NO_VALUE:
            raise invalid(f"Template error: {function} does not support the function or value given to it")
        return as_text(found)

    def _truth(self, value: Any) -> bool:
        if isinstance(value, dict) and len(value) == 1:
            (function, argument), *_ = value.items()
            if function == "Condition" and isinstance(argument, str):
                return self.condition(argument)
            if function == "Fn::Equals" and isinstance(argument, list) and len(argument) == 2:
                left, right = (self._comparable(self._resolve(side)) for side in argument)
                return bool(left == right)
            if function == "Fn::Not" and isinstance(argument, list) and len(argument) == 1:
                return not self._truth(argument[0])
            if function in ("Fn::And", "Fn::Or") and isinstance(argument, list):
                if not 2 <= len(argument) <= 10:
                    raise invalid(
                        f"Template error: every {function} object requires a list of at least 2 and at most "
                        "10 boolean parameters."
                    )
                combine = all if function == "Fn::And" else any
                return combine(self._truth(item) for item in argument)
        raise invalid(
            "Template format error: Conditions can only be boolean operations on parameters "
            "and other conditions"
        )

    def _comparable(self, value: Any) -> Any:
        return value if isinstance(value, dict | list) else as_text(value)


_FUNCTIONS: dict[str, Callable[[Resolver, Any], Any]] = {
    "Fn::GetAtt": Resolver._get_att,
    "Fn::Sub": Resolver._sub,
    "Fn::Join": Resolver._join,
    "Fn::Select": Resolver._select,
    "Fn::Split": Resolver._split,
    "Fn::FindInMap": Resolver._find_in_map,
    "Fn::If": Resolver._if,
    "Fn::Base64": Resolver._base64,
    "Fn::ImportValue": Resolver._import_value,
    "Fn::GetAZs": Resolver._get_azs,
    "Fn::Cidr": Resolver._cidr,
    "Fn::Length": Resolver._length,
    "Fn::ToJsonString": Resolver._to_json_string,
    "Fn::Equals": Resolver._boolean,
    "Fn::And": Resolver._boolean,
    "Fn::Or": Resolver._boolean,
    "Fn::Not": Resolver._boolean,
    "Fn::Transform": Resolver._transform,
}


def as_text(value: Any) -> str:
    """A scalar as CloudFormation writes it into text; a list of text by commas."""
    if value is NO_VALUE or value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(as_text(item) for item in value)
    if isinstance(value, dict):
        raise invalid("Template error: a map can not be used where text is needed")
    return str(value)


def leaves(value: Any) -> Iterator[Any]:
    """Every scalar (and Unknown) in a value."""
    if isinstance(value, dict):
        for item in value.values():
            yield from leaves(item)
    elif isinstance(value, list):
        for item in value:
            yield from leaves(item)
    else:
        yield value


def _unknown(values: Iterable[Any]) -> Unknown | None:
    found = [value.sources for value in values if isinstance(value, Unknown)]
    return Unknown(frozenset().union(*found)) if found else None


def _sub_parts(argument: Any) -> tuple[str, Mapping[str, Any]]:
    if isinstance(argument, str):
        return argument, {}
    if (
        isinstance(argument, list)
        and len(argument) == 2
        and isinstance(argument[0], str)
        and isinstance(argument[1], dict)
    ):
        return argument[0], argument[1]
    raise invalid(
        "Template error: One or more Fn::Sub intrinsic functions don't specify expected arguments. "
        "Specify a string as first argument, and an optional second argument to specify a mapping of "
        "values to replace in the string"
    )
