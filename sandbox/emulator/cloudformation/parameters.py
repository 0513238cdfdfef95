"""Values of a template's parameters: given, kept, by default, or read from Parameter Store."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sandbox.emulator.cloudformation.errors import invalid, malformed
from sandbox.emulator.cloudformation.intrinsics import as_text

_PARAMETER_KEYS = frozenset(
    {"Type", "Default", "NoEcho", "AllowedValues", "AllowedPattern", "MaxLength", "MinLength", "MaxValue"}
    | {"MinValue", "Description", "ConstraintDescription"}
)
_STORED = re.compile(r"AWS::SSM::Parameter::Value<(.+)>")
_LIST = re.compile(r"List<(.+)>")
MASK = "****"

# Reads one parameter of Parameter Store; raises AwsError when it is not there.
ReadStored = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Parameters:
    """What a stack was given. ``given`` is text by name, ``values`` what a Ref answers."""

    given: Mapping[str, str] = field(default_factory=dict)
    values: Mapping[str, Any] = field(default_factory=dict)
    stored: Mapping[str, str] = field(default_factory=dict)
    secret: frozenset[str] = frozenset()

    def described(self) -> list[dict[str, str]]:
        """As DescribeStacks shows them."""
        return [
            {
                "ParameterKey": name,
                "ParameterValue": MASK if name in self.secret else text,
                **({"ResolvedValue": self.stored[name]} if name in self.stored else {}),
            }
            for name, text in self.given.items()
        ]


def check_declared(declared: Mapping[str, Any]) -> None:
    """Refuse a Parameters section that is not well formed.

    Raises:
        AwsError: as CloudFormation words it.
    """
    for name, parameter in declared.items():
        if not re.fullmatch(r"[A-Za-z0-9]+", name):
            raise malformed(f"Parameter name {name} is non alphanumeric.")
        if not isinstance(parameter, dict) or "Type" not in parameter:
            raise malformed(f"Every Parameters object must contain a Type member. ({name})")
        unknown = [key for key in parameter if key not in _PARAMETER_KEYS]
        if unknown:
            raise invalid(f"Invalid template parameter property '{unknown[0]}'")
        kind = str(parameter["Type"])
        if not _is_known(kind):
            raise malformed(f"Unrecognized parameter type: {kind}")
        if isinstance(parameter.get("Default"), dict | list):
            raise malformed("Every Default member must be a string.")


def _is_known(kind: str) -> bool:
    stored = _STORED.fullmatch(kind)
    if stored:
        return _is_known(stored[1])
    if kind in ("String", "Number", "CommaDelimitedList", "AWS::SSM::Parameter::Name"):
        return True
    listed = _LIST.fullmatch(kind)
    if listed:
        return listed[1] in ("Number", "String") or listed[1].startswith("AWS::")
    return bool(re.fullmatch(r"AWS::(EC2|Route53)::[A-Za-z:]+", kind))


def bind(
    declared: Mapping[str, Mapping[str, Any]],
    given: Sequence[Mapping[str, Any]],
    previous: Parameters | None,
    read_stored: ReadStored,
) -> Parameters:
    """Find each parameter's value and check it.

    Raises:
        AwsError: one is missing, unknown, or breaks its own rules.
    """
    check_declared(declared)
    texts = _texts(declared, given, previous)
    stored: dict[str, str] = {}
    values: dict[str, Any] = {}
    for name, text in texts.items():
        rules = declared[name]
        kind = str(rules["Type"])
        _check(name, text, rules, kind)
        kept = _STORED.fullmatch(kind)
        if kept:
            stored[name] = text = read_stored(text)
            kind = kept[1]
        elif kind == "AWS::SSM::Parameter::Name":
            read_stored(text)
        is_list = kind == "CommaDelimitedList" or _LIST.fullmatch(kind)
        values[name] = [part.strip() for part in text.split(",")] if is_list else text
    secret = frozenset(name for name, rules in declared.items() if as_text(rules.get("NoEcho", "")) == "true")
    return Parameters(texts, values, stored, secret)


def _texts(
    declared: Mapping[str, Mapping[str, Any]],
    given: Sequence[Mapping[str, Any]],
    previous: Parameters | None,
) -> dict[str, str]:
    told: dict[str, str] = {}
    for item in given:
        name = str(item.get("ParameterKey", ""))
        if item.get("UsePreviousValue"):
            if previous is None or name not in previous.given:
                raise invalid(
                    f"Invalid input for parameter key {name}. Cannot specify usePreviousValue as true "
                    "for a parameter key not in the previous template"
                )
            if name in declared:
                told[name] = previous.given[name]
        else:
            told[name] = str(item.get("ParameterValue", ""))
    undeclared = [name for name in told if name not in declared]
    if undeclared:
        raise invalid(f"Parameters: [{', '.join(undeclared)}] do not exist in the template")
    texts: dict[str, str] = {}
    missing: list[str] = []
    for name, rules in declared.items():
        if name in told:
            texts[name] = told[name]
        elif "Default" in rules:
            texts[name] = as_text(rules["Default"])
        else:
            missing.append(name)
    if missing:
        raise invalid(f"Parameters: [{', '.join(missing)}] must have values")
    return texts


def _check(name: str, text: str, rules: Mapping[str, Any], kind: str) -> None:
    told = next(_broken(text, rules, kind), None)
    if told is None:
        return
    if "ConstraintDescription" in rules:
        raise invalid(f"Parameter {name} failed to satisfy constraint: {rules['ConstraintDescription']}")
    raise invalid(f"Parameter '{name}' must {told}")


def _broken(text: str, rules: Mapping[str, Any], kind: str) -> Any:
    parts = [part.strip() for part in text.split(",")] if "List" in kind else [text]
    if "AllowedValues" in rules:
        allowed = [as_text(value) for value in rules["AllowedValues"]]
        if not all(part in allowed for part in parts):
            yield "be one of AllowedValues"
    if "AllowedPattern" in rules and not all(
        re.fullmatch(as_text(rules["AllowedPattern"]), part) for part in parts
    ):
        yield f"match pattern {rules['AllowedPattern']}"
    if kind in ("Number", "List<Number>"):
        yield from _broken_numbers(parts, rules)
    elif kind == "String":
        if "MinLength" in rules and len(text) < int(rules["MinLength"]):
            yield f"contain at least {rules['MinLength']} characters"
        if "MaxLength" in rules and len(text) > int(rules["MaxLength"]):
            yield f"contain at most {rules['MaxLength']} characters"


def _broken_numbers(parts: Sequence[str], rules: Mapping[str, Any]) -> Any:
    try:
        numbers = [float(part) for part in parts]
    except ValueError:
        yield "be a number"
        return
    if "MinValue" in rules and any(number < float(rules["MinValue"]) for number in numbers):
        yield f"be a number not less than {rules['MinValue']}"
    if "MaxValue" in rules and any(number > float(rules["MaxValue"]) for number in numbers):
        yield f"be a number not greater than {rules['MaxValue']}"
